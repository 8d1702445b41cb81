"""Base models side by side on somebody's own pictures: how good, how fast, how large.

One pass of the pictures through each frozen backbone, a linear probe on its features,
and the clock on the very file that would be shipped.

Two of them are recommended: the most accurate, and the fastest that is not significantly worse.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.copies.grouping import grouped_catalog
from pawsure.data.catalog import Catalog
from pawsure.data.sources import open_source
from pawsure.data.split import assign_splits
from pawsure.errors import DataError, MissingExtraError, UsageError, WeightsError
from pawsure.evaluation.headline import LEAST_TEST_PICTURES
from pawsure.evaluation.intervals import Interval, wilson
from pawsure.evaluation.metrics import correct, log_loss
from pawsure.evaluation.paired import compare_paired
from pawsure.export.model_file import write_model_file
from pawsure.features.extract import extract
from pawsure.features.prefix import POOLED
from pawsure.features.views import ORIGINAL, Rows
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.network.backbones import BACKBONES, find_backbone
from pawsure.network.build import build_backbone
from pawsure.network.prefixes import CutPrefix, export_prefix, find_prefix, prefix_key
from pawsure.network.recipe import HEAD, ModelRecipe, is_file
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.linear import LinearHead, fit_linear_head
from pawsure.training.model_graph import head_only_graph
from pawsure.training.recipe import Recipe, Stage, backbone_name, recipe_to_toml, with_backbone
from pawsure.training.run import train
from pawsure.wording import count

SIGNIFICANT = 0.05
"""A p-value below it: one base model is worse than another beyond chance."""

FASTER = 1.2
"""Times the speed of the most accurate from which on another backbone is recommended for speed."""

_SAMPLED_PICTURES = 96
"""Run where features are stored already, so that `seconds` are what they take from nothing."""

_TIMED_ROUNDS = 10
_TIMED_PICTURES = 32
"""Pictures a forward pass, as `predict` sends them."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one backbone came to.

    Attributes:
        backbone: its name in a recipe.
        title: its name for people.
        accuracy: of the linear probe on its features, on `Comparison.split`; in [0, 1].
        interval: for it (Wilson).
        behind: accuracy less that of the most accurate, 0 or below.
        p_value: of McNemar's test against the most accurate, on the same pictures.
        log_loss: of the head, before calibration.
        fine_tuned: accuracy after all stages of the recipe; None if it was not asked for.
        fine_tuned_interval: for it.
        fine_tuned_log_loss: the same file's, calibrated.
        fine_tuned_seconds: of the whole run, with the features stored.
        pictures_per_s: forward passes of the exported file on this machine, from pixels.
        size_mb: of the exported file, in 10^6 bytes.
        seconds: to decode all pictures, compute features and fit the head, with nothing stored.
        size_px: side of the pictures that it saw; 0: that of the comparison.
        is_unbeaten: no other is at least as good at both accuracy and speed and better at one.
        note: what went wrong with fine-tuning, if it did.
    """

    backbone: str
    title: str
    accuracy: float
    interval: Interval
    behind: float = 0.0
    p_value: float = 1.0
    log_loss: float
    fine_tuned: float | None = None
    fine_tuned_interval: Interval | None = None
    fine_tuned_log_loss: float | None = None
    fine_tuned_seconds: float | None = None
    pictures_per_s: float = 0.0
    size_mb: float
    seconds: float
    size_px: int = 0
    is_unbeaten: bool = False
    note: str = ""

    @property
    def best_accuracy(self) -> float:
        """What it is ranked by: fine-tuned where that was done."""
        return self.accuracy if self.fine_tuned is None else self.fine_tuned

    @property
    def best_interval(self) -> Interval:
        """For `best_accuracy`."""
        return self.fine_tuned_interval or self.interval

    @property
    def best_log_loss(self) -> float:
        """Of the network that `best_accuracy` is of."""
        return self.log_loss if self.fine_tuned_log_loss is None else self.fine_tuned_log_loss


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A backbone that could not take part, and why."""

    backbone: str
    title: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Backbones on the same pictures.

    Attributes:
        candidates: the most accurate first.
        skipped: those that could not take part.
        split: which pictures the accuracies are of.
        num_pictures: how many those are.
        num_train: how many were learned from.
        image_size: side of the pictures, in pixels.
    """

    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    split: str
    num_pictures: int
    num_train: int
    image_size: int

    @property
    def most_accurate(self) -> Candidate:
        """The first of `candidates`."""
        return self.candidates[0]

    @property
    def fastest(self) -> Candidate:
        """The fastest of those that are not significantly worse than the most accurate.

        One that is hardly faster than the most accurate is not worth its lower accuracy.
        """
        best = self.most_accurate
        able = [one for one in self.candidates if self.p_value(one) >= SIGNIFICANT]
        fast = max(able, key=lambda one: one.pictures_per_s)
        return fast if fast.pictures_per_s >= FASTER * best.pictures_per_s else best

    def p_value(self, one: Candidate) -> float:
        """How likely a gap to the most accurate as large as this one is by chance.

        Linear heads are compared on the same pictures (McNemar). Of fine-tuned networks only the
        shares are known: a test of two proportions, which misses small differences.
        """
        best = self.most_accurate
        if one is best:
            return 1.0
        if one.fine_tuned is None and best.fine_tuned is None:
            return one.p_value
        gap = best.best_accuracy - one.best_accuracy
        mean = (best.best_accuracy + one.best_accuracy) / 2
        error = math.sqrt(2 * mean * (1 - mean) / self.num_pictures)
        return math.erfc(gap / error / math.sqrt(2)) if error else 1.0

    def recommendation(self) -> str:
        """Which to take, and why, in a sentence or two."""
        best, fast = self.most_accurate, self.fastest
        if self.num_pictures < LEAST_TEST_PICTURES:
            return (
                f"No recommendation: {count(self.num_pictures, 'picture')} cannot tell base models "
                f"apart; at least {LEAST_TEST_PICTURES} are needed."
            )
        if len(self.candidates) == 1:
            return f"Only {best.backbone} was tried: accuracy {best.best_accuracy:.1%}."
        leads = f"{best.backbone} is the most accurate ({best.best_accuracy:.1%})"
        if fast is best:
            others = [self.p_value(one) for one in self.candidates[1:]]
            return f"Recommended: {leads}; " + (
                "all others are significantly less accurate."
                if max(others) < SIGNIFICANT
                else "no other that is about as accurate is faster."
            )
        times = fast.pictures_per_s / best.pictures_per_s
        points = 100 * (best.best_accuracy - fast.best_accuracy)
        return (
            f"Recommended for accuracy: {leads}. Recommended for speed: {fast.backbone} is "
            f"{times:.1f} times as fast, and {points:.1f} points less accurate, which may be "
            f"chance on {self.num_pictures:,} pictures (p = {self.p_value(fast):.2f}; log loss "
            f"{fast.best_log_loss:.3f} against {best.best_log_loss:.3f})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return {
            **asdict(self),
            "recommended": {
                "most_accurate": self.most_accurate.backbone,
                "fastest": self.fastest.backbone,
                "sentence": self.recommendation(),
            },
        }


def compare_backbones(
    data: str | Path,
    recipe: Recipe,
    *,
    backbones: Sequence[str] | None = None,
    fine_tune: bool = False,
    split: str = "validation",
    out: Path | None = None,
    labels: str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Comparison:
    """Try backbones on labelled pictures.

    Args:
        data: see `pawsure.data.sources.open_source`.
        recipe: its image size, weights, split and seed are taken; its stages to fine-tune.
        backbones: names, or ONNX files, which are taken at their own size; None takes all names
            there are.
        fine_tune: also run the stages of the recipe with each.
        split: "test" or "validation", what accuracy is measured on. The strength of the heads
            is chosen on validation, whose accuracies are a little too good for it; choosing a
            backbone by the test split makes its accuracy there a little too good.
        out: an existing folder for the runs of fine-tuning; None keeps none of them.
        labels: which folder names the label; see `pawsure.data.sources.open_source`.
        settings: what ONNX files do not say themselves, by the keys of a recipe's `model`.
        progress: told what happens.

    Raises:
        DataError: the pictures can't be trained on, or the split is empty.
        UsageError: no such backbone.
        WeightsError: none of them can be tried, for want of weights or of Keras.
    """
    wanted = list(dict.fromkeys(backbones or BACKBONES))
    titles = {name: _title(name) for name in wanted}  # unknown ones before minutes are spent
    catalog = _catalog(data, labels, recipe, split, progress)
    with tempfile.TemporaryDirectory(prefix="pawsure-compare-") as scratch:
        trial = _Trial(recipe, catalog, split, Path(scratch), progress, settings)
        probes: list[_Probe] = []
        skipped: list[Skipped] = []
        for name, title in titles.items():
            try:
                probes.append(trial.probe(name))
            except (WeightsError, MissingExtraError) as error:
                skipped.append(Skipped(backbone=name, title=title, reason=str(error)))
                progress.say(f"Skipped {title}.")
        if not probes:
            raise WeightsError(f"No backbone can be tried. {skipped[0].reason}")
        candidates = _timed(probes, progress)
    candidates = _against_the_best(candidates, probes)
    if fine_tune:
        candidates = [
            _fine_tuned(one, data, labels, recipe, split, out, progress, settings)
            for one in candidates
        ]
    return Comparison(
        candidates=_ranked(candidates),
        skipped=tuple(skipped),
        split=split,
        num_pictures=len(catalog.where(split)),
        num_train=len(catalog.where("train")),
        image_size=recipe.model.image_size,
    )


def _title(backbone: str) -> str:
    """Its name for people.

    Raises:
        UsageError: there is no such backbone.
    """
    return Path(backbone).name if is_file(backbone) else find_backbone(backbone).title


def _catalog(
    data: str | Path, labels: str | None, recipe: Recipe, split: str, progress: Progress
) -> Catalog:
    source = open_source(data, labels=labels, progress=progress)
    catalog = assign_splits(
        grouped_catalog(source, progress=progress).catalog,
        seed=recipe.seed,
        **asdict(recipe.split),
    )
    for needed in ("validation", split):
        if not len(catalog.where(needed)):
            raise DataError(
                f"There are too few pictures for a {needed} split: {catalog.source.name} has "
                f"{len(catalog.where())} that can be read. Add some."
            )
    return catalog


@dataclass(frozen=True, kw_only=True)
class _Probe:
    """A backbone that was tried, and what it takes to compare it."""

    candidate: Candidate
    right: np.ndarray
    predictor: Predictor


class _Trial:
    """What stays the same from one backbone to the next."""

    def __init__(
        self,
        recipe: Recipe,
        catalog: Catalog,
        split: str,
        scratch: Path,
        progress: Progress,
        settings: Mapping[str, Any] | None,
    ) -> None:
        self._recipe = recipe
        self._settings = settings
        self._catalog = catalog
        self._split = split
        self._scratch = scratch
        self._progress = progress
        self._written = 0
        self._vain = ""  # the backbone whose weights could not be fetched

    def probe(self, name: str) -> _Probe:
        """Extract, fit, write the model file.

        Raises:
            WeightsError: it can't take part.
        """
        model = replace(with_backbone(self._recipe.model, name, self._settings), head="softmax")
        self._check_size(model)
        prefix = self._prefix(model)
        seconds_a_picture = self._extract(prefix)
        started = time.perf_counter()
        head = self._head(prefix)
        label = self._labels(self._split)
        probability = head.probabilities(self._rows(prefix, self._split))
        seconds = time.perf_counter() - started
        right = correct(probability, label)
        file = self._write(model, prefix, head)
        predictor = Predictor(file)
        if seconds_a_picture is None:
            seconds_a_picture = self._sampled(predictor)
        seconds += seconds_a_picture * len(self._used())
        candidate = Candidate(
            backbone=name,
            title=_title(name),
            accuracy=float(right.mean()),
            interval=wilson(int(right.sum()), len(right)),
            log_loss=log_loss(probability, label),
            size_mb=file.stat().st_size / 1e6,
            seconds=round(seconds, 2),
            size_px=model.image_size,
        )
        self._progress.say(f"{candidate.title}: {candidate.accuracy:.1%} in {seconds:.1f} s.")
        return _Probe(candidate=candidate, right=right, predictor=predictor)

    def _check_size(self, model: ModelRecipe) -> None:
        if is_file(model.backbone):
            return  # it says so itself when it is run
        backbone = find_backbone(model.backbone)
        if model.image_size < backbone.least_size_px:
            raise WeightsError(
                f"{backbone.title} takes pictures of at least {backbone.least_size_px} pixels "
                f"a side; {model.image_size} were asked for."
            )

    def _prefix(self, model: ModelRecipe) -> CutPrefix:
        """The frozen backbone, exported unless an earlier run has done it."""
        seed = self._recipe.seed
        found = find_prefix(model, [HEAD], seed=seed)
        if found is not None:
            return found
        is_to_fetch = prefix_key(model, seed) is None
        if is_to_fetch and self._vain:
            raise WeightsError(
                f"Its ImageNet weights are not in Keras's cache, and fetching was not tried "
                f"again after it had failed for {self._vain}."
            )
        try:
            return export_prefix(
                model,
                [HEAD],
                lambda: build_backbone(
                    model.backbone, size_px=model.image_size, weights=model.weights, seed=seed
                ),
                seed=seed,
            )
        except WeightsError:
            if is_to_fetch:
                self._vain = model.backbone
            raise

    def _used(self) -> np.ndarray:
        """Rows of the catalog that features are needed of."""
        splits = dict.fromkeys(("train", "validation", self._split))
        return np.concatenate([self._catalog.where(split) for split in splits])

    def _extract(self, prefix: CutPrefix) -> float | None:
        """Store features; seconds a picture, or None where too few were computed to tell."""
        catalog, used = self._catalog, self._used()
        started = time.perf_counter()
        extraction = extract(
            catalog.read,
            catalog.content,
            used,
            prefix.prefix,
            [POOLED],
            progress=self._progress,
        )
        seconds = time.perf_counter() - started
        if extraction.problems:
            self._catalog = catalog.with_problems(extraction.problems)
        if extraction.computed < min(_SAMPLED_PICTURES, len(used)):
            return None
        return seconds / extraction.computed

    def _sampled(self, predictor: Predictor) -> float:
        """Seconds a picture, by running some of them as if nothing were stored."""
        used = self._used()
        some = used[:: max(1, len(used) // _SAMPLED_PICTURES)][:_SAMPLED_PICTURES]
        started = time.perf_counter()
        for _ in predictor.predict_series(self._catalog.read, some):
            pass
        return (time.perf_counter() - started) / len(some)

    def _head(self, prefix: CutPrefix) -> LinearHead:
        return fit_linear_head(
            self._rows(prefix, "train"),
            self._labels("train"),
            self._rows(prefix, "validation"),
            self._labels("validation"),
            num_labels=len(self._catalog.labels),
            seed=self._recipe.seed,
        )

    def _rows(self, prefix: CutPrefix, split: str) -> Rows:
        store = prefix.prefix.store(POOLED, ORIGINAL.name)
        return store.rows(self._catalog.content[self._catalog.where(split)])

    def _labels(self, split: str) -> np.ndarray:
        return np.asarray(self._catalog.label[self._catalog.where(split)])

    def _as_written(self, model: ModelRecipe) -> Recipe:
        """The recipe whose model this is: only the head was learned."""
        if not is_file(model.backbone):
            return replace(self._recipe, model=model)
        head = Stage(name="head", optimizer="logistic")
        return replace(self._recipe, model=model, stages=(head,))

    def _write(self, model: ModelRecipe, prefix: CutPrefix, head: LinearHead) -> Path:
        self._written += 1
        path = self._scratch / f"{self._written}.onnx"
        metadata = ModelMetadata(
            labels=self._catalog.labels,
            size_px=model.image_size,
            backbone=backbone_name(model),
            recipe=recipe_to_toml(self._as_written(model)),
            data_fingerprint=self._catalog.fingerprint,
        )
        write_model_file(head_only_graph(prefix.prefix, head), metadata, path)
        return path


def _timed(probes: Sequence[_Probe], progress: Progress) -> list[Candidate]:
    """Pictures a second, by the fastest of several rounds: all else is other work's doing.

    The rounds go through all backbones in turn, so that busy minutes fall on all alike.
    Source: the reasoning of Python's `timeit.Timer.repeat`.
    """
    rng = np.random.default_rng(0)
    pictures = {  # files as backbones may have sizes of their own
        size_px: rng.integers(0, 256, (_TIMED_PICTURES, size_px, size_px, 3), dtype=np.uint8)
        for size_px in {probe.predictor.size_px for probe in probes}
    }
    seconds: list[list[float]] = [[] for _ in probes]
    progress.start("Timing", (_TIMED_ROUNDS + 1) * len(probes), unit="batches")
    for turn in range(_TIMED_ROUNDS + 1):
        for probe, laps in zip(probes, seconds, strict=True):
            started = time.perf_counter()
            probe.predictor.predict_batch(pictures[probe.predictor.size_px])
            if turn:  # the first pass allocates
                laps.append(time.perf_counter() - started)
            progress.advance()
    progress.finish()
    return [
        replace(probe.candidate, pictures_per_s=_TIMED_PICTURES / min(laps))
        for probe, laps in zip(probes, seconds, strict=True)
    ]


def _against_the_best(candidates: Sequence[Candidate], probes: Sequence[_Probe]) -> list[Candidate]:
    _, best = max(
        zip(candidates, probes, strict=True),
        key=lambda pair: (pair[0].accuracy, pair[0].pictures_per_s),
    )
    compared = [compare_paired(best.right, probe.right) for probe in probes]
    return [
        replace(candidate, behind=paired.difference, p_value=paired.p_value)
        for candidate, paired in zip(candidates, compared, strict=True)
    ]


def _fine_tuned(
    candidate: Candidate,
    data: str | Path,
    labels: str | None,
    recipe: Recipe,
    split: str,
    out: Path | None,
    progress: Progress,
    settings: Mapping[str, Any] | None,
) -> Candidate:
    """All stages of the recipe with this backbone; what forbids it becomes a note."""
    progress.say(f"Fine-tuning {candidate.title}.")
    with tempfile.TemporaryDirectory(prefix="pawsure-compare-") as scratch:
        folder = (out or Path(scratch)) / Path(candidate.backbone).stem
        try:
            own = replace(recipe, model=with_backbone(recipe.model, candidate.backbone, settings))
            run = train(data, recipe=own, out=folder, labels=labels, progress=progress)
        except MissingExtraError:
            raise
        except UsageError as error:  # a stage that names a layer of another backbone
            return replace(candidate, note=str(error))
    accuracy = run.metrics[split]["accuracy"]
    return replace(
        candidate,
        fine_tuned=accuracy["value"],
        fine_tuned_interval=Interval(accuracy["low"], accuracy["high"]),
        fine_tuned_log_loss=run.metrics[split]["log_loss"]["value"],
        fine_tuned_seconds=run.metrics["seconds"]["all"],
    )


def _ranked(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The most accurate first, the faster of equals; those that nobody beats are marked."""
    marked = [
        replace(one, is_unbeaten=not any(_beats(other, one) for other in candidates))
        for one in candidates
    ]
    return tuple(sorted(marked, key=lambda one: (-one.best_accuracy, -one.pictures_per_s)))


def _beats(one: Candidate, other: Candidate) -> bool:
    """At least as good at both, and better at one (Pareto)."""
    ours = (one.best_accuracy, one.pictures_per_s)
    theirs = (other.best_accuracy, other.pictures_per_s)
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))
