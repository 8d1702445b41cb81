"""The drawn sample: pictures of cats and dogs from seeded code.

With it, every command can be tried offline. Background, coat, light and occlusion do not depend on
the animal; cats and dogs differ by shape, and a little by colour of eyes and nose, whiskers and
curls. Figures measured on it say nothing about photographs.

Bottom-up: `shapes` and `texture` (outlines and noise), `canvas` and `pen`
(painting), `palette`, `things`, `indoors`, `outdoors`, `scene` and `foreground` (what is
around), `coat`, `brush`, `build`, `face`, `cat`, `dog`, `body` and `pose` (the animals),
`lighting`, and `draw`. `pawsure.data.drawn` makes the data set.
"""

from __future__ import annotations

from pawsure.sample.draw import KINDS, SAMPLE_VERSION, draw_neither, draw_picture

__all__ = ["KINDS", "SAMPLE_VERSION", "draw_neither", "draw_picture"]
