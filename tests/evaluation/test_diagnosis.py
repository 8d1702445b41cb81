from __future__ import annotations

import dataclasses
import json
import shlex

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.evaluation.diagnosis import diagnose
from pawsure.evaluation.findings import Diagnosis, StageRecord
from pawsure.evaluation.metrics import accuracy, log_loss
from pawsure.evaluation.verdict import verdict

M, N = 1000, 4000


def labels(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, n)


def probabilities(label: np.ndarray, *, right: float, sure: float = 3.0, seed: int = 1):
    """Answers of which a share is right, at logits spread about `sure`; the same seed makes
    the same pictures hard."""
    rng = np.random.default_rng(seed)
    hardness = rng.permutation(len(label)) / len(label)
    is_right = hardness < right
    margin = sure * rng.uniform(0.5, 1.5, len(label)) * np.where(is_right, 1, -1)
    logit = np.where(label == 1, margin, -margin)
    second = 1 / (1 + np.exp(-logit))
    return np.stack([1 - second, second], axis=1)


def stage(
    answers: list[np.ndarray],
    label: np.ndarray,
    *,
    name: str = "fine-tune",
    keep: str = "best",
    known: bool = True,
    in_time: bool = True,
) -> StageRecord:
    """A stage whose epochs gave these answers on validation."""
    history = [
        {
            "epoch": epoch,
            "loss": 0.5 / epoch,
            "accuracy": 1 - 0.1 / epoch,
            "validation_loss": log_loss(answer, label),
            "validation_accuracy": accuracy(answer, label),
            "learning_rate": 1e-4,
        }
        for epoch, answer in enumerate(answers, start=1)
    ]
    best = min(history, key=lambda row: row["validation_loss"])["epoch"]
    kept = best if keep == "best" else len(answers)
    return StageRecord(
        name=name,
        history=history,
        kept_epoch=kept,
        probability=answers[kept - 1],
        epoch_probability=dict(enumerate(answers, start=1)) if known else {},
        in_time=in_time,
    )


def overfitted(label: np.ndarray) -> list[np.ndarray]:
    """The answers stay, but get ever surer of the mistakes too."""
    return [probabilities(label, right=0.93, sure=sure) for sure in (1.5, 2.8, 2.82, 5, 8)]


RECIPE = {
    "seed": 0,
    "model": {"image_size": 128, "weights": "imagenet", "scaling": "unit", "dropout": 0.0},
    "split": {"validation": 0.1, "test": 0.1},
    "stages": [
        {"name": "head", "train_from": "head", "epochs": 8, "keep": "last", "batch_norm": "train"}
        | {"learning_rate": 1e-4, "patience": 0, "views": 0, "augment": {}},
        {"name": "fine-tune", "train_from": 100, "epochs": 5, "keep": "last", "patience": 0}
        | {"learning_rate": 1e-4, "batch_norm": "train", "views": 0, "augment": {}},
    ],
}


def text(diagnosis: Diagnosis) -> str:
    return "\n".join(diagnosis.sentences)


def test_overfitting_is_found_with_its_epoch_and_its_size():
    label = labels(M)
    found = diagnose([stage(overfitted(label), label, keep="last")], label).overfitting
    assert found.verdict == "yes"
    assert (found.best.epoch, found.end.epoch) == (2, 5)
    assert found.since is not None and found.since.epoch == 4  # epoch 3 is within noise
    assert found.interval is not None
    assert 0 < found.interval.low < found.rise < found.interval.high
    assert found.is_selected


def test_overfitting_in_words():
    label = labels(M)
    last, best = (
        text(diagnose([stage(overfitted(label), label, keep=keep)], label))
        for keep in ("last", "best")
    )
    assert "Overfitting from epoch 4 of fine-tune on" in last
    assert "while the training loss fell from 0.250 to 0.100" in last
    assert "The model file has overfitted weights (epoch 5 of fine-tune; " in last
    assert "is not affected: it has the weights of the best epoch" in best


def test_the_verdict_is_one_line_on_overfitting_and_the_limit():
    label = labels(M)
    last, best, probe = (
        verdict(diagnose([one], label))
        for one in (
            stage(overfitted(label), label, keep="last"),
            stage(overfitted(label), label, keep="best"),
            stage([probabilities(label, right=0.93)], label),
        )
    )
    opening = "Overfitting from epoch 4 of fine-tune on. The model file "
    assert last.startswith(f"{opening}has overfitted weights")
    assert best.startswith(f"{opening}is not affected")
    assert "verfitting" not in probe
    assert all("\n" not in line and line.endswith(".") for line in (last, best, probe))


def test_a_stage_that_only_begins_with_a_higher_loss_does_not_overfit():
    label = labels(M)
    head = stage([probabilities(label, right=0.97, sure=4)], label, name="head", in_time=False)
    # Surer and surer of answers that are mostly right: the loss falls, to a level above the head's.
    answers = [probabilities(label, right=0.9, sure=sure) for sure in (0.5, 0.8, 1.2)]
    diagnosis = diagnose([head, stage(answers, label)], label)
    assert diagnosis.overfitting.verdict == "no"
    assert diagnosis.overfitting.rise > 0.05
    assert "the validation loss did not rise during fine-tune, but ended at" in text(diagnosis)
    assert "The model file has these weights." in text(diagnosis)
    rising = diagnose([head, stage(overfitted(label), label, keep="last")], label)
    assert rising.overfitting.verdict == "yes"


def test_a_rise_within_noise_is_no_overfitting():
    label = labels(M)
    answers = [probabilities(label, right=0.93, seed=seed) for seed in range(8)]
    found = diagnose([stage(answers, label)], label).overfitting
    assert found.end != found.best
    assert found.verdict == "no"
    assert "No significant overfitting" in text(diagnose([stage(answers, label)], label))


def test_equal_epochs_are_rarely_called_overfitting():
    label = labels(300)
    called = 0
    for turn in range(20):
        answers = [probabilities(label, right=0.9, seed=100 * turn + epoch) for epoch in range(5)]
        called += diagnose([stage(answers, label)], label).overfitting.verdict != "no"
    assert called <= 3  # 5% of 20, and two standard deviations


def test_without_single_pictures_a_rise_is_only_perhaps():
    label = labels(M)
    diagnosis = diagnose([stage(overfitted(label), label, known=False)], label)
    assert diagnosis.overfitting.verdict == "perhaps"
    assert diagnosis.overfitting.interval is None
    assert "Possible overfitting" in text(diagnosis)
    assert "no interval: no figures of single pictures" in text(diagnosis)


def test_training_that_ends_at_its_best_is_not_overfitting():
    label = labels(M)
    answers = [probabilities(label, right=right) for right in (0.7, 0.8, 0.9)]
    diagnosis = diagnose([stage(answers, label)], label)
    assert diagnosis.overfitting.verdict == "no"
    assert diagnosis.overfitting.rise == 0
    assert diagnosis.still_improving
    assert "was lowest (0." in text(diagnosis)


def test_a_loss_that_became_no_number_is_overfitting_not_the_best():
    label = labels(M)
    record = stage(overfitted(label), label)
    record.history[-1]["validation_loss"] = float("nan")
    diagnosis = diagnose([record], label)
    found = diagnosis.overfitting
    assert (found.best.epoch, found.verdict) == (2, "yes")
    assert json.loads(json.dumps(diagnosis.to_dict()))["overfitting"]["rise"] is None
    assert "became infinite or NaN" in text(diagnosis)


def test_alternatives_are_not_taken_for_a_course_of_time():
    label = labels(M)
    fitted = stage(overfitted(label), label, name="head", in_time=False)
    diagnosis = diagnose([fitted], label)
    assert diagnosis.overfitting.verdict == "no"
    assert not diagnosis.still_improving
    assert "Linear probe: one fit" in text(diagnosis)


def test_the_gap_has_the_interval_of_newcombe():
    label, train_label = labels(M), labels(N, 5)
    diagnosis = diagnose(
        [stage([probabilities(label, right=0.93)], label)],
        label,
        train_probability=probabilities(train_label, right=0.995),
        train_label=train_label,
    )
    gap = diagnosis.gap
    assert gap.value == pytest.approx(0.065)
    assert gap.interval is not None and 0.045 < gap.interval.low < gap.interval.high < 0.09
    assert diagnosis.limit == "training-pictures"
    assert "99.5% on training and 93.0% on validation pictures" in text(diagnosis)
    assert "points are statistically significant" in text(diagnosis)


def test_a_network_that_misses_its_own_pictures_does_not_fit():
    label, train_label = labels(M), labels(N, 5)
    diagnosis = diagnose(
        [stage([probabilities(label, right=0.85)], label)],
        label,
        train_probability=probabilities(train_label, right=0.87),
        train_label=train_label,
    )
    assert diagnosis.limit == "fit"
    assert "Underfitting: 13.0% training error" in text(diagnosis)


def test_few_mistakes_on_few_pictures_can_tell_nothing_and_it_says_how_many_would():
    label, train_label = labels(200), labels(N, 5)
    diagnosis = diagnose(
        [stage([probabilities(label, right=0.98)], label)],
        label,
        train_probability=probabilities(train_label, right=0.99),
        train_label=train_label,
        recipe=RECIPE,
    )
    assert diagnosis.limit == "validation-pictures"
    assert diagnosis.precision.mistakes == 4
    assert 1500 < diagnosis.precision.pictures_needed < 1600
    assert "4 mistakes on 200 pictures" in text(diagnosis)
    # A split cannot hold out eight times as many; nothing of the kind is advised.
    assert not any("split.validation" in one.settings for one in diagnosis.next)


def test_a_larger_validation_share_is_advised_where_there_is_one():
    label, train_label = labels(300), labels(N, 5)
    diagnosis = diagnose(
        [stage([probabilities(label, right=0.96)], label)],
        label,
        train_probability=probabilities(train_label, right=0.965),
        train_label=train_label,
        recipe=RECIPE,
    )
    assert diagnosis.next[-1].settings == {"split.validation": 0.27}


def test_guessing_is_called_guessing():
    label = labels(M)
    diagnosis = diagnose([stage([probabilities(label, right=0.51)], label)], label)
    assert diagnosis.limit == "nothing-learned"
    assert "Not significantly better than always giving the most frequent label" in text(diagnosis)


def two_stages(label: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[StageRecord]:
    return [stage([before], label, name="head"), stage([after], label)]


def test_a_stage_that_helped_beyond_noise():
    label = labels(M)
    diagnosis = diagnose(
        two_stages(label, probabilities(label, right=0.9), probabilities(label, right=0.95)), label
    )
    (gain,) = diagnosis.gains
    assert (gain.verdict, gain.only_before, gain.only_after) == ("helped", 0, 50)
    assert gain.pictures_needed is None
    assert "fine-tune helped: +5.0 points" in text(diagnosis)
    assert "50 of 1,000 predictions fixed, 0 broken" in text(diagnosis)


def test_a_stage_within_noise_says_how_many_pictures_would_tell():
    label = labels(M)
    diagnosis = diagnose(
        two_stages(
            label,
            probabilities(label, right=0.92, seed=1),
            probabilities(label, right=0.925, seed=2),
        ),
        label,
        recipe=RECIPE,
    )
    (gain,) = diagnosis.gains
    assert gain.verdict == "noise"
    assert gain.difference == pytest.approx(0.005)
    assert gain.pictures_needed is not None and gain.pictures_needed > 10_000
    assert "gave no significant gain over head" in text(diagnosis)
    assert any("--recipe fast" in one.command for one in diagnosis.next)


def test_a_stage_can_make_probabilities_better_and_answers_no_other():
    label = labels(M)
    calm, sure = (probabilities(label, right=0.95, sure=sure) for sure in (0.5, 2.5))
    diagnosis = diagnose(two_stages(label, calm, sure), label)
    assert (diagnosis.gains[0].verdict, diagnosis.gains[0].difference) == ("noise", 0)
    assert "log loss is significantly better" in text(diagnosis)


def test_a_stage_that_hurt_should_go_more_gently():
    label = labels(M)
    diagnosis = diagnose(
        two_stages(label, probabilities(label, right=0.95), probabilities(label, right=0.88)),
        label,
        recipe=RECIPE,
    )
    assert diagnosis.gains[0].verdict == "hurt"
    assert {"stages.fine-tune.learning_rate": 1e-5} in [one.settings for one in diagnosis.next]


def seeds_script() -> Diagnosis:
    """A run as the classic script makes it: surer and surer, last weights kept."""
    label, train_label = labels(M), labels(N, 5)
    head = stage([probabilities(label, right=0.9, sure=1.5)], label, name="head", keep="last")
    return diagnose(
        [head, stage(overfitted(label), label, keep="last")],
        label,
        train_probability=probabilities(train_label, right=0.995),
        train_label=train_label,
        recipe=RECIPE,
        data="my photos",
        recipe_name="classic",
    )


def test_the_classic_script_is_told_what_it_does_wrong():
    settings = [dict(one.settings) for one in seeds_script().next]
    assert settings[:3] == [
        {"stages.fine-tune.batch_norm": "frozen"},
        {"stages.fine-tune.keep": "best", "stages.fine-tune.patience": 2},
        {"model.scaling": "backbone"},
    ]
    assert settings[3]["stages.fine-tune.views"] == 4
    assert {"model.image_size": 160} in settings


def test_what_the_recipe_does_already_is_not_advised():
    label = labels(M)
    careful = json.loads(json.dumps(RECIPE))
    careful["model"] |= {"scaling": "backbone", "image_size": 224, "dropout": 0.4}
    for one in careful["stages"]:
        one |= {"batch_norm": "frozen", "keep": "best", "patience": 3, "views": 4}
    train_label = labels(N, 5)
    diagnosis = diagnose(
        [stage(overfitted(label), label)],
        label,
        train_probability=probabilities(train_label, right=0.995),
        train_label=train_label,
        recipe=careful,
    )
    assert [one.command for one in diagnosis.next] == ["pawsure train MORE-DATA"]


@pytest.mark.parametrize(("tta", "advised"), [(False, True), (True, False)])
def test_tta_is_advised_where_there_is_none(tta, advised):
    label, train_label = labels(M), labels(N, 5)
    diagnosis = diagnose(
        [stage(overfitted(label), label)],
        label,
        train_probability=probabilities(train_label, right=0.995),
        train_label=train_label,
        recipe=RECIPE | {"model": RECIPE["model"] | {"tta": tta}},
        run="runs/my pets",
    )
    commands = [one.command for one in diagnosis.next]
    command = "pawsure export 'runs/my pets' --to tta --out 'runs/my pets-tta'"
    assert (command in commands) is advised


def test_learning_rates_are_advised_as_people_write_them():
    label, train_label = labels(M), labels(N, 5)
    recipe = json.loads(json.dumps(RECIPE))
    for one in recipe["stages"]:
        one["learning_rate"] = 3e-4  # a tenth of it is 2.9999999999999997e-05 in floats
    guessing = probabilities(label, right=0.5)
    diagnosis = diagnose(
        [stage([guessing], label)],
        label,
        train_probability=probabilities(train_label, right=0.5),
        train_label=train_label,
        recipe=recipe,
    )
    assert any("learning_rate=3e-05" in one.command for one in diagnosis.next)


def test_where_only_a_head_learned_layers_before_it_are_the_first_advice():
    label, train_label = labels(M), labels(N, 5)
    head = json.loads(json.dumps(RECIPE["stages"][0])) | {"optimizer": "logistic"}
    diagnosis = diagnose(
        [stage([probabilities(label, right=0.93)], label, name="head", in_time=False)],
        label,
        train_probability=probabilities(train_label, right=0.98),
        train_label=train_label,
        recipe=RECIPE | {"model": RECIPE["model"] | {"scaling": "backbone"}, "stages": [head]},
        data="photos",
        recipe_name="fast",
    )
    assert diagnosis.next[0].command == "pawsure train photos"
    assert "Only the head was trained" in diagnosis.next[0].why


def test_advice_can_be_followed_as_it_stands():
    from pawsure.cli.options import read_setting
    from pawsure.training.recipe import load_recipe

    followed = 0
    for one in seeds_script().next:
        words = shlex.split(one.command)
        assert words[:3] == ["pawsure", "train", "my photos"] or "MORE-DATA" in words
        given = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
        overrides = dict(read_setting(text) for text in given)
        load_recipe("classic", overrides)
        assert set(overrides) == set(one.settings)
        followed += len(overrides)
    assert followed >= 6


def test_everything_goes_into_json():
    diagnosis = seeds_script()
    told = json.loads(json.dumps(diagnosis.to_dict()))
    assert told["overfitting"]["verdict"] == "yes"
    assert told["sentences"] == diagnosis.sentences
    texts = {"verdict", "sentences"}
    assert set(told) == {item.name for item in dataclasses.fields(Diagnosis)} | texts


def test_the_same_run_gives_the_same_words():
    assert seeds_script().sentences == seeds_script().sentences


def test_without_training_probabilities_the_gap_is_said_to_be_rough():
    label = labels(M)
    diagnosis = diagnose([stage(overfitted(label), label)], label)
    assert diagnosis.gap.interval is None
    assert "The training accuracy was measured during training" in text(diagnosis)


def test_records_that_do_not_fit_are_refused():
    label = labels(M)
    with pytest.raises(ShapeError, match="at least one stage"):
        diagnose([], label)
    record = dataclasses.replace(stage(overfitted(label), label), kept_epoch=9)
    with pytest.raises(ShapeError, match="kept epoch 9; its history has"):
        diagnose([record], label)


@pytest.mark.parametrize("is_selected", [True, False])
@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("tta", [True, False])
def test_figures_and_words_are_about_the_model_file(is_selected, share, tta):
    """Whatever became of the last stage: it is discarded, interpolated, or answers by tta."""
    label = labels(M)
    head_answer, bad, between, of_file = (
        probabilities(label, right=right) for right in (0.9, 0.5, 0.93, 0.95)
    )
    head = stage([head_answer], label, name="head", in_time=False)
    tuned = dataclasses.replace(
        stage([probabilities(label, right=0.5, sure=1), bad], label, keep="last"),
        probability=between if share < 1 else bad,
        share=share,
        is_selected=is_selected,
    )
    found = diagnose(
        [head, tuned],
        label,
        train_probability=of_file,
        train_label=label,
        validation_probability=of_file,
        tta=tta,
    )
    words = text(found)
    assert found.precision.accuracy == accuracy(of_file, label)
    assert found.gap.validation_accuracy == accuracy(of_file, label)
    assert found.selected.stage == ("fine-tune" if is_selected else "head")
    assert found.selected.share == (share if is_selected else 1.0)
    assert found.selected.tta == tta
    assert found.overfitting.selected.stage == found.selected.stage
    expected = (between if share < 1 else bad) if is_selected else head_answer
    assert found.overfitting.selected.loss == pytest.approx(log_loss(expected, label))
    assert found.selected.sentence() in found.sentences
    assert ("Discarded: fine-tune" in words) == (not is_selected)
    assert ("fine-tune was discarded" in words) == (not is_selected)
    assert ("interpolated: 30% trained, 70% initial" in words) == (is_selected and share < 1)
    assert ("with test-time augmentation" in words) == tta
    assert ("has overfitted weights" in words) == (is_selected and share == 1)
    assert "kept" not in words


def test_without_its_answers_the_file_is_the_last_stage_that_was_not_discarded():
    label = labels(M)
    head = stage([probabilities(label, right=0.9)], label, name="head", in_time=False)
    tuned = dataclasses.replace(stage([probabilities(label, right=0.5)], label), is_selected=False)
    assert diagnose([head, tuned], label).precision.accuracy == pytest.approx(0.9)


def test_a_stage_is_compared_with_the_weights_that_it_started_from():
    label = labels(M)
    first, second, third = (
        stage([probabilities(label, right=right)], label, name=name)
        for name, right in (("head", 0.9), ("lost", 0.5), ("last", 0.95))
    )
    lost = dataclasses.replace(second, is_selected=False)
    gains = diagnose([first, lost, third], label).gains
    assert [(gain.before, gain.stage) for gain in gains] == [("head", "lost"), ("head", "last")]
    assert gains[1].difference == pytest.approx(0.05)


def test_a_run_of_which_everything_was_discarded_is_refused():
    label = labels(M)
    lost = dataclasses.replace(stage([probabilities(label, right=0.5)], label), is_selected=False)
    with pytest.raises(ShapeError, match="not discarded"):
        diagnose([lost], label)
