"""Same seed, same machine, same model: whatever the cache holds when a run begins."""

from __future__ import annotations

from itertools import permutations

import pytest

pytest.importorskip("keras")

from pawsure.training.run import train  # noqa: E402

QUICK = {
    "fast": {},
    "default": {"fine-tune.epochs": 1, "fine-tune.views": 1},
    "classic": {"head.epochs": 1, "fine-tune.epochs": 1, "fine-tune.train_from": "conv_pw_11"},
}
RECIPES = tuple(QUICK)


@pytest.fixture(scope="module")
def model_of(striped, tmp_path_factory, lively_weights):
    """Trains by a recipe over a cache; gives the bytes of the model file."""

    def run(recipe: str, cache) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PAWSURE_CACHE", str(cache))
            small = {"backbone": "mobilenet_050", "image_size": 32, "weights": lively_weights}
            splits = {"validation": 0.2, "test": 0.2}
            out = tmp_path_factory.mktemp("runs") / recipe
            keys = small | splits | QUICK[recipe]
            run = train(striped, recipe=recipe, out=out, overrides=keys)
        return run.model_file.read_bytes()

    return run


@pytest.fixture(scope="module")
def from_empty(model_of, tmp_path_factory):
    """The model file that a recipe gives over an empty cache."""
    known: dict[str, bytes] = {}

    def model(recipe: str) -> bytes:
        if recipe not in known:
            known[recipe] = model_of(recipe, tmp_path_factory.mktemp("empty"))
        return known[recipe]

    return model


def check_orders(orders, model_of, from_empty, tmp_path_factory):
    for order in orders:
        cache = tmp_path_factory.mktemp("shared")
        for recipe in order:
            assert model_of(recipe, cache) == from_empty(recipe), f"{recipe} in {order}"


def test_what_another_recipe_left_in_the_cache_changes_no_model(
    model_of, from_empty, tmp_path_factory
):
    check_orders([("fast", "default")], model_of, from_empty, tmp_path_factory)


@pytest.mark.slow
def test_no_order_of_recipes_changes_a_model(model_of, from_empty, tmp_path_factory):
    check_orders(list(permutations(RECIPES)), model_of, from_empty, tmp_path_factory)
