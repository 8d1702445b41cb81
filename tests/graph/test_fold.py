from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import SIZE_PX
from tiny_runs import convolving_backbone

from pawsure.graph.fold import fold_normalisation, share_scaling


def run(model: onnx.ModelProto) -> np.ndarray:
    pictures = np.random.default_rng(5).integers(0, 256, (4, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"image": pictures})[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_folding_leaves_what_comes_out_as_it_was():
    model = convolving_backbone()
    folded = fold_normalisation(model)
    onnx.checker.check_model(folded)
    assert "BatchNormalization" not in kinds(folded)
    assert kinds(folded).count("Conv") == 2
    np.testing.assert_allclose(run(folded), run(model), rtol=1e-5, atol=1e-6)


def test_the_model_given_stays_as_it_was():
    model = convolving_backbone()
    before = model.SerializeToString()
    fold_normalisation(model)
    assert model.SerializeToString() == before


def test_a_convolution_that_others_read_is_left_alone():
    model = convolving_backbone()
    model.graph.output.append(helper.make_tensor_value_info("first", TensorProto.FLOAT, None))
    folded = fold_normalisation(model)
    assert kinds(folded).count("BatchNormalization") == 1
    np.testing.assert_allclose(run(folded), run(model), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("values, shape", [((2, 2, 2), ()), ((2, 2, 3), (3, 1, 1))])
def test_pixels_are_scaled_by_one_number_where_one_is_enough(values, shape):
    model = convolving_backbone()
    scale = next(node for node in model.graph.node if node.op_type == "Mul")
    numbers = np.array(values, np.float32).reshape(3, 1, 1) / 255
    model.graph.initializer.append(numpy_helper.from_array(numbers, "for-each-channel"))
    scale.input[1] = "for-each-channel"
    before = run(model)
    share_scaling(model.graph)
    constants = {item.name: tuple(item.dims) for item in model.graph.initializer}
    assert constants[scale.input[1]] == shape
    assert ("for-each-channel" in constants) == (shape != ())
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(run(model), before)
