"""A frozen ONNX file as a backbone, from the recipe to every format of the model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign_networks import SIZE_PX, network, save
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner
from whole_app import app

import pawsure
from pawsure.errors import RecipeError, UsageError, WeightsError
from pawsure.model.predictor import Predictor
from pawsure.network.backbones import IMAGENET_STANDARDISED, MINUS_ONE_TO_ONE, ZERO_TO_ONE
from pawsure.network.prefixes import prefix_key, scaling_of
from pawsure.network.recipe import Standardisation
from pawsure.serving.app import create_app
from pawsure.training.compare import compare_backbones
from pawsure.training.recipe import load_recipe, recipe_from_text, recipe_to_toml
from pawsure.training.run import Run

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 40), "blue": (40, 40, 200)}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty squares of each of three colours, with grain."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (root / label).mkdir()
        for number in range(40):
            pixels = rng.normal(colour, 40, (48, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module", params=["NCHW", "NHWC", "pooled", "tokens", "external"])
def trained(request: pytest.FixtureRequest, photos: Path, tmp_path_factory) -> tuple[str, Run]:
    folder = tmp_path_factory.mktemp(request.param)
    kinds = {
        "NHWC": {"layout": "NHWC"},
        "pooled": {"gives": "pooled"},
        "tokens": {"gives": "tokens"},
    }
    model = network(**kinds.get(request.param, {}), batch=1)
    path = folder / "net.onnx"
    if request.param == "external":
        onnx.save_model(model, path, save_as_external_data=True, location="d", size_threshold=0)
    else:
        save(folder, model)
    run = pawsure.train(
        photos, recipe="fast", overrides={"backbone": str(path)}, out=folder / "run"
    )
    for file in folder.glob("[nd]*"):
        file.unlink(missing_ok=True)  # all of it is in the model file
    return request.param, run


def test_it_trains_to_a_model_file_that_agrees_with_what_was_measured(trained, photos):
    _, run = trained
    assert run.metrics["test"]["accuracy"]["value"] == 1.0
    assert run.metrics["parity"]["stored"]["max_difference"] < 0.02
    model = Predictor(run.model_file)
    assert (model.size_px, model.metadata.backbone) == (SIZE_PX, "net.onnx")
    assert {model(photos / label / "0.png").label for label in COLOURS} == set(COLOURS)


def test_the_evidence_adds_up_to_the_logits_and_is_shown_only_where_it_is_of_places(
    trained, photos, tmp_path
):
    kind, run = trained
    model = Predictor(run.model_file)
    picture = photos / "red" / "1.png"
    pixels = np.asarray(Image.open(picture).resize((SIZE_PX, SIZE_PX)))
    outputs = model.predict_batch(pixels[np.newaxis])
    np.testing.assert_allclose(outputs.evidence.mean(axis=(1, 2)), outputs.logit, rtol=1e-3)
    assert model.tells_places == (kind != "pooled")
    assert (model(picture).evidence is None) == (kind == "pooled")
    asked = ["predict", str(picture), "--model", str(run.model_file), "--evidence"]
    shown = CliRunner().invoke(app, [*asked, str(tmp_path / "maps")])
    if kind == "pooled":
        assert shown.exit_code == 2
        assert "has no heat maps" in " ".join(shown.output.split())
        assert not (tmp_path / "maps").exists()
        with pytest.raises(UsageError, match="pools the whole picture"):
            model(picture).overlay()
        assert "<img" in model(picture)._repr_html_()
    else:
        assert shown.exit_code == 0
        assert len(list((tmp_path / "maps").glob("*.jpg"))) == 1


def test_its_int8_export_says_the_same(trained, photos, tmp_path):
    _, run = trained
    asked = ["export", str(run.folder), "--to", "int8", "--out", str(tmp_path / "int8")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    small = Predictor(tmp_path / "int8" / "model.onnx")
    assert small.metadata.precision == "int8"
    assert [small(photos / label / "2.png").label for label in COLOURS] == list(COLOURS)


def test_it_is_served(trained, photos):
    kind, run = trained
    with TestClient(create_app(Predictor(run.model_file)), base_url="http://localhost") as client:
        picture = (photos / "blue" / "3.png").read_bytes()
        response = client.post(
            "/v1/predict?evidence=true", content=picture, headers={"Content-Type": "image/png"}
        )
        (answer,) = response.json()["answers"]
        assert answer["label"] == "blue"
        assert ("evidence" in answer) == (kind != "pooled")
        shapes = {
            each["name"]: each["shape"] for each in client.get("/v2/models/model").json()["outputs"]
        }
        assert shapes["probability"] == [-1, 3]


def test_training_with_it_loads_no_keras(photos, tmp_path):
    import subprocess

    path = save(tmp_path, network())
    code = (
        "import sys, pawsure\n"
        f"pawsure.train({str(photos)!r}, recipe='fast', overrides={{'backbone': {str(path)!r}}},"
        f" out={str(tmp_path / 'run')!r})\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The recipe


def test_what_the_file_says_is_taken_and_written_down(tmp_path):
    path = save(
        tmp_path, network(side="side", says={"mean": "0.5", "std": "0.5", "image_size": "48"})
    )
    recipe = load_recipe("fast", {"backbone": str(path)})
    assert (recipe.model.image_size, recipe.model.weights) == (48, "own")
    np.testing.assert_allclose(scaling_of(recipe.model).scale, MINUS_ONE_TO_ONE.scale)
    assert recipe_from_text(recipe_to_toml(recipe), "kept") == recipe
    (tmp_path / "kept.toml").write_text(recipe_to_toml(recipe))
    assert load_recipe(tmp_path / "kept.toml") == load_recipe(
        tmp_path / "kept.toml", {"name": "fast"}
    )


def test_what_is_said_in_the_recipe_comes_first(tmp_path):
    path = save(tmp_path, network(side="side"))
    given = {"backbone": str(path), "image_size": 64, "output": "embedding"}
    words = load_recipe("fast", {**given, "model.scaling": "unit"}).model
    assert (words.image_size, words.output) == (64, "embedding")
    assert scaling_of(words) == ZERO_TO_ONE
    usual = load_recipe("fast", {**given, "scaling": "imagenet"}).model
    assert scaling_of(usual) == IMAGENET_STANDARDISED
    table = {"mean": [0, 0, 0], "deviation": [1, 1, 1]}
    model = load_recipe("fast", {**given, "model.scaling": table}).model
    assert model.scaling == Standardisation(mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
    np.testing.assert_allclose(scaling_of(model).scale, ZERO_TO_ONE.scale)


@pytest.mark.parametrize(
    ("side", "says", "given", "sentence"),
    [
        ("side", None, {}, "any size"),
        (SIZE_PX, None, {"image_size": 64}, "32 pixels only; got image_size = 64"),
        (SIZE_PX, {}, {}, "does not say how pixels are scaled"),
        (SIZE_PX, None, {"weights": "imagenet"}, "has its own weights"),
        (SIZE_PX, None, {"head": "sigmoid"}, "softmax"),
        (SIZE_PX, None, {"model.scaling": {"mean": [1, 1], "deviation": [1, 1]}}, "each of R, G"),
        (SIZE_PX, None, {"model.scaling": {"mean": [0.5] * 3, "deviation": [0, 1, 1]}}, "above 0"),
        (SIZE_PX, None, {"model.scaling": {"mean": [124] * 3, "deviation": [58] * 3}}, "by 255"),
        (SIZE_PX, None, {"model.scaling": "wild"}, "one of backbone, unit"),
        (SIZE_PX, None, {"model.scaling": {"mean": [0.5] * 3}}, "lacks deviation"),
    ],
)
def test_what_does_not_go_together_is_said_at_once(tmp_path, side, says, given, sentence):
    path = save(tmp_path, network(side=side, **({} if says is None else {"says": says})))
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("fast", {"backbone": str(path), **given})


@pytest.mark.parametrize("recipe", ["default", "thorough", "classic"])
def test_recipes_that_teach_the_backbone_are_refused_with_the_way_out(tmp_path, recipe):
    with pytest.raises(RecipeError, match="stays frozen.*--recipe fast"):
        load_recipe(recipe, {"backbone": str(save(tmp_path, network()))})


def test_keys_of_files_are_refused_with_other_backbones():
    with pytest.raises(RecipeError, match="output is for an ONNX file"):
        load_recipe("fast", {"output": "features"})
    with pytest.raises(RecipeError, match="imagenet is for an ONNX file"):
        load_recipe("fast", {"scaling": "imagenet"})
    table = {"mean": [0.5] * 3, "deviation": [0.5] * 3}
    with pytest.raises(RecipeError, match="is for an ONNX file"):
        load_recipe("fast", {"model.scaling": table})


def test_the_key_of_stored_features_names_all_that_they_depend_on(tmp_path):
    path = save(tmp_path, network(side="side"))
    given = {"backbone": str(path), "image_size": 64}
    model = load_recipe("fast", given).model
    keys = {prefix_key(model, 0)}
    changes = ({"image_size": 96}, {"model.scaling": "unit"}, {"output": "embedding"})
    keys |= {prefix_key(load_recipe("fast", given | change).model, 0) for change in changes}
    other = network(side="side")
    other.graph.initializer[0].raw_data = bytes(len(other.graph.initializer[0].raw_data))
    save(tmp_path, other)
    keys.add(prefix_key(model, 0))
    assert len(keys) == 5
    moved = save(tmp_path, other, "moved.onnx")
    assert prefix_key(load_recipe("fast", given | {"backbone": str(moved)}).model, 0) in keys


# Other commands


def test_it_is_compared_with_others_at_its_own_size(photos, tmp_path):
    path, silent = save(tmp_path, network()), save(tmp_path, network(says={}), "silent.onnx")
    other = save(tmp_path, network(side=64), "other.onnx")
    recipe = load_recipe("fast", {"image_size": 48})
    found = compare_backbones(photos, recipe, backbones=[str(path), str(other), str(silent)])
    assert {(one.title, one.size_px) for one in found.candidates} == {
        ("net.onnx", SIZE_PX),
        ("other.onnx", 64),
    }
    assert all(one.pictures_per_s > 0 and one.accuracy == 1 for one in found.candidates)
    (skipped,) = found.skipped
    assert (skipped.title, "--set scaling=imagenet" in skipped.reason) == ("silent.onnx", True)
    told = compare_backbones(
        photos, recipe, backbones=[str(silent)], settings={"scaling": "unit"}
    ).candidates
    assert [one.title for one in told] == ["silent.onnx"]


def test_compare_says_what_is_no_backbone_before_it_reads_pictures(photos):
    with pytest.raises(UsageError, match="no backbone 'nothing'"):
        compare_backbones(photos, load_recipe("fast"), backbones=["nothing"])
    with pytest.raises(WeightsError, match="There is no file"):
        compare_backbones(photos, load_recipe("fast"), backbones=["nothing.onnx"])


def test_the_audit_judges_labels_by_it(photos, tmp_path):
    path = save(tmp_path, network(says={}))
    asked = ["audit", str(photos), "--backbone", str(path), "--out", str(tmp_path / "audit")]
    silent = CliRunner().invoke(app, asked)
    assert silent.exit_code == 2
    assert "does not say how pixels are scaled" in " ".join(silent.output.split())
    done = CliRunner().invoke(app, [*asked, "--set", "scaling=unit", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert told["embedded_by"] == f"{path}, {SIZE_PX} pixels"
