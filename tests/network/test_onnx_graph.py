"""That the ONNX graph computes what Keras computes."""

from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ExportError
from pawsure.network.backbones import BACKBONES, MINUS_ONE_TO_ONE
from pawsure.network.build import build_backbone
from pawsure.network.cuts import cut_before, find_cuts, input_cut, prefix, suffix
from pawsure.network.variables import named_variables

keras = pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from pawsure.network.onnx_graph import to_onnx  # noqa: E402 (it needs the above)

layers = keras.layers

# Measured 5e-7 to 2e-6 over all backbones: float32 rounding through a hundred layers, whose
# sums the two libraries take in different orders. A wrong padding or statistic gives > 1e-2.
TOLERANCE = 1e-5


def run(graph, **inputs):
    """The outputs of a graph by ONNX Runtime."""
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def difference(found, expected):
    """Largest difference relative to the largest expected value."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    return np.abs(found - expected).max() / np.abs(expected).max()


def random_pictures(size_px, count=2):
    return np.random.default_rng(2).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)


def check_backbone(randomise, backbone, size_px):
    model = randomise(build_backbone(backbone.name, size_px=size_px, weights="none"))
    pictures = random_pictures(size_px)
    (found,) = run(to_onnx(model, scaling=backbone.scaling), image=pictures)
    return difference(found, model(backbone.scaling(pictures), training=False))


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        "mobilenet_050",
        "mobilenet_v3_small",
        "efficientnet_v2_b0",
        "resnet50_v2",
        "convnext_tiny",
    ],
)
def test_backbones_agree_from_pixels_to_feature_map(randomise, name):
    assert check_backbone(randomise, BACKBONES[name], 40) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("size_px", [75, 128])
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_agrees_at_even_and_odd_sizes(randomise, name, size_px):
    worst = check_backbone(randomise, BACKBONES[name], size_px)
    print(f"{name} at {size_px}: largest relative difference {worst:.1e}")
    assert worst <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_prefix_and_suffix_agrees(randomise, name):
    model = randomise(build_backbone(name, size_px=48, weights="none"))
    scaling = BACKBONES[name].scaling
    pictures = random_pictures(48)
    expected = np.asarray(model(scaling(pictures), training=False))
    for cut in [input_cut(model), *find_cuts(model)]:
        (halfway,) = run(to_onnx(prefix(model, cut), scaling=scaling), image=pictures)
        assert halfway.shape[1:] == cut.shape
        (found,) = run(to_onnx(suffix(model, cut)), features=halfway)
        assert difference(found, expected) <= TOLERANCE, cut


@pytest.fixture(scope="module")
def mobilenet_v2(randomise):
    return randomise(build_backbone("mobilenet_v2", size_px=64, weights="none"))


def test_a_prefix_takes_pixels_and_a_suffix_takes_what_it_gives(mobilenet_v2):
    cut = cut_before(mobilenet_v2, 100)
    pictures = random_pictures(64, count=3)
    first = to_onnx(prefix(mobilenet_v2, cut), scaling=MINUS_ONE_TO_ONE)
    second = to_onnx(suffix(mobilenet_v2, cut), outputs=["end"])
    (halfway,) = run(first, image=pictures)
    (found,) = run(second, features=halfway)
    assert [output.name for output in second.graph.output] == ["end"]
    assert difference(found, mobilenet_v2(MINUS_ONE_TO_ONE(pictures), training=False)) <= TOLERANCE


def test_cuts_at_either_end_hand_the_input_through(mobilenet_v2):
    pictures = random_pictures(64)
    (scaled,) = run(
        to_onnx(prefix(mobilenet_v2, input_cut(mobilenet_v2)), scaling=MINUS_ONE_TO_ONE),
        image=pictures,
    )
    np.testing.assert_allclose(scaled, MINUS_ONE_TO_ONE(pictures), atol=1e-6)
    last = suffix(mobilenet_v2, find_cuts(mobilenet_v2)[-1])
    feature_map = np.random.default_rng(0).normal(size=(2, *last.input_shape[1:]))
    (found,) = run(to_onnx(last), features=feature_map.astype(np.float32))
    np.testing.assert_array_equal(found, feature_map.astype(np.float32))


def test_any_number_of_pictures_goes_through(mobilenet_v2):
    graph = to_onnx(mobilenet_v2, scaling=MINUS_ONE_TO_ONE)
    for count in (1, 5):
        assert run(graph, image=random_pictures(64, count))[0].shape[0] == count


def test_the_same_network_gives_the_same_bytes(randomise):
    def graph_bytes():
        model = randomise(build_backbone("mobilenet_v3_small", size_px=32, weights="none"))
        half = suffix(model, cut_before(model, "expanded_conv_8_expand"))
        return (
            to_onnx(model, scaling=MINUS_ONE_TO_ONE).SerializeToString(),
            to_onnx(half).SerializeToString(),
        )

    assert graph_bytes() == graph_bytes()


def test_constants_carry_the_names_of_the_variables(mobilenet_v2):
    graph = to_onnx(mobilenet_v2, scaling=MINUS_ONE_TO_ONE).graph
    held = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    variables = named_variables(mobilenet_v2)
    assert set(variables) <= set(held)
    kernel = np.asarray(variables["block_1_expand/kernel"])
    np.testing.assert_array_equal(held["block_1_expand/kernel"], kernel.transpose(3, 2, 0, 1))
    statistics = variables["block_1_expand_BN/moving_mean"]
    np.testing.assert_array_equal(held["block_1_expand_BN/moving_mean"], np.asarray(statistics))


def test_padding_is_left_to_the_convolution(mobilenet_v2):
    kinds = {node.op_type for node in to_onnx(mobilenet_v2, scaling=MINUS_ONE_TO_ONE).graph.node}
    expected = {"Transpose", "Cast", "Mul", "Add", "Conv", "BatchNormalization", "Clip"}
    assert kinds == expected


# Layers one by one, against Keras itself.


def check_layers(build, shape, count=2, seed=0):
    """Build a model of a few layers, draw its weights and compare; the largest difference."""
    generator = np.random.default_rng(seed)
    source = keras.Input(shape)
    model = keras.Model(source, build(source), name="few_layers")
    for variable in model.weights:
        low = 0.5 if variable.name == "moving_variance" else -1.0
        variable.assign(generator.uniform(low, 1.5, variable.shape))
    values = generator.normal(0.0, 3.0, (count, *shape)).astype(np.float32)
    (found,) = run(to_onnx(model), features=values)
    assert difference(found, model(values, training=False)) <= 2e-6


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding_is_tensorflows_at_every_remainder(kernel, stride):
    for height, width in [(7, 8), (9, 10), (11, 6)]:
        shape = (height, width, 4)
        check_layers(layers.Conv2D(3, kernel, strides=stride, padding="same"), shape)
        check_layers(layers.DepthwiseConv2D(kernel, strides=stride, padding="same"), shape)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(6, 3, groups=2),
        lambda: layers.Conv2D(6, (3, 2), dilation_rate=2, padding="same", use_bias=False),
        lambda: layers.Conv2D(6, 1, activation="swish"),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu6"),
        lambda: layers.BatchNormalization(scale=False),
        lambda: layers.BatchNormalization(center=False, epsilon=1e-2),
        lambda: layers.LayerNormalization(epsilon=1e-6),
        lambda: layers.LayerNormalization(center=False, scale=False),
        lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
        lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
        lambda: layers.GlobalAveragePooling2D(),
        lambda: layers.GlobalAveragePooling2D(keepdims=True),
        lambda: layers.GlobalMaxPooling2D(),
        lambda: layers.Dense(5, activation="gelu"),
        lambda: layers.Dense(5, use_bias=False),
        lambda: layers.Flatten(),
        lambda: layers.Reshape((8, 7, 4)),
        lambda: layers.Reshape((14, 16)),
        lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
        lambda: layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-1.0),
        lambda: layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.5]),
        lambda: layers.ReLU(max_value=6),
        lambda: layers.ReLU(negative_slope=0.1),
        lambda: layers.Activation("softmax"),
        lambda: layers.Activation("tanh"),
        lambda: layers.Activation("hard_swish"),
        lambda: layers.Activation("hard_sigmoid"),
        lambda: layers.Activation("linear"),
        lambda: layers.Dropout(0.5),
    ],
)
def test_layers_agree_one_by_one(layer):
    check_layers(layer(), (7, 8, 4))


def test_zeros_before_pooling_are_values_and_not_absence():
    # All values are negative here, so that a zero at the border is the largest.
    def build(x):
        return layers.MaxPooling2D(3, strides=2)(
            layers.ZeroPadding2D(1)(layers.Activation("relu")(x) * -1.0 - 1.0)
        )

    check_layers(build, (7, 8, 4))


def test_padding_with_two_readers_serves_both():
    def build(x):
        padded = layers.ZeroPadding2D(1)(x)
        left = layers.Conv2D(4, 3, padding="valid")(padded)
        right = layers.MaxPooling2D(3, strides=1)(padded)
        return layers.Concatenate()([left, right])

    check_layers(build, (5, 6, 4))


def test_operations_that_are_no_layers_agree():
    def build(x):
        gate = layers.ReLU(6.0)(layers.GlobalAveragePooling2D(keepdims=True)(x) + 3.0) * (1 / 6)
        return layers.Multiply()([x, gate]) - 2.0 + x

    check_layers(build, (7, 8, 4))


def test_branches_in_different_orders_of_axes_meet():
    def build(x):
        left = layers.LayerNormalization()(x)
        right = layers.Conv2D(4, 1)(x)
        joined = layers.Add()([left, right, x])
        return layers.Concatenate(axis=1)([joined, left])

    check_layers(build, (7, 8, 4))


def test_rows_of_numbers_go_through_a_head():
    def build(x):
        x = layers.BatchNormalization()(x)
        x = layers.Dense(8, activation="relu")(layers.Dropout(0.2)(x))
        return layers.Dense(1, activation="sigmoid")(x)

    check_layers(build, (10,))


def test_squeeze_and_excite_through_a_reshape_agrees():
    def build(x):
        squeezed = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x))
        return layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid")(squeezed)])

    check_layers(build, (7, 8, 4))


def test_nested_models_are_written_in_place_also_twice():
    inner = keras.Sequential([keras.Input((7, 8, 4)), layers.Conv2D(4, 1), layers.ReLU()])
    check_layers(lambda x: inner(inner(x)), (7, 8, 4))


def test_several_outputs_get_their_names():
    source = keras.Input((4,))
    hidden = layers.Dense(3)(source)
    model = keras.Model(source, [layers.Dense(2)(hidden), hidden, hidden])
    graph = to_onnx(model, outputs=["end", "middle", "again"])
    values = np.ones((2, 4), dtype=np.float32)
    found = run(graph, features=values)
    assert [output.name for output in graph.graph.output] == ["end", "middle", "again"]
    for one, other in zip(found, model(values), strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=1e-6, atol=1e-6)


# What can't be written


def test_an_unknown_layer_is_named():
    source = keras.Input((8, 4))
    model = keras.Model(source, layers.Conv1D(2, 3, name="along_time")(source))
    with pytest.raises(ExportError, match="'along_time' is a Conv1D.*It writes: Activation, Add"):
        to_onnx(model)


def test_somebody_elses_layer_of_the_same_name_is_not_taken_for_keras():
    class Dense(keras.layers.Layer):
        def call(self, inputs):
            return inputs + 1.0

    source = keras.Input((4,))
    with pytest.raises(ExportError, match="Layer 'strange' is a Dense"):
        to_onnx(keras.Model(source, Dense(name="strange")(source)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.Activation("mish", name="odd"), "'odd'.*the activation 'mish'"),
        (lambda: layers.BatchNormalization(axis=1, name="odd"), "'odd'.*axis=1"),
        (lambda: layers.ReLU(threshold=1.0, name="odd"), "'odd'.*threshold"),
        (lambda: layers.Conv2D(2, 1, dtype="mixed_float16", name="odd"), "'odd'.*float16"),
        (
            lambda: layers.GlobalMaxPooling2D(data_format="channels_first", name="odd"),
            "'odd'.*channels_first",
        ),
    ],
)
def test_a_setting_that_can_not_be_written_is_named(layer, message):
    source = keras.Input((7, 8, 4))
    with pytest.raises(ExportError, match=message):
        to_onnx(keras.Model(source, layer()(source)))


def test_names_must_match_the_outputs(mobilenet_v2):
    with pytest.raises(ExportError, match="has 1 outputs; 2 names were given"):
        to_onnx(mobilenet_v2, outputs=["a", "b"])


def test_scaling_is_for_pictures_only(mobilenet_v2):
    part = suffix(mobilenet_v2, cut_before(mobilenet_v2, 100))
    with pytest.raises(ExportError, match="Leave the scaling out for a suffix"):
        to_onnx(part, scaling=MINUS_ONE_TO_ONE)
