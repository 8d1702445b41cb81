from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file, tiny_model_file
from typer.testing import CliRunner, Result
from whole_app import app

from pawsure.data.catalog import build_catalog
from pawsure.data.split import assign_splits


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return red_or_blue_model_file(tmp_path / "model.onnx")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten red and ten blue pictures, all different; one of the reds is filed as blue."""
    folder = tmp_path / "pictures"
    for number in range(10):
        for label, colour in (("red", (200 + number, 0, 0)), ("blue", (0, 0, 200 + number))):
            wrong = (label, number) == ("red", 0)
            path = folder / ("blue" if wrong else label) / f"{label}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), colour).save(path)
    return folder


def evaluate(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def test_figures_are_those_that_can_be_counted_by_hand(model, pictures):
    result = evaluate(model, pictures, "--split", "all", "--json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["n"] == 20
    assert figures["split"] == "all"
    assert figures["accuracy"]["value"] == pytest.approx(19 / 20)
    assert figures["accuracy"]["low"] < 19 / 20 < figures["accuracy"]["high"]
    assert figures["confusion_matrix"] == [[10, 1], [0, 9]]


def test_text_shows_intervals_and_what_was_mistaken_for_what(model, pictures):
    result = evaluate(model, pictures, "--split", "all")
    assert "20 pictures (split: all)" in result.stdout
    assert "accuracy          95.0% [" in result.stdout
    assert "predicted 1 as red" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("To use it: pawsure predict")


def test_text_says_how_many_are_answered_where_some_are_not(tmp_path, pictures):
    thresholds = {"unsure_below": 1.0, "neither_below": None}
    path = red_or_blue_model_file(tmp_path / "careful.onnx", thresholds=thresholds)
    result = evaluate(path, pictures, "--split", "all")
    assert "answered          0.0% [" in result.stdout
    assert "unsure            100.0% [" in result.stdout


def test_the_test_split_is_what_is_measured_of_the_models_own_data(pictures, tmp_path):
    run = trained(tmp_path / "run", pictures, **SHARES)
    figures = json.loads(evaluate(run, pictures, "--json").stdout)
    assert figures["split"] == "test"
    assert 0 < figures["n"] < 20


def test_own_data_are_known_without_the_catalog_of_the_run(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / "data" / ("red", "blue")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(path)
    run = trained(tmp_path / "run", tmp_path / "data", **SHARES)
    recorded = json.loads(evaluate(run, tmp_path / "data", "--json").stdout)
    (run / "catalog.parquet").unlink()
    result = evaluate(run, tmp_path / "data", "--json")
    assert json.loads(result.stdout) == recorded
    assert recorded["split"] == "test" and recorded["seen"] == {"train": 0, "validation": 0}
    assert "can't be" not in evaluate(run, tmp_path / "data", "--split", "all").stderr


def test_a_test_split_of_the_data_is_what_is_measured(model, pictures, tmp_path):
    split = {"red": "train", "blue": "test"}
    for label, name in split.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        (pictures / label).rename(tmp_path / "data" / name / label)
    result = evaluate(model, tmp_path / "data", "--json")
    assert (json.loads(result.stdout)["split"], json.loads(result.stdout)["n"]) == ("test", 11)


def test_the_split_is_drawn_as_the_run_drew_it(pictures, tmp_path):
    recipe = "seed = 3\n[split]\nvalidation = 0.2\ntest = 0.5\n"
    model = tiny_model_file(tmp_path / "m.onnx", labels=("blue", "red"), recipe=recipe)
    drawn = assign_splits(build_catalog(pictures), seed=3, validation=0.2, test=0.5)
    for split in ("test", "validation", "train"):
        figures = json.loads(evaluate(model, pictures, "--split", split, "--json").stdout)
        assert figures["n"] == len(drawn.where(split))


def test_unreadable_pictures_are_named_and_change_the_exit_code(model, pictures):
    (pictures / "red" / "broken.jpg").write_bytes(b"no picture")
    result = evaluate(model, pictures, "--split", "all")
    assert result.exit_code == 3
    assert "broken.jpg: " in result.stderr
    assert "20 pictures" in result.stdout


def test_labels_that_the_model_does_not_know_are_code_4(model, pictures):
    (pictures / "red").rename(pictures / "green")
    result = evaluate(model, pictures, "--split", "all")
    assert result.exit_code == 4
    assert "The model does not know 'green'; it knows blue, red." in result.stderr


def trained(folder: Path, data: Path, **shares: float) -> Path:
    """A run folder of a model that was trained on the pictures, with its catalog."""
    folder.mkdir()
    catalog = assign_splits(build_catalog(data), seed=0, **shares)
    catalog.to_parquet(folder / "catalog.parquet")
    recipe = "seed = 0\n[split]\n" + "".join(f"{key} = {value}\n" for key, value in shares.items())
    red_or_blue_model_file(
        folder / "model.onnx", recipe=recipe, data_fingerprint=catalog.fingerprint
    )
    return folder


SHARES = {"validation": 0.2, "test": 0.3}


def test_pictures_that_the_model_was_trained_on_are_counted_and_left_out(pictures, tmp_path):
    run = trained(tmp_path / "run", pictures, **SHARES)
    drawn = assign_splits(build_catalog(pictures), seed=0, **SHARES)
    train, validation, test = (len(drawn.where(name)) for name in ("train", "validation", "test"))
    figures = json.loads(evaluate(run, pictures, "--split", "all", "--json").stdout)
    assert figures["n"] == 20
    assert figures["seen"] == {"train": train, "validation": validation}
    assert figures["unseen"]["n"] == test
    of_test = json.loads(evaluate(run, pictures, "--json").stdout)
    assert of_test["seen"] == {"train": 0, "validation": 0}
    assert of_test["unseen"] is None
    assert of_test["accuracy"] == figures["unseen"]["accuracy"]
    text = evaluate(run, pictures, "--split", "all").stdout
    assert f"Warning: the model was trained on {train} of these 20 pictures" in text
    assert f"and selected and calibrated on {validation}. Figures on them are too good." in text
    assert f"{test} pictures that the model has not seen" in text
    assert "On all 20 pictures (split: all), seen ones included: accuracy 95.0% [" in text
    assert "Warning" not in evaluate(run, pictures).stdout


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_that_the_model_was_made_from_has_no_other_figure(pictures, tmp_path, split):
    run = trained(tmp_path / "run", pictures, **SHARES)
    figures = json.loads(evaluate(run, pictures, "--split", split, "--json").stdout)
    assert figures["seen"][split] == figures["n"]
    assert figures["unseen"] is None
    assert "Warning: the model was " in evaluate(run, pictures, "--split", split).stdout


def test_copies_in_another_folder_are_known_by_their_content(pictures, tmp_path):
    run = trained(tmp_path / "run", pictures, **SHARES)
    drawn = assign_splits(build_catalog(pictures), seed=0, **SHARES)
    other = tmp_path / "other"
    (other / "red").mkdir(parents=True)
    learned = [path for path in drawn.path[drawn.where("train")] if "red/" in path][:2]
    for number, path in enumerate(learned):
        (other / "red" / f"{number}.png").write_bytes((pictures / path).read_bytes())
    rng = np.random.default_rng(0)
    for number in range(3):
        noise = rng.integers(0, 80, (20, 20, 3), dtype=np.uint8) + np.uint8([150, 0, 0])
        Image.fromarray(noise).save(other / "red" / f"{number + 10}.png")
    result = evaluate(run, other, "--split", "all", "--json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["n"] == 5
    assert figures["seen"] == {"train": 2, "validation": 0}
    assert figures["unseen"]["n"] == 3


def test_near_copies_of_what_was_learned_count_as_seen(tmp_path):
    rng = np.random.default_rng(0)
    data = tmp_path / "data"
    for label in ("red", "blue"):
        (data / label).mkdir(parents=True)
        for number in range(6):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((96, 96), Image.Resampling.BICUBIC).save(data / label / f"{number}.png")
    run = trained(tmp_path / "run", data, validation=0.2, test=0.2)
    drawn = assign_splits(build_catalog(data), seed=0, validation=0.2, test=0.2)
    path = drawn.path[drawn.where("train")[0]]
    Image.open(data / path).save((data / path).with_suffix(".jpg"), quality=80)
    figures = json.loads(evaluate(run, data, "--split", "all", "--json").stdout)
    assert figures["seen"]["train"] == len(drawn.where("train")) + 1


def test_all_of_other_data_are_measured(pictures, tmp_path):
    run = trained(tmp_path / "run", pictures, **SHARES)
    other = tmp_path / "other"
    for label, colour in (("red", (180, 0, 0)), ("blue", (0, 0, 180))):
        (other / label).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (20, 20), tuple(value + number for value in colour)).save(
                other / label / f"{number}.png"
            )
    result = evaluate(run, other)
    said = "The model was trained on other data: measured on all pictures"
    assert f"{said}." in result.stderr
    assert "8 pictures (split: all)" in result.stdout
    (run / "catalog.parquet").unlink()
    result = evaluate(run, other)
    assert f"{said}; copies of its training pictures can't be detected." in result.stderr
    assert "beside the model file" not in result.stderr
    drawn = json.loads(evaluate(run, other, "--split", "test", "--json").stdout)
    assert drawn["split"] == "test" and drawn["n"] < 8


@pytest.mark.parametrize("damage", ["missing", "damaged", "of other data"])
def test_without_a_catalog_of_the_run_it_says_that_it_can_not_tell(pictures, tmp_path, damage):
    run = trained(tmp_path / "run", pictures, **SHARES)
    (pictures / "red" / "red1.png").unlink()  # so that these are not the model's own data
    if damage == "missing":
        (run / "catalog.parquet").unlink()
    elif damage == "damaged":
        (run / "catalog.parquet").write_bytes(b"PAR1 nothing PAR1")
    else:
        drawn = assign_splits(build_catalog(pictures), seed=0, **SHARES)
        drawn.to_parquet(run / "catalog.parquet")
    result = evaluate(run, pictures, "--split", "all", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["seen"] is None
    assert "can't check whether" in evaluate(run, pictures, "--split", "all").stderr


def test_another_model_may_have_seen_the_pictures_too(pictures, tmp_path):
    one = trained(tmp_path / "one", pictures, **SHARES)
    other = trained(tmp_path / "other", pictures, validation=0.1, test=0.6)
    found = json.loads(
        evaluate(one, pictures, "--split", "all", "--against", other, "--json").stdout
    )["against"]
    assert found["seen"]["train"] > 0
    assert 0 < found["unseen"]["n"] < found["n"] == 20
    assert "neither has seen" in (
        evaluate(one, pictures, "--split", "all", "--against", other).stdout
    )


@pytest.mark.parametrize(("reds", "blues"), [(10, 0), (1, 0), (10, 1), (1, 1)])
def test_one_class_or_one_picture_is_enough_to_measure_on(model, tmp_path, reds, blues):
    for label, count, place in (("red", reds, 0), ("blue", blues, 2)):
        for number in range(count):
            path = tmp_path / "few" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = [0, 0, 0]
            colour[place] = 200 + number
            Image.new("RGB", (20, 20), tuple(colour)).save(path)
    result = evaluate(model, tmp_path / "few", "--split", "all", "--json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["n"] == reds + blues
    assert figures["accuracy"]["value"] == 1.0
    if not blues:
        assert figures["per_class"]["blue"]["recall"] is None
        assert figures["precision_recall"] == {"blue": None, "red": None}
    assert evaluate(model, tmp_path / "few", "--split", "all").exit_code == 0


def test_no_such_data_is_code_4_and_no_such_model_code_5(model, pictures, tmp_path):
    assert evaluate(model, tmp_path / "nowhere").exit_code == 4
    assert evaluate(tmp_path / "nowhere.onnx", pictures).exit_code == 5


def test_an_unknown_split_is_wrong_usage(model, pictures):
    assert evaluate(model, pictures, "--split", "tset").exit_code == 2


def test_two_models_are_compared_on_the_same_pictures(model, pictures, tmp_path):
    # The other knows its labels in the other order, and is wrong wherever the first is right.
    other = red_or_blue_model_file(tmp_path / "other.onnx", labels=("red", "blue"))
    found = json.loads(
        evaluate(model, pictures, "--split", "all", "--against", other, "--json").stdout
    )["against"]
    assert (found["only_this"], found["only_other"], found["n"]) == (19, 1, 20)
    assert found["accuracy"]["value"] == pytest.approx(1 / 20)
    assert found["difference"]["value"] == pytest.approx(18 / 20)
    assert found["difference"]["low"] <= 18 / 20 <= found["difference"]["high"]
    assert found["p_value"] == pytest.approx(2 * 21 / 2**20)
    assert found["log_loss_difference"]["high"] < 0
    text = evaluate(model, pictures, "--split", "all", "--against", other).stdout
    assert "+90.0%" in text and "], significant (McNemar p" in text
    assert "Only this model right: 19; only the other: 1." in text
    same = evaluate(model, pictures, "--split", "all", "--against", model).stdout
    assert "+0.0% [+0.0%, +0.0%], not significant" in same


def test_sources_are_shown_side_by_side_with_what_is_no_noise(model, pictures, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for number in range(30):
        for label, colour in (("red", (0, 0, 200 - number)), ("blue", (0, 0, 150 + number))):
            path = elsewhere / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), colour).save(path)
    given = (model, pictures, "--split", "all", "--source", f"web={elsewhere}")
    result = evaluate(*given)
    assert result.exit_code == 0, result.stderr
    assert "By source" in result.stdout and "50.0% [" in result.stdout
    expected = "Error rate: web is significantly worse than pictures, 50.0% against 5.0%."
    assert expected in result.stdout
    sources = json.loads(evaluate(*given, "--json").stdout)["sources"]
    assert sources["web"]["n"] == 60 and sources["pictures"]["n"] == 20


def test_a_column_of_sources_does_the_same(model, pictures, tmp_path):
    rows = [
        f"{path.relative_to(tmp_path)},{path.parent.name},{'web' if number % 2 else 'phone'}"
        for number, path in enumerate(sorted(pictures.rglob("*.png")))
    ]
    manifest = tmp_path / "listed.csv"
    manifest.write_text("\n".join(["path,label,source", *rows]))
    result = evaluate(model, manifest, "--split", "all", "--json")
    sources = json.loads(result.stdout)["sources"]
    assert {name: figures["n"] for name, figures in sources.items()} == {"phone": 10, "web": 10}


def test_a_source_without_a_path_is_refused(model, pictures):
    result = evaluate(model, pictures, "--source", "web")
    assert result.exit_code == 2 and "NAME=PATH" in result.stderr
