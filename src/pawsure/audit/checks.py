"""What is looked for, and what it means."""

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
    Check("unreadable", "Unreadable", "can't be learned from", "0 or 1", LEAVE_OUT),
    Check("truncated", "Cut short", "the file ends before the picture does", "0 or 1", LEAVE_OUT),
    Check(
        "misnamed",
        "Misnamed",
        "of another format than its name says; read by what it is, but other tools may refuse it",
        "0 or 1",
        KEEP,
    ),
    Check("animated", "Animated", "only the first frame is seen", "0 or 1", LOOK),
    Check("tiny", "Tiny", "blown up, it teaches little", "1 - shorter side / 128", LOOK),
    Check("huge", "Huge", "takes seconds to read", "pixels / (pixels + 40 million)", KEEP),
    Check("blank", "Blank", "nothing can be learned from it", "1 - grey levels / 8", LEAVE_OUT),
    Check(
        "extreme_aspect",
        "Extreme aspect",
        "made square, it is distorted",
        "1 - 1.5 shorter / longer side",
        LOOK,
    ),
    Check(
        "exact_copy",
        "Exact copy",
        "the same file under several names; counts as one picture",
        "0 or 1",
        KEEP,
    ),
    Check(
        "near_copy",
        "Near-copy",
        "the same picture resized, recompressed, cropped, mirrored or recoloured",
        "correlation with the likest, once aligned",
        KEEP,
    ),
    Check(
        "leakage",
        "Leakage",
        "copies in more than one split: figures measured on them are too good",
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
        "Label looks wrong",
        "teaches the wrong thing, and is counted as a mistake where it is not one",
        "1 - probability of the label, from pictures that are no copies of it",
        LOOK,
    ),
    Check(
        "out_of_place",
        "Out of place",
        "far from all other pictures: perhaps of none of the labels",
        "1 - cosine to the fifth nearest picture",
        LOOK,
    ),
)

BY_NAME = {check.name: check for check in CHECKS}
