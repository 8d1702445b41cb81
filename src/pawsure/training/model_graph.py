"""The graph of a model file, without trust: a frozen backbone with a head, or a Keras network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from pawsure.features.prefix import FEATURE_MAP, Prefix
from pawsure.graph.head import attach_head, two_class_kernel
from pawsure.graph.prune import keep_output

if TYPE_CHECKING:
    from pawsure.graph.scaling import Scaling
    from pawsure.network.classifier import Classifier
    from pawsure.training.linear import LinearHead


def graph_of(classifier: Classifier, scaling: Scaling) -> onnx.ModelProto:
    """A Keras network as the graph of a model file."""
    from pawsure.network.onnx_graph import to_onnx

    kernel, bias = classifier.kernel_and_bias()
    if classifier.is_sigmoid:
        kernel, bias = two_class_kernel(kernel, bias)
    return attach_head(
        to_onnx(classifier.features(), scaling=scaling),
        kernel,
        bias,
        embedded=None if classifier.frozen is None else classifier.embedding_width,
    )


def head_only_graph(prefix: Prefix, head: LinearHead) -> onnx.ModelProto:
    """A frozen backbone, as exported, with a head on it; needs no Keras."""
    assert prefix.path is not None  # for the type checker: a backbone is a file
    backbone = keep_output(onnx.load(prefix.path), FEATURE_MAP)
    return attach_head(backbone, head.kernel, head.bias)
