"""How pixels become a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scaling:
    """How pixels (0 to 255, RGB) become a network's input: `pixel * scale + offset`.

    Attributes:
        scale: one factor for each of R, G, B.
        offset: what is added after it, for each of R, G, B.
    """

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def __call__(self, pictures: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Scale pictures in float32, as the exported graph does.

        Args:
            pictures: uint8 or float (…, 3), RGB in [0, 255].

        Returns:
            float32 of the same shape.
        """
        scale = np.asarray(self.scale, dtype=np.float32)
        offset = np.asarray(self.offset, dtype=np.float32)
        scaled = np.asarray(pictures, dtype=np.float32) * scale + offset
        return np.asarray(scaled, dtype=np.float32)


def standardised(mean: Sequence[float], deviation: Sequence[float]) -> Scaling:
    """Scaling to (pixel / 255 - mean) / deviation, for each of R, G, B."""
    scale = [1 / (255 * each) for each in deviation]
    offset = [-middle / each for middle, each in zip(mean, deviation, strict=True)]
    return Scaling((scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2]))
