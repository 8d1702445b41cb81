from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.trust.background import background_of, known_of
from pawsure.trust.familiarity import (
    HeldOut,
    Known,
    auroc,
    fit_familiarity,
    unit_length,
)
from pawsure.trust.gaussian import fit_gaussian
from pawsure.trust.log_odds import CompactClassifier

WIDTH, CONTENT = 40, 20


def kind(n: int, number: int, *, seed: int = 0, style: float = 0.0) -> np.ndarray:
    """Embeddings of things of a kind.

    Half of the features are about content, of which one stands for the kind; the others hardly
    vary from picture to picture of a source, and `style` moves them, as another source would.
    """
    rng = np.random.default_rng((seed, number))
    points = np.concatenate(
        [
            np.abs(rng.normal(0, 0.3, (n, CONTENT))),
            0.5 + rng.normal(0, 0.05, (n, WIDTH - CONTENT)),
        ],
        axis=1,
    )
    points[:, number % CONTENT] += 2.0
    points[:, CONTENT:] += style * np.random.default_rng(0).normal(0, 1, WIDTH - CONTENT)
    return points * rng.uniform(0.5, 2, (n, 1))  # how strongly the network is excited


def world(n: int = 30, *, seed: int = 0, first: int = 3, last: int = 10):
    """Things of many kinds."""
    return np.concatenate([kind(n, number, seed=seed + 50) for number in range(first, last)])


def held_out(embedding: np.ndarray) -> HeldOut:
    return HeldOut(validation=embedding)


def own(n: int, seed: int, style: float = 0.0) -> np.ndarray:
    return np.concatenate([kind(n // 2, number, seed=seed, style=style) for number in (0, 1)])


def test_other_kinds_are_less_familiar_than_what_was_held_out():
    found = fit_familiarity(own(500, 0), held_out(own(300, 1)))
    assert (found(world(seed=3)) < 0.05).mean() > 0.95


def test_familiarity_is_the_share_of_held_out_pictures_that_are_less_familiar():
    found = fit_familiarity(own(500, 0), held_out(own(2000, 1)))
    familiar = found(own(4000, 2))
    for share in (0.01, 0.05, 0.5, 0.9):
        assert (familiar < share).mean() == pytest.approx(share, abs=0.02)


def test_with_a_background_another_style_is_not_another_kind():
    """The very point: the same things from elsewhere stay, other things go."""
    alone = fit_familiarity(own(500, 0), held_out(own(300, 1)))
    background = fit_gaussian(unit_length(world(60, first=0)))
    relative = fit_familiarity(own(500, 0), held_out(own(300, 1)), Known(backgrounds=(background,)))
    elsewhere, others = own(300, 5, style=0.15), world(seed=9, first=10, last=19)
    assert (alone(elsewhere) < 0.05).mean() > 0.9
    assert (relative(elsewhere) < 0.05).mean() < 0.1
    assert (relative(others) < 0.05).mean() > 0.9


def test_examples_make_nothing_worse_for_another_style():
    plain = fit_familiarity(own(500, 0), held_out(own(300, 1)))
    kinds = np.repeat(np.arange(7), 30)
    shown = fit_familiarity(own(500, 0), held_out(own(300, 1)), others=world(), kinds=kinds)
    elsewhere = own(300, 5, style=0.1)
    assert (shown(elsewhere) < 0.05).mean() <= (plain(elsewhere) < 0.05).mean()


def test_examples_that_help_nothing_are_left_out():
    """Of kinds that are refused already, and like the labels: they would only move the scale."""
    found = fit_familiarity(
        own(500, 0), held_out(own(300, 1)), others=own(40, 8), kinds=np.arange(40)
    )
    assert len(found.backgrounds) in (0, 1)
    assert (found(own(300, 4)) < 0.05).mean() < 0.12


def test_the_pretrained_classifier_has_a_say():
    kernel = 6 * np.eye(WIDTH)
    known = Known(classifier=CompactClassifier.of(kernel, np.zeros(WIDTH)))
    found = fit_familiarity(own(500, 0), held_out(own(300, 1)), known)
    assert found.classes is not None and found.weights[1] > 0
    alone = replace(found, weights=(0.0, 1.0))
    assert auroc(alone.score(own(200, 3)), alone.score(world(seed=4))) > 0.99


@pytest.mark.parametrize("num", [12, 30, 90])
def test_a_threshold_works_from_a_dozen_pictures_on(num):
    """Too few to be held out: training pictures stand in, each scored by the others' fit."""
    train, of = own(num, 0), np.arange(num)
    changed = train + np.abs(np.random.default_rng(3).normal(0, 0.02, train.shape))
    found = fit_familiarity(train, HeldOut(validation=own(4, 1), training=changed, of=of))
    assert (found(world(seed=3)) < 0.05).mean() > 0.8
    assert (found(own(400, 2)) < 0.05).mean() < 0.2


def test_it_stays_within_0_and_1_and_keeps_the_order_of_others():
    found = fit_familiarity(own(500, 0), held_out(own(200, 1)))
    mine, other = (unit_length(kind(50, number)).mean(axis=0) for number in (0, 12))
    away = found(np.array([mine + share * (other - mine) for share in (0, 0.5, 0.8, 1.0)]))
    assert ((away >= 0) & (away <= 1)).all() and (np.diff(away) <= 0).all()
    assert away[1] > away[2] > away[3]


def test_each_embedding_is_scaled_to_length_one():
    np.testing.assert_allclose(unit_length([[3.0, 4.0], [0.0, 2.0]]), [[0.6, 0.8], [0, 1]])


@pytest.mark.parametrize("num_held_out", [1, 3])
def test_a_handful_of_pictures_is_enough_to_run(num_held_out):
    found = fit_familiarity(own(4, 0), held_out(own(6, 1)[:num_held_out]))
    assert np.isfinite(found(own(50, 2))).all()


def test_pictures_that_are_all_the_same_are_no_harm():
    found = fit_familiarity(np.ones((10, 5)), held_out(np.ones((4, 5))))
    assert np.isfinite(found(np.ones((2, 5)))).all() and (found(np.ones((2, 5))) > 0.05).all()


def test_embeddings_that_are_no_numbers_are_refused():
    bad = own(10, 0)
    bad[3, 3] = np.nan
    with pytest.raises(ShapeError, match="not a finite number"):
        fit_familiarity(bad, held_out(own(5, 1)))


def test_auroc_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    familiar, strange = rng.integers(3, 12, 40), rng.integers(0, 9, 30)
    truth = np.repeat([1, 0], [40, 30])
    expected = metrics.roc_auc_score(truth, np.concatenate([familiar, strange]))
    assert auroc(familiar, strange) == pytest.approx(expected)


def test_few_pictures_of_many_labels_are_told_from_other_kinds_with_a_background():
    """A mean for each label, and what pictures of a kind differ in from ordinary pictures."""
    things = world(30, first=8, last=14)
    background = background_of(things, np.repeat(np.arange(6), 30))
    known = known_of(background, None)
    train = np.concatenate([kind(12, number) for number in range(6)])
    label, of = np.repeat(np.arange(6), 12), np.arange(72)
    test = np.concatenate([kind(60, number, seed=4) for number in range(6)])
    validation = np.concatenate([kind(3, number, seed=2) for number in range(6)])
    held = HeldOut(validation=validation, training=train, of=of)
    found = fit_familiarity(train, held, known, label=label)
    assert (found(test) < 0.05).mean() < 0.15
    assert (found(world(seed=9, first=14, last=19)) >= 0.05).mean() < 0.05


@pytest.mark.parametrize("style", [0.05, 0.1, 0.15])
def test_with_labels_another_style_is_not_another_kind_either(style):
    background = fit_gaussian(unit_length(world(60, first=0)))
    found = fit_familiarity(
        own(500, 0),
        held_out(own(300, 1)),
        Known(backgrounds=(background,)),
        label=np.repeat([0, 1], 250),
    )
    assert (found(own(300, 5, style=style)) < 0.05).mean() < 0.1
    assert (found(world(seed=9, first=10, last=19)) < 0.05).mean() > 0.9
