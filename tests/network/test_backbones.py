"""The table of backbones: their scaling, and that building them is repeatable."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from pawsure.errors import UsageError
from pawsure.network.backbones import BACKBONES
from pawsure.network.build import build_backbone

keras = pytest.importorskip("keras")

EVERY_PIXEL = np.stack([np.arange(256.0)] * 3, axis=-1).reshape(1, 16, 16, 3).astype(np.float32)

# Where Keras keeps `preprocess_input` of each constructor.
KERAS_MODULES = {
    "MobileNetV2": "mobilenet_v2",
    "MobileNet": "mobilenet",
    "MobileNetV3Small": "mobilenet_v3",
    "MobileNetV3Large": "mobilenet_v3",
    "EfficientNetV2B0": "efficientnet_v2",
    "ResNet50V2": "resnet_v2",
    "ConvNeXtTiny": "convnext",
}


def preprocessing_inside(constructor):
    """Keras's own preprocessing layers at the bottom of a network, as a function."""
    model = getattr(keras.applications, constructor)(
        input_shape=(32, 32, 3), include_top=False, weights=None, include_preprocessing=True
    )
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    found = [layer for layer in model.layers[:4] if isinstance(layer, kinds)]
    assert found

    def preprocess(pixels):
        for layer in found:
            pixels = layer(pixels)
        return np.asarray(pixels)

    return preprocess


OF_KERAS = {name: row for name, row in BACKBONES.items() if row.module == "keras.applications"}


@pytest.mark.parametrize("backbone", OF_KERAS.values(), ids=OF_KERAS)
def test_scaling_is_what_keras_does_for_this_network(backbone):
    module = getattr(keras.applications, KERAS_MODULES[backbone.constructor])
    expected = module.preprocess_input(EVERY_PIXEL.copy())
    if "include_preprocessing" in backbone.arguments:
        # Here Keras's function does nothing and the network does it, so ask the network.
        np.testing.assert_array_equal(expected, EVERY_PIXEL)
        expected = preprocessing_inside(backbone.constructor)(EVERY_PIXEL)
    # Two roundings to float32, of values below 3.
    np.testing.assert_allclose(backbone.scaling(EVERY_PIXEL), expected, atol=1e-6, rtol=0)


def test_scaling_takes_bytes_and_gives_float32():
    scaled = BACKBONES["mobilenet_v2"].scaling(np.array([[0, 255, 51]], dtype=np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[-1.0, 1.0, -0.6]], atol=1e-6)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_lite0"])
def test_networks_start_without_preprocessing_and_end_in_a_feature_map(backbone):
    model = build_backbone(backbone, size_px=64, weights="none")
    assert model.input_shape == (None, 64, 64, 3)
    assert len(model.output_shape) == 4
    assert isinstance(model.layers[1], keras.layers.Conv2D)


def test_the_same_seed_gives_the_same_weights_and_names():
    first = build_backbone("mobilenet_v3_small", size_px=32, weights="none", seed=3)
    again = build_backbone("mobilenet_v3_small", size_px=32, weights="none", seed=3)
    other = build_backbone("mobilenet_v3_small", size_px=32, weights="none", seed=4)
    assert [op.name for op in first.operations] == [op.name for op in again.operations]
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.any(first.get_weights()[0] != other.get_weights()[0])


def test_names_are_unique_within_a_network():
    model = build_backbone("mobilenet_v3_small", size_px=32, weights="none")
    names = [operation.name for operation in model.operations]
    assert len(set(names)) == len(names)
    assert model.layers[0].name == "input_layer"


def test_building_leaves_the_global_random_state_alone():
    random.seed(11)
    expected = random.random()
    random.seed(11)
    build_backbone("mobilenet_050", size_px=32, weights="none")
    assert random.random() == expected


def test_pictures_too_small_are_refused():
    with pytest.raises(UsageError, match="at least 32 pixels a side; 16 were asked for"):
        build_backbone("mobilenet_v2", size_px=16, weights="none")


def test_the_table_is_read_without_importing_keras():
    code = (
        "import sys; from pawsure.network.backbones import BACKBONES; "
        "assert list(BACKBONES)[0] == 'mobilenet_v2'; "
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
