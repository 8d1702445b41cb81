"""Fur: palettes, patterns and markings, the same ones for cats and dogs.

Nothing here knows which animal wears the coat, so that neither colour nor pattern can
tell one from the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.sample.canvas import Colour, Field, mix, planes, smoothstep
from pawsure.sample.texture import cloudy_noise, smooth_noise

# base, dark companion, pale companion
PALETTES: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((0.80, 0.50, 0.25), (0.56, 0.29, 0.13), (0.98, 0.89, 0.76)),  # ginger
    ((0.55, 0.43, 0.31), (0.23, 0.17, 0.13), (0.87, 0.79, 0.67)),  # brown
    ((0.57, 0.57, 0.58), (0.27, 0.27, 0.30), (0.90, 0.90, 0.89)),  # grey
    ((0.46, 0.49, 0.54), (0.27, 0.30, 0.34), (0.81, 0.83, 0.86)),  # blue
    ((0.20, 0.19, 0.20), (0.09, 0.09, 0.10), (0.93, 0.92, 0.90)),  # black
    ((0.91, 0.83, 0.69), (0.67, 0.51, 0.34), (0.99, 0.96, 0.90)),  # cream
    ((0.93, 0.92, 0.90), (0.66, 0.62, 0.58), (0.99, 0.99, 0.98)),  # white
    ((0.40, 0.26, 0.18), (0.21, 0.13, 0.10), (0.80, 0.69, 0.56)),  # chocolate
    ((0.79, 0.68, 0.53), (0.28, 0.22, 0.19), (0.95, 0.89, 0.79)),  # fawn
    ((0.84, 0.65, 0.39), (0.60, 0.40, 0.19), (0.97, 0.89, 0.74)),  # golden
    ((0.60, 0.33, 0.19), (0.33, 0.16, 0.09), (0.93, 0.80, 0.66)),  # red brown
    ((0.76, 0.77, 0.79), (0.33, 0.34, 0.37), (0.97, 0.97, 0.98)),  # silver
)

PATTERNS = ("solid", "stripes", "patches", "points", "spots", "two-tone", "saddle", "mottled")
EXTREMITY = {"muzzle": 0.85, "ear": 0.95, "paw": 0.95, "leg": 0.7, "tail": 0.9, "head": 0.1}
PINK: Colour = (0.86, 0.58, 0.56)
DARK_SKIN: Colour = (0.16, 0.13, 0.13)


@dataclass(frozen=True, kw_only=True)
class Coat:
    """What the fur looks like, everywhere on one animal."""

    base: Colour
    dark: Colour
    pale: Colour
    pattern: str
    length: float  # of the hair, 0 short … 1 very long
    curly: bool
    pale_muzzle: float  # how much the pale companion shows there, 0…1
    pale_chest: float
    pale_paws: float
    blaze: float
    mask: float  # a dark face
    dark_ears: float
    skin: Colour  # nose and eyelids
    stripe_width: float
    stripe_depth: float
    seed: float

    def colour(self, role: str, x: Field, y: Field) -> Field:
        """Unlit colour of a part at the part's own coordinates.

        Args:
            role: body, head, muzzle, ear, leg, paw, tail or chest.
            x: float32, broadcasts with `y`; in head widths or thereabouts.
            y: float32.

        Returns:
            float32 (3, h, w), 0…1.
        """
        worn = self._pattern(role, x, y)
        coloured = worn * (1 + 0.10 * smooth_noise(x, y, size=0.5, seed=self.seed + 5))
        match role:
            case "leg" if self.pale_paws:
                return mix(coloured, self.pale, self.pale_paws * smoothstep(-0.7, -0.25, y))
            case "ear" if self.dark_ears:
                return mix(coloured, self.dark, self.dark_ears)
            case "muzzle" if self.pale_muzzle:
                return mix(coloured, self.pale, self.pale_muzzle)
            case "chest" if self.pale_chest:
                return mix(coloured, self.pale, self.pale_chest)
            case "paw" if self.pale_paws:
                return mix(coloured, self.pale, self.pale_paws)
        return coloured

    def _pattern(self, role: str, x: Field, y: Field) -> Field:
        base = planes(self.base)
        match self.pattern:
            case "stripes":
                return mix(base, self.dark, self.stripe_depth * self._stripes(role, x, y))
            case "patches":
                noise = cloudy_noise(x, y, size=1.1, seed=self.seed)
                return mix(self.pale, base, smoothstep(-0.06, 0.06, noise + 0.08))
            case "mottled":
                noise = cloudy_noise(x, y, size=0.6, seed=self.seed)
                return mix(base, self.dark, 0.85 * smoothstep(-0.1, 0.15, noise))
            case "spots":
                noise = smooth_noise(x, y, size=0.26, seed=self.seed)
                return mix(base, self.dark, 0.85 * smoothstep(0.42, 0.58, noise))
            case "points":
                amount = EXTREMITY.get(role, 0.0)
                noise = 0.12 * smooth_noise(x, y, size=0.6, seed=self.seed)
                return mix(self.pale, self.dark, np.clip(amount + noise, 0, 1))
            case "two-tone":
                if role not in ("body", "leg"):
                    return base
                ragged = y + 0.4 * cloudy_noise(x, y, size=1.0, seed=self.seed)
                return mix(base, self.pale, smoothstep(-1.2, -0.3, ragged))
            case "saddle":
                if role not in ("body", "tail"):
                    return base
                ragged = y + 0.4 * cloudy_noise(x, y, size=0.9, seed=self.seed)
                return mix(base, self.dark, 0.9 * smoothstep(-1.0, -1.5, ragged))
            case _:
                return base

    def _stripes(self, role: str, x: Field, y: Field) -> Field:
        bend = 0.30 * smooth_noise(x, y, size=0.7, seed=self.seed)
        width = self.stripe_width
        if role in ("leg", "tail"):
            phase = (y + x * 0.4 + 0.5 * bend) / (0.8 * width)
        elif role in ("head", "muzzle", "ear"):
            return self._face_stripes(x, y, bend)
        else:
            phase = (x + 0.25 * y + bend) / width
        wave = np.sin(np.float32(2 * np.pi) * phase)
        broken = smoothstep(-0.45, 0.35, smooth_noise(x, y, size=0.45, seed=self.seed + 9))
        return smoothstep(-0.2, 0.8, wave) * broken

    def _face_stripes(self, x: Field, y: Field, bend: Field) -> Field:
        """Lines up the forehead and across the cheeks, none on the muzzle."""
        side = np.abs(x)
        forehead = smoothstep(-0.18, -0.4, y) * smoothstep(0.62, 0.45, side)
        cheek = smoothstep(0.55, 0.72, side) * smoothstep(-0.25, 0.0, y)
        wave = np.float32(2 * np.pi / self.stripe_width)
        up = np.sin(wave / 0.62 * (side + 0.4 * bend) + 0.9)
        across = np.sin(wave / 0.75 * (y - 0.5 * side + 0.5 * bend))
        return smoothstep(0.0, 0.6, up) * forehead + smoothstep(0.1, 0.6, across) * cheek


def random_coat(rng: np.random.Generator, *, length: float, curly: bool) -> Coat:
    """A coat whose colours and pattern do not depend on the animal.

    Args:
        rng: decides everything but the build of the hair.
        length: of the hair, 0…1.
        curly: whether it curls, as a poodle's does.
    """
    base, dark, pale = PALETTES[rng.integers(len(PALETTES))]
    pattern = str(rng.choice(PATTERNS, p=(0.22, 0.16, 0.16, 0.1, 0.08, 0.11, 0.09, 0.08)))
    # Lighter or darker, warmer or cooler, hardly greener or pinker.
    shift = rng.normal(0, 0.03) + rng.normal(0, 0.02) * np.array([1.0, 0.1, -1.0])
    marked = rng.random(6) < (0.55, 0.5, 0.4, 0.3, 0.18, 0.3)
    strength = rng.uniform(0.5, 1.0, 6) * marked
    return Coat(
        base=_moved(base, shift),
        dark=_moved(dark, shift * 0.6),
        pale=_moved(pale, shift * 0.4),
        pattern=pattern,
        length=length,
        curly=curly,
        pale_muzzle=float(strength[0]),
        pale_chest=float(strength[1]),
        pale_paws=float(strength[2]),
        blaze=float(strength[3]) if pattern != "points" else 0.0,
        mask=float(strength[4]) if not marked[0] or pattern == "points" else 0.0,
        dark_ears=float(strength[5]) * 0.7,
        skin=PINK if rng.random() < 0.3 and sum(base) > 1.0 else DARK_SKIN,
        stripe_width=float(rng.uniform(0.20, 0.36)),
        # Strong stripes on nearly white fur would make a zebra of it.
        stripe_depth=float(rng.uniform(0.5, 0.8)) * (0.45 if min(base) > 0.7 else 1.0),
        seed=float(rng.uniform(0, 100)),
    )


def _moved(colour: Colour, shift: np.ndarray) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) + shift, 0.05, 0.99).tolist()
    return red, green, blue
