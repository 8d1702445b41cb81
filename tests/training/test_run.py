"""Whole runs, on striped pictures and a small network with drawn weights."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest

from pawsure.data.saved_catalog import load_catalog
from pawsure.data.sources import open_source
from pawsure.errors import DataError, RunFolderError
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.metrics import log_loss, softmax
from pawsure.evaluation.selected import Selected
from pawsure.graph.tta import has_tta, second_view
from pawsure.model.predictor import Predictor
from pawsure.trust.calibration import at_best_temperature

keras = pytest.importorskip("keras")

from pawsure.network.build import build_backbone  # noqa: E402
from pawsure.training import finalize  # noqa: E402
from pawsure.training.recipe import recipe_from_text  # noqa: E402
from pawsure.training.run import train  # noqa: E402


@pytest.fixture(scope="module")
def small(lively_weights):
    """Keys that make any recipe quick."""
    return {
        "backbone": "mobilenet_050",
        "image_size": 32,
        "weights": lively_weights,
        "validation": 0.2,
        "test": 0.2,
    }


@pytest.fixture(scope="module")
def two_stages(lively_weights):
    """A recipe with everything that a recipe can have."""
    text = TWO_STAGES.replace("LIVELY", lively_weights) + "interpolate = true\n"
    return recipe_from_text(text, "two-stages")


TWO_STAGES = """
[model]
backbone = "mobilenet_050"
image_size = 32
weights = "LIVELY"
dropout = 0.2
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
learning_rate = 1e-3
batch_size = 16
label_smoothing = 0.05
mixup = 0.2
average = 0.5
head_rate = 2.0
views = 2
refresh = 2
augment = { crop = 0.6, flip = true, brightness = 0.2, erase = 0.3 }
"""


class Said:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.lines, self.details, self.counted = [], [], {}

    def start(self, description, total, unit="pictures"):
        self._now = description

    def advance(self, steps=1):
        self.counted[self._now] = self.counted.get(self._now, 0) + steps

    def finish(self):
        pass

    def say(self, message):
        self.lines.append(message)

    def detail(self, message):
        self.details.append(message)


@pytest.fixture(scope="module")
def finished(striped, tmp_path_factory, two_stages):
    """A finished run, with what it said; its cache stays for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        said = Said()
        out = tmp_path_factory.mktemp("runs") / "run"
        return train(striped, recipe=two_stages, out=out, progress=said), said


def test_a_run_leaves_everything_that_the_contract_names(finished):
    run, _ = finished
    found = {path.name for path in run.folder.iterdir()}
    assert found == {
        "model.onnx",
        "model.keras",
        "metrics.json",
        "history.csv",
        "catalog.parquet",
        "predictions.parquet",
        "recipe.toml",
        "report.html",
        "run.log",
        "checksums.sha256",
    }
    assert json.loads((run.folder / "metrics.json").read_text()) == run.metrics
    assert recipe_from_text((run.folder / "recipe.toml").read_text(), "x").stages[1].views == 2


def test_a_run_says_a_dozen_lines_and_keeps_the_rest_in_its_log(finished):
    run, said = finished
    diagnosis = run.metrics["diagnosis"]
    assert said.lines == []  # nothing to warn of
    assert diagnosis["verdict"] in run.summary
    assert sum(line.startswith("To try: ") for line in run.summary) == 2 < len(diagnosis["next"])
    assert len(run.summary) <= 11  # the command adds the next one
    log = (run.folder / "run.log").read_text()
    assert all(line in log for line in (*said.details, *run.summary, *diagnosis["sentences"]))


def test_advice_starts_from_what_was_done_and_can_be_typed(finished):
    run, _ = finished
    commands = [
        one["command"] for one in run.metrics["diagnosis"]["next"] if "--set" in one["command"]
    ]
    assert commands and all(f"--recipe {run.folder / 'recipe.toml'}" in one for one in commands)


def test_the_history_has_a_row_an_epoch(finished):
    run, _ = finished
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tuned = [row for row in rows if row["stage"] == "fine-tune"]
    assert [row["epoch"] for row in tuned] == ["1", "2", "3"]
    assert all(0 <= float(row["validation_accuracy"]) <= 1 for row in rows)
    assert all(float(row["loss"]) > 0 for row in tuned)


def test_a_run_keeps_what_was_found_out_about_its_data(finished):
    run, said = finished
    audit = run.metrics["audit"]
    assert audit["labels"] == {"level": 60, "upright": 60}
    assert audit["leakage"]["groups"] == 0
    # Stripes are all alike, and the run says that it could do nothing about near-copies.
    assert audit["too_alike"] == "level"
    log = (run.folder / "run.log").read_text()
    assert all(sentence in log for sentence in audit["sentences"])


def test_strict_refuses_splits_that_share_copies(striped, tmp_path, two_stages):
    """Before anything is learned or written."""
    for label in ("level", "upright"):
        for number in range(12):
            split = "val" if number < 4 else "train"
            name = tmp_path / "data" / split / label / f"{number}.png"
            name.parent.mkdir(parents=True, exist_ok=True)
            # The first of validation is the last of training.
            source = striped / label / f"{11 if number == 0 else number}.png"
            name.write_bytes(source.read_bytes())
    data, out, said = tmp_path / "data", tmp_path / "run", Said()
    with pytest.raises(DataError, match="share copies: 2 groups"):
        train(data, recipe=two_stages, out=out, strict=True, progress=said)
    assert any(line.startswith("Leakage: ") for line in said.lines)
    assert not (tmp_path / "run").exists()


def test_the_model_file_answers_as_keras_does(finished, striped):
    run, _ = finished
    predictor = Predictor(run.model_file)
    assert predictor.labels == ("level", "upright")
    network = keras.saving.load_model(run.folder / "model.keras", compile=False)
    from pawsure.data.images import read

    paths = sorted((striped / "level").iterdir())[:4]
    pictures = np.stack([read(path, size_px=32) for path in paths])
    by_keras = keras.ops.convert_to_numpy(network(pictures.astype(np.float32), training=False))
    # Keras knows nothing of the calibration, which comes after the logits.
    plain = softmax(predictor.predict_batch(pictures).logit)
    np.testing.assert_allclose(plain, by_keras, atol=1e-5)
    assert run.metrics["parity"]["pixels"]["max_difference"] < 1e-4


def test_a_head_on_the_weights_on_board_learns(striped, tmp_path):
    changes = {"weights": "pets", "image_size": 64, "validation": 0.2, "test": 0.2}
    run = train(striped, recipe="fast", overrides=changes, out=tmp_path / "run")
    assert run.metrics["test"]["accuracy"]["value"] > 0.9


def recorded(run, data):
    """The catalog of a run."""
    catalog = load_catalog(run.folder / "catalog.parquet", open_source(data))
    assert catalog is not None
    return catalog


def test_a_stage_never_leaves_the_network_worse_than_it_found_it(finished, striped):
    run, _ = finished
    head, tuned = run.metrics["stages"]
    assert head["is_kept"]
    found = predict(Predictor(run.model_file), recorded(run, striped), split="validation")
    probability = at_best_temperature(softmax(found.logit), found.label)
    calibrated = log_loss(probability, found.label)
    assert calibrated <= head["validation_loss"] + 2e-3
    # The second stage softens its targets, and so is judged at its best temperature, and its
    # weights are interpolated, so that they may be better than after any epoch.
    assert tuned["validation_loss"] <= min(row["validation_loss"] for row in tuned["history"])
    assert tuned["is_kept"] == (calibrated == pytest.approx(tuned["validation_loss"], abs=2e-3))


SPOILED = ("learning_rate = 1e-3", "learning_rate = 10.0")
"""Steps so large that no epoch is as good as what was there before."""


@pytest.mark.parametrize(
    ("change", "tta", "train_from"),
    [
        (("", ""), False, "conv_pw_11"),
        (("", ""), True, "conv_pw_11"),
        (SPOILED, False, "conv_pw_11"),
        (SPOILED, True, "conv_pw_11"),
        (SPOILED, False, "auto"),
    ],
)
def test_everything_that_a_run_says_is_about_the_weights_in_the_file(
    striped, tmp_path, lively_weights, change, tta, train_from, monkeypatch
):
    decide = finalize.tta_helps
    monkeypatch.setattr(finalize, "tta_helps", lambda *both: (True, decide(*both)[1]))
    text = TWO_STAGES.replace("LIVELY", lively_weights) + "interpolate = true\n"
    text = text.replace("epochs = 3", "epochs = 2").replace("average = 0.5\n", "").replace(*change)
    text = text.replace('"conv_pw_11"', f'"{train_from}"')
    text = text.replace("[split]", f"tta = {str(tta).lower()}\n[split]")
    run = train(striped, recipe=recipe_from_text(text, "selected"), out=tmp_path / "run")
    metrics, selected = run.metrics, run.metrics["selected"]
    head, tuned = metrics["stages"]
    if change == SPOILED:
        assert not tuned["is_kept"]
    assert selected["tta"] == tta
    assert selected["discarded"] == ([] if tuned["is_kept"] else ["fine-tune"])
    last = tuned if tuned["is_kept"] else head
    assert (selected["stage"], selected["epoch"], selected["share"]) == (
        last["name"],
        last["kept_epoch"],
        last["share"],
    )
    right = metrics["validation"]["accuracy"]["value"]
    diagnosis = metrics["diagnosis"]
    assert diagnosis["selected"] == selected
    assert diagnosis["precision"]["accuracy"] == pytest.approx(right)
    assert diagnosis["gap"]["validation_accuracy"] == pytest.approx(right)
    if not tta:
        assert last["validation_accuracy"] == pytest.approx(right)
    sentence = Selected.from_dict(selected).sentence()
    assert sentence in (run.folder / "run.log").read_text()
    page = (run.folder / "report.html").read_text()
    assert sentence in page
    assert ("(discarded)" in page) == (not tuned["is_kept"])


def test_the_figures_are_those_of_the_shipped_file(finished, striped):
    from pawsure.data.catalog import build_catalog
    from pawsure.data.split import assign_splits
    from pawsure.evaluation.evaluate import evaluate

    run, _ = finished
    catalog = assign_splits(build_catalog(striped), seed=0, validation=0.2, test=0.2)
    again = evaluate(Predictor(run.model_file), catalog, split="test")
    assert again["log_loss"] == run.metrics["test"]["log_loss"]


def test_a_second_run_decodes_no_picture_again(striped, tmp_path, small):
    first, second = Said(), Said()
    train(striped, recipe="fast", overrides=small, out=tmp_path / "a", progress=first)
    train(striped, recipe="fast", overrides=small, out=tmp_path / "b", progress=second)
    assert first.counted["Computing features"] > 40
    assert "Computing features" not in second.counted
    said = re.compile(r"Computed features for 0 pictures \([1-9]\d* from cache\)\.")
    assert any(said.fullmatch(line) for line in second.details)


def test_the_same_seed_gives_the_same_file_to_the_byte(striped, tmp_path, two_stages):
    files = []
    for name in "ab":
        run = train(striped, recipe=two_stages, out=tmp_path / name)
        files.append(run.model_file.read_bytes())
        keras.utils.clear_session()
    assert files[0] == files[1]


def test_classic_behaves_as_the_script_does(striped, tmp_path, small, lively_weights):
    changes = {"stages.0.epochs": 2, "stages.1.epochs": 2, "stages.1.train_from": 70}
    run = train(striped, recipe="classic", overrides=small | changes, out=tmp_path / "run")
    assert [stage["kept_epoch"] for stage in run.metrics["stages"]] == [2, 2]
    network = keras.saving.load_model(run.folder / "model.keras", compile=False)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    norms = [
        layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    started = build_backbone("mobilenet_050", size_px=32, weights=lively_weights)
    moved = [
        bool(np.any(norm.get_weights()[2] != started.get_layer(norm.name).get_weights()[2]))
        for norm in norms
    ]
    assert not any(moved[:10]) and all(moved[-2:])  # frozen below layer 70, learning above


def test_frozen_statistics_do_not_move_by_one_bit(finished, lively_weights):
    run, _ = finished
    network = keras.saving.load_model(run.folder / "model.keras", compile=False)
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    started = build_backbone("mobilenet_050", size_px=32, weights=lively_weights)
    norms = 0
    for before, after in zip(started.layers, backbone.layers, strict=True):
        if isinstance(before, keras.layers.BatchNormalization):
            norms += 1
            for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
    assert norms > 20


def test_every_layer_can_learn_from_pictures_changed_live(striped, tmp_path, lively_weights):
    whole = TWO_STAGES.replace("LIVELY", lively_weights).replace('"conv_pw_11"', '"all"')
    whole = whole.replace("epochs = 3", "epochs = 2").replace("views = 2", "views = 0")
    unchanged = "".join(line for line in whole.splitlines(True) if not line.startswith("augment"))
    losses = {}
    for name, text in (("live", whole), ("unchanged", unchanged)):
        run = train(striped, recipe=recipe_from_text(text, name), out=tmp_path / name)
        losses[name] = [row["loss"] for row in run.metrics["stages"][1]["history"]]
    assert len(losses["live"]) == len(losses["unchanged"]) == 2
    assert losses["live"][0] != pytest.approx(losses["unchanged"][0], rel=1e-3)


def test_depth_is_chosen_by_trial(striped, tmp_path, lively_weights):
    """Without a stage before it the first trial is always accepted, so weights are kept."""
    text = TWO_STAGES.replace("LIVELY", lively_weights).replace('"conv_pw_11"', '"auto"')
    text = text.replace(
        """[[stages]]
name = "head"
optimizer = "logistic"
""",
        "",
    )
    run = train(striped, recipe=recipe_from_text(text, "auto"), out=tmp_path / "run")
    (stage,) = run.metrics["stages"]
    trials = stage["depth"]
    for trial in trials:
        assert trial["accepted"] == (trial["gain"] > 1.645 * trial["standard_error"])
    assert all(trial["accepted"] for trial in trials[:-1])  # it stops at the first refusal
    kept = [trial["validation_loss"] for trial in trials if trial["accepted"]]
    assert kept and stage["is_kept"]
    assert stage["validation_loss"] == pytest.approx(kept[-1], abs=2e-3)
    log = (run.folder / "run.log").read_text()
    assert log.count("validation loss") >= len(trials)


@pytest.mark.parametrize("recipe", ["fast", "two stages"])
@pytest.mark.parametrize("helps", [True, False])
def test_the_file_uses_tta_if_the_recipe_has_it_and_it_helps(
    striped, tmp_path, small, two_stages, recipe, helps, monkeypatch
):
    decide = finalize.tta_helps
    monkeypatch.setattr(finalize, "tta_helps", lambda *both: (helps, decide(*both)[1]))
    runs = {}
    for tta in (False, True):
        out = tmp_path / f"tta-{tta}"
        if recipe == "fast":
            runs[tta] = train(striped, recipe="fast", out=out, overrides={**small, "tta": tta})
        else:
            model = replace(two_stages.model, tta=tta)
            runs[tta] = train(striped, recipe=replace(two_stages, model=model), out=out)
    once, second = (Predictor(runs[tta].folder) for tta in (False, True))
    assert [has_tta(onnx.load(model.path)) for model in (once, second)] == [False, helps]
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    expected = once.predict_batch(pictures).logit
    if helps:
        expected = (expected + once.predict_batch(second_view(pictures)).logit) / 2
    found = second.predict_batch(pictures)
    np.testing.assert_allclose(found.logit, expected, atol=1e-3)
    assert found.familiarity is not None
    assert "Test-time augmentation: validation" in (runs[True].folder / "run.log").read_text()
    metrics = runs[True].metrics
    assert metrics["parity"]["tta"]["n"] == 16
    assert metrics["parity"]["stored"]["n"] == metrics["validation"]["n"]
    assert metrics["diagnosis"]["precision"]["accuracy"] == pytest.approx(
        metrics["validation"]["accuracy"]["value"]
    )


def test_tta_helps_if_its_loss_is_lower():
    label = np.array([0, 1] * 10)
    sure = np.where(np.eye(2, dtype=bool)[label], 2.0, -2.0)
    wrong_once = sure.copy()
    wrong_once[0] *= -1
    better, worse = (
        Predictions(
            indices=np.arange(20),
            probability=softmax(logit),
            label=label,
            problems=[],
            logit=logit,
        )
        for logit in (sure, wrong_once)
    )
    helps, sentence = finalize.tta_helps(worse, better)
    assert helps and "not used" not in sentence
    helps, sentence = finalize.tta_helps(better, worse)
    assert not helps and "It does not help here, and is not used." in sentence
    assert "validation accuracy 95.00%" in sentence and "without: accuracy 100.00%" in sentence


def test_weights_are_taken_part_of_the_way_from_their_start(striped, tmp_path, lively_weights):
    import keras

    from pawsure.network.build import build_backbone

    text = TWO_STAGES.replace("LIVELY", lively_weights)
    ends = {}
    for name, more in (("end", ""), ("between", "interpolate = true\n")):
        recipe = recipe_from_text(text + more, name)
        run = train(striped, recipe=recipe, out=tmp_path / name)
        network = keras.models.load_model(run.folder / "model.keras", compile=False)
        ends[name] = next(part for part in network.layers if isinstance(part, keras.Model))
        points = run.metrics["stages"][1]["interpolation"]
        assert bool(points) == (name == "between")
    share = min(points, key=lambda point: point["validation_loss"])["share"]
    start = build_backbone("mobilenet_050", size_px=32, weights=lively_weights).get_weights()
    for first, last, kept in zip(
        start, ends["end"].get_weights(), ends["between"].get_weights(), strict=True
    ):
        np.testing.assert_allclose(kept, (1 - share) * first + share * last, atol=1e-6)
    log = (run.folder / "run.log").read_text()
    said = f"interpolated, {share:.0%} trained" if share < 1 else "interpolation did not help"
    assert said in log
    assert run.metrics["selected"]["share"] == share
    assert "fine-tune: weight interpolation" in (run.folder / "report.html").read_text()


@pytest.mark.parametrize("killed_after", [0, pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_run_that_is_gone_on_with_ends_with_the_same_bits(
    striped, tmp_path, killed_after, monkeypatch, two_stages
):
    whole = train(striped, recipe=two_stages, out=tmp_path / "whole").model_file.read_bytes()
    from pawsure.training import stages

    save, saved = stages.save_state, []

    class Killed(BaseException):
        """Ends a run as a signal would."""

    def save_and_die(state, path):
        if len(saved) == killed_after:
            raise Killed
        saved.append(path)
        save(state, path)

    monkeypatch.setattr(stages, "save_state", save_and_die)
    with pytest.raises(Killed):
        train(striped, recipe=two_stages, out=tmp_path / "cut")
    monkeypatch.setattr(stages, "save_state", save)
    assert not (tmp_path / "cut" / "model.onnx").exists()
    keras.utils.clear_session()
    resumed = train(striped, resume=tmp_path / "cut")
    assert resumed.model_file.read_bytes() == whole


def test_a_folder_that_exists_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RunFolderError, match="exists already. Choose another --out.*--resume"):
        train("no such data", out=tmp_path / "run", recipe="classic")


def test_only_a_run_that_was_cut_off_can_be_gone_on_with(finished, striped, tmp_path):
    run, _ = finished
    with pytest.raises(RunFolderError, match="is finished"):
        train(striped, resume=run.folder)
    with pytest.raises(RunFolderError, match="no recipe.toml"):
        train(striped, resume=tmp_path)


def test_going_on_with_other_pictures_is_refused(striped, tmp_path):
    from pawsure.data.catalog import build_catalog
    from pawsure.data.split import assign_splits
    from pawsure.training.run_folder import RunFolder

    def catalog(seed):
        return assign_splits(build_catalog(striped), seed=seed)

    folder = RunFolder.create(tmp_path / "run", "some", "seed = 0")
    folder.check_same_data(catalog(0))  # cut off before it was written
    folder.keep_catalog(catalog(0))
    folder.check_same_data(catalog(0))
    with pytest.raises(RunFolderError, match="have changed since the run in .*run began"):
        folder.check_same_data(catalog(1))


def test_a_run_folder_never_lacks_its_recipe(tmp_path, monkeypatch):
    """Or a run that was killed there could neither be gone on with nor started again."""
    from pawsure.training.run_folder import RunFolder

    def fail(self, name, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_text", fail)
    with pytest.raises(RunFolderError, match="can't be made: No space left"):
        RunFolder.create(tmp_path / "run", "some", "seed = 0")
    assert not list(tmp_path.iterdir())


def test_bad_data_leave_no_run_folder(tmp_path):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    with pytest.raises(DataError):
        train(tmp_path / "data", out=tmp_path / "run", recipe="fast")
    assert not (tmp_path / "run").exists()


def test_a_sigmoid_is_for_two_labels(striped, tmp_path, small):
    data = tmp_path / "three"
    shutil.copytree(striped, data)
    shutil.copytree(striped / "level", data / "odd")
    for path in (data / "odd").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="3 labels .*a sigmoid head is for two"):
        train(data, recipe="classic", overrides=small, out=tmp_path / "run")
    run = train(data, recipe="fast", overrides=small, out=tmp_path / "run")
    assert Predictor(run.model_file).labels == ("level", "odd", "upright")


def test_a_picture_that_is_cut_short_is_named_and_left_out(striped, tmp_path, small):
    data = tmp_path / "data"
    shutil.copytree(striped, data)
    path = data / "level" / "0.png"
    path.write_bytes(path.read_bytes()[:300])
    said = Said()
    run = train(data, recipe="fast", overrides=small, out=tmp_path / "run", progress=said)
    assert any("level/0.png" in line and "Left out" in line for line in said.lines)
    assert list(run.metrics["unreadable"]) == ["level/0.png"]


def test_nothing_is_shipped_that_disagrees(striped, tmp_path, monkeypatch, small):
    from pawsure.errors import ParityError
    from pawsure.training import parity_checks

    monkeypatch.setattr(parity_checks, "STORED_TOLERANCE", -1.0)
    with pytest.raises(ParityError, match="disagrees with its source"):
        train(striped, recipe="fast", overrides=small, out=tmp_path / "run")
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_a_fast_run_with_its_prefix_at_hand_imports_no_keras(striped, tmp_path, small):
    import os
    import subprocess
    import sys

    train(striped, recipe="fast", overrides=small, out=tmp_path / "a")
    code = (
        "import sys\n"
        "from pawsure.training.run import train\n"
        f"train({str(striped)!r}, recipe='fast', overrides={small!r}, "
        f"out={str(tmp_path / 'b')!r})\n"
        "sys.exit(bool({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert done.returncode == 0


def test_the_model_file_carries_its_own_figures(finished):
    run, _ = finished
    carried = Predictor(run.model_file).metadata.figures["test"]
    assert {"accuracy", "log_loss", "answers"} <= set(carried)
    assert carried == {name: run.metrics["test"][name] for name in carried}
