"""That exactly what should learn learns."""

from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import UsageError
from pawsure.network.build import build_backbone
from pawsure.network.cuts import cut_before, suffix
from pawsure.network.trainable import freeze_batch_norm, set_trainable_from

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def untouched():
    return build_backbone("mobilenet_v2", size_px=32, weights="none")


@pytest.fixture
def mobilenet_v2(untouched):
    set_trainable_from(untouched, 0)
    return untouched


@pytest.fixture
def last_block(mobilenet_v2):
    """The end of the network, which trains in a moment."""
    return suffix(mobilenet_v2, cut_before(mobilenet_v2, "block_16_expand"))


def fit_a_little(model):
    """One epoch of training towards noise, from noise whose mean is far from zero."""
    generator = np.random.default_rng(0)
    pictures = generator.normal(3.0, 2.0, (8, *model.input_shape[1:])).astype(np.float32)
    pooled = keras.layers.GlobalAveragePooling2D()(model.output)
    whole = keras.Model(model.input, keras.layers.Dense(1)(pooled))
    whole.compile(keras.optimizers.RMSprop(1e-2), "mse")
    whole.fit(pictures, generator.normal(size=(8, 1)), batch_size=4, verbose=0)


def moved(model, before):
    """Paths of the variables that are not what they were, to the bit."""
    return {
        variable.path
        for variable, value in zip(model.weights, before, strict=True)
        if variable.numpy().tobytes() != value.tobytes()
    }


def test_layers_from_the_named_one_learn_and_no_other(mobilenet_v2):
    set_trainable_from(mobilenet_v2, "block_16_project")
    learning = [layer.name for layer in mobilenet_v2.layers if layer.trainable]
    assert learning == [
        "block_16_project",
        "block_16_project_BN",
        "Conv_1",
        "Conv_1_bn",
        "out_relu",
    ]


def test_a_place_counts_layers_as_keras_does(mobilenet_v2):
    set_trainable_from(mobilenet_v2, 100)
    assert [layer.trainable for layer in mobilenet_v2.layers] == [False] * 100 + [True] * 54
    set_trainable_from(mobilenet_v2, 0)
    assert all(layer.trainable for layer in mobilenet_v2.layers)
    set_trainable_from(mobilenet_v2, len(mobilenet_v2.layers))
    assert not mobilenet_v2.trainable_weights


def test_unknown_layers_are_refused(mobilenet_v2):
    with pytest.raises(UsageError, match="no layer 'block_99'"):
        set_trainable_from(mobilenet_v2, "block_99")


@pytest.mark.parametrize("nested", [False, True])
def test_frozen_batch_norm_does_not_move_by_one_bit_in_fit(last_block, nested):
    freeze_batch_norm(last_block)
    before = last_block.get_weights()
    model = last_block
    if nested:
        outer = keras.Input(last_block.input_shape[1:])
        model = keras.Model(outer, last_block(outer))
    fit_a_little(model)
    layers = {path.split("/")[-2] for path in moved(last_block, before)}
    assert layers == {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1"}


def test_batch_norm_that_is_not_frozen_moves(last_block):
    # The control of the test above: without freezing, the statistics do move.
    set_trainable_from(last_block, "Conv_1")
    before = last_block.get_weights()
    fit_a_little(last_block)
    names = {"/".join(path.split("/")[-2:]) for path in moved(last_block, before)}
    assert {"Conv_1_bn/moving_mean", "Conv_1_bn/moving_variance"} <= names


def test_a_suffix_learns_from_the_wanted_layer_with_its_statistics_still(mobilenet_v2):
    part = suffix(mobilenet_v2, cut_before(mobilenet_v2, "block_16_depthwise"))
    set_trainable_from(part, "block_16_depthwise")
    freeze_batch_norm(part)
    before = mobilenet_v2.get_weights()
    fit_a_little(part)
    layers = {path.split("/")[-2] for path in moved(mobilenet_v2, before)}
    assert layers == {"block_16_depthwise", "block_16_project", "Conv_1"}


def test_batch_norm_inside_a_nested_model_is_frozen_too():
    inner = keras.Sequential([keras.layers.BatchNormalization(name="inner_bn")])
    source = keras.Input((4,))
    model = keras.Model(source, inner(source))
    freeze_batch_norm(model)
    assert not inner.get_layer("inner_bn").trainable
