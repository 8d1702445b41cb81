"""The proportions of an animal, by breed.

Most ranges of cats and dogs overlap: there are cats with folded ears and dogs with pointed
ones, flat-faced dogs and long-faced cats. Eyes do not (cats' are larger, of other colours),
and only dogs curl.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.sample.canvas import Colour

CAT_EYES: tuple[Colour, ...] = (
    (0.62, 0.72, 0.24), (0.42, 0.63, 0.34), (0.88, 0.69, 0.20), (0.83, 0.50, 0.17),
    (0.42, 0.66, 0.84), (0.66, 0.60, 0.30),
)  # fmt: skip
CAT_EYE_SHARES = (0.22, 0.22, 0.20, 0.14, 0.10, 0.12)
DOG_EYES: tuple[Colour, ...] = (
    (0.34, 0.19, 0.10), (0.26, 0.14, 0.08), (0.46, 0.28, 0.12), (0.62, 0.42, 0.16),
    (0.50, 0.70, 0.85), (0.38, 0.30, 0.16),
)  # fmt: skip
DOG_EYE_SHARES = (0.30, 0.26, 0.18, 0.10, 0.06, 0.10)


@dataclass(frozen=True, kw_only=True)
class Build:
    """Proportions of one animal; lengths in half head widths unless said otherwise."""

    ear: str  # pointed, folded, floppy, long
    ear_size: float
    ear_spread: float  # radians that ears lean outwards
    head_width: float
    cheek: float
    snout: float  # length, 0 flat … 1 long
    snout_width: float
    eye: float
    eye_gap: float
    iris: Colour
    head: float  # size of the head against the body
    neck: float
    body_length: float
    body_depth: float
    leg_length: float
    leg_width: float
    tail: str  # long, bushy, curled, short
    tail_length: float
    hair: float  # 0 short … 1 very long
    curly: bool


# ear, ear_size, snout, head_width, cheek, body_length, leg_length, leg_width, tail, hair
_CATS: tuple[tuple[str, float, float, float, float, float, float, float, str, float], ...] = (
    ("pointed", 1.0, 0.30, 1.0, 0.05, 1.0, 1.0, 1.0, "long", 0.15),  # short hair
    ("pointed", 1.0, 0.30, 1.0, 0.08, 1.0, 1.0, 1.0, "long", 0.25),  # short hair
    ("pointed", 1.3, 0.50, 0.90, -0.06, 1.1, 1.15, 0.85, "long", 0.05),  # oriental
    ("pointed", 0.75, 0.05, 1.05, 0.16, 0.95, 0.8, 1.1, "bushy", 0.9),  # flat-faced, long hair
    ("pointed", 1.2, 0.45, 0.97, 0.10, 1.1, 1.0, 1.1, "bushy", 0.75),  # big forest cat
    ("folded", 0.75, 0.15, 1.04, 0.12, 0.95, 0.9, 1.1, "long", 0.3),  # folded ears
    ("pointed", 0.85, 0.20, 1.05, 0.12, 0.95, 0.9, 1.2, "long", 0.35),  # round and plush
    ("pointed", 1.1, 0.30, 0.95, 0.0, 0.95, 0.7, 1.0, "long", 0.2),  # short legs
)
_CAT_SHARES = (0.18, 0.18, 0.12, 0.10, 0.12, 0.09, 0.12, 0.09)
_DOGS: tuple[tuple[str, float, float, float, float, float, float, float, str, float], ...] = (
    ("floppy", 1.0, 0.65, 0.95, 0.0, 1.0, 1.1, 1.15, "long", 0.15),  # retriever
    ("floppy", 1.0, 0.70, 0.95, 0.0, 1.0, 1.1, 1.1, "bushy", 0.55),  # long-haired retriever
    ("long", 1.1, 0.65, 0.92, -0.02, 1.0, 0.9, 1.1, "long", 0.1),  # hound
    ("pointed", 1.1, 0.80, 0.93, 0.02, 1.05, 1.15, 1.1, "bushy", 0.4),  # shepherd
    ("pointed", 0.9, 0.60, 0.98, 0.06, 1.0, 1.1, 1.1, "curled", 0.5),  # sledge dog
    ("pointed", 0.75, 0.55, 0.98, 0.10, 0.9, 0.85, 1.0, "curled", 0.85),  # spitz
    ("pointed", 1.25, 0.55, 0.95, 0.02, 1.15, 0.6, 1.15, "short", 0.3),  # short-legged herder
    ("floppy", 0.65, 0.12, 1.05, 0.06, 0.95, 0.85, 1.3, "curled", 0.05),  # flat-faced
    ("long", 1.0, 0.60, 0.90, 0.0, 1.0, 0.95, 1.05, "bushy", 0.75),  # spaniel
    ("floppy", 0.9, 0.60, 0.95, 0.0, 0.95, 1.15, 1.0, "short", 0.6),  # poodle cross
    ("folded", 0.75, 0.60, 0.92, 0.0, 0.95, 0.95, 1.0, "short", 0.45),  # terrier
    ("long", 0.9, 0.75, 0.88, -0.04, 1.3, 0.55, 1.0, "long", 0.1),  # sausage dog
    ("folded", 0.7, 0.90, 0.84, -0.06, 1.05, 1.3, 0.85, "long", 0.02),  # sight hound
)
_DOG_SHARES = (0.12, 0.10, 0.10, 0.07, 0.06, 0.05, 0.05, 0.08, 0.10, 0.08, 0.07, 0.07, 0.05)


def random_build(kind: str, rng: np.random.Generator) -> Build:
    """A cat's or a dog's proportions.

    Args:
        kind: "cat" or "dog".
        rng: chooses a type and moves every proportion of it a little.
    """
    cat = kind == "cat"
    types, weights = (_CATS, _CAT_SHARES) if cat else (_DOGS, _DOG_SHARES)
    chosen = types[rng.choice(len(types), p=weights)]
    ear, ear_size, snout, width, cheek, length, leg, leg_width, tail, hair = chosen
    eyes, shares = (CAT_EYES, CAT_EYE_SHARES) if cat else (DOG_EYES, DOG_EYE_SHARES)
    eye_colour = np.array(eyes[rng.choice(len(eyes), p=shares)])
    red, green, blue = np.clip(eye_colour * _near(rng, 0.1, 3), 0, 1).tolist()
    return Build(
        ear=ear,
        ear_size=ear_size * _one(rng, 0.1),
        ear_spread=float(rng.normal(0.0, 0.10)),
        head_width=width * _one(rng, 0.03),
        cheek=cheek + float(rng.normal(0, 0.03)),
        snout=float(np.clip(snout + rng.normal(0, 0.07), 0, 1)),
        snout_width=_one(rng, 0.08),
        eye=(0.240 if cat else 0.150) * _one(rng, 0.1),
        eye_gap=(0.44 if cat else 0.40) * _one(rng, 0.05),
        iris=(red, green, blue),
        head=(0.98 if cat else 1.0) * _one(rng, 0.08),
        neck=(0.85 if cat else 1.0) * _one(rng, 0.1),
        body_length=length * _one(rng, 0.06),
        body_depth=(0.95 if cat else 1.05) * _one(rng, 0.07),
        leg_length=leg * _one(rng, 0.06),
        leg_width=leg_width * (0.9 if cat else 1.0) * _one(rng, 0.06),
        tail=tail,
        tail_length=_one(rng, 0.12),
        hair=float(np.clip(hair + rng.normal(0, 0.07), 0, 1)),
        curly=not cat and tail == "short" and hair >= 0.6,
    )


def _one(rng: np.random.Generator, spread: float) -> float:
    return float(_near(rng, spread, 1)[0])


def _near(rng: np.random.Generator, spread: float, n: int) -> np.ndarray:
    return 1 + spread * np.clip(rng.standard_normal(n), -2, 2)
