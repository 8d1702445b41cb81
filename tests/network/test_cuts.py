"""Where networks can be cut, and that the halves make the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pawsure.errors import UsageError
from pawsure.network.backbones import BACKBONES, find_backbone
from pawsure.network.build import build_backbone
from pawsure.network.cuts import (
    NEAR,
    cut_before,
    depth_candidates,
    find_cuts,
    input_cut,
    narrow_cut,
    prefix,
    suffix,
)

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def mobilenet_v2(randomise):
    return randomise(build_backbone("mobilenet_v2", size_px=64, weights="none"))


def pictures_for(model, count=2):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def disagreement(model, cut, pictures, expected):
    """Largest difference of the two halves from the whole, relative to its largest value."""
    halfway = np.asarray(prefix(model, cut)(pictures, training=False))
    assert halfway.shape[1:] == cut.shape
    outcome = np.asarray(suffix(model, cut)(halfway, training=False))
    return np.abs(outcome - expected).max() / np.abs(expected).max()


# The halves run the same operations on the same values, so what differs is at most the
# rounding of kernels that choose another order of addition.
TOLERANCE = 1e-5


@pytest.mark.parametrize(
    ("backbone", "size_px", "count"),
    [("mobilenet_v2", 64, 4), ("mobilenet_v3_small", 32, 4)],
)
def test_prefix_and_suffix_compose_to_the_whole_at_some_cuts(randomise, backbone, size_px, count):
    model = randomise(build_backbone(backbone, size_px=size_px, weights="none"))
    pictures = pictures_for(model)
    expected = np.asarray(model(pictures, training=False))
    cuts = find_cuts(model)
    chosen = [cuts[place] for place in np.linspace(0, len(cuts) - 1, count).astype(int)]
    for cut in [input_cut(model), *chosen]:
        assert disagreement(model, cut, pictures, expected) <= TOLERANCE, cut


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_prefix_and_suffix_compose_to_the_whole_at_every_cut(randomise, backbone):
    model = randomise(build_backbone(backbone, size_px=64, weights="none"))
    pictures = pictures_for(model)
    expected = np.asarray(model(pictures, training=False))
    worst = {
        cut.name: disagreement(model, cut, pictures, expected)
        for cut in [input_cut(model), *find_cuts(model)]
    }
    assert max(worst.values()) <= TOLERANCE, worst
    print(f"{backbone}: {len(worst)} cuts, largest relative difference {max(worst.values()):.1e}")


def test_the_last_cut_is_the_feature_map(mobilenet_v2):
    last = find_cuts(mobilenet_v2)[-1]
    assert last.name == "out_relu"
    assert last.shape == mobilenet_v2.output_shape[1:]
    assert last.index == len(mobilenet_v2.layers) - 1


def test_no_cut_lies_inside_a_residual_block(mobilenet_v2):
    names = [cut.name for cut in find_cuts(mobilenet_v2)]
    assert "block_2_add" in names
    assert "block_1_project_BN" in names
    # The block's input flows past these, into `block_2_add`.
    assert not {"block_2_expand", "block_2_depthwise", "block_2_project_BN"} & set(names)


def test_a_tensor_that_only_the_end_of_a_branch_needs_is_found():
    source = keras.Input((4,), name="source")
    trunk = keras.layers.Dense(3, name="trunk")(source)
    left = keras.layers.Dense(3, name="left")(trunk)
    right = keras.layers.Dense(3, name="right")(trunk)
    joined = keras.layers.Add(name="joined")([left, right])
    model = keras.Model(source, keras.layers.Dense(2, name="end")(joined + trunk))
    names = [cut.name for cut in find_cuts(model)]
    assert names[0] == "trunk"
    assert names[-1] == "end"
    assert not {"left", "right", "joined"} & set(names)
    assert len(names) == 3  # the addition of `trunk`, which is no layer, is one too


@pytest.mark.parametrize("backbone", ["mobilenet_v3_small", "convnext_tiny"])
def test_a_suffix_has_exactly_the_layers_after_the_cut(backbone):
    model = build_backbone(backbone, size_px=32, weights="none")
    for cut in find_cuts(model)[::11]:
        after = {layer.name for layer in model.layers[cut.index + 1 :]}
        assert {layer.name for layer in suffix(model, cut).layers[1:]} == after
        assert len(prefix(model, cut).layers) == cut.index + 1


def test_the_halves_share_the_variables_of_the_whole(mobilenet_v2):
    cut = cut_before(mobilenet_v2, "block_11_expand")
    shared = {id(variable) for variable in mobilenet_v2.weights}
    halves = prefix(mobilenet_v2, cut).weights + suffix(mobilenet_v2, cut).weights
    assert {id(variable) for variable in halves} == shared
    assert len(halves) == len(shared)


def test_the_wanted_layer_lies_after_the_cut(mobilenet_v2):
    # Layer 100 of MobileNetV2 is in the middle of block 11, whose input is added to its output.
    cut = cut_before(mobilenet_v2, 100)
    assert mobilenet_v2.layers[100].name == "block_11_expand_relu"
    assert cut.name == "block_10_project_BN"
    assert cut == cut_before(mobilenet_v2, "block_11_expand")


def test_layers_from_the_first_on_mean_a_cut_at_the_input(mobilenet_v2):
    for layer in (0, 1, "Conv1"):
        cut = cut_before(mobilenet_v2, layer)
        assert cut == input_cut(mobilenet_v2)
        assert cut.is_input
    assert suffix(mobilenet_v2, cut).layers == mobilenet_v2.layers


def test_no_layer_that_learns_means_a_cut_at_the_feature_map(mobilenet_v2):
    cut = cut_before(mobilenet_v2, len(mobilenet_v2.layers))
    assert cut == find_cuts(mobilenet_v2)[-1]


def test_cutting_leaves_the_names_of_the_model_alone(mobilenet_v2):
    names = [layer.name for layer in mobilenet_v2.layers]
    for cut in (input_cut(mobilenet_v2), find_cuts(mobilenet_v2)[3]):
        prefix(mobilenet_v2, cut)
        suffix(mobilenet_v2, cut)
    assert [layer.name for layer in mobilenet_v2.layers] == names


def test_unknown_layers_are_answered_with_near_ones(mobilenet_v2):
    with pytest.raises(UsageError, match="no layer 'block_11_expnd'.*block_11_expand"):
        cut_before(mobilenet_v2, "block_11_expnd")
    with pytest.raises(UsageError, match="has 154 layers; there is none at place 500"):
        cut_before(mobilenet_v2, 500)


def test_a_cut_of_another_model_is_refused(mobilenet_v2):
    other = build_backbone("mobilenet", size_px=32, weights="none")
    with pytest.raises(UsageError, match="has no cut 'conv_pw_3'"):
        prefix(mobilenet_v2, cut_before(other, "conv_pw_3_bn"))


def test_two_inputs_are_refused():
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], keras.layers.Add()([left, right]), name="pair")
    with pytest.raises(UsageError, match="pair has 2 inputs"):
        find_cuts(model)


def test_backbones_are_listed_when_one_is_unknown():
    with pytest.raises(UsageError, match="no backbone 'vgg16'.*mobilenet_v2, mobilenet"):
        find_backbone("vgg16")


def test_a_share_of_the_layers_is_a_narrow_cut_near_it(mobilenet_v2):
    model = mobilenet_v2
    for share in (0.25, 0.5, 0.65, 0.75):
        cut = narrow_cut(model, share)
        assert abs(cut.index / len(model.layers) - share) <= NEAR
        near = [one for one in find_cuts(model) if abs(one.index / 154 - share) <= NEAR]
        assert math.prod(cut.shape) == min(math.prod(one.shape) for one in near)


def test_depths_are_tried_from_shallow_to_deep(mobilenet_v2):
    model = mobilenet_v2
    places = [cut.index for cut in depth_candidates(model)]
    assert len(places) == 3 and places == sorted(places, reverse=True)
