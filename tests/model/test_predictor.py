from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from PIL import Image
from tiny_models import (
    SIZE_PX,
    red_or_blue_model_file,
    tiny_backbone,
    tiny_model_file,
)

from pawsure.errors import ModelFileError, PictureError, ShapeError, UsageError
from pawsure.model.answer import Answer, Failure
from pawsure.model.predictor import Predictor, load
from pawsure.model.seal import seal_file
from pawsure.training.finished import Run

RED, BLUE = (230, 20, 30), (10, 30, 220)


@pytest.fixture
def red_or_blue(tmp_path) -> Predictor:
    return Predictor(red_or_blue_model_file(tmp_path / "model.onnx"))


def paint(path, colour, size=(40, 30)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_labels_sizes_and_metadata_come_from_the_file(tmp_path):
    model = Predictor(tiny_model_file(tmp_path / "model.onnx", labels=("a", "b", "c"), recipe="x"))
    assert model.labels == ("a", "b", "c")
    assert model.size_px == SIZE_PX
    assert model.metadata.recipe == "x"


def test_run_folder_stands_for_the_model_in_it(tmp_path):
    tiny_model_file(tmp_path / "model.onnx")
    assert Predictor(tmp_path).path == tmp_path / "model.onnx"


def test_batch_gives_every_output_and_pictures_do_not_mix(tmp_path):
    model = Predictor(tiny_model_file(tmp_path / "model.onnx"))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    together = model.predict_batch(pictures)
    assert len(together) == 5
    assert together.familiarity is None
    for name in ("probability", "logit", "embedding", "evidence"):
        value = getattr(together, name)
        assert value.dtype == np.float32
        alone = [getattr(model.predict_batch(pictures[i : i + 1]), name) for i in range(5)]
        np.testing.assert_allclose(value, np.concatenate(alone), atol=1e-6)
    np.testing.assert_allclose(together.probability.sum(axis=1), 1, atol=1e-6)


def test_batch_may_be_empty(tmp_path):
    model = Predictor(tiny_model_file(tmp_path / "model.onnx"))
    assert model.predict_batch(np.zeros((0, 16, 16, 3), np.uint8)).probability.shape == (0, 2)


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((1, 16, 16, 3), np.float32),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((1, 8, 16, 3), np.uint8),
        np.zeros((1, 3, 16, 16), np.uint8),
    ],
)
def test_batch_of_another_shape_or_type_says_what_is_taken(tmp_path, pictures):
    model = Predictor(tiny_model_file(tmp_path / "model.onnx"))
    with pytest.raises(ShapeError, match=r"takes uint8 \(N, 16, 16, 3\); got .*images\.read"):
        model.predict_batch(pictures)


def test_answer_for_a_picture_however_it_comes(tmp_path, red_or_blue):
    path = paint(tmp_path / "a.png", RED)
    sources = [
        path,
        str(path),
        path.read_bytes(),
        np.asarray(Image.open(path)),
        Image.open(path),
    ]
    answers = [red_or_blue(source) for source in sources]
    assert {answer.answer for answer in answers} == {"red"}
    assert len({answer.probability for answer in answers}) == 1
    assert [answer.path for answer in answers] == [str(path), str(path), None, None, None]


def test_answer_has_all_probabilities_and_the_evidence_for_its_label(tmp_path, red_or_blue):
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, :8, 0] = 255  # red on the left, black on the right
    answer = red_or_blue(half)
    assert answer.label == answer.answer == "red"
    assert list(answer.probabilities) == ["blue", "red"]
    assert answer.probability == answer.probabilities["red"] == max(answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.evidence.shape == (4, 4)
    assert (answer.evidence[:, :2] > 7).all() and (answer.evidence[:, 2:] < 1).all()
    assert answer.familiarity is None


def test_thresholds_in_the_file_decide(tmp_path):
    path = tiny_model_file(
        tmp_path / "model.onnx", thresholds={"unsure_below": 1.1, "neither_below": None}
    )
    answer = Predictor(path)(np.zeros((16, 16, 3), np.uint8))
    assert answer.answer == "unsure"
    assert answer.label in ("cat", "dog")


def test_picture_that_cannot_be_read_is_an_error_that_names_it(tmp_path, red_or_blue):
    path = tmp_path / "no-picture.jpg"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(PictureError, match="no-picture.jpg"):
        red_or_blue(path)


@pytest.fixture
def folder(tmp_path):
    """Forty files: red and blue in turn, each seventh damaged, one missing."""
    paths = []
    for number in range(40):
        path = paint(tmp_path / f"{number:02}.jpg", RED if number % 2 else BLUE)
        if number % 7 == 3:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        paths.append(path)
    paths[20].unlink()
    return paths


def test_many_files_are_answered_in_order_and_bad_ones_named(folder, red_or_blue):
    results = list(red_or_blue.predict_paths(folder, batch_size=6, workers=3))
    assert [result.path for result in results] == [str(path) for path in folder]
    for number, result in enumerate(results):
        if number % 7 == 3 or number == 20:
            assert isinstance(result, Failure) and result.error
            assert not result.error.startswith(str(folder[0].parent))
        else:
            assert isinstance(result, Answer)
            assert result.answer == ("red" if number % 2 else "blue")


def test_many_files_give_what_each_gives_alone(folder, red_or_blue):
    together = list(red_or_blue.predict_paths(folder, batch_size=7))
    alone = [next(red_or_blue.predict_paths([path])) for path in folder]
    for one, other in zip(together, alone, strict=True):
        if isinstance(one, Failure):
            assert one == other
        else:
            assert one.answer == other.answer
            assert one.probability == pytest.approx(other.probability, abs=1e-6)


def test_first_answers_come_before_the_last_file_is_touched(tmp_path, red_or_blue):
    paths = [paint(tmp_path / f"{number:03}.png", RED) for number in range(300)]
    results = red_or_blue.predict_paths(paths, batch_size=4, workers=2)
    for _ in range(4):
        next(results)
    for path in paths[-50:]:  # not read ahead: they can still go away
        path.unlink()
    rest = list(results)
    assert sum(isinstance(result, Failure) for result in rest) == 50


def test_paths_are_taken_as_they_are_needed(tmp_path, red_or_blue):
    path = paint(tmp_path / "a.png", RED)
    taken = []
    results = red_or_blue.predict_paths(
        (taken.append(number) or path for number in range(1000)), batch_size=4, workers=2
    )
    for _ in range(8):
        next(results)
    assert len(taken) <= 8 + 4 * (4 * 2 + 1)


def test_batches_of_one_are_batches_too(folder, red_or_blue):
    results = list(red_or_blue.predict_paths(folder, batch_size=1))
    assert [result.path for result in results] == [str(path) for path in folder]


@pytest.mark.parametrize("number", [1, 5])
def test_evidence_can_be_left_out(folder, red_or_blue, number):
    results = red_or_blue.predict_paths(folder[4 : 4 + number], evidence=False)
    assert [result.evidence for result in results] == [None] * number


def test_a_series_is_answered_alike_by_any_number_of_threads(folder, tmp_path):
    model = tiny_model_file(tmp_path / "model.onnx")
    told = [
        [result.to_json() for result in Predictor(model, threads=threads).predict_paths(folder)]
        for threads in (None, 1, 3)
    ]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"workers": 0}])
def test_sizes_of_nothing_are_refused(folder, red_or_blue, bad):
    with pytest.raises(UsageError, match="must be at least 1"):
        list(red_or_blue.predict_paths(folder, **bad))


def test_no_files_no_answers(red_or_blue):
    assert list(red_or_blue.predict_paths([])) == []


def test_only_bad_files(tmp_path, red_or_blue):
    paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert [type(result) for result in red_or_blue.predict_paths(paths)] == [Failure, Failure]


def test_many_threads_may_ask_at_once(red_or_blue):
    pictures = [np.full((16, 16, 3), colour, np.uint8) for colour in (RED, BLUE)] * 50
    start = threading.Barrier(4)

    def ask(_):
        start.wait()
        return [red_or_blue(picture).answer for picture in pictures]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [["red", "blue"] * 50] * 4


def test_damaged_graph_inside_a_whole_file_is_a_model_file_error(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "Nonsense"
    onnx.save(model, path)
    seal_file(path)
    with pytest.raises(ModelFileError, match=r"can't be loaded by ONNX Runtime .*Nonsense"):
        Predictor(path)


def test_missing_outputs_are_named(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    model = onnx.load(path)
    del model.graph.output[2:]
    onnx.save(model, path)
    seal_file(path)
    with pytest.raises(ModelFileError, match="lacks the outputs embedding, evidence"):
        Predictor(path)


def change_metadata(path, **changes):
    model = onnx.load(path)
    content = json.loads(model.metadata_props[0].value) | changes
    model.metadata_props[0].value = json.dumps(content)
    onnx.save(model, path)
    seal_file(path)
    return path


def test_labels_that_do_not_fit_the_graph_are_refused(tmp_path):
    path = change_metadata(tiny_model_file(tmp_path / "model.onnx"), labels=["a", "b", "c"])
    with pytest.raises(ModelFileError, match=r"names 3 labels \(a, b, c\), but its probability"):
        Predictor(path)


def test_size_that_does_not_fit_the_graph_is_refused(tmp_path):
    path = change_metadata(tiny_model_file(tmp_path / "model.onnx"), size_px=32)
    with pytest.raises(ModelFileError, match=r"takes 'image' tensor\(uint8\) \['N', 16, 16, 3\]"):
        Predictor(path)


def test_bad_files_are_refused_before_the_runtime_sees_them(tmp_path):
    whole = tiny_model_file(tmp_path / "model.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("a text")
    onnx.save(tiny_backbone(), tmp_path / "other.onnx")
    for name, words in (
        ("cut.onnx", "was cut short"),
        ("text.onnx", "is not an ONNX file"),
        ("other.onnx", "not a pawsure model"),
        ("none.onnx", "no model file"),
    ):
        with pytest.raises(ModelFileError, match=words):
            Predictor(tmp_path / name)


def ways_to_give_many(paths):
    """The same pictures, in every form that many pictures come in."""
    opened = [Image.open(path) for path in paths]
    arrays = [np.asarray(image) for image in opened]
    return {
        "texts": [str(path) for path in paths],
        "paths": paths,
        "tuple": tuple(paths),
        "generator": (path for path in paths),
        "bytes": [path.read_bytes() for path in paths],
        "open files": [io.BytesIO(path.read_bytes()) for path in paths],
        "PIL images": opened,
        "arrays": arrays,
        "one array": np.stack(arrays),
        "array of texts": np.array([str(path) for path in paths]),
    }


WITH_PATHS = ("texts", "paths", "tuple", "generator", "array of texts")
WITHOUT = ("bytes", "open files", "PIL images", "arrays", "one array")


@pytest.mark.parametrize("way", [*WITH_PATHS, *WITHOUT])
def test_many_pictures_give_a_list_of_answers_in_their_order(tmp_path, red_or_blue, way):
    colours = [RED, BLUE, BLUE, RED] * 5
    paths = [paint(tmp_path / f"{at}.png", colour) for at, colour in enumerate(colours)]
    answers = red_or_blue(ways_to_give_many(paths)[way])
    assert isinstance(answers, list)
    assert [each.label for each in answers] == ["red", "blue", "blue", "red"] * 5
    for path, answer in zip(paths, answers, strict=True):
        assert answer.path == (str(path) if way in WITH_PATHS else None)
        assert type(answer.path) in (str, type(None))
        assert answer.overlay().size == (40, 30)  # it knows its picture either way


def test_one_that_can_not_be_read_among_many_keeps_its_place(tmp_path, red_or_blue):
    red = paint(tmp_path / "red.png", RED)
    first, gone, nothing, last = red_or_blue([red, tmp_path / "gone.png", b"nothing", red])
    assert first.label == last.label == "red"
    assert gone == Failure(path=str(tmp_path / "gone.png"), error="there is no such file")
    assert isinstance(nothing, Failure) and nothing.path is None


def test_a_list_of_none_and_of_one(tmp_path, red_or_blue):
    assert red_or_blue([]) == []
    (only,) = red_or_blue([paint(tmp_path / "red.png", RED)])
    assert only.label == "red"


def test_an_open_file_is_one_picture(tmp_path, red_or_blue):
    with open(paint(tmp_path / "red.png", RED), "rb") as file:
        assert red_or_blue(file).label == "red"


@pytest.mark.parametrize("given", [None, 3, {"a": 1}, [None], [["nested.jpg"]]])
def test_what_is_no_picture_is_told_what_is(red_or_blue, given):
    with pytest.raises(UsageError, match="A picture is a path.*; got (NoneType|int|dict|list)"):
        red_or_blue(given)


def test_a_file_that_is_open_as_text_is_refused(tmp_path, red_or_blue):
    (tmp_path / "text").write_text("hello")
    with (
        open(tmp_path / "text") as file,
        pytest.raises(UsageError, match="open in text mode"),
    ):
        red_or_blue(file)


def test_repr_names_the_file_and_the_labels(red_or_blue, tmp_path):
    assert repr(red_or_blue) == f"Predictor('{tmp_path / 'model.onnx'}', labels=(blue, red))"


def test_load_takes_what_training_gave_back(tmp_path):
    path = red_or_blue_model_file(tmp_path / "model.onnx")
    run = Run(folder=tmp_path, model_file=path, metrics={})
    assert load(run).path == load(tmp_path).path == path


def test_load_says_what_a_model_is_named_by(tmp_path):
    with pytest.raises(UsageError, match="a file, a run folder or a built-in name.*got int"):
        load(3)
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        load(tmp_path)


def test_a_home_folder_may_be_a_tilde(tmp_path, monkeypatch):
    red_or_blue_model_file(tmp_path / "model.onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("~/model.onnx").path == tmp_path / "model.onnx"
