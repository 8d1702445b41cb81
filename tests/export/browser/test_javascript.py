"""What the page computes, against what it was written after, in Python."""

from __future__ import annotations

import numpy as np
import pytest
from browser_pictures import jpegs
from drawn_pictures import EXIF_ORIENTATION, encoded, photograph
from javascript import needs_node, run_javascript
from PIL import Image

from pawsure.data import images
from pawsure.model.evidence import relative_evidence
from pawsure.model.heat_map import colour_map, heat_map
from pawsure.trust.rule import LABEL, outcomes

pytestmark = needs_node

RESIZE = """
import { resize } from "./page/resize.js";
give(given.cases.map(([width, height, size, reduction]) => {
  const rgba = new Uint8Array(readFileSync(`${width}x${height}.rgba`));
  const rows = (from, count) => rgba.subarray(from * width * 4, (from + count) * width * 4);
  return Array.from(resize({ width, height, rows }, size, reduction));
}));"""


def test_pictures_are_resized_as_pillow_does(tmp_path):
    """Bit for bit where Pillow goes rows first too; Pillow 13 goes columns first where that is
    quicker, and rounds differently then, by one level."""
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (3, 2), (128, 128), (97, 61), (480, 360), (517, 389), (2000, 40), (300, 900)]
    cases = [(width, height, size, 1) for width, height in sizes for size in (16, 128)]
    pictures = {}
    for width, height in sizes:
        pictures[width, height] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        opaque = np.dstack([pictures[width, height], np.full((height, width), 255, np.uint8)])
        (tmp_path / f"{width}x{height}.rgba").write_bytes(opaque.tobytes())
    found = run_javascript(tmp_path, RESIZE, {"cases": cases})
    for (width, height, size, _), pixels in zip(cases, found, strict=True):
        ours = np.array(pixels).reshape(size, size, 3)
        rows_first = Image.fromarray(pictures[width, height])
        for shape in ((size, height), (size, size)):
            rows_first = rows_first.resize(shape, images.RESAMPLE)
        np.testing.assert_array_equal(ours, np.asarray(rows_first), f"{width}x{height} to {size}")
        theirs = images.resize(pictures[width, height], size).astype(int)
        assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_means_over_squares_are_what_libjpeg_gives_at_a_part_of_the_size(tmp_path, reduction):
    """Grey, so that no colours are stored at half the size; sides that no square fits."""
    size, width, height = 16, 20 * reduction + 3, 21 * reduction + 1
    data = encoded(photograph(1, width=width, height=height).convert("L"), quality=95)
    opaque = np.dstack([images.decode(data), np.full((height, width), 255, np.uint8)])
    (tmp_path / f"{width}x{height}.rgba").write_bytes(opaque.tobytes())
    given = {"cases": [(width, height, size, reduction)]}
    (found,) = run_javascript(tmp_path, RESIZE, given)
    difference = np.array(found).reshape(size, size, 3) - images.read(data, size_px=size).astype(
        int
    )
    assert np.abs(difference).max() <= 2


def test_the_orientation_is_found_where_pillow_finds_it(tmp_path):
    files = jpegs() | {
        "drawn.png": encoded(photograph(), "PNG"),
        "cut.jpg": jpegs()["turned-6.jpg"][:40],
        "empty.jpg": b"",
    }
    big_endian = Image.Exif()
    big_endian.endian = ">"
    big_endian[EXIF_ORIENTATION] = 8
    files["big-endian.jpg"] = encoded(photograph(), exif=big_endian)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    code = """
import { orientationOf } from "./page/orientation.js";
give(given.names.map((name) => orientationOf(new Uint8Array(readFileSync(name)))));"""
    found = dict(zip(files, run_javascript(tmp_path, code, {"names": list(files)}), strict=True))
    expected = {name: 1 for name in files} | {f"turned-{n}.jpg": n for n in range(2, 9)}
    assert found == expected | {"large-turned.jpg": 6, "big-endian.jpg": 8, "cut.jpg": 1}


def test_evidence_and_answers_are_those_of_the_predictor(tmp_path):
    rng = np.random.default_rng(2)
    cases = []
    for num_labels, logit in [(2, 3.0), (2, 60.0), (3, 1.0), (5, 20.0)]:
        evidence = rng.normal(0, 2, (4, 3, num_labels)).astype(np.float32)
        evidence[..., 1] += logit
        logits = evidence.mean(axis=(0, 1)).astype(np.float64)
        probability = np.exp(logits - logits.max())
        probability = (probability / probability.sum()).astype(np.float32)
        cases.append((evidence, probability))
    code = """
import { answerOf } from "./page/answers.js";
give(given.cases.map(([evidence, probability], index) => answerOf(
  { evidence, probability, shape: [4, 3], familiarity: [given.familiarity] },
  { labels: probability.map((_, column) => `label ${column}`), thresholds: given.thresholds })));"""
    thresholds = {"unsure_below": 0.9, "neither_below": 0.05}
    given = {
        "cases": [[each.ravel().tolist(), probability.tolist()] for each, probability in cases],
        "thresholds": thresholds,
        "familiarity": 0.3,
    }
    for (evidence, probability), found in zip(
        cases, run_javascript(tmp_path, code, given), strict=True
    ):
        best = int(probability.argmax())
        assert found["label"] == f"label {best}"
        expected = answer(found["label"], float(probability[best]), 0.3, thresholds)
        assert found["answer"] == expected
        np.testing.assert_allclose(
            found["evidence"], relative_evidence(evidence, probability), rtol=1e-4, atol=1e-5
        )


def answer(label, probability, familiarity, thresholds) -> str:
    seen = None if familiarity is None else np.array([familiarity])
    (outcome,) = outcomes(np.array([[probability]]), seen, thresholds)
    return label if outcome == LABEL else outcome


def test_neither_comes_before_unsure_and_both_only_where_they_were_fitted(tmp_path):
    thresholds = [(None, None), (0.9, None), (None, 0.05), (0.9, 0.05)]
    cases = [
        (probability, familiarity, {"unsure_below": unsure, "neither_below": neither})
        for probability in (0.6, 0.95)
        for familiarity in (None, 0.01, 0.5)
        for unsure, neither in thresholds
    ]
    code = """
import { decide } from "./page/answers.js";
give(given.cases.map((each) => decide("cat", ...each)));"""
    found = run_javascript(tmp_path, code, {"cases": cases})
    assert found == [answer("cat", *each) for each in cases]


def test_heat_maps_are_those_of_the_report(tmp_path):
    rng = np.random.default_rng(4)
    maps = [
        rng.normal(0, 4, (4, 5)),
        rng.normal(9, 2, (4, 4)),  # positive everywhere, as at 128 pixels
        rng.normal(-4, 9, (7, 7)),
        rng.normal(4, 0.1, (7, 7)),  # flat
        np.array([[3.0]]),
    ]
    code = """
import { colourMap, heatMap } from "./page/heat.js";
give([Array.from(colourMap()), given.maps.map((map) => Array.from(heatMap(map, 60, 40)))]);"""
    given = {"maps": [evidence.tolist() for evidence in maps]}
    colours, drawn = run_javascript(tmp_path, code, given)
    difference = np.array(colours).reshape(-1, 4) - colour_map().astype(int)
    assert np.abs(difference).max() <= 1
    for evidence, pixels in zip(maps, drawn, strict=True):
        ours = np.array(pixels).reshape(40, 60, 4)
        theirs = np.asarray(heat_map(evidence, 60, 40)).astype(int)
        # A value on the border of two of the 511 colours may fall to either.
        assert np.abs(ours - theirs).max() <= 4


KINDS = """
import { checkBright, isDeepPng, whyRefused } from "./page/kinds.js";
give(given.names.map((name) => {
  const bytes = new Uint8Array(readFileSync(name));
  return [whyRefused(bytes), isDeepPng(bytes)];
}).concat([given.brightest.map((level) => {
  const rows = (from, count) => new Uint8Array(count * 4 * 8).fill(level);
  try {
    checkBright({ width: 8, height: 9, rows });
    return "";
  } catch (error) {
    return error.message;
  }
})]));"""


def test_kinds_that_browsers_decode_otherwise_are_refused(tmp_path):
    picture = photograph(width=60, height=40)
    deep = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    files = {
        "plain.jpg": encoded(picture),
        "grey.jpg": encoded(picture.convert("L")),
        "print.jpg": encoded(picture.convert("CMYK")),
        "plain.png": encoded(picture, "PNG"),
        "deep.png": encoded(deep, "PNG"),
        "page.tif": encoded(picture, "TIFF"),
        "empty": b"",
        "cut.jpg": encoded(picture)[:30],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    given = {"names": list(files), "brightest": [0, 63, 64, 255]}
    *found, dark = run_javascript(tmp_path, KINDS, given)
    why = {name: sentence for name, (sentence, _) in zip(files, found, strict=True)}
    assert {name for name, sentence in why.items() if sentence} == {"page.tif"}
    assert "Save it as PNG" in why["page.tif"]
    assert {name for name, (_, is_deep) in zip(files, found, strict=True) if is_deep} == {
        "deep.png"
    }
    assert [bool(sentence) for sentence in dark] == [True, True, False, False]
