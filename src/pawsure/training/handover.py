"""From the Keras network to the model file, with the gate in between.

The file is written under another name, run through the public predictor, and gets its name
only if it agrees with Keras picture by picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.files import atomic_path
from pawsure.data.images import read
from pawsure.evaluation.evaluate import SeriesPredictor, predict
from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.metrics import softmax
from pawsure.export.model_file import write_model_file
from pawsure.export.parity import ParityReport, compare
from pawsure.features.prefix import FEATURE_MAP, Prefix
from pawsure.graph.head import attach_head, two_class_kernel
from pawsure.graph.prune import keep_output
from pawsure.graph.tta import second_view
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.calibration import Calibration

if TYPE_CHECKING:
    from pawsure.graph.scaling import Scaling
    from pawsure.network.classifier import Classifier
    from pawsure.training.linear import LinearHead

PIXEL_CHECKS = 16
"""Pictures that are also sent through the whole of Keras, pixels to probabilities."""

PIXEL_TOLERANCE = 1e-3
"""The same float32 network in two runtimes: measured differences stay below 1e-4."""

CALIBRATION_TOLERANCE = 1e-4
"""Between the graph and NumPy: float32 against float64, measured below 1e-6."""

STORED_TOLERANCE = 0.02
"""Keras saw features that were stored as float16, the file sees pixels: a rounding of 2^-11
in every feature moves a probability near one half by up to about 0.01."""


@contextmanager
def checked_model_file(path: Path) -> Iterator[Path]:
    """A temporary path whose file becomes `path` only if the block ends without an error."""
    with atomic_path(path) as temporary:
        yield Path(temporary)


def write_model(
    classifier: Classifier, scaling: Scaling, metadata: ModelMetadata, path: Path
) -> None:
    """Write a Keras network as a model file, unchecked."""
    write_model_file(graph_of(classifier, scaling), metadata, path)


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


def write_head_only(
    prefix: Prefix, head: LinearHead | None, metadata: ModelMetadata, path: Path
) -> None:
    """Write a frozen backbone, as it was exported, with a head on it; needs no Keras."""
    write_model_file(head_only_graph(prefix, head), metadata, path)


def head_only_graph(prefix: Prefix, head: LinearHead | None) -> onnx.ModelProto:
    """A frozen backbone, as it was exported, with a head on it; needs no Keras."""
    assert head is not None and prefix.path is not None
    backbone = keep_output(onnx.load(prefix.path), FEATURE_MAP)
    return attach_head(backbone, head.kernel, head.bias)


def check_against_stored(
    predictor: SeriesPredictor,
    catalog: Catalog,
    expected: np.ndarray,
    *,
    progress: Progress = NO_PROGRESS,
) -> tuple[Predictions, ParityReport]:
    """Compare a file with what Keras said of the validation pictures while it was trained.

    Keras knows nothing of the calibration, so it is the file's logits that are compared.

    Args:
        predictor: the file.
        catalog: its validation pictures are run from their bytes.
        expected: (M, K) probabilities by Keras, in the order of `catalog.where("validation")`.
        progress: told of every picture.

    Raises:
        ParityError: they disagree.
    """
    found = predict(predictor, catalog, split="validation", progress=progress)
    assert found.logit is not None
    report = compare(expected, softmax(found.logit), tolerance=STORED_TOLERANCE)
    return found, report


def check_calibration(calibration: Calibration, found: Predictions) -> ParityReport:
    """Compare the probabilities of a file with what was fitted.

    Raises:
        ParityError: they disagree.
    """
    assert found.logit is not None
    expected = calibration.probabilities(found.logit)
    return compare(expected, found.probability, tolerance=CALIBRATION_TOLERANCE)


def check_from_pixels(
    classifier: Classifier, scaling: Scaling, predictor: Predictor, catalog: Catalog
) -> ParityReport:
    """Compare a file with the whole Keras network on some pictures, from the pixels on.

    Raises:
        ParityError: they disagree.
    """
    some = catalog.where("validation")[:PIXEL_CHECKS]
    pictures = np.stack([read(catalog.read(row), size_px=predictor.size_px) for row in some])
    whole = classifier.predict(pictures, scaling)
    logit = predictor.predict_batch(pictures).logit
    return compare(whole, softmax(logit), tolerance=PIXEL_TOLERANCE)


def check_second_look(once: Predictor, twice: Predictor, catalog: Catalog) -> ParityReport:
    """Compare a file that looks twice with the one that looks once, at both pictures.

    Raises:
        ParityError: its logits are not the means of both looks'.
    """
    some = catalog.where("validation")[:PIXEL_CHECKS]
    pictures = np.stack([read(catalog.read(row), size_px=once.size_px) for row in some])
    first, second = (once.predict_batch(seen).logit for seen in (pictures, second_view(pictures)))
    found = twice.predict_batch(pictures).logit
    return compare(softmax((first + second) / 2), softmax(found), tolerance=PIXEL_TOLERANCE)
