"""Usual names of folders of splits."""

from __future__ import annotations

import re

UNLABELLED = "unlabelled"
"""Pictures to be predicted, as contests have them."""

_SPLITS = {
    "train": {"train", "training", "trn", "trainval"},
    "validation": {"val", "valid", "validation", "validate", "dev"},
    "test": {"test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"},
    UNLABELLED: {"pred", "predict", "prediction", "predictions", "unlabelled", "unlabeled"},
}

_COMPANIONS = frozenset(
    """
    set sets data dataset seg split folder dir images image imgs img pictures picture pics pic
    photos photo samples files final all
    """.split()  # noqa: SIM905
)
"""Words beside that of a split: `training_set`, `seg_train`, `Test Images`."""

_WORDS = re.compile(r"[^\W\d_]+")
_TWO_WORDS = re.compile(r"(?<![^\W_])(train|hold|held)[-_ ]+(val|out)(?![^\W_])")


def split_named(name: str) -> str | None:
    """The split that a word or the name of a folder stands for; None if it does not.

    Case does not count, nor do digits, nor `-`, `_`, dots and blanks between words.

    Example:
        >>> split_named("Valid"), split_named("test1"), split_named("training_set")
        ('validation', 'test', 'train')
        >>> split_named("cats"), split_named("train_cats")
        (None, None)
    """
    found = meaning(name)
    return None if found == UNLABELLED else found


def meaning(name: str) -> str | None:
    """The same, or `UNLABELLED` for a folder of pictures that nobody has labelled."""
    lowered = _TWO_WORDS.sub(r"\1\2", name.lower())
    words = [_plain(word) for word in _WORDS.findall(lowered)]
    words = [word for word in words if word not in _COMPANIONS]
    if len(words) != 1:
        return None
    return next((split for split, spellings in _SPLITS.items() if words[0] in spellings), None)


def _plain(word: str) -> str:
    """`trainset` and `testdata` are `train` and `test`."""
    for end in ("dataset", "data", "set", "images", "imgs"):
        stem = word.removesuffix(end)
        if stem != word and any(stem in spellings for spellings in _SPLITS.values()):
            return stem
    return word
