"""That the network with fused layers is the same network."""

from __future__ import annotations

import numpy as np
import pytest

from pawsure.network.build import build_backbone
from pawsure.network.cuts import cut_before, suffix
from pawsure.network.trainable import freeze_batch_norm, set_trainable_from

keras = pytest.importorskip("keras")

from pawsure.network.fused import fused  # noqa: E402  (Keras first)


def made_up_statistics(model, seed=0):
    """Give BatchNormalizations statistics that are not 0 and 1, so that folding can go wrong."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.gamma.assign(generator.uniform(0.5, 1.5, shape))
            layer.beta.assign(generator.normal(0, 0.2, shape))
            layer.moving_mean.assign(generator.normal(0, 0.2, shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))


def end_of(name, *, batch_norm, start):
    """A new network's end, with what learns in it marked."""
    backbone = build_backbone(name, size_px=64, weights="none", seed=1)
    made_up_statistics(backbone)
    set_trainable_from(backbone, start)
    if batch_norm == "frozen":
        freeze_batch_norm(backbone)
    return suffix(backbone, cut_before(backbone, start))


def steps(model, through, *, batches=3):
    """Weights of `model` after some steps of training `through`, which shares them."""
    generator = np.random.default_rng(0)
    shape = (5, *model.input_shape[1:])
    pooled = keras.layers.GlobalAveragePooling2D()(through.output)
    head = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    whole = keras.Model(through.input, head(pooled))
    whole.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    for _ in range(batches):
        rows = generator.normal(0.5, 1.0, shape).astype(np.float32)
        whole.train_on_batch(rows, generator.normal(size=(5, 1)))
    return {variable.path: variable.numpy() for variable in model.variables}


CASES = [
    ("mobilenet_v2", "frozen", "block_15_expand"),
    ("mobilenet_v2", "train", "block_15_expand"),
    ("mobilenet", "frozen", "conv_dw_12"),
]


@pytest.mark.parametrize("name, batch_norm, start", CASES)
def test_it_says_the_same(name, batch_norm, start):
    model = end_of(name, batch_norm=batch_norm, start=start)
    rows = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(
        fused(model).predict_on_batch(rows), model.predict_on_batch(rows), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name, batch_norm, start", CASES)
def test_it_learns_the_same_statistics_included(name, batch_norm, start):
    plain = end_of(name, batch_norm=batch_norm, start=start)
    other = end_of(name, batch_norm=batch_norm, start=start)
    before = {variable.path: variable.numpy() for variable in plain.variables}
    wanted = steps(plain, through=plain)
    found = steps(other, through=fused(other))
    assert any(not np.allclose(before[path], wanted[path], atol=1e-4) for path in wanted)
    for path in wanted:
        np.testing.assert_allclose(found[path], wanted[path], rtol=2e-3, atol=2e-4, err_msg=path)


def test_a_frozen_normalisation_stays_as_it_is_to_the_bit():
    model = end_of("mobilenet_v2", batch_norm="frozen", start="block_15_expand")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [value.tobytes() for layer in norms for value in layer.get_weights()]
    steps(model, through=fused(model))
    assert [value.tobytes() for layer in norms for value in layer.get_weights()] == before


def test_it_has_the_same_variables_and_the_same_of_them_learn():
    model = end_of("mobilenet_v2", batch_norm="frozen", start="block_15_depthwise")
    made = fused(model)
    assert {v.path for v in made.variables} == {v.path for v in model.variables}
    learning = {v.path for v in made.trainable_variables}
    assert learning == {v.path for v in model.trainable_variables}


def test_what_else_is_read_is_not_folded():
    """A convolution whose result goes two ways keeps its own values."""
    given = keras.Input((4, 4, 3))
    seen = keras.layers.Conv2D(3, 3, padding="same", name="conv")(given)
    norm = keras.layers.BatchNormalization(name="norm")
    norm.trainable = False
    both = keras.layers.Add()([norm(seen), seen])
    model = keras.Model(given, both)
    norm.set_weights([np.full(3, 2.0), np.ones(3), np.ones(3), np.full(3, 3.0)])
    rows = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(
        fused(model).predict_on_batch(rows), model.predict_on_batch(rows), atol=1e-5
    )
