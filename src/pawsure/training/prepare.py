"""Before anything is trained: the catalog with its splits, checked, and the OOD pictures."""

from __future__ import annotations

import sys
import threading
from dataclasses import asdict, dataclass
from types import TracebackType

from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.leakage import refuse_leakage
from pawsure.copies.summary import AuditSummary, summarise
from pawsure.data.catalog import Catalog
from pawsure.data.entries import Source
from pawsure.data.split import assign_splits
from pawsure.errors import DataError
from pawsure.training.ood import OodPictures, find_ood
from pawsure.training.recipe import Recipe
from pawsure.training.run_log import RunLog
from pawsure.training.teacher import teacher_prefix


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The data of a run.

    Attributes:
        source: where the pictures come from.
        catalog: with splits and groups of copies.
        audit: what was noticed about the pictures.
        ood: examples of "neither", if any.
    """

    source: Source
    catalog: Catalog
    audit: AuditSummary
    ood: OodPictures | None


def prepare(source: Source, recipe: Recipe, *, strict: bool, log: RunLog) -> Prepared:
    """Read every picture once, group copies, draw splits and check that they fit the recipe.

    Raises:
        DataError: the pictures don't fit the recipe, or leak and `strict` is set.
        RecipeError: a teacher knows other labels.
    """
    with log.timed("catalog"):
        grouped = grouped_catalog(source, progress=log.progress)
    labels = grouped.catalog.labels
    for line in grouped.catalog.problem_lines():
        log.warn(line)
    if recipe.model.head == "sigmoid" and len(labels) != 2:
        raise DataError(
            f"The data have {len(labels)} labels ({', '.join(labels)}); a sigmoid head is for "
            "two. Use --recipe default, or --set head=softmax."
        )
    catalog = assign_splits(grouped.catalog, seed=recipe.seed, **asdict(recipe.split))
    audit = summarise(grouped, catalog)
    warnings = audit.warnings()
    for sentence in audit.sentences():
        (log.warn if sentence in warnings else log.say)(sentence)
    if strict:
        refuse_leakage(audit.leakage, data=source.name)
    for stage in recipe.stages:
        if stage.teacher:
            teacher_prefix(stage.teacher, labels)  # fails early
    return Prepared(source=source, catalog=catalog, audit=audit, ood=_ood(recipe, catalog, log))


def _ood(recipe: Recipe, catalog: Catalog, log: RunLog) -> OodPictures | None:
    if not recipe.trust.neither:
        return None
    ood = find_ood(recipe.trust.neither, catalog, seed=recipe.seed, test=recipe.split.test)
    for path, reason in ood.problems.items():
        log.warn(f"Left out {path}: {reason}")
    return ood


class KerasImport:
    """Imports Keras, which takes seconds, in a thread while pictures are read.

    Args:
        wanted: whether the run needs Keras.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._thread: threading.Thread | None = None
        if wanted and "keras" not in sys.modules:
            self._thread = threading.Thread(target=self._import, daemon=True)
            self._thread.start()

    def __enter__(self) -> KerasImport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A process that ends in the middle of TensorFlow's import may crash on exit.
        self.wait_if(kind is not None)

    def wait_if(self, needed: bool) -> None:
        """Wait for the import to end, if it is needed now."""
        if needed and self._thread is not None:
            self._thread.join()

    def _import(self) -> None:
        try:
            from pawsure.network.framework import keras  # noqa: F401
        except ImportError:
            return  # whoever needs it imports it again and gets the error
