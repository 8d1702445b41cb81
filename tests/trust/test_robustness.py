from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
from PIL import Image

from pawsure.data.changes import CORRUPTIONS
from pawsure.trust.robustness import measure_robustness, sentence


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


class TellsBright:
    """Right about grey pictures as long as they are not made darker or brighter."""

    size_px = 16

    def predict_batch(self, pictures):
        level = pictures.mean(axis=(1, 2, 3)) / 255
        bright = (level > 0.55).astype(float)
        return SimpleNamespace(
            probability=np.stack([1 - bright, bright], axis=1).astype(np.float32),
            familiarity=level.astype(np.float32),
        )

    def outcomes(self, probability, familiarity):
        return np.where(familiarity < 0.1, "neither", "label")


def measured(num: int = 60):
    label = np.arange(num) % 2
    contents = [png(170 if each else 110) for each in label]
    return measure_robustness(TellsBright(), lambda row: contents[row], np.arange(num), label)


def test_what_a_corruption_costs_is_found_and_said():
    found = measured()
    assert found["n"] == 60 and found["clean"]["accuracy"]["value"] == 1
    assert set(found["kinds"]) == set(CORRUPTIONS)
    assert found["kinds"]["blurred"]["accuracy"]["value"] == 1
    assert found["kinds"]["darker"]["accuracy"]["value"] < 0.8
    worst = sentence(found)
    assert worst is not None and ("darker" in worst or "brighter" in worst)


def test_harder_strengths_cost_more_and_unfamiliar_pictures_get_no_label():
    darker = measured()["kinds"]["darker"]
    assert [each["n"] for each in darker["strengths"]] == [12] * 5
    assert darker["strengths"][0]["answers"]["neither"]["n"] == 0
    assert darker["strengths"][4]["answers"]["neither"]["n"] > 0


def test_figures_are_json_and_the_same_each_time():
    assert json.loads(json.dumps(measured(), allow_nan=False)) == measured()


def test_pictures_that_can_not_be_read_are_left_out():
    found = measure_robustness(
        TellsBright(), lambda row: b"no picture", np.arange(3), np.zeros(3, int)
    )
    assert found["n"] == 0 and sentence(found) is None


def test_known_answers_to_pictures_as_they_are_stand_for_running_them():
    num, model = 60, TellsBright()
    label = np.arange(num) % 2
    levels = np.where(label == 1, 170, 110)
    contents = [png(level) for level in levels]
    clean = model.predict_batch(np.full((num, 16, 16, 3), levels[:, None, None, None]))
    known = (clean.probability, model.outcomes(clean.probability, clean.familiarity))
    seen = []

    class Counting(TellsBright):
        def predict_batch(self, pictures):
            seen.append(len(pictures))
            return super().predict_batch(pictures)

    found = measure_robustness(
        Counting(), lambda row: contents[row], np.arange(num), label, clean=known
    )
    assert found == measured(num)
    assert set(seen) == {len(CORRUPTIONS)}


def test_known_answers_are_those_of_the_pictures_that_were_drawn():
    num = 400
    label = np.zeros(num, int)
    contents = [png(110) for _ in label]
    right = np.arange(num) % 4 > 0
    probability = np.stack([right, ~right], axis=1).astype(np.float32)
    found = measure_robustness(
        TellsBright(),
        lambda row: contents[row],
        np.arange(num),
        label,
        clean=(probability, np.full(num, "label")),
    )
    drawn = np.random.default_rng(0).permutation(num)[: found["n"]]
    assert found["n"] < num
    assert found["clean"]["accuracy"]["value"] == right[drawn].mean()
