"""What makes a model file's answers trustworthy, as nodes of its graph.

Two additions to the graph of `attach_head`: calibrated probabilities in place of plain ones, and
the output `familiarity`. Both compute what `Calibration` and `Familiarity` compute in NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pawsure.errors import ExportError
from pawsure.graph.nodes import Nodes
from pawsure.graph.prune import copy_of, drop_unneeded
from pawsure.trust.calibration import Calibration
from pawsure.trust.familiarity import LEAST as LEAST_DISTANCE
from pawsure.trust.familiarity import Familiarity, Known
from pawsure.trust.gaussian import Gaussian, LabelGaussians, as_int8
from pawsure.trust.log_odds import LEAST as LEAST_PROBABILITY
from pawsure.trust.log_odds import CompactClassifier, LogOdds
from pawsure.trust.profiles import LEAST as LEAST_AFFINITY
from pawsure.trust.profiles import Profiles

FAMILIARITY = "familiarity"

_TINY = 1e-12
_BACKGROUND = "background"
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
    largest = _largest(add, model, "logit", "largest")
    gap = add.emit("Sub", [largest, "logit"], "gap")
    column = add.emit("Unsqueeze", [gap, axes], "column")
    below = add.ramps(column, calibration.gaps, -calibration.values, "below")
    softmax.input[0] = add.emit("Squeeze", [below, axes], "logit")
    model.graph.node.append(softmax)
    return model


def _largest(add: Nodes, model: onnx.ModelProto, values: str, name: str) -> str:
    """The largest value of each picture, (N, 1); axes became an input in opset 18."""
    opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if opset >= 18:
        axes = add.constant(f"{name}_axis", [-1], np.int64)
        return add.emit("ReduceMax", [values, axes], name, keepdims=1)
    return add.emit("ReduceMax", [values], name, axes=[-1], keepdims=1)


def attach_familiarity(model: onnx.ModelProto, familiarity: Familiarity) -> onnx.ModelProto:
    """A copy with the output `familiarity`, float32 (N,), in [0, 1].

    Args:
        model: of `attach_head`; left as it is.
        familiarity: fitted on its embeddings.
    """
    model = copy_of(model)
    add = Nodes(model, FAMILIARITY)
    features = _unit_length(add, familiarity.own.shared.middle.size)
    nearness = _largest(add, model, _nearness(add, features, familiarity.own), "nearness")
    score = _likeness(add, features, nearness, familiarity)
    if familiarity.classes is not None:
        classes = _classes(add, model, familiarity.classes, familiarity.weights[1])
        score = add.emit("Add", [score, classes], "score")
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


def _unit_length(add: Nodes, width: int) -> str:
    """`familiarity.unit_length` of the embedding."""
    squared = add.emit("Mul", ["embedding", "embedding"], "squared")
    ones = add.constant("ones", np.ones((width, 1)))
    length = add.emit("Sqrt", [add.emit("MatMul", [squared, ones], "square")], "length")
    safe = add.emit("Add", [length, add.constant("tiny", _TINY)], "safe_length")
    return add.emit("Div", ["embedding", safe], "features")


def _likeness(add: Nodes, features: str, nearness: str, familiarity: Familiarity) -> str:
    """The first part, times its weight."""
    if familiarity.is_ratio:
        least = add.constant("least", LEAST_DISTANCE)
        distance = add.emit("Relu", [add.emit("Neg", [nearness], "own_distance")], "own_positive")
        nearness = add.emit("Neg", [_log(add, distance, least, "own_log")], "own_nearness")
    if familiarity.backgrounds:
        nearest = ""
        for number, background in enumerate(familiarity.backgrounds):
            found, _ = _distance(add, features, background, f"{_BACKGROUND}{number}")
            nearest = add.emit("Min", [nearest, found], f"nearest{number}") if nearest else found
        if familiarity.is_ratio:
            nearest = _log(add, nearest, least, "background_log")
        nearness = add.emit("Add", [nearness, nearest], "relative")
    weight = add.constant("likeness_weight", familiarity.weights[0])
    return add.emit("Mul", [nearness, weight], "likeness")


def _log(add: Nodes, values: str, least: str, name: str) -> str:
    return add.emit("Log", [add.emit("Add", [values, least], f"{name}_safe")], name)


def _nearness(add: Nodes, features: str, own: LabelGaussians) -> str:
    """Minus the distance to each label, (N, K)."""
    to_middle, away = _distance(add, features, own.shared, "own")
    slopes = add.matrix("own/slopes", *as_int8(own.slopes))
    towards = add.emit("MatMul", [away, slopes], "own/towards")
    biased = add.emit("Sub", [towards, add.constant("own/bias", own.bias)], "own/biased")
    nearer = add.emit("Sub", [biased, to_middle], "own/nearer")
    return add.emit("Mul", [nearer, add.constant("own/sureness", own.sureness)], "own/nearness")


def _distance(add: Nodes, features: str, gaussian: Gaussian, name: str) -> tuple[str, str]:
    """`Gaussian.distance`, (N, 1), and how far features are from the middle, (N, D)."""
    rest = gaussian.rest_precision
    middle = add.constant(f"{name}/middle", gaussian.middle)
    away = add.emit("Sub", [features, middle], f"{name}/away")
    directions = add.matrix(f"{name}/directions", *as_int8(gaussian.directions))
    along = add.emit("MatMul", [away, directions], f"{name}/along")
    along_squared = add.emit("Mul", [along, along], f"{name}/along_squared")
    more = add.constant(f"{name}/precision", (gaussian.precision - rest)[:, np.newaxis])
    inside = add.emit("MatMul", [along_squared, more], f"{name}/inside")
    away_squared = add.emit("Mul", [away, away], f"{name}/away_squared")
    everywhere = add.constant(f"{name}/rest", np.full((gaussian.middle.size, 1), rest))
    across = add.emit("MatMul", [away_squared, everywhere], f"{name}/across")
    return add.emit("Add", [inside, across], f"{name}/distance"), away


def _classes(add: Nodes, model: onnx.ModelProto, classes: LogOdds | Profiles, weight: float) -> str:
    """The second part, times its weight."""
    held = classes.classifier
    kernel = add.matrix("classifier/kernel", *as_int8(held.kernel))
    unbiased = add.emit("MatMul", ["embedding", kernel], "classifier/unbiased")
    bias = add.constant("classifier/bias", held.bias)
    logit = add.emit("Add", [unbiased, bias], "classifier/logit")
    probability = add.emit("Softmax", [logit], "classifier/probability", axis=-1)
    if isinstance(classes, LogOdds):
        sides = add.constant("classifier/sides", np.stack([classes.weight, 1 - classes.weight], 1))
        terms = add.emit("MatMul", [probability, sides], "classifier/both")
        least, signs = LEAST_PROBABILITY, [[weight], [-weight]]
    else:
        root = add.emit("Sqrt", [probability], "classifier/root")
        roots = add.matrix("classifier/roots", *as_int8(classes.roots))
        affinity = add.emit("MatMul", [root, roots], "classifier/affinity")
        terms = _largest(add, model, affinity, "classifier/nearest")
        least, signs = LEAST_AFFINITY, [[weight]]
    safe = add.emit("Add", [terms, add.constant("classifier/least", least)], "classifier/safe")
    logs = add.emit("Log", [safe], "classifier/logs")
    return add.emit("MatMul", [logs, add.constant("classifier/signs", signs)], "classifier/score")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a graph has of trust, and what of it can't be fitted anew from pictures.

    Attributes:
        calibration: whether its probabilities are calibrated.
        familiarity: whether it has that output.
        known: of its familiarity, what does not come from the training pictures.
    """

    calibration: bool = True
    familiarity: bool = True
    known: Known = field(default_factory=Known)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self.calibration or self.familiarity


def parts_of(model: onnx.ModelProto) -> Parts:
    """What a graph has of trust."""
    return Parts(
        calibration=any(node.output[0] == "calibration/logit" for node in model.graph.node),
        familiarity=FAMILIARITY in (output.name for output in model.graph.output),
        known=_known(model),
    )


def _known(model: onnx.ModelProto) -> Known:
    scope = f"{FAMILIARITY}/"
    constants = {
        item.name.removeprefix(scope): numpy_helper.to_array(item)
        for item in model.graph.initializer
        if item.name.startswith(scope)
    }
    numbers = itertools.takewhile(
        lambda number: f"{_BACKGROUND}{number}/middle" in constants, itertools.count()
    )
    return Known(
        backgrounds=tuple(_read_gaussian(constants, f"{_BACKGROUND}{each}") for each in numbers),
        classifier=_read_classifier(constants),
    )


def _read_matrix(constants: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    matrix = constants[f"{name}/int8"].astype(np.float32) * constants[f"{name}/scale"]
    return np.asarray(matrix)


def _read_gaussian(constants: Mapping[str, np.ndarray], name: str) -> Gaussian:
    rest = float(constants[f"{name}/rest"][0, 0])
    return Gaussian(
        middle=constants[f"{name}/middle"],
        directions=_read_matrix(constants, f"{name}/directions"),
        precision=constants[f"{name}/precision"][:, 0] + np.float32(rest),
        rest_precision=rest,
    )


def _read_classifier(constants: Mapping[str, np.ndarray]) -> CompactClassifier | None:
    if "classifier/bias" not in constants:
        return None
    return CompactClassifier(
        kernel=_read_matrix(constants, "classifier/kernel"),
        bias=constants["classifier/bias"],
    )


def without_trust(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph as it was before trust was attached."""
    parts = parts_of(model)
    model = copy_of(model)
    graph = model.graph
    outputs = [output for output in graph.output if output.name != FAMILIARITY]
    del graph.output[:]
    graph.output.extend(outputs)
    if parts.calibration:
        softmax = next(node for node in graph.node if node.output[0] == "probability")
        softmax.input[0] = _SOFTMAX_INPUT
        place = list(graph.node).index(softmax)
        one = helper.make_node("Identity", ["logit"], [_SOFTMAX_INPUT], name=_SOFTMAX_INPUT)
        graph.node.insert(place, one)
    drop_unneeded(graph, {output.name for output in outputs})
    return model


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
    for old, content in ((model.graph.node, kept), (model.graph.initializer, constants)):
        del old[:]
        old.extend(content)
    return taken
