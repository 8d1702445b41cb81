"""A frozen copy of the last layers, kept beside the fine-tuned ones."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from pawsure.data.images import read
from pawsure.data.saved_catalog import load_catalog
from pawsure.data.sources import open_source
from pawsure.errors import RecipeError
from pawsure.export.formats import export
from pawsure.graph.head import POOLED
from pawsure.graph.second_look import second_look_at, with_second_look
from pawsure.model.predictor import Predictor
from pawsure.onnx_runtime import onnxruntime
from pawsure.training.interpolation import mean_of_logits
from pawsure.training.recipe import load_recipe, recipe_from_text
from pawsure.trust.nodes import without_trust

keras = pytest.importorskip("keras")

from pawsure.training import learner as learning  # noqa: E402
from pawsure.training.run import train  # noqa: E402

RECIPE = """
[model]
backbone = "mobilenet_050"
image_size = 32
weights = "LIVELY"
[split]
validation = 0.2
test = 0.2
[[stages]]
name = "head"
optimizer = "logistic"
[[stages]]
name = "fine-tune"
train_from = "conv_pw_11"
epochs = 3
learning_rate = 3e-3
batch_size = 16
label_smoothing = 0.05
keep_frozen = true
keep = "last"
views = 1
augment = { flip = true, grey = 0.1, jpeg = 0.5 }
"""


@pytest.fixture(scope="module")
def recipe(lively_weights):
    return recipe_from_text(RECIPE.replace("LIVELY", lively_weights), "beside")


@pytest.fixture(scope="module")
def run(striped, tmp_path_factory, recipe):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(striped, recipe=recipe, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def pictures(striped):
    return np.stack([read(str(path), size_px=32) for path in sorted(striped.rglob("*.png"))[:6]])


def test_the_embedding_is_that_of_the_frozen_network(run, striped, recipe, tmp_path, pictures):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
        probe = train(striped, recipe=replace(recipe, stages=recipe.stages[:1]), out=tmp_path / "p")
    frozen = Predictor(probe.model_file).predict_batch(pictures).embedding
    beside = Predictor(run.model_file).predict_batch(pictures).embedding
    assert beside.shape == frozen.shape
    np.testing.assert_allclose(beside, frozen, atol=1e-4)


def test_layers_before_the_cut_are_computed_once(run):
    graph = onnx.load(run.model_file).graph
    kernels = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    copies = [name for name in kernels if "frozen_" in name]
    assert copies and len(kernels) < 2 * (len(kernels) - len(copies))
    assert any(POOLED in node.output for node in graph.node)


def test_evidence_still_adds_up_to_the_logits(run, pictures):
    found = Predictor(run.model_file).predict_batch(pictures)
    np.testing.assert_allclose(found.evidence.mean(axis=(1, 2)), found.logit, atol=1e-3)


def test_keras_has_both_branches_too(run, pictures):
    loaded = keras.models.load_model(run.folder / "model.keras", compile=False)
    probability = np.asarray(loaded(pictures.astype(np.float32)))
    logit = Predictor(run.model_file).predict_batch(pictures).logit
    expected = np.exp(logit - logit.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        probability, expected / expected.sum(axis=1, keepdims=True), atol=1e-3
    )


@pytest.mark.parametrize("form", ["int8", "saved-model", "litert"])
def test_it_can_be_exported(run, striped, form, tmp_path):
    catalog = load_catalog(run.folder / "catalog.parquet", open_source(striped))
    export(run.model_file, form, catalog, tmp_path / form, max_changed=0.2)


def test_it_can_use_test_time_augmentation(run, pictures):
    twice = with_second_look(without_trust(onnx.load(run.model_file)))
    session = onnxruntime.InferenceSession(twice.SerializeToString())
    embedding, logit = session.run(["embedding", "logit"], {"image": pictures})
    once = [
        Predictor(run.model_file).predict_batch(seen)
        for seen in (pictures, second_look_at(pictures))
    ]
    np.testing.assert_allclose(embedding, (once[0].embedding + once[1].embedding) / 2, atol=1e-3)
    np.testing.assert_allclose(logit, (once[0].logit + once[1].logit) / 2, atol=1e-3)


def test_the_mean_weighs_both_networks_by_how_sure_they_may_be():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    logit = np.eye(2)[label] * 2 + rng.normal(0, 1, (500, 2))

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    one, shares = mean_of_logits(softmax(logit), softmax(logit * 10), label)
    assert shares[0] == pytest.approx(10 * shares[1], rel=0.05)
    alone, _ = mean_of_logits(softmax(logit), softmax(logit), label)
    np.testing.assert_allclose(one, alone, atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"stages.fine-tune.train_from": "all", "stages.fine-tune.views": 0},
        {"head": "sigmoid", "stages.fine-tune.label_smoothing": 0.0},
        {"stages.head.optimizer": "adamw"},
    ],
)
def test_it_needs_a_probe_on_frozen_layers(change, tmp_path):
    path = tmp_path / "beside.toml"
    path.write_text(RECIPE.replace("LIVELY", "none"))
    with pytest.raises(RecipeError, match="keep_frozen is for the last stage"):
        load_recipe(path, change)


def test_a_stage_that_does_not_help_leaves_one_branch(striped, tmp_path, monkeypatch, recipe):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    worse = np.full((1, 2), 0.5)
    monkeypatch.setattr(
        learning,
        "mean_of_logits",
        lambda first, second, label: (np.repeat(worse, len(label), axis=0), (0.5, 0.5)),
    )
    stages = (recipe.stages[0], replace(recipe.stages[1], keep="best", epochs=1))
    run = train(striped, recipe=replace(recipe, stages=stages), out=tmp_path / "run")
    assert not run.metrics["stages"][1]["is_kept"]
    graph = onnx.load(run.model_file).graph
    assert not any("frozen_" in item.name for item in graph.initializer)
