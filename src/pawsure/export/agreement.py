"""Compare an export with its model file, picture by picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.loader import iter_batches
from pawsure.errors import DataError, ParityError
from pawsure.evaluation.measure import share_figure
from pawsure.evaluation.metrics import log_loss
from pawsure.evaluation.paired import compare_paired
from pawsure.model.predictor import BATCH_SIZE, Outputs, Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.rule import NEITHER, UNSURE, Thresholds, outcomes
from pawsure.wording import agreeing, count

Runtime = Callable[[np.ndarray], Outputs]
"""uint8 (N, S, S, 3) to the outputs of the graph, in the runtime of an export."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The difference between two runtimes on the same N pictures.

    Attributes:
        n: pictures compared.
        max_difference: the largest between any two probabilities, in [0, 1].
        mean_difference: the mean over pictures of the largest of each, in [0, 1].
        changed: pictures whose most probable label differs.
        acted_on: pictures whose answer differs: a label, "unsure" or "neither".
        max_changed: allowed share of changed labels.
    """

    n: int
    max_difference: float
    mean_difference: float
    changed: int
    acted_on: int
    max_changed: float

    @property
    def allowed(self) -> int:
        """How many labels may change, at least 1."""
        return max(1, int(self.max_changed * self.n))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "allowed": self.allowed}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The outputs of two runtimes for the same N pictures.

    Attributes:
        indices: int64 (N,), rows of the catalog.
        probability: float32 (N, K), twice: of the model file, and of the export.
        familiarity: float32 (N,), twice, or None twice.
        thresholds: of each.
    """

    indices: np.ndarray
    probability: tuple[np.ndarray, np.ndarray]
    familiarity: tuple[np.ndarray | None, np.ndarray | None]
    thresholds: tuple[Thresholds, Thresholds]

    def agreement(self, max_changed: float) -> Agreement:
        """Measure the differences.

        Raises:
            ParityError: more labels changed than allowed, or the export gives NaN.
        """
        before, after = self.probability
        gap = np.abs(before.astype(np.float64) - after).max(axis=1)
        if not np.isfinite(gap).all():
            raise ParityError(
                f"The export gives probabilities that are not finite for "
                f"{int((~np.isfinite(gap)).sum())} of {count(len(gap), 'picture')}. Nothing was "
                "written."
            )
        answers = [
            _answers(each, familiarity, thresholds)
            for each, familiarity, thresholds in zip(
                self.probability, self.familiarity, self.thresholds, strict=True
            )
        ]
        agreement = Agreement(
            n=len(gap),
            max_difference=float(gap.max()),
            mean_difference=float(gap.mean()),
            changed=int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
            acted_on=int((answers[0] != answers[1]).sum()),
            max_changed=max_changed,
        )
        if agreement.changed > agreement.allowed:
            raise ParityError(
                f"The export gives another label than the model file for {agreement.changed:,} of "
                f"{count(agreement.n, 'picture')} ({agreement.changed / agreement.n:.2%}); "
                f"{agreement.allowed:,} {agreeing(agreement.allowed, 'is', 'are')} allowed. "
                f"The largest probability difference is {agreement.max_difference:.3f}. "
                "Nothing was written. If that is acceptable, allow more with --max-changed."
            )
        return agreement

    def check_better(self, catalog: Catalog, labels: tuple[str, ...], split: str) -> None:
        """Check that the export has a lower log loss on a split, if that has pictures.

        Raises:
            ParityError: its log loss is not lower.
        """
        figures = self.accuracy(catalog, labels, split)
        if not figures:
            return
        before, after = figures["log_loss"]["before"], figures["log_loss"]["after"]
        if after >= before:
            raise ParityError(
                "Test-time augmentation is no better than the model file: log loss "
                f"{after:.4f}, before {before:.4f} ({count(figures['n'], f'{split} picture')}). "
                "Nothing was written. Keep the model file, which takes half the time."
            )

    def accuracy(self, catalog: Catalog, labels: tuple[str, ...], split: str) -> dict[str, Any]:
        """Accuracy of both on one split, paired; JSON-ready.

        Returns:
            "split", "n"; "before", "after": accuracy with its interval; "difference" with its
            paired interval; "only_before", "only_after": pictures that only one got right;
            "p_value" of McNemar's test; "log_loss": "before" and "after". Empty if there are no
            such pictures.
        """
        here = catalog.split[self.indices] == split
        if not here.any():
            return {}
        truth = columns_of(catalog, labels)[catalog.label[self.indices[here]]]
        before, after = (each[here].argmax(axis=1) == truth for each in self.probability)
        losses = [log_loss(each[here], truth) for each in self.probability]
        compared = compare_paired(before, after)
        return {
            "split": split,
            "n": len(truth),
            "before": share_figure(int(before.sum()), len(truth)),
            "after": share_figure(int(after.sum()), len(truth)),
            "difference": {
                "value": compared.difference,
                "low": compared.interval.low,
                "high": compared.interval.high,
            },
            "only_before": compared.only_first,
            "only_after": compared.only_second,
            "p_value": compared.p_value,
            "log_loss": dict(zip(("before", "after"), losses, strict=True)),
        }


def run_both(
    reference: Predictor,
    export: Runtime,
    thresholds: Thresholds,
    catalog: Catalog,
    rows: np.ndarray,
    *,
    progress: Progress = NO_PROGRESS,
) -> Pair:
    """Run pictures through a model file and its export.

    Args:
        reference: the model file.
        export: the export, in its own runtime.
        thresholds: of the export.
        catalog: where the pictures are.
        rows: int64, which of them.
        progress: told of every picture.

    Raises:
        DataError: none of them can be read.
    """
    indices, before, after = [], [], []
    progress.start("Comparing", len(rows))
    try:
        for batch in iter_batches(
            catalog.read, rows, size_px=reference.size_px, batch_size=BATCH_SIZE
        ):
            if len(batch):
                indices.append(batch.indices)
                before.append(reference.predict_batch(batch.pictures))
                after.append(export(batch.pictures))
            progress.advance(len(batch) + len(batch.problems))
    finally:
        progress.finish()
    if not indices:
        raise DataError(f"No picture of {catalog.source.name} can be read to compare with.")
    return Pair(
        indices=np.concatenate(indices),
        probability=(_joined(before, "probability"), _joined(after, "probability")),
        familiarity=(_familiarity(before), _familiarity(after)),
        thresholds=(reference.metadata.thresholds, thresholds),
    )


def columns_of(catalog: Catalog, labels: tuple[str, ...]) -> np.ndarray:
    """int64: for each label of a catalog, its index in a model's labels.

    Raises:
        DataError: a label is unknown to the model.
    """
    strange = [label for label in catalog.labels if label not in labels]
    if strange:
        raise DataError(
            f"The model knows the labels {', '.join(labels)}; the pictures of "
            f"{catalog.source.name} have {', '.join(strange)} too. Give its "
            "training data."
        )
    return np.array([labels.index(label) for label in catalog.labels], dtype=np.int64)


def _joined(outputs: list[Outputs], name: str) -> np.ndarray:
    return np.concatenate([getattr(each, name) for each in outputs])


def _familiarity(outputs: list[Outputs]) -> np.ndarray | None:
    return None if outputs[0].familiarity is None else _joined(outputs, "familiarity")


def _answers(
    probability: np.ndarray, familiarity: np.ndarray | None, thresholds: Thresholds
) -> np.ndarray:
    """int64 (N,): the label's column, -1 for "unsure", -2 for "neither"."""
    outcome = outcomes(probability, familiarity, thresholds)
    best = probability.argmax(axis=1)
    return np.where(outcome == NEITHER, -2, np.where(outcome == UNSURE, -1, best))
