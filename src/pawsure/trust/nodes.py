"""What makes a model file's answers trustworthy, as nodes of its graph.

Two additions to the graph of `attach_head`: calibrated probabilities in place of plain ones, and
the output `familiarity`. Both compute what `Calibration` and `Familiarity` compute in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pawsure.errors import ExportError
from pawsure.graph.nodes import Nodes
from pawsure.graph.prune import copy_of, drop_unneeded, keep_output
from pawsure.trust.calibration import Calibration
from pawsure.trust.familiarity import Familiarity
from pawsure.trust.layers import FeatureLayer, find_layers

FEATURES = "familiarity/features"
"""Pooled layers, each of length 1, side by side: float32 (N, D)."""

POOLED = "familiarity/flat"
"""Pooled layers side by side, before they are brought to length 1, if there are layers."""

FAMILIARITY = "familiarity"

HALF = "/half"
"""Ends the names of constants that are kept as float16."""

HALVED_FROM = 1000
"""Numbers from which on a constant is worth the node that makes float32 of it."""

BELONGS = ("familiarity/belongs", "familiarity/belongs/half")
"""The matrix (D, layers) that tells which feature is of which layer, by either of its names."""

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
    model = copy_of(model)
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


def with_features(
    model: onnx.ModelProto, layers: Sequence[FeatureLayer] | None = None
) -> onnx.ModelProto:
    """A copy that also computes `FEATURES`, not yet an output.

    Args:
        model: of `attach_head`; left as it is. One that computes them already is just copied.
        layers: what is pooled; None: what `find_layers` finds. Where there are none, the embedding
            has to do.
    """
    model = copy_of(model)
    if any(FEATURES in node.output for node in model.graph.node):
        return model
    layers = find_layers(model) if layers is None else layers
    add = Nodes(model, "familiarity")
    pooled = [
        add.emit("GlobalAveragePool", [layer.name], f"pooled_{number}")
        for number, layer in enumerate(layers)
    ]
    if not layers:
        width = model.graph.output[list(_names(model)).index("embedding")]
        widths = [width.type.tensor_type.shape.dim[1].dim_value]
        flat = "embedding"
    else:
        widths = [layer.width for layer in layers]
        together = add.emit("Concat", pooled, "pooled", axis=1)
        flat = add.emit("Flatten", [together], "flat", output=POOLED, axis=1)
    # Lengths a layer at a time by a matrix of zeros and ones: five small nodes for all of them.
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
        The copy and D; the graph as it was and 0 where the network has no layers.
    """
    layers = find_layers(keep_output(backbone, feature_map), feature_map)
    if not layers:
        return backbone, 0
    size = sum(layer.width for layer in layers)
    model = with_features(backbone, layers)
    model.graph.node.append(helper.make_node("Identity", [FEATURES], [output], name=output))
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", size]))
    return model, size


def measure_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph of `with_features` whose outputs are `logit` and `FEATURES`."""
    model = copy_of(model)
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
    model = copy_of(model)
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


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a graph has of trust.

    Attributes:
        calibration: whether its probabilities are calibrated.
        familiarity: whether it has that output.
        detector: float32 (D,), of its familiarity; None: there is none.
        gaussian_weight: the Gaussian's, beside the detector.
    """

    calibration: bool = True
    familiarity: bool = True
    detector: np.ndarray | None = None
    gaussian_weight: float = 1.0

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self.calibration or self.familiarity


def parts_of(model: onnx.ModelProto) -> Parts:
    """What a graph has of trust."""
    constants = {item.name.removesuffix(HALF): item for item in model.graph.initializer}
    detector = constants.get("familiarity/detected_kernel")
    weight = constants.get("familiarity/minus_weight")
    return Parts(
        calibration=any(node.output[0] == "calibration/logit" for node in model.graph.node),
        familiarity=FAMILIARITY in _names(model),
        detector=None
        if detector is None
        else numpy_helper.to_array(detector)[:, 0].astype(np.float32),
        gaussian_weight=0.0 if weight is None else -float(numpy_helper.to_array(weight)),
    )


def without_trust(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph as it was before trust was attached; its features stay, if it had any."""
    parts = parts_of(model)
    model = copy_of(model)
    graph = model.graph
    outputs = [output for output in graph.output if output.name != FAMILIARITY]
    del graph.output[:]
    graph.output.extend(outputs)
    wanted = {output.name for output in outputs}
    if parts.familiarity:
        wanted.add(FEATURES)
    if parts.calibration:
        softmax = next(node for node in graph.node if node.output[0] == "probability")
        softmax.input[0] = _SOFTMAX_INPUT
        place = list(graph.node).index(softmax)
        one = helper.make_node("Identity", ["logit"], [_SOFTMAX_INPUT], name=_SOFTMAX_INPUT)
        graph.node.insert(place, one)
    drop_unneeded(graph, wanted)
    return model


def halve_familiarity(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with familiarity's large constants as float16, made float32 when it is loaded."""
    model = copy_of(model)
    graph = model.graph
    casts = []
    for item in graph.initializer:
        values = numpy_helper.to_array(item)
        large = values.dtype == np.float32 and values.size >= HALVED_FROM
        if not item.name.startswith("familiarity/") or not large:
            continue
        name, half = item.name, item.name + HALF
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], name=name, to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    return model


def _gaussian_score(add: Nodes, familiarity: Familiarity) -> str:
    """`Gaussian.score`, multiplied out so that few small nodes are left.

    With features x of squared length T (one for each layer), middle m, directions V, precisions p
    along them and r across: sum(p a^2) + r (|x - m|^2 - |a|^2) with a = (x - m) V is
    sum((p - r) a^2) + r (T + |m|^2 - 2 x m).
    """
    gaussian = familiarity.gaussian
    middle = gaussian.middle.astype(np.float64)
    directions = gaussian.directions.astype(np.float64)
    across = gaussian.rest_precision
    along = _affine(add, FEATURES, directions, -middle @ directions, "along")
    squared = add.emit("Mul", [along, along], "along_squared")
    num_layers = next(item.dims[1] for item in add.initializers if item.name in BELONGS)
    rest = _affine(
        add,
        FEATURES,
        -2 * across * middle[:, np.newaxis],
        np.array([across * (num_layers + middle @ middle)]),
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
