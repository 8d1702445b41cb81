from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from pawsure.evaluation.measure import Predictions
from pawsure.report.predictions import read_answers, write_answers


@dataclass
class Pictures:
    labels: tuple[str, ...]
    path: np.ndarray


def predictions(rows: list[int], *, familiarity: bool = True) -> Predictions:
    rng = np.random.default_rng(0)
    return Predictions(
        indices=np.array(rows, dtype=np.int64),
        probability=rng.dirichlet([1, 1, 1], len(rows)).astype(np.float32),
        label=rng.integers(0, 3, len(rows)),
        problems=[],
        familiarity=rng.random(len(rows)).astype(np.float32) if familiarity else None,
    )


def some(names: list[str]) -> Pictures:
    return Pictures(("a", "größe", "c"), np.array(names, dtype=object))


def test_answers_come_back_as_they_were(tmp_path):
    names = ["x.jpg", "y/é.jpg", "z.jpg", os.fsdecode(b"\xff.jpg")]
    found = {"validation": predictions([2, 0]), "test": predictions([1, 3])}
    write_answers(tmp_path / "p.parquet", some(names), found, data="sample")
    answers = read_answers(tmp_path / "p.parquet")
    assert answers.labels == ("a", "größe", "c") and answers.data == "sample"
    assert answers.path.tolist() == ["z.jpg", "x.jpg", "y/é.jpg", os.fsdecode(b"\xff.jpg")]
    assert answers.where("test").tolist() == [2, 3]
    for name, each in found.items():
        rows = answers.where(name)
        np.testing.assert_array_equal(answers.probability[rows], each.probability)
        np.testing.assert_array_equal(answers.label[rows], each.label)
        np.testing.assert_array_equal(answers.familiarity[rows], each.familiarity)


def test_a_path_is_kept_whole_so_that_it_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    found = {"test": predictions([0], familiarity=False)}
    write_answers(tmp_path / "p.parquet", some(["x.jpg"]), found, data="photos")
    answers = read_answers(tmp_path / "p.parquet")
    assert answers.data == str(tmp_path / "photos")
    assert answers.familiarity is None


def test_it_is_small(tmp_path):
    names = [f"dog/dog.{number}.jpg" for number in range(4000)]
    found = {"test": predictions(list(range(4000)))}
    write_answers(tmp_path / "p.parquet", some(names), found, data="sample")
    assert (tmp_path / "p.parquet").stat().st_size < 30 * 4000


def test_what_is_missing_or_damaged_is_nothing(tmp_path):
    assert read_answers(tmp_path / "none.parquet") is None
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    assert read_answers(tmp_path / "bad.parquet") is None
