"""TensorFlow and LiteRT say what ONNX Runtime says of the same model file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import SIZE_PX
from tiny_runs import tiny_run

from pawsure.errors import ExportError
from pawsure.export.litert import litert_runtime, write_litert
from pawsure.export.quantise import quantise
from pawsure.export.saved_model import saved_model_runtime, write_saved_model
from pawsure.export.tensorflow_graph import tensorflow_function
from pawsure.model.predictor import Outputs, Predictor

NAMES = ("probability", "logit", "embedding", "evidence", "familiarity")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("tiny") / "run")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (12, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def assert_same(found: Outputs, expected: Outputs, atol: float) -> None:
    for name in NAMES:
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == np.float32 and mine.shape == theirs.shape, name
        # Familiarity's knots are close together: it is a few hundred times as steep.
        np.testing.assert_allclose(mine, theirs, atol=atol * (100 if name == NAMES[4] else 1))


def test_a_saved_model_says_what_the_model_file_says(run, pictures, tmp_path):
    write_saved_model(run[0] / "model.onnx", tmp_path / "saved")
    found = saved_model_runtime(tmp_path / "saved")(pictures)
    assert_same(found, Predictor(run[0]).predict_batch(pictures), atol=1e-5)


def test_litert_in_float32_says_what_the_model_file_says(run, pictures, tmp_path):
    write_litert(run[0] / "model.onnx", tmp_path / "model.tflite", "float32")
    found = litert_runtime(tmp_path / "model.tflite")(pictures)
    assert_same(found, Predictor(run[0]).predict_batch(pictures), atol=1e-5)


def test_litert_in_float16_rounds_weights(run, pictures, tmp_path):
    write_litert(run[0] / "model.onnx", tmp_path / "model.tflite", "float16")
    found = litert_runtime(tmp_path / "model.tflite")(pictures)
    expected = Predictor(run[0]).predict_batch(pictures)
    # A float16 step is a thousandth of a value; weights of the head are 8.
    np.testing.assert_allclose(found.logit, expected.logit, atol=0.02)
    assert np.abs(found.logit - expected.logit).max() > 0


def test_litert_in_int8_says_what_the_quantised_model_file_says(run, pictures, tmp_path):
    folder, catalog = run
    quantise(folder / "model.onnx", catalog, tmp_path / "int8.onnx")
    write_litert(tmp_path / "int8.onnx", tmp_path / "model.tflite", "int8")
    found = litert_runtime(tmp_path / "model.tflite")(pictures)
    expected = Predictor(tmp_path / "int8.onnx").predict_batch(pictures)
    # The same bytes; where a value lies between two of them either may be taken: 1 / 255.
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=0.005)
    np.testing.assert_allclose(found.logit, expected.logit, atol=0.02)


@pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning")
def test_litert_in_int8_convolves_in_bytes(run, tmp_path):
    import tensorflow as tf

    folder, catalog = run
    quantise(folder / "model.onnx", catalog, tmp_path / "int8.onnx")
    write_litert(tmp_path / "int8.onnx", tmp_path / "model.tflite", "int8")
    interpreter = tf.lite.Interpreter(model_path=str(tmp_path / "model.tflite"))
    kernels = [
        tensor
        for tensor in interpreter.get_tensor_details()
        if tensor["dtype"] is np.int8 and len(tensor["quantization_parameters"]["scales"]) == 8
    ]
    assert len(kernels) == 2  # one of them depthwise


def graph_of(nodes, constants, shape, output) -> onnx.ModelProto:
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["first"], ["x"], to=TensorProto.FLOAT),
            *nodes,
        ],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


RNG = np.random.default_rng(1)
KERNEL = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
PER_CHANNEL = RNG.normal(size=(3, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1], [2, 0, 1, 1]])
@pytest.mark.parametrize("stride", [1, 2])
def test_zeros_are_put_where_onnx_puts_them(pads, stride):
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=pads, strides=[stride, stride])
    check(graph_of([node], {"w": KERNEL}, (9, 8, 3), "y"), (9, 8, 3))


NODES = {
    "grouped": helper.make_node("Conv", ["x", "g"], ["y"], group=3, strides=[1, 1]),
    "dilated": helper.make_node("Conv", ["x", "w"], ["y"], dilations=[2, 2], strides=[1, 1]),
    "leaky": helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.2),
    "hard": helper.make_node("HardSigmoid", ["x"], ["y"], alpha=1 / 6, beta=0.5),
    "channels": helper.make_node("Mul", ["x", "c"], ["y"]),
    "place": helper.make_node("Mul", ["x", "p"], ["y"]),
    "concat": helper.make_node("Concat", ["x", "x"], ["y"], axis=1),
    "flatten": helper.make_node("Flatten", ["x"], ["y"], axis=1),
    "reshape": helper.make_node("Reshape", ["x", "s"], ["y"]),
    "pad": helper.make_node("Pad", ["x", "z"], ["y"]),
    "softmax": helper.make_node("Softmax", ["x"], ["y"], axis=-1),
    "most": helper.make_node(
        "MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    ),
    "mean": helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    "norm": helper.make_node("LayerNormalization", ["x", "n"], ["y"], axis=-1, epsilon=1e-6),
}


@pytest.mark.parametrize("name", NODES)
def test_a_node_says_what_onnx_runtime_says(name):
    constants = {
        "w": KERNEL,
        "g": KERNEL[:3, :1],
        "c": PER_CHANNEL,
        "p": RNG.normal(size=(9, 9)).astype(np.float32),
        "s": np.array([0, 27, 9], np.int64),
        "z": np.array([0, 0, 1, 2, 0, 0, 3, 0], np.int64),
        "n": RNG.normal(size=9).astype(np.float32),
    }
    node = NODES[name]
    used = {key: value for key, value in constants.items() if key in node.input}
    check(graph_of([node], used, (9, 9, 3), "y"), (9, 9, 3))


def check(model: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    import onnxruntime
    import tensorflow as tf

    pictures = np.random.default_rng(2).integers(0, 256, (2, *shape), dtype=np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"image": pictures})
    (found,) = tensorflow_function(model)(tf.constant(pictures)).values()
    # Sums of 27 products of up to 255 and 3.
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=2e-3)


def test_an_operator_that_is_not_known_is_named():
    node = helper.make_node("Einsum", ["x", "i"], ["y"], name="odd")
    model = graph_of([node], {"i": np.array([0], np.int64)}, (4, 4, 3), "y")
    with pytest.raises(ExportError, match=r"Node 'odd' is a Einsum.*Known are Add, "):
        tensorflow_function(model)
