"""The checks that a model file must pass before it gets its name.

Each compares the file, run through the public predictor, with what was trained, and raises
`ParityError` if they disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.images import read
from pawsure.evaluation.evaluate import SeriesPredictor, predict
from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.metrics import softmax
from pawsure.export.parity import ParityReport, compare
from pawsure.graph.tta import second_view
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.calibration import Calibration

if TYPE_CHECKING:
    from pawsure.graph.scaling import Scaling
    from pawsure.network.classifier import Classifier

PIXEL_CHECKS = 16
"""Pictures that are also sent through the whole of Keras, pixels to probabilities."""

PIXEL_TOLERANCE = 1e-3
"""The same float32 network in two runtimes: measured differences stay below 1e-4."""

CALIBRATION_TOLERANCE = 1e-4
"""Between the graph and NumPy: float32 against float64, measured below 1e-6."""

STORED_TOLERANCE = 0.02
"""Keras saw features that were stored as float16, the file sees pixels: a rounding of 2^-11
in every feature moves a probability near one half by up to about 0.01."""


def check_against_stored(
    predictor: SeriesPredictor,
    catalog: Catalog,
    expected: np.ndarray,
    *,
    progress: Progress = NO_PROGRESS,
) -> tuple[Predictions, ParityReport]:
    """Compare a file with the probabilities of the trained network on validation.

    The logits of the file are compared: the network has no calibration.

    Args:
        predictor: the file.
        catalog: its validation pictures are run from their bytes.
        expected: float (M, K), probabilities by the network, in the order of
            `catalog.where("validation")`.
        progress: told of every picture.

    Raises:
        ParityError: they disagree.
    """
    predictions = predict(predictor, catalog, split="validation", progress=progress)
    assert predictions.logit is not None
    report = compare(expected, softmax(predictions.logit), tolerance=STORED_TOLERANCE)
    return predictions, report


def check_calibration(calibration: Calibration, predictions: Predictions) -> ParityReport:
    """Compare the probabilities of a file with those of the fitted calibration.

    Raises:
        ParityError: they disagree.
    """
    assert predictions.logit is not None
    expected = calibration.probabilities(predictions.logit)
    return compare(expected, predictions.probability, tolerance=CALIBRATION_TOLERANCE)


def check_from_pixels(
    classifier: Classifier, scaling: Scaling, predictor: Predictor, catalog: Catalog
) -> ParityReport:
    """Compare a file with the whole Keras network on some pictures, from pixels.

    Raises:
        ParityError: they disagree.
    """
    pictures = _pictures(catalog, predictor.size_px)
    whole = classifier.predict(pictures, scaling)
    return compare(whole, _probability(predictor, pictures), tolerance=PIXEL_TOLERANCE)


def check_tta(plain: Predictor, augmented: Predictor, catalog: Catalog) -> ParityReport:
    """Compare a file with test-time augmentation with the plain one on both views.

    Raises:
        ParityError: its logits are not the means of those of the two views.
    """
    pictures = _pictures(catalog, plain.size_px)
    views = (pictures, second_view(pictures))
    mean = sum(plain.predict_batch(view).logit for view in views) / 2
    return compare(
        softmax(np.asarray(mean)), _probability(augmented, pictures), tolerance=PIXEL_TOLERANCE
    )


def _pictures(catalog: Catalog, size_px: int) -> np.ndarray:
    """Some validation pictures: uint8 (N, S, S, 3)."""
    some = catalog.where("validation")[:PIXEL_CHECKS]
    return np.stack([read(catalog.read(index), size_px=size_px) for index in some])


def _probability(predictor: Predictor, pictures: np.ndarray) -> np.ndarray:
    return softmax(predictor.predict_batch(pictures).logit)
