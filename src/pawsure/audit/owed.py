"""How much copies across splits raise the measured accuracy."""

from __future__ import annotations

import numpy as np

from pawsure.audit.labels import judge, root_mean_square, scaled
from pawsure.copies.leakage import HELD_OUT, Leakage, Owed
from pawsure.data.catalog import Catalog
from pawsure.data.threads import one_thread_a_product
from pawsure.evaluation import logistic
from pawsure.features.views import Rows

_PENALTY = 0.1  # see `pawsure.audit.labels.PENALTIES`


def accuracy_owed(
    catalog: Catalog, leakage: Leakage, embeddings: Rows, place: np.ndarray
) -> list[Owed]:
    """Measure each held-out split twice: trained with and without the copies of its pictures.

    Args:
        catalog: with splits.
        leakage: of the catalog.
        embeddings: float (M, F).
        place: int64 (N,), the index of each picture's embedding; -1 for none.
    """
    effects = []
    train = _having(catalog.where("train"), place)
    scale = root_mean_square(embeddings)
    leaky_groups = catalog.group[leakage.rows]
    clean = train[~np.isin(catalog.group[train], leaky_groups)]
    if not len(leakage.rows) or len(set(catalog.label[clean].tolist())) < 2:
        return []
    with one_thread_a_product():
        weights_of = {}
        for name, rows in (("with", train), ("without", clean)):
            weights_of[name] = logistic.fit(
                scaled(embeddings, place[rows], scale),
                catalog.label[rows],
                num_labels=len(catalog.labels),
                penalty=_PENALTY,
            )
        for split in HELD_OUT:
            rows = _having(catalog.where(split), place)
            if not leakage.leaked[split]:
                continue
            right = {
                name: judge(embeddings, place[rows], weights, scale).argmax(axis=1)
                == catalog.label[rows]
                for name, weights in weights_of.items()
            }
            leaked = np.isin(rows, leakage.rows)
            effects.append(
                Owed(
                    split=split,
                    with_copies=float(right["with"].mean()),
                    without_copies=float(right["without"].mean()),
                    at_most=float((leaked & ~right["without"]).mean()),
                )
            )
    return effects


def _having(rows: np.ndarray, place: np.ndarray) -> np.ndarray:
    return rows[place[rows] >= 0]
