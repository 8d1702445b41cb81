from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from tiny_models import SIZE_PX, narrowing, tiny_backbone, tiny_head
from tiny_runs import red_or_blue, tiny_run

from pawsure.errors import ExportError
from pawsure.export import refit
from pawsure.export.quantise import quantise, quantise_graph
from pawsure.graph.bias_correction import correct_biases
from pawsure.graph.fold import fold_normalisation
from pawsure.graph.head import attach_head
from pawsure.graph.tta import (
    margin_px,
    second_view,
    spread_matrix,
    with_tta,
)
from pawsure.model.metadata import read_metadata
from pawsure.trust.familiarity import HeldOut, fit_familiarity
from pawsure.trust.nodes import attach_familiarity


def run(model: onnx.ModelProto, pictures: np.ndarray) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": pictures}), strict=True))


@pytest.fixture
def pictures():
    return np.random.default_rng(2).integers(0, 256, (9, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def enlarged_middle(pictures: np.ndarray) -> np.ndarray:
    """What the second view should be: linear between the centres of pixels, then mirrored."""
    size, margin = pictures.shape[1], margin_px(pictures.shape[1])
    middle = pictures[:, margin:-margin, margin:-margin].astype(np.float64)
    side = middle.shape[1]
    at = ((np.arange(size) + 0.5) * side / size - 0.5).clip(0, side - 1)
    low = np.floor(at).astype(int).clip(0, side - 2)
    share = at - low
    for axis in (1, 2):
        shape = [1] * 4
        shape[axis] = -1
        part = share.reshape(shape)
        middle = middle.take(low, axis) * (1 - part) + middle.take(low + 1, axis) * part
    return np.rint(middle).astype(np.uint8)[:, :, ::-1]


NETWORKS = [
    attach_head(tiny_backbone(), *tiny_head()),
    attach_head(tiny_backbone(opset=18), *tiny_head(3)),
    attach_head(narrowing(), *tiny_head(features=48)),
]


@pytest.mark.parametrize("model", NETWORKS)
def test_outputs_are_the_means_of_both_views(model, pictures):
    first, second = run(model, pictures), run(model, enlarged_middle(pictures))
    both = run(with_tta(model), pictures)
    # A pixel that lies halfway between two values may be rounded either way.
    for name in ("logit", "embedding"):
        np.testing.assert_allclose(both[name], (first[name] + second[name]) / 2, atol=0.01)
    assert not np.allclose(both["logit"], first["logit"], atol=0.05)


@pytest.mark.parametrize("model", NETWORKS)
def test_evidence_still_adds_up_to_the_logits(model, pictures):
    both = run(with_tta(model), pictures)
    np.testing.assert_allclose(both["evidence"].mean(axis=(1, 2)), both["logit"], atol=1e-5)
    assert both["evidence"].shape == run(model, pictures)["evidence"].shape


def test_a_picture_alone_gets_the_answer_that_it_gets_among_others(pictures):
    model = with_tta(attach_head(tiny_backbone(), *tiny_head()))
    together = run(model, pictures)
    for place in range(len(pictures)):
        alone = run(model, pictures[place : place + 1])
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][place], atol=1e-6)


def test_evidence_of_the_second_view_lies_where_it_was_seen():
    pictures = np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8)
    pictures[0, 8:12, 4:8] = (255, 0, 0)  # left of the middle, a little below it
    evidence = run(with_tta(red_or_blue()), pictures)["evidence"][0, :, :, 1]
    assert np.unravel_index(evidence.argmax(), evidence.shape) == (2, 1)
    assert evidence[2, 1] > 3 * evidence[2, 2]  # where its mirror image would be


@pytest.mark.parametrize(("height", "width"), [(4, 4), (7, 7), (3, 5), (1, 1)])
def test_nothing_is_lost_or_made_when_maps_are_laid_back(height, width):
    spread = spread_matrix(height, width)
    assert spread.shape == (height * width,) * 2
    assert (spread >= 0).all()
    np.testing.assert_allclose(spread.sum(axis=0), 1)


def test_corners_of_the_picture_are_seen_once():
    spread = spread_matrix(8, 8)
    assert spread[0].sum() == 0
    assert spread[8 * 4 + 4].sum() == pytest.approx(2)  # half of the area, so twice the places


def test_familiarity_is_that_of_the_mean_of_both_views(pictures):
    twice = with_tta(attach_head(narrowing(), *tiny_head(features=48)))
    others = np.random.default_rng(3).integers(0, 256, (60, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    embedding = run(twice, others)["embedding"]
    fitted = fit_familiarity(embedding[:30], HeldOut(validation=embedding[30:]))
    output = run(attach_familiarity(twice, fitted), pictures)["familiarity"]
    np.testing.assert_allclose(output, fitted(run(twice, pictures)["embedding"]), atol=1e-3)


def test_a_third_view_is_refused():
    once = with_tta(red_or_blue())
    with pytest.raises(ExportError, match="has test-time augmentation already"):
        with_tta(once)


def test_the_graph_is_left_as_it_is():
    model = red_or_blue()
    before = model.SerializeToString()
    with_tta(model)
    assert model.SerializeToString() == before


def test_int8_and_tta_go_together_in_either_order(tmp_path):
    folder, catalog = tiny_run(tmp_path / "run")
    pictures = np.random.default_rng(5).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    floats = run(with_tta(onnx.load(folder / "model.onnx")), pictures)
    quantise(folder / "model.onnx", catalog, tmp_path / "int8.onnx")
    after = run(with_tta(onnx.load(tmp_path / "int8.onnx")), pictures)
    np.testing.assert_allclose(after["logit"], floats["logit"], atol=0.1)
    before = quantise_graph(with_tta(onnx.load(folder / "model.onnx")), [pictures])
    np.testing.assert_allclose(run(before, pictures)["logit"], floats["logit"], atol=0.1)
    inserted = [node for node in before.graph.node if node.name.startswith("second_look/")]
    assert {node.op_type for node in inserted}.isdisjoint({"QuantizeLinear", "DequantizeLinear"})


def test_biases_are_corrected_by_the_mean_of_both_views(pictures):
    model = red_or_blue()
    both = np.concatenate([pictures, second_view(pictures)])
    once = correct_biases(fold_normalisation(model), [both])
    twice = correct_biases(fold_normalisation(with_tta(model)), [pictures[:4], pictures[4:]])
    for first, second in zip(*(corrected(each) for each in (once, twice)), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def corrected(model: onnx.ModelProto) -> list[np.ndarray]:
    return [
        numpy_helper.to_array(item)
        for item in model.graph.initializer
        if item.name.endswith("/bias_corrected")
    ]


def test_trust_can_be_refitted_any_number_of_times(tmp_path):
    folder, catalog = tiny_run(tmp_path / "run")
    metadata = read_metadata(folder / "model.onnx")
    model = onnx.load(folder / "model.onnx")
    for _ in range(2):
        model, thresholds = refit.refit_trust(model, metadata, catalog)
    assert thresholds["neither_below"] == metadata.thresholds["neither_below"]
    twice, _ = refit.refit_trust(with_tta(model), metadata, catalog)
    outputs = run(twice, np.zeros((2, SIZE_PX, SIZE_PX, 3), np.uint8))
    assert outputs["familiarity"].shape == (2,)
