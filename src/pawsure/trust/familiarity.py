"""The out-of-distribution score: how like the training pictures a picture is, from its embedding.

Two parts, each in units of its spread over held-out pictures, add up:

- **likeness**: how much nearer the embedding, scaled to length 1, lies to the nearest label of the
  training pictures than to ordinary pictures (the *background*): the difference of squared
  distances where labels are narrow, their ratio where they are broad. Without a background, how
  near it lies to the nearest label.
- **classes**: what the pretrained classifier says; see `pawsure.trust.profiles` for narrow labels
  and `pawsure.trust.log_odds` for broad ones.

What comes out is a share: 0.05 means that 5% of held-out pictures, changed at random as other
people's pictures differ, score lower. Every training folder is of one source; a score that only
knows it takes another source for another thing. Pictures that were changed show how far the score
may fall for a picture that still shows the same thing.

Examples of other pictures become a background too. A detector that is taught to tell them from
the training pictures would learn their source: on MobileNetV2, shown 24 classes of Caltech-101, one
refused 18% of cats and dogs from another source; the same examples as a background refuse 2.7%.

Source: relative distance: Ren et al. 2021, arXiv:2106.09022; labels: see `pawsure.trust.gaussian`;
length 1: Müller and Hein 2025,
"Mahalanobis++", arXiv:2505.18032; accepting another style while refusing another kind: Yang et al.
2023, arXiv:2204.05306.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pawsure.trust.gaussian import (
    MOST_DIRECTIONS,
    Gaussian,
    LabelGaussians,
    checked,
    fit_gaussian,
    fit_labels,
)
from pawsure.trust.log_odds import CompactClassifier, LogOdds
from pawsure.trust.profiles import Profiles, classifier_score

NUM_FOLDS = 5
"""Of kinds of examples."""

NUM_HELD_OUT_FOLDS = 10
"""Of training pictures, where there are few for validation."""

MANY = 400
"""Training pictures from which on three folds do: a third less hardly moves their Gaussian."""

LEAST_SEEN = 8
"""Validation pictures that the spread of a part is measured on; below, training pictures have to
do."""

JUDGED_AT = 0.05
"""Share of held-out pictures refused when backgrounds are compared."""

MOST_KNOTS = 128

LEAST = 1e-6
"""Added to a squared distance before its logarithm: what float32 leaves of a distance of 1."""

_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """Embeddings to familiarity.

    Attributes:
        own: Gaussians of the labels of the training pictures.
        backgrounds: Gaussians of ordinary pictures; the nearest counts. Empty: there are none.
        classes: what the pretrained classifier says; None: there is none for this embedding.
        weights: what the likeness and the classes are multiplied by.
        knots: float32 (Q,), rising: scores.
        shares: float32 (Q,), rising from 0 to 1: familiarity at each; linear in between.
    """

    own: LabelGaussians
    backgrounds: tuple[Gaussian, ...] = ()
    classes: LogOdds | Profiles | None = None
    weights: tuple[float, float] = (1.0, 0.0)
    knots: np.ndarray = field(default_factory=lambda: np.array([0, 1], np.float32))
    shares: np.ndarray = field(default_factory=lambda: np.array([0, 1], np.float32))

    def parts(self, embedding: np.ndarray) -> list[np.ndarray]:
        """Likeness and classes, each float64 (N,), before weights; 0 for no part."""
        features = unit_length(embedding)
        nearest = None
        if self.backgrounds:
            nearest = np.min([each.distance(features) for each in self.backgrounds], axis=0)
        likeness = self.likeness(self.own.distance(features), nearest)
        classes = self.classes
        return [likeness, np.zeros(len(features)) if classes is None else classes.score(embedding)]

    @property
    def is_ratio(self) -> bool:
        """Whether distances are compared by their ratio, as suits broad labels with log odds.

        Far out, in another source, both distances grow alike; a ratio bears that better. Of cats
        and dogs by EfficientNet-Lite2, 2.9% instead of 4.7% of other pictures pass where 2.0% of
        Oxford-IIIT Pet are refused.
        """
        return isinstance(self.classes, LogOdds)

    def likeness(self, own: np.ndarray, background: np.ndarray | None) -> np.ndarray:
        """Squared distances to the nearest label and to the background, (N,), as one number."""
        if self.is_ratio:
            own = np.log(own.clip(0) + LEAST)
            background = None if background is None else np.log(background + LEAST)
        return -own if background is None else background - own

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Float64 (N,): higher is more familiar, in no unit."""
        return np.asarray(np.tensordot(self.weights, self.parts(embedding), 1))

    def __call__(self, embedding: np.ndarray) -> np.ndarray:
        """Float64 (N,), in [0, 1]: share of changed held-out pictures that are less familiar."""
        return np.interp(self.score(embedding), self.knots, self.shares)

    @property
    def classes_by(self) -> str | None:
        """How the pretrained classifier is used: "profiles", "odds" or not at all."""
        if self.classes is None:
            return None
        return "profiles" if isinstance(self.classes, Profiles) else "odds"

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        return (
            self.own.num_bytes
            + sum(gaussian.num_bytes for gaussian in self.backgrounds)
            + (0 if self.classes is None else self.classes.num_bytes)
            + self.knots.nbytes
            + self.shares.nbytes
        )


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a score may build on beside the training pictures.

    Attributes:
        backgrounds: Gaussians of ordinary pictures, embeddings of length 1.
        within: covariance within kinds of ordinary pictures; None: it is not known.
        classifier: of the pretrained network, on these very embeddings.
        num_directions: of the training pictures' Gaussian, at most; fewer make a smaller file.
    """

    backgrounds: tuple[Gaussian, ...] = ()
    within: Gaussian | None = None
    classifier: CompactClassifier | None = None
    num_directions: int = MOST_DIRECTIONS


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What shares are of.

    Attributes:
        validation: float (V, F), embeddings of validation pictures, changed any number of times or
            as they are.
        training: float (T, F), of training pictures, for small sets; None: none.
        of: int (T,), which training picture each is of.
    """

    validation: np.ndarray
    training: np.ndarray | None = None
    of: np.ndarray | None = None


def unit_length(embedding: np.ndarray) -> np.ndarray:
    """Each row of (N, F) scaled to length 1, as float64.

    How strongly a picture excites the network says little about what it shows.
    """
    embedding = np.asarray(embedding, np.float64)
    return embedding / (np.linalg.norm(embedding, axis=1, keepdims=True) + _TINY)


def fit_familiarity(
    embedding: np.ndarray,
    held_out: HeldOut,
    known: Known | None = None,
    *,
    label: np.ndarray | None = None,
    others: np.ndarray | None = None,
    kinds: np.ndarray | None = None,
) -> Familiarity:
    """Fit everything.

    Args:
        embedding: float (N, F), of training pictures.
        label: int (N,), of the same; None: all have the same.
        held_out: what shares are of.
        known: what there is beside the training pictures.
        others: float (S, F), examples of pictures that are none of the labels.
        kinds: (S,), what kind of thing each example is, such as the folder it lies in: examples
            of one kind are held out together when it is judged whether they help.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    embedding = checked(embedding, least=2)
    validation = checked(held_out.validation, least=0)
    known = known or Known()
    label = np.zeros(len(embedding), np.int64) if label is None else np.asarray(label)
    found = _parts(embedding, label, known)
    seen = validation if len(validation) >= LEAST_SEEN else embedding
    if others is not None and len(others) >= 2:
        found = _with_examples(found, seen, checked(others, least=2), kinds)
    parts = np.stack(found.parts(validation))
    if held_out.training is not None and held_out.of is not None:
        more = _cross_validated(found, embedding, label, known, held_out.training, held_out.of)
        parts = np.concatenate([parts, more], axis=1)
    weights = _weights(parts, found)
    knots, shares = shares_of(np.tensordot(weights, parts, 1))
    return replace(found, weights=weights, knots=knots, shares=shares)


def _parts(embedding: np.ndarray, label: np.ndarray, known: Known) -> Familiarity:
    """Without weights and shares."""
    classifier = known.classifier
    return Familiarity(
        own=_own(embedding, label, known),
        backgrounds=known.backgrounds,
        classes=None if classifier is None else classifier_score(classifier, embedding, label),
    )


def _own(embedding: np.ndarray, label: np.ndarray, known: Known) -> LabelGaussians:
    return fit_labels(
        unit_length(embedding),
        label,
        prior=known.within,
        background=_first(known.backgrounds),
        most_directions=known.num_directions,
    )


def _first(backgrounds: tuple[Gaussian, ...]) -> Gaussian | None:
    """The background that all other Gaussians are smoothed like."""
    return backgrounds[0] if backgrounds else None


def _weights(parts: Sequence[np.ndarray] | np.ndarray, found: Familiarity) -> tuple[float, float]:
    """One over the standard deviation of each part; 0 for no part."""
    likeness, classes = (
        1 / each if (each := float(np.std(part))) > _TINY else 1.0 for part in parts
    )
    return likeness, classes if found.classes else 0.0


def _with_examples(
    plain: Familiarity, seen: np.ndarray, others: np.ndarray, kinds: np.ndarray | None
) -> Familiarity:
    """Take the examples for a further background, unless more of other kinds pass with it.

    Kinds are held out in turn, and thresholds set on held-out pictures of the labels. A background
    also keeps real pictures from elsewhere, so it has to be worse beyond noise to be left out.
    """
    strange, familiar = unit_length(others), unit_length(seen)
    first = _first(plain.backgrounds)
    fold = _folds(kinds if kinds is not None else np.arange(len(others)))
    here, there = plain.parts(seen), plain.parts(others)
    if plain.backgrounds:
        nearest = [
            np.min([each.distance(features) for each in plain.backgrounds], axis=0)
            for features in (familiar, strange)
        ]
    else:
        nearest = [np.full(len(familiar), np.inf), np.full(len(strange), np.inf)]
    own = [plain.own.distance(features) for features in (familiar, strange)]

    def passing(likeness: list[np.ndarray], hidden: np.ndarray) -> int:
        """Of hidden examples, by both parts on one scale."""
        weights = _weights([likeness[0], here[1]], plain)
        score, limit_of = (
            weights[0] * part + weights[1] * classes
            for part, classes in zip(likeness[::-1], (there[1], here[1]), strict=True)
        )
        return int((score[hidden] >= np.quantile(limit_of, JUDGED_AT)).sum())

    with_them = without = 0
    for number in range(fold.max() + 1):
        shown, hidden = fold != number, fold == number
        if shown.sum() < 2 or not hidden.any():
            continue
        tried = fit_gaussian(strange[shown], background=first)
        relative = [
            plain.likeness(mine, np.minimum(known, tried.distance(features)))
            for mine, known, features in zip(own, nearest, (familiar, strange), strict=True)
        ]
        with_them += passing(relative, hidden)
        without += passing([here[0], there[0]], hidden)
    if with_them > without + np.sqrt(without + 1):
        return plain
    further = fit_gaussian(strange, background=first)
    return replace(plain, backgrounds=(*plain.backgrounds, further))


def _cross_validated(
    found: Familiarity,
    embedding: np.ndarray,
    label: np.ndarray,
    known: Known,
    changed: np.ndarray,
    of: np.ndarray,
) -> np.ndarray:
    """Parts, float64 (2, T), of versions of training pictures by what the others taught.

    Beside what few pictures give, a Gaussian of nine tenths of them lies closer to those than to
    the tenth; the scores are a little low, and so is the threshold on them.
    """
    parts = np.zeros((2, len(changed)))
    num_folds = NUM_HELD_OUT_FOLDS if len(embedding) < MANY else 3
    fold = np.arange(len(embedding)) % min(num_folds, len(embedding))
    for number in range(fold.max() + 1):
        rest, its_label = embedding[fold != number], label[fold != number]
        if len(rest) < 2:
            continue
        classes = found.classes
        fitted = replace(
            found,
            own=_own(rest, its_label, known),
            classes=None if classes is None else classes.fitted(rest, its_label),
        )
        here = fold[of] == number
        parts[:, here] = fitted.parts(changed[here])
    return parts


def auroc(familiar: np.ndarray, strange: np.ndarray) -> float:
    """How often a familiar picture scores above a strange one; ties count half.

    Args:
        familiar: float (N,), N at least 1.
        strange: float (S,), S at least 1.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic curve", Radiology 143(1).
    """
    ordered = np.sort(familiar)
    below = np.searchsorted(ordered, strange, side="left")
    up_to = np.searchsorted(ordered, strange, side="right")
    return float(1 - (below + up_to).mean() / 2 / len(ordered))


def shares_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots and shares of a curve through held-out scores.

    Of n scores in order the i-th has the share i / (n + 1). Below the lowest a long last piece
    keeps the order of other pictures among each other.
    """
    scores = np.sort(scores)
    n = len(scores)
    spread = float(np.median(scores) - scores[0]) or 1.0
    picked = np.unique(
        np.concatenate([np.arange(min(n, 32)), np.linspace(0, n - 1, MOST_KNOTS - 34).round()])
    ).astype(int)
    knots = np.concatenate(
        [[scores[0] - 8 * spread], scores[picked], [scores[-1] + spread]]
    ).astype(np.float32)
    shares = np.concatenate([[0.0], (picked + 1) / (n + 1), [1.0]]).astype(np.float32)
    # Equal scores get the highest of their shares.
    kept = np.append(np.diff(knots) > 0, True)
    kept[0] = True
    knots, shares = knots[kept], shares[kept]
    shares[0] = 0.0
    return knots, shares


def _folds(kinds: np.ndarray) -> np.ndarray:
    """Int64 (S,): examples of one kind in one fold, kinds in turn; of a single kind, each."""
    found, place = np.unique(np.asarray(kinds), return_inverse=True)
    if len(found) == 1:
        place = np.arange(len(place))
    return np.asarray(place % NUM_FOLDS, dtype=np.int64)
