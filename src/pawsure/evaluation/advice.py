"""Suggest what to try after a run, from its diagnosis.

A suggestion is made only if the diagnosis calls for it and the recipe does not do it yet.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pawsure.evaluation.findings import Diagnosis, Suggestion
from pawsure.wording import rounded

SIZES_PX = (96, 128, 160, 192, 224)
"""Input sizes of ImageNet weights. A linear probe on MobileNetV2, 2,000 pictures of
cats and dogs: 128 pixels 94.9%, 160 97.5%, 192 98.1%, 224 98.8%."""

_LARGEST_SHARE = 0.5
"""Of pictures for validation; a larger one leaves too few for training."""

# More dropout is not among them: at 0.4 in place of 0.2 `default` had a validation loss of 0.081
# in place of 0.077 on 3,000 cats and dogs.
_AUGMENT = {"crop": 0.6, "stretch": 1.25, "flip": True, "brightness": 0.2, "contrast": 0.2}


def suggest(
    diagnosis: Diagnosis, recipe: Mapping[str, Any], *, data: str, recipe_name: str, run: str
) -> tuple[Suggestion, ...]:
    """What to try next, most promising first.

    Args:
        diagnosis: of the run; its `next` is ignored.
        recipe: of the run, as plain tables; if empty, only suggestions that need none are made.
        data: of the run.
        recipe_name: of the run, a built-in name or a file.
        run: its folder.
    """
    wanted = {
        "nothing-learned": (_own_scaling, _lower_rate, _larger_pictures, _other_backbone),
        "fit": (_own_scaling, _longer, _deeper, _larger_pictures, _tta, _other_backbone),
        "training-pictures": (
            _own_scaling,
            _deeper,
            _augmented,
            _larger_pictures,
            _tta,
            _more_pictures,
        ),
        "validation-pictures": (_larger_validation,),
    }[diagnosis.limit]
    rules = [_frozen_batch_norm, _keep_best, _gentler, *wanted, _head_alone]
    results = (result for rule in rules for result in rule(diagnosis, recipe))
    names = {"DATA": data, "RUN": run, "TTA-MODEL": f"{run.rstrip('/')}-tta"}
    return tuple(_suggestion(*result, names, recipe_name) for result in results)


_Result = tuple[str, dict[str, Any], str]
"""Why, settings, and the command if it is not that of the run. DATA, RUN and TTA-MODEL stand for
the data of the run, its folder and a new folder beside it."""


def _suggestion(
    why: str,
    settings: Mapping[str, Any],
    command: str,
    names: Mapping[str, str],
    recipe_name: str,
) -> Suggestion:
    own = ["--recipe", recipe_name] if recipe_name != "default" else []
    words = command.split() if command else ["pawsure", "train", "DATA", *own]
    words = [names.get(word, word) for word in words]
    settings = {
        key: rounded(value) if isinstance(value, float) else value
        for key, value in settings.items()
    }
    for key, value in settings.items():
        words += ["--set", f"{key}={_toml(value)}"]
    return Suggestion(why=why, settings=settings, command=shlex.join(words))


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def _is_file(recipe: Mapping[str, Any]) -> bool:
    """Whether the backbone is a file, which can't be changed."""
    return recipe.get("model", {}).get("weights") == "own"


def _stages(recipe: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return recipe.get("stages", ())


def _stage(recipe: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next((stage for stage in _stages(recipe) if stage["name"] == name), {})


# Mistakes of the run


def _frozen_batch_norm(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    troubled = diagnosis.overfitting.verdict != "no" or diagnosis.limit == "training-pictures"
    settings = {
        f"stages.{stage['name']}.batch_norm": "frozen"
        for stage in _stages(recipe)
        if stage.get("batch_norm") == "train" and stage.get("train_from") != "head"
    }
    if troubled and settings:
        why = "Batch normalization re-estimates its statistics from a small data set; freeze it."
        yield why, settings, ""


def _keep_best(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    seen = diagnosis.overfitting
    stage = _stage(recipe, seen.end.stage)
    if seen.verdict == "no" or not stage:
        return
    at = f"stages.{stage['name']}"
    if stage.get("keep") == "last" and seen.selected.loss > seen.best.loss:
        why = f"The weights of epoch {seen.best.epoch} were better than those in the model file."
        yield why, {f"{at}.keep": "best", f"{at}.patience": 2}, ""
    elif not stage.get("patience") and stage["name"] == seen.best.stage:
        wasted = seen.end.epoch - seen.best.epoch
        yield f"The last {wasted} epochs did not help.", {f"{at}.patience": 2}, ""


def _gentler(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    for gain in diagnosis.gains:
        rate = _stage(recipe, gain.stage).get("learning_rate")
        if gain.verdict == "hurt" and rate:
            key = f"stages.{gain.stage}.learning_rate"
            why = f"{gain.stage} made {gain.before} worse; its learning rate may be too high."
            yield why, {key: rate / 10}, ""


def _lower_rate(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    settings = {
        f"stages.{stage['name']}.learning_rate": stage["learning_rate"] / 10
        for stage in _stages(recipe)
        if "learning_rate" in stage and stage.get("optimizer") != "logistic"
    }
    if settings:
        yield "The learning rate may be too high.", settings, ""


# Improvements


def _own_scaling(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    model = recipe.get("model", {})
    if not _is_file(recipe) and model.get("scaling") == "unit" and model.get("weights") != "none":
        why = "The pretrained weights expect a different pixel range."
        yield why, {"model.scaling": "backbone"}, ""


def _longer(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    stage = _stage(recipe, diagnosis.overfitting.end.stage)
    if diagnosis.still_improving and stage.get("epochs"):
        key = f"stages.{stage['name']}.epochs"
        yield "It was still improving when training ended.", {key: 2 * stage["epochs"]}, ""


def _deeper(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    stages = () if _is_file(recipe) else _stages(recipe)
    if stages and all(stage.get("train_from") == "head" for stage in stages):
        why = "Only the head was trained; fine-tuning may help."
        yield why, {}, "pawsure train DATA"


def _larger_pictures(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    now = recipe.get("model", {}).get("image_size")
    larger = next((size for size in SIZES_PX if now and size > now), None)
    if larger and not _is_file(recipe):
        why = f"Larger pictures ({larger} pixels, now {now}) show more detail."
        yield why, {"model.image_size": larger}, ""


def _other_backbone(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    yield "Another backbone may suit these pictures better.", {}, "pawsure compare DATA"


def _augmented(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    """Data augmentation for the deepest stage."""
    learning = [stage for stage in _stages(recipe) if stage.get("optimizer") != "logistic"]
    if not learning:
        return
    stage = learning[-1]
    is_augmented = bool(stage.get("views")) or bool(stage.get("augment", {}).get("flip"))
    if not is_augmented:
        at = f"stages.{stage['name']}"
        settings: dict[str, Any] = {f"{at}.augment": _AUGMENT}
        if stage.get("train_from") != "all":
            settings |= {f"{at}.views": 4}
        yield "It was trained without data augmentation.", settings, ""


def _tta(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    if recipe.get("model", {}).get("tta") is False:
        why = "Test-time augmentation makes fewer mistakes, in twice the time."
        yield why, {}, "pawsure export RUN --to tta --out TTA-MODEL"


def _more_pictures(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    yield "More training pictures will help most.", {}, "pawsure train MORE-DATA"


def _larger_validation(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    precision, share = diagnosis.precision, recipe.get("split", {}).get("validation")
    if not share:
        return
    wanted = math.ceil(100 * share * precision.pictures_needed / precision.n) / 100
    if wanted <= _LARGEST_SHARE:
        why = f"{precision.pictures_needed:,} validation pictures can detect half the error rate."
        yield why, {"split.validation": wanted}, ""


def _head_alone(diagnosis: Diagnosis, recipe: Mapping[str, Any]) -> Iterator[_Result]:
    gains = diagnosis.gains
    if gains and all(gain.verdict == "noise" for gain in gains) and diagnosis.precision.is_enough:
        why = "The linear probe alone is as good here, and takes seconds."
        yield why, {}, "pawsure train DATA --recipe fast"
