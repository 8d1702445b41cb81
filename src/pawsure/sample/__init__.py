"""The drawn sample: pictures of cats and dogs made by seeded code, nothing but drawings.

It is there so that every command can be tried offline, and to test with. Backgrounds, coat
colours and patterns, light and occlusion are drawn without knowing the animal; shape tells a
cat from a dog, with some small help from what goes with it: colour of the eyes and nose,
whiskers, curls. A figure measured on it says nothing about photographs.

From the ground up: `shapes` and `texture` (outlines and noise), `canvas` and `pen`
(painting), `palette`, `things`, `indoors`, `outdoors`, `scene` and `foreground` (what is
around), `coat`, `brush`, `build`, `face`, `cat`, `dog`, `body` and `pose` (the animals),
`lighting`, and `draw`. `pawsure.data.drawn` makes a folder of them.
"""

from __future__ import annotations

from pawsure.sample.draw import KINDS, SAMPLE_VERSION, draw_neither, draw_picture

__all__ = ["KINDS", "SAMPLE_VERSION", "draw_neither", "draw_picture"]
