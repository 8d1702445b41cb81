from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.data.catalog import Catalog
from pawsure.data.folds import NEVER_HELD_OUT, assign_folds
from pawsure.data.split import assign_splits
from pawsure.errors import UsageError


class Nowhere:
    name, kind, entries = "nowhere", "folder", ()

    def read(self, path: str) -> bytes:
        raise NotImplementedError


def catalog(rows: list[tuple[str, int]], splits: list[str] | None = None) -> Catalog:
    """Of (content, label); equal contents are copies."""

    def objects(values: list[str]) -> np.ndarray:
        array = np.empty(len(values), object)
        array[:] = values
        return array

    numbers: dict[str, int] = {}
    zeros = np.zeros(len(rows), np.int64)
    return Catalog(
        source=Nowhere(),
        labels=tuple("abcdefgh"[: max(label for _, label in rows) + 1]),
        path=objects([f"{row}" for row in range(len(rows))]),
        label=np.array([label for _, label in rows], np.int64),
        content=objects([content for content, _ in rows]),
        num_bytes=zeros,
        width=zeros,
        height=zeros,
        format=objects(["JPEG"] * len(rows)),
        problem=objects([""] * len(rows)),
        group=np.array([numbers.setdefault(c, len(numbers)) for c, _ in rows], np.int64),
        split=objects(splits or [""] * len(rows)),
    )


def by_content(split: Catalog) -> dict[str, str]:
    return dict(zip(split.content.tolist(), split.split.tolist(), strict=True))


def many(number: int, label: int = 0, name: str = "c") -> list[tuple[str, int]]:
    return [(f"{name}{i}", label) for i in range(number)]


# Contents are few, so that copies happen; a content has one label but in one test.
contents = st.integers(0, 60).map(lambda i: (f"content {i}", i % 3))
tables = st.lists(contents, min_size=1, max_size=80)
seeds = st.integers(0, 2**32)


class TestProperties:
    @given(tables, seeds)
    def test_every_picture_is_in_one_split_and_copies_are_together(self, rows, seed):
        split = assign_splits(catalog(rows), seed=seed)
        assert set(split.split) <= {"train", "validation", "test"}
        places: dict[str, set[str]] = {}
        for content, place in zip(split.content, split.split, strict=True):
            places.setdefault(content, set()).add(place)
        assert all(len(place) == 1 for place in places.values())

    @given(tables, seeds, st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, rows, seed, random):
        shuffled = random.sample(rows, len(rows))
        one = by_content(assign_splits(catalog(rows), seed=seed))
        assert one == by_content(assign_splits(catalog(shuffled), seed=seed))

    @given(tables, tables, seeds)
    def test_adding_pictures_moves_none_in_a_label_of_some_size(self, rows, more, seed):
        """So many that chance fills every split, as is the case in practice."""
        enough = [(f"other {i} {label}", label) for i in range(300) for label in range(3)]
        before = by_content(assign_splits(catalog(rows + enough), seed=seed))
        after = by_content(assign_splits(catalog(rows + enough + more), seed=seed))
        assert all(after[content] == place for content, place in before.items())

    @given(tables, seeds)
    def test_every_label_of_three_pictures_is_in_every_split(self, rows, seed):
        split = assign_splits(catalog(rows), seed=seed)
        for label in set(split.label.tolist()):
            own = split.label == label
            different = len(set(split.content[own]))
            expected = {1: {"train"}, 2: {"train", "validation"}}.get(
                different, {"train", "validation", "test"}
            )
            assert set(split.split[own]) == expected

    @given(
        tables,
        seeds,
        st.lists(st.sampled_from(["", "train", "validation", "test"]), min_size=80, max_size=80),
    )
    def test_what_was_given_is_kept(self, rows, seed, given_splits):
        before = catalog(rows, given_splits[: len(rows)])
        after = assign_splits(before, seed=seed)
        given = set(before.split.tolist())
        for old, new in zip(before.split, after.split, strict=True):
            assert new in {"train", "validation", "test"}
            if old in ("validation", "test"):
                assert new == old
            if old == "train" and {"validation", "test"} <= given:
                assert new == "train"
            if old == "train":  # may only become what was not given
                assert new == "train" or new not in given

    @given(tables, seeds)
    def test_doing_it_twice_changes_nothing(self, rows, seed):
        once = assign_splits(catalog(rows), seed=seed)
        twice = assign_splits(once, seed=seed)
        if {"validation", "test"} <= set(once.split):
            assert once.split.tolist() == twice.split.tolist()

    @given(st.floats(0, 0.9), st.floats(0, 0.9), seeds)
    def test_shares_hold_for_each_label(self, validation, test, seed):
        if validation + test >= 0.95:
            return
        rows = many(2000) + many(1000, 1, "d")
        split = assign_splits(catalog(rows), seed=seed, validation=validation, test=test)
        for label, total in ((0, 2000), (1, 1000)):
            for name, share in (("validation", validation), ("test", test)):
                count = (split.split[split.label == label] == name).sum()
                # Six standard deviations of a binomial, and one for "at least one".
                assert abs(count - share * total) <= 6 * (total * share * (1 - share)) ** 0.5 + 1


class TestMinimum:
    @pytest.mark.parametrize(("number", "least"), [(30, 5), (24, 4), (12, 2), (6, 1), (200, 5)])
    @pytest.mark.parametrize("seed", range(5))
    def test_every_label_has_its_minimum_of_held_out_pictures(self, number, least, seed):
        rows = many(number) + many(number, 1, "d")
        counts = assign_splits(catalog(rows), seed=seed, minimum=5).counts()
        for name in ("validation", "test"):
            assert min(counts[name].values()) >= least
        assert min(counts["train"].values()) >= number // 3

    def test_where_chance_drew_enough_nothing_is_another(self):
        rows = many(2000) + many(1000, 1, "d")
        plain, with_minimum = (
            by_content(assign_splits(catalog(rows), seed=0, minimum=minimum)) for minimum in (0, 5)
        )
        assert plain == with_minimum

    @given(st.integers(3, 80), st.integers(0, 1000), seeds)
    def test_a_picture_that_is_added_moves_few_others(self, number, new, seed):
        before, after = (
            by_content(assign_splits(catalog(rows), seed=seed, minimum=5))
            for rows in (many(number), [*many(number), (f"new {new}", 0)])
        )
        assert sum(after[content] != place for content, place in before.items()) <= 4

    @given(tables, st.integers(0, 10), seeds)
    def test_copies_stay_together(self, rows, minimum, seed):
        split = assign_splits(catalog(rows), seed=seed, minimum=minimum)
        places = set(zip(split.content.tolist(), split.split.tolist(), strict=True))
        assert len(places) == len(set(split.content.tolist()))

    def test_a_split_of_no_share_stays_empty(self):
        split = assign_splits(catalog(many(60)), seed=0, test=0.0, minimum=5)
        assert set(split.split) == {"train", "validation"}

    def test_a_negative_minimum_is_refused(self):
        with pytest.raises(UsageError, match="0 or more pictures; got -1"):
            assign_splits(catalog(many(9)), seed=0, minimum=-1)


class TestFolds:
    @given(tables, st.integers(2, 6), seeds)
    def test_copies_share_a_fold_and_labels_are_spread_evenly(self, rows, num_folds, seed):
        pictures = catalog(rows)
        fold = assign_folds(pictures, np.arange(len(rows)), num_folds=num_folds, seed=seed)
        assert set(fold.tolist()) <= {NEVER_HELD_OUT, *range(num_folds)}
        of_group: dict[int, set[int]] = {}
        for group, place in zip(pictures.group.tolist(), fold.tolist(), strict=True):
            of_group.setdefault(group, set()).add(place)
        assert all(len(places) == 1 for places in of_group.values())
        for label in set(pictures.label.tolist()):
            own = pictures.label == label
            groups = set(pictures.group[own].tolist())
            counts = [
                sum(of_group[group] == {each} for group in groups) for each in range(num_folds)
            ]
            if len(groups) == 1:
                assert counts == [0] * num_folds
            else:
                assert sum(counts) == len(groups)
                assert max(counts) - min(counts) <= 1

    @given(tables, seeds, st.randoms(use_true_random=False))
    def test_order_does_not_matter(self, rows, seed, random):
        found = []
        for each in (rows, random.sample(rows, len(rows))):
            fold = assign_folds(catalog(each), np.arange(len(each)), num_folds=5, seed=seed)
            found.append(dict(zip([content for content, _ in each], fold.tolist(), strict=True)))
        assert found[0] == found[1]


class TestRules:
    def test_the_draw_is_the_same_for_ever(self):
        """A change here would move the test pictures of every model that exists."""
        split = by_content(assign_splits(catalog(many(30)), seed=0))
        assert [c for c, place in split.items() if place == "test"] == ["c14", "c16", "c19", "c29"]
        assert [c for c, place in split.items() if place == "validation"] == [
            "c4",
            "c11",
            "c15",
            "c17",
            "c21",
            "c25",
            "c27",
        ]

    def test_seeds_draw_differently(self):
        one, other = (assign_splits(catalog(many(200)), seed=seed).split for seed in (0, 1))
        assert one.tolist() != other.tolist()

    def test_a_missing_test_split_is_made_from_training_pictures(self):
        splits = ["train"] * 1000 + ["validation"] * 200
        split = assign_splits(catalog(many(1200), splits), seed=0)
        assert (split.split[1000:] == "validation").all()
        assert 60 < (split.split[:1000] == "test").sum() < 140
        assert set(split.split[:1000]) == {"train", "test"}

    def test_a_missing_validation_split_too(self):
        splits = ["train"] * 1000 + ["test"] * 200
        split = assign_splits(catalog(many(1200), splits), seed=0)
        assert (split.split[1000:] == "test").all()
        assert set(split.split[:1000]) == {"train", "validation"}

    def test_pictures_without_a_split_join_copies_that_have_one(self):
        rows = [("same", 0), ("same", 0), *many(50)]
        split = assign_splits(catalog(rows, ["test", "", *["train"] * 50]), seed=0)
        assert split.split[1] == "test"

    def test_given_splits_that_share_copies_are_kept(self):
        rows = [("x", 0), ("x", 0), ("y", 0), ("y", 0), ("y", 0), ("z", 0), ("z", 0)]
        splits = ["train", "test", "train", "validation", "train", "train", "train"]
        split = assign_splits(catalog(rows, splits), seed=0)
        assert split.split.tolist() == splits

    def test_what_can_not_be_read_has_no_split(self):
        before = catalog(many(20)).with_problems({3: "damaged"})
        split = assign_splits(before, seed=0)
        assert split.split[3] == ""
        assert all(split.split[row] for row in range(20) if row != 3)

    @pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 0.0), (0.0, 0.0)])
    def test_a_share_of_nothing_draws_nothing(self, validation, test):
        split = assign_splits(catalog(many(100)), seed=0, validation=validation, test=test)
        expected = (
            {"train"} | ({"validation"} if validation else set()) | ({"test"} if test else set())
        )
        assert set(split.split) == expected

    @pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (1.0, 0.0)])
    def test_shares_that_leave_nothing_are_refused(self, validation, test):
        with pytest.raises(UsageError, match="together below 1, or nothing is left to train on"):
            assign_splits(catalog(many(9)), seed=0, validation=validation, test=test)

    def test_the_catalog_that_was_given_is_not_changed(self):
        before = catalog(many(50))
        assign_splits(before, seed=0)
        assert set(before.split) == {""}
        assert replace(before).split is before.split
