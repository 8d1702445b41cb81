"""Draw a few pictures that no training has seen, for `pawsure predict` to answer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pawsure.sample import draw_picture

# The sample set is drawn from seed 0; this one is never trained on.
SEED = 2024
PICTURES_PER_KIND = 3
WIDTH_AND_HEIGHT_PX = (320, 240)


def main(folder: Path) -> None:
    """Write cat-1.jpg, dog-1.jpg, … into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    for kind in ("cat", "dog"):
        for number in range(1, PICTURES_PER_KIND + 1):
            picture = draw_picture(kind, generator, WIDTH_AND_HEIGHT_PX)
            picture.save(folder / f"{kind}-{number}.jpg", quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
