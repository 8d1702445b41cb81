"""The checks of the audit, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

LEAVE_OUT, LOOK, KEEP = "leave out", "look", "keep"


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong with a picture.

    Attributes:
        name: of its columns, `<name>` and `<name>_flag`.
        title: for people.
        meaning: for training.
        score: what the score in [0, 1] is.
        advice: for flagged pictures.
    """

    name: str
    title: str
    meaning: str
    score: str
    advice: str


CHECKS = (
    Check("unreadable", "Unreadable", "can't be used for training", "0 or 1", LEAVE_OUT),
    Check("truncated", "Truncated", "the file ends before the picture does", "0 or 1", LEAVE_OUT),
    Check(
        "misnamed",
        "Misnamed",
        "has the extension of another format; pawsure reads it, other tools may not",
        "0 or 1",
        KEEP,
    ),
    Check("animated", "Animated", "only the first frame is used", "0 or 1", LOOK),
    Check("tiny", "Tiny", "must be enlarged, so it teaches little", "1 - shorter side / 128", LOOK),
    Check("huge", "Huge", "takes seconds to read", "pixels / (pixels + 40 million)", KEEP),
    Check("blank", "Blank", "nothing can be learned from it", "1 - grey levels / 8", LEAVE_OUT),
    Check(
        "extreme_aspect",
        "Extreme aspect",
        "gets distorted when made square",
        "1 - 1.5 shorter / longer side",
        LOOK,
    ),
    Check(
        "exact_copy",
        "Exact copy",
        "the same file several times; counts as one picture",
        "0 or 1",
        KEEP,
    ),
    Check(
        "near_copy",
        "Near-copy",
        "the same picture resized, recompressed, cropped, mirrored or recoloured",
        "correlation with the most similar picture, once aligned",
        KEEP,
    ),
    Check(
        "leakage",
        "Leakage",
        "copies in more than one split: held-out figures are too good",
        "0 or 1",
        KEEP,
    ),
    Check(
        "conflicting_copy",
        "One file under different labels",
        "at least one of the labels is wrong",
        "0 or 1",
        LEAVE_OUT,
    ),
    Check(
        "conflicting_near_copy",
        "Near-copies with different labels",
        "a label is wrong, or the labels differ by a detail of the picture",
        "0 or 1",
        LOOK,
    ),
    Check(
        "wrong_label",
        "Wrong label",
        "held-out classifiers disagree with the label; check it",
        "1 - probability of the label by classifiers that saw no copy of it",
        LOOK,
    ),
    Check(
        "out_of_place",
        "Outlier",
        "far from all other pictures; may show none of the labels",
        "1 - cosine to the fifth nearest picture",
        LOOK,
    ),
)

BY_NAME = {check.name: check for check in CHECKS}
