from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from PIL import Image
from tiny_models import SIZE_PX, tiny_backbone, tiny_head

from pawsure.errors import ShapeError
from pawsure.export.model_file import write_model_file
from pawsure.graph.head import attach_head
from pawsure.model.evidence import relative_evidence, spread
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor

COLOURS = {"blue": (10, 20, 240), "green": (10, 240, 20), "red": (240, 20, 10)}


def softmax(logit: np.ndarray) -> np.ndarray:
    raised = np.exp(logit - logit.max())
    return raised / raised.sum()


def outputs_of_one(num_labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (4, 5, K) and the probabilities that go with it."""
    evidence = np.random.default_rng(seed).normal(0, 3, (4, 5, num_labels)).astype(np.float32)
    return evidence, softmax(evidence.mean(axis=(0, 1)))


def test_with_two_labels_the_mean_is_the_log_odds_of_the_answer():
    evidence, probability = outputs_of_one(2)
    shown = relative_evidence(evidence, probability)
    assert shown.dtype == np.float32
    assert shown.mean() == pytest.approx(np.log(probability.max() / probability.min()), abs=1e-5)


def test_what_is_for_one_of_two_labels_is_against_the_other():
    evidence, probability = outputs_of_one(2)
    both = [relative_evidence(evidence, probability, label) for label in (0, 1)]
    np.testing.assert_allclose(both[0], -both[1], atol=1e-6)


@pytest.mark.parametrize("num_labels", [2, 3, 10])
def test_what_all_labels_share_moves_no_answer_and_no_map(num_labels):
    evidence, probability = outputs_of_one(num_labels)
    shared = np.random.default_rng(1).normal(0, 50, (4, 5, 1)).astype(np.float32)
    np.testing.assert_allclose(
        relative_evidence(evidence + shared, probability),
        relative_evidence(evidence, probability),
        atol=1e-4,
    )


def test_weights_of_the_other_labels_are_the_slope_of_the_log_odds():
    evidence, probability = outputs_of_one(4)
    logit = evidence.mean(axis=(0, 1)).astype(np.float64)

    def log_odds(logit: np.ndarray) -> float:
        p = softmax(logit)[2]
        return float(np.log(p / (1 - p)))

    step = 1e-5
    slope = [
        (log_odds(logit + step * one) - log_odds(logit - step * one)) / (2 * step)
        for one in np.eye(4)
    ]
    np.testing.assert_allclose(
        relative_evidence(evidence, probability, 2), evidence @ np.array(slope), atol=1e-4
    )


def test_an_answer_that_is_sure_beyond_rounding_still_has_a_map():
    evidence, _ = outputs_of_one(3)
    evidence[..., 1] += 500
    probability = softmax(evidence.mean(axis=(0, 1)))
    assert probability[1] == 1
    closest = 0 if evidence[..., 0].mean() > evidence[..., 2].mean() else 2
    shown = relative_evidence(evidence, probability)
    assert np.isfinite(shown).all()
    to_closest = evidence[..., 1] - evidence[..., closest]
    assert np.corrcoef(shown.ravel(), to_closest.ravel())[0, 1] > 0.5


def test_arrays_that_do_not_go_together_are_refused():
    with pytest.raises(ShapeError, match=r"\(4, 5, 3\) and \(2,\)"):
        relative_evidence(np.zeros((4, 5, 3)), np.array([0.5, 0.5]))


def test_spreading_invents_nothing():
    cells = np.random.default_rng(2).normal(0, 1, (4, 6)).astype(np.float32)
    wide = spread(cells, 300, 200)
    assert wide.shape == (200, 300)
    assert cells.min() <= wide.min() and wide.max() <= cells.max()
    np.testing.assert_allclose(spread(np.full((3, 3), 2.5), 50, 70), 2.5, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (120, 90), (3, 2)])
def test_a_cell_is_drawn_over_its_own_part_of_the_picture(size):
    width, height = size
    cells = np.zeros((4, 4), np.float32)
    cells[1, 3] = 1
    wide = spread(cells, width, height)
    y, x = np.unravel_index(wide.argmax(), wide.shape)
    assert (x + 0.5) / width > 0.6 and 0.1 < (y + 0.5) / height < 0.6


# The map has to follow what is in the picture; that of a network that has learned nothing must
# not pass for one that does (Adebayo et al. 2018, "Sanity Checks for Saliency Maps",
# arXiv:1810.03292). The same with a trained network: test_evidence_follows.py.


def colour_model(path, *, random_seed: int | None = None) -> Predictor:
    """Tells three colours apart; or the same with weights that were drawn."""
    if random_seed is None:
        backbone = tiny_backbone(features=3)
        weight = np.zeros((3, 3, 4, 4), np.float32)
        weight[np.arange(3), np.arange(3)] = 1 / 16
        constants = {"weight": weight, "bias": np.zeros(3, np.float32)}
        kernel, bias = 9 * np.eye(3, dtype=np.float32)[:, ::-1], np.zeros(3, np.float32)
    else:
        backbone = tiny_backbone(seed=random_seed)
        constants = {}
        kernel, bias = tiny_head(3, seed=random_seed + 1)
    for place, tensor in enumerate(backbone.graph.initializer):
        if tensor.name in constants:
            replaced = numpy_helper.from_array(constants[tensor.name], tensor.name)
            backbone.graph.initializer[place].CopyFrom(replaced)
    model = attach_head(backbone, kernel, bias)
    write_model_file(model, ModelMetadata(labels=tuple(COLOURS), size_px=SIZE_PX), path)
    return Predictor(path)


def patches(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, tuple[int, int]]]:
    """A grey picture with a patch of each colour, and in which of 4 x 4 cells each lies."""
    picture = np.full((SIZE_PX, SIZE_PX, 3), 128, np.uint8)
    places = rng.permutation(16)[: len(COLOURS)]
    cells = {name: divmod(int(place), 4) for name, place in zip(COLOURS, places, strict=True)}
    for name, (row, column) in cells.items():
        picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = COLOURS[name]
    return picture, cells


def share_that_follows(model: Predictor, num_pictures: int = 20) -> float:
    """Of the maps of every colour in many pictures, how many peak on that colour's patch."""
    rng = np.random.default_rng(0)
    followed = []
    for _ in range(num_pictures):
        picture, cells = patches(rng)
        outputs = model.predict_batch(picture[np.newaxis])
        for label, name in enumerate(model.labels):
            shown = relative_evidence(outputs.evidence[0], outputs.probability[0], label)
            followed.append(np.unravel_index(shown.argmax(), shown.shape) == cells[name])
    return float(np.mean(followed))


def test_moving_the_object_moves_the_map(tmp_path):
    assert share_that_follows(colour_model(tmp_path / "model.onnx")) == 1.0


def test_maps_of_random_weights_do_not_follow_the_object(tmp_path):
    shares = [
        share_that_follows(colour_model(tmp_path / f"{seed}.onnx", random_seed=seed))
        for seed in range(0, 40, 2)
    ]
    assert np.mean(shares) < 0.5
    # Three colours can be told apart in six ways, so one network in six is right by luck.
    assert np.mean(np.array(shares) == 1) <= 0.25


def test_an_answer_carries_what_was_for_it_and_against_it(tmp_path):
    picture = np.full((SIZE_PX, SIZE_PX, 3), COLOURS["red"], np.uint8)
    picture[:, :4] = COLOURS["green"]
    answer = colour_model(tmp_path / "model.onnx")(Image.fromarray(picture))
    assert answer.label == "red"
    assert (answer.evidence[:, 1:] > 0).all() and (answer.evidence[:, 0] < 0).all()
