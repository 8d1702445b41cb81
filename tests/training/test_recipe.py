from __future__ import annotations

import pytest

from pawsure.data.augment import Augmentation
from pawsure.errors import RecipeError
from pawsure.training.recipe import (
    Recipe,
    Stage,
    load_recipe,
    recipe_from_text,
    recipe_names,
    recipe_to_toml,
)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_on_board_survives_being_written_out(name):
    recipe = load_recipe(name)
    assert recipe_from_text(recipe_to_toml(recipe), name) == recipe
    assert recipe.description


def test_classic_is_the_seeds_script_to_the_letter():
    recipe = load_recipe("classic")
    model, (head, tune) = recipe.model, recipe.stages
    assert (model.backbone, model.image_size, model.scaling, model.head, model.dropout) == (
        "mobilenet_v2",
        128,
        "unit",
        "sigmoid",
        0.0,
    )
    assert (head.train_from, head.epochs, tune.train_from, tune.epochs) == ("head", 8, 100, 5)
    for stage in recipe.stages:
        assert (stage.optimizer, stage.learning_rate, stage.batch_size) == ("rmsprop", 1e-4, 32)
        assert (stage.batch_norm, stage.keep, stage.label_smoothing) == ("train", "last", 0.0)
        assert stage.augment == Augmentation()


def test_a_key_can_be_changed_by_its_short_or_its_full_name():
    recipe = load_recipe(
        "classic",
        {"image_size": 96, "model.dropout": 0.5, "seed": 7, "stages.fine-tune.epochs": 2},
    )
    assert (recipe.model.image_size, recipe.model.dropout, recipe.seed) == (96, 0.5, 7)
    assert [stage.epochs for stage in recipe.stages] == [8, 2]
    assert load_recipe("classic", {"stages.1.epochs": 3}).stages[1].epochs == 3
    assert load_recipe("classic", {"fine-tune.epochs": 3}).stages[1].epochs == 3


def test_an_unknown_key_is_named_with_the_one_that_was_meant():
    with pytest.raises(RecipeError, match="'image_siz' that no recipe knows.*mean 'image_size'"):
        load_recipe("classic", {"model.image_siz": 96})
    with pytest.raises(RecipeError, match="'learningrate'.*mean 'learning_rate'"):
        load_recipe("classic", {"stages.head.learningrate": 1.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": "large"}, "image_size should be int; got 'large'"),
        ({"seed": True}, "seed should be int; got True"),
        ({"head": "linear"}, "head should be one of softmax, sigmoid; got 'linear'"),
        ({"dropout": 1}, r"dropout must be in \[0, 1\)"),
        ({"validation": 0.6, "test": 0.5}, "leave something to train on"),
        ({"stages.tail.epochs": 1}, "no stage 'tail'. Its stages are head, fine-tune"),
        ({"stages.head.train_from": 1.5}, r"train_from as a share must be in \(0, 1\); got 1.5"),
        ({"stages.head.epochs": 0}, "epochs must be at least 1"),
        ({"stages.head.weight_decay": 0.1}, "weight_decay goes with optimizer adamw"),
        ({"stages.head.augment": {"flip": True}}, "augment needs views"),
        ({"stages.head.augment": {"flop": True}}, "'flop' that no recipe knows.*'flip'"),
        ({"stages.head.augment": {"crop": 0.0}}, r"augment: crop must be in \(0, 1\]; got 0.0"),
        ({"stages.head.augment": {"stretch": 0.5}}, "stretch must be 1 or more; got 0.5"),
        ({"stages.head.augment": {"contrast": 1.0}}, r"contrast must be in \[0, 1\); got 1.0"),
        ({"stages.head.augment": {"jpeg": 2.0}}, r"jpeg is a share .* \[0, 1\]; got 2.0"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(changes, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("classic", changes)


def test_a_recipe_that_is_not_there_names_those_that_are():
    with pytest.raises(RecipeError, match="no recipe 'besst'. The built-in recipes are .*classic"):
        load_recipe("besst")


def test_broken_toml_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("seed = = 3")
    with pytest.raises(RecipeError, match="mine.toml is not valid TOML"):
        load_recipe(path)


def test_stages_need_names_of_their_own():
    with pytest.raises(RecipeError, match="different names; got a, a"):
        Recipe(stages=(Stage(name="a"), Stage(name="a")))
    with pytest.raises(RecipeError, match="lacks name"):
        recipe_from_text("[[stages]]\nepochs = 1", "x")


@pytest.mark.parametrize(("looks", "tta"), [(1, False), (2, True)])
def test_the_old_key_looks_is_read_with_a_warning(looks, tta):
    text = f"[model]\nlooks = {looks}\n[[stages]]\nname = 'head'\noptimizer = 'logistic'\n"
    with pytest.warns(FutureWarning, match="'looks' is now 'tta'"):
        assert recipe_from_text(text, "old").model.tta is tta
    for key in ("looks", "model.looks"):
        with pytest.warns(FutureWarning, match="'looks' is now 'tta'"):
            assert load_recipe("fast", {key: looks}).model.tta is tta


def test_the_old_key_looks_is_still_checked():
    with pytest.warns(FutureWarning), pytest.raises(RecipeError, match="tta should be bool"):
        load_recipe("fast", {"looks": 3})
