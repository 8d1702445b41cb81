"""What makes a model file's answers trustworthy, as nodes of its graph.

Two additions to the graph of `attach_head`: calibrated probabilities in place of plain ones, and
the output `familiarity`. Both compute what `Calibration` and `Familiarity` compute in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from pawsure.errors import ExportError
from pawsure.evaluation.calibration import Calibration
from pawsure.evaluation.familiarity import Familiarity
from pawsure.export.model_file import attach_head
from pawsure.export.nodes import Nodes
from pawsure.export.prune import keep_output
from pawsure.export.taps import Tap, find_taps

FEATURES = "familiarity/features"
"""Pooled taps, each of length 1, side by side: float32 (N, D)."""

POOLED = "familiarity/flat"
"""Pooled taps side by side, before they are brought to length 1, if there are taps."""

FAMILIARITY = "familiarity"

BELONGS = ("familiarity/belongs", "familiarity/belongs/half")
"""The matrix (D, taps) that tells which feature is of which tap, by either of its names."""

_TINY = 1e-12
_LEAST = 1e-6  # what float32 leaves of a distance of about 1
_SOFTMAX_INPUT = "head/scaled_logit"


def calibrate(model: onnx.ModelProto, calibration: Calibration) -> onnx.ModelProto:
    """A copy whose `probability` is calibrated.

    Args:
        model: of `attach_head` with a temperature of 1; left as it is.
        calibration: see `Calibration`.

    Raises:
        ExportError: the graph is not of `attach_head`.
    """
    model = _copy(model)
    softmax = _take_softmax(model)
    add = Nodes(model, "calibration")
    axes = add.constant("axes", [-1], np.int64)
    largest = _largest(add, model)
    gap = add.emit("Sub", [largest, "logit"], "gap")
    column = add.emit("Unsqueeze", [gap, axes], "column")
    below = add.ramps(column, calibration.gaps, -calibration.values, "below")
    softmax.input[0] = add.emit("Squeeze", [below, axes], "logit")
    model.graph.node.append(softmax)
    return model


def _largest(add: Nodes, model: onnx.ModelProto) -> str:
    """The largest logit of each picture, (N, 1); axes became an input in opset 18."""
    opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if opset >= 18:
        axes = add.constant("last", [-1], np.int64)
        return add.emit("ReduceMax", ["logit", axes], "largest", keepdims=1)
    return add.emit("ReduceMax", ["logit"], "largest", axes=[-1], keepdims=1)


def with_features(model: onnx.ModelProto, taps: Sequence[Tap] | None = None) -> onnx.ModelProto:
    """A copy that also computes `FEATURES`, not yet an output.

    Args:
        model: of `attach_head`; left as it is. One that computes them already is just copied.
        taps: what is pooled; None: what `find_taps` finds. Where there are none, the embedding
            has to do.
    """
    model = _copy(model)
    if any(FEATURES in node.output for node in model.graph.node):
        return model
    taps = find_taps(model) if taps is None else taps
    add = Nodes(model, "familiarity")
    pooled = [
        add.emit("GlobalAveragePool", [tap.name], f"pooled_{number}")
        for number, tap in enumerate(taps)
    ]
    if not taps:
        width = model.graph.output[list(_names(model)).index("embedding")]
        widths = [width.type.tensor_type.shape.dim[1].dim_value]
        flat = "embedding"
    else:
        widths = [tap.width for tap in taps]
        together = add.emit("Concat", pooled, "pooled", axis=1)
        flat = add.emit("Flatten", [together], "flat", output=POOLED, axis=1)
    # Lengths a tap at a time by a matrix of zeros and ones: five small nodes for all of them.
    belongs = np.repeat(np.eye(len(widths)), widths, axis=0)
    squared = add.emit("Mul", [flat, flat], "squared")
    square = add.emit("MatMul", [squared, add.constant("belongs", belongs)], "square")
    length = add.emit("Sqrt", [square], "length")
    safe = add.emit("Add", [length, add.constant("tiny", _TINY)], "safe_length")
    each = add.emit("MatMul", [safe, add.constant("belongs_turned", belongs.T)], "each_length")
    add.emit("Div", [flat, each], "features")
    return model


def _names(model: onnx.ModelProto) -> list[str]:
    return [output.name for output in model.graph.output]


def with_features_output(
    backbone: onnx.ModelProto, feature_map: str, output: str
) -> tuple[onnx.ModelProto, int]:
    """A copy of a backbone's graph with the features of `with_features` as one more output.

    Args:
        backbone: uint8 "image" to one or more outputs; left as it is.
        feature_map: the output, float32 (N, h, w, F), that heads are attached to.
        output: name of the new one, float32 (N, D).

    Returns:
        The copy and D; the graph as it was and 0 where the network has no taps.
    """
    alone = keep_output(backbone, feature_map)
    width = alone.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    some_head = np.zeros((width, 2), np.float32), np.zeros(2, np.float32)
    taps = find_taps(attach_head(alone, *some_head))
    if not taps:
        return backbone, 0
    size = sum(tap.width for tap in taps)
    model = with_features(backbone, taps)
    model.graph.node.append(helper.make_node("Identity", [FEATURES], [output], name=output))
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", size]))
    return model, size


def measure_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph of `with_features` whose outputs are `logit` and `FEATURES`."""
    model = _copy(model)
    kept = [output for output in model.graph.output if output.name == "logit"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    model.graph.output.append(
        helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", None])
    )
    return model


def attach_familiarity(model: onnx.ModelProto, familiarity: Familiarity) -> onnx.ModelProto:
    """A copy with the output `familiarity`, float32 (N,), in [0, 1].

    Args:
        model: of `with_features`; left as it is.
        familiarity: fitted on those features.
    """
    model = _copy(model)
    add = Nodes(model, "familiarity")
    scores = []
    if familiarity.gaussian_weight:
        scores.append(_gaussian_score(add, familiarity))
    if familiarity.detector is not None:
        middle, detector = familiarity.gaussian.middle, familiarity.detector[:, np.newaxis]
        scores.append(_affine(add, FEATURES, detector, -middle @ detector, "detected"))
    score = scores[0] if len(scores) == 1 else add.emit("Add", scores, "score")
    share = add.ramps(score, familiarity.knots, familiarity.shares, "share")
    # The sum of rounded slopes may end a hair beyond 1.
    bounded = add.emit("Min", [share, add.constant("most", 1.0)], "bounded")
    last = add.constant("last", [1], np.int64)
    add.emit("Squeeze", [bounded, last], "squeezed", output=FAMILIARITY)
    batch = model.graph.output[0].type.tensor_type.shape.dim[0].dim_param or "N"
    model.graph.output.append(
        helper.make_tensor_value_info(FAMILIARITY, TensorProto.FLOAT, [batch])
    )
    return model


def _gaussian_score(add: Nodes, familiarity: Familiarity) -> str:
    """`Gaussian.score`, multiplied out so that few small nodes are left.

    With features x of squared length T (one for each tap), middle m, directions V, precisions p
    along them and r across: sum(p a^2) + r (|x - m|^2 - |a|^2) with a = (x - m) V is
    sum((p - r) a^2) + r (T + |m|^2 - 2 x m).
    """
    gaussian = familiarity.gaussian
    middle = gaussian.middle.astype(np.float64)
    directions = gaussian.directions.astype(np.float64)
    across = gaussian.rest_precision
    along = _affine(add, FEATURES, directions, -middle @ directions, "along")
    squared = add.emit("Mul", [along, along], "along_squared")
    num_taps = next(item.dims[1] for item in add.initializers if item.name in BELONGS)
    rest = _affine(
        add,
        FEATURES,
        -2 * across * middle[:, np.newaxis],
        np.array([across * (num_taps + middle @ middle)]),
        "whole",
    )
    precision = add.constant("precision", (gaussian.precision - across)[:, np.newaxis])
    inside = add.emit("MatMul", [squared, precision], "inside")
    distance = add.emit("Add", [inside, rest], "distance")
    safe = add.emit("Max", [distance, add.constant("least", _LEAST)], "safe_distance")
    logarithm = add.emit("Log", [safe], "logarithm")
    weight = add.constant("minus_weight", -familiarity.gaussian_weight)
    return add.emit("Mul", [logarithm, weight], "likeness")


def _affine(add: Nodes, value: str, kernel: np.ndarray, constant: np.ndarray, name: str) -> str:
    """`value @ kernel + constant` as one node."""
    inputs = [value, add.constant(f"{name}_kernel", kernel), add.constant(f"{name}_0", constant)]
    return add.emit("Gemm", inputs, name)


def _take_softmax(model: onnx.ModelProto) -> onnx.NodeProto:
    """Take the softmax and what only fed it out of a graph; the softmax is given back."""
    softmax = [node for node in model.graph.node if list(node.output) == ["probability"]]
    if len(softmax) != 1 or list(softmax[0].input) != [_SOFTMAX_INPUT]:
        raise ExportError(
            "Only a graph of attach_head can be calibrated: this one makes its probabilities "
            "in another way, or is calibrated already."
        )
    taken = onnx.NodeProto()
    taken.CopyFrom(softmax[0])
    kept = [
        node
        for node in model.graph.node
        if list(node.output) not in (["probability"], [_SOFTMAX_INPUT])
    ]
    constants = [item for item in model.graph.initializer if item.name != "head/temperature"]
    for field, content in ((model.graph.node, kept), (model.graph.initializer, constants)):
        del field[:]
        field.extend(content)
    return taken


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
