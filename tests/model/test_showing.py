from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file

from pawsure.errors import PictureError, UsageError
from pawsure.model.answer import Answer
from pawsure.model.predictor import Predictor
from pawsure.model.showing import in_words, small_picture
from pawsure.model.words import percent


@pytest.fixture
def model(tmp_path) -> Predictor:
    return Predictor(red_or_blue_model_file(tmp_path / "model.onnx"))


@pytest.fixture
def half(tmp_path):
    """Red on the left, black on the right; wide."""
    picture = Image.new("RGB", (900, 300), "black")
    picture.paste("red", (0, 0, 450, 300))
    picture.save(tmp_path / "half.png")
    return tmp_path / "half.png"


def pictures_in(html: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_overlay_has_the_proportions_of_the_picture_and_shows_where(model, half):
    drawn = model(half).overlay()
    assert drawn.size == (480, 160)
    left, right = np.asarray(drawn, int)[80, [60, 420]]
    assert left[0] - left[2] > 60
    assert abs(right[0] - right[2]) < 40
    assert model(half).overlay(longest_px=120).size == (120, 40)


@pytest.mark.parametrize("kind", ["path", "bytes", "array", "image"])
def test_every_way_in_can_be_shown(model, half, kind):
    given = {
        "path": half,
        "bytes": half.read_bytes(),
        "array": np.asarray(Image.open(half)),
        "image": Image.open(half),
    }[kind]
    answer = model(given)
    assert answer.overlay().size == (480, 160)
    assert "picture" not in answer.to_dict()


def test_a_picture_that_is_turned_in_its_file_is_shown_upright(tmp_path, model):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 20), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert model(tmp_path / "turned.jpg").overlay().size == (20, 60)


def test_small_pictures_are_not_enlarged():
    assert small_picture(Image.new("RGB", (30, 20))).size == (30, 20)


def test_an_answer_without_evidence_or_picture_says_so(model, half):
    with pytest.raises(UsageError, match="has no heat map"):
        replace(model(half), evidence=None).overlay()
    with pytest.raises(UsageError, match=r"pass it: answer.overlay\(picture\)"):
        replace(model(half), path=None).overlay()


def test_a_picture_that_is_gone_can_be_given_again(model, half):
    answer, data = model(half), half.read_bytes()
    half.unlink()
    with pytest.raises(PictureError, match="no such file"):
        answer.overlay()
    assert answer.overlay(data).size == (480, 160)
    assert "no such file" in answer._repr_html_() and "red" in answer._repr_html_()


def test_a_notebook_shows_picture_map_and_words(model, half):
    html = model(half)._repr_html_()
    picture, drawn = pictures_in(html)
    assert picture.size == drawn.size == (480, 160)
    assert "<strong" in html and "red" in html and "half.png" in html
    assert html.count("<div") == html.count("</div>")


def test_nothing_of_the_users_becomes_markup():
    label = "<script>alert(1)</script>"
    answer = Answer(
        path="<img src=x onerror=alert(1)>.jpg",
        answer=label,
        label=label,
        probability=0.9,
        probabilities={label: 0.9, "b&b": 0.1},
    )
    html = answer._repr_html_()
    assert "<script" not in html and "<img" not in html
    assert "&lt;script&gt;" in html and "b&amp;b" in html


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("dog", ("dog", "80% sure.")),
        ("unsure", ("unsure", "Too close to call: dog 80%, cat 20%.")),
        ("neither", ("neither", "Looks like a dog, but unlike the pictures")),
    ],
)
def test_words(answer, words):
    said = in_words(
        Answer(
            path=None,
            answer=answer,
            label="dog",
            probability=0.8,
            probabilities={"cat": 0.2, "dog": 0.8},
        )
    )
    assert said[0] == words[0] and said[1].startswith(words[1])


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, "100%"), (0.99999, "> 99.9%"), (0.9962, "99.6%"), (0.5, "50%"), (0.0002, "< 0.1%")],
)
def test_no_probability_is_rounded_to_certainty(probability, text):
    assert percent(probability) == text
