"""Heads on a frozen EfficientNet-Lite, in a process that has no Keras, TensorFlow or PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from torch_files import file_of_tensors, lite_tensors

from pawsure.network.backbones import find_backbone

LITE0 = "efficientnet_lite0"
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("keras", "tensorflow", "torch")))  # importing them fails
from pawsure.cli.app import main
sys.argv = ["pawsure", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Drawn weights in a file as the package has it."""
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    path.write_bytes(file_of_tensors(lite_tensors(find_backbone(LITE0))))
    return str(path)


@pytest.fixture
def pawsure(tmp_path):
    """Runs a command, and returns its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_fast_trains_evaluates_predicts_and_audits(pawsure, striped, weights, tmp_path):
    model = ["--backbone", LITE0, "--weights", weights, "--image-size", 64]
    code, _, told = pawsure("train", striped, "--recipe", "fast", *model, "--out", "run")
    assert code == 0, told
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["validation"]["accuracy"]["value"] > 0.8
    for command in (
        ["evaluate", "run", striped],
        ["predict", striped / "level", "--model", "run"],
        ["audit", striped, "--model", "run"],
    ):
        code, said, told = pawsure(*command)
        assert code == 0, told
        assert said


def test_compare_leaves_out_what_takes_keras(pawsure, striped, tmp_path, weights):
    recipe = tmp_path / "lite.toml"
    recipe.write_text(
        f'[model]\nweights = "{weights}"\nimage_size = 64\n'
        '[[stages]]\nname = "head"\noptimizer = "logistic"\n'
    )
    code, said, told = pawsure(
        "compare", striped, "--recipe", recipe, "--backbones", f"{LITE0},mobilenet_050"
    )
    assert code == 0, told
    assert LITE0 in said and "Skipped MobileNet 0.5: This needs 'keras'" in told


def test_compare_suggests_what_can_be_trained_here(pawsure, striped, weights):
    options = ["--backbones", LITE0, "--weights", weights, "--image-size", 64]
    code, _, told = pawsure("compare", striped, *options)
    assert code == 0, told
    last = told.splitlines()[-1]
    assert last.startswith("To train the most accurate: pawsure train ")
    assert "--recipe fast" in last


@pytest.mark.parametrize("recipe", ["default", "fast"])
def test_a_recipe_that_takes_keras_says_so_before_any_picture_is_read(
    pawsure, striped, recipe, weights
):
    backbone = LITE0 if recipe == "default" else "mobilenet_v2"
    model = ["--backbone", backbone, "--weights", weights, "--image-size", 64]
    code, _, told = pawsure("train", striped, "--verbose", "--recipe", recipe, *model)
    assert code == 2
    told = " ".join(told.split())
    assert "This needs 'keras', which is not installed. Install it with: " in told
    assert ". Or use --recipe fast, which does not need it" in told
    assert "Copies:" not in told  # the first thing that is said of the pictures


@pytest.mark.slow
def test_int8_is_made_without_keras(pawsure, striped, weights):
    model = ["--backbone", LITE0, "--weights", weights, "--image-size", 64]
    assert pawsure("train", striped, "--recipe", "fast", *model, "--out", "run")[0] == 0
    code, said, told = pawsure(
        "export", "run", "--to", "int8", "--out", "int8", "--max-changed", "50%"
    )
    assert code == 0, told
    assert "int8/model.onnx" in said


WITHOUT_ONNX = WITHOUT.replace('"torch"', '"torch", "onnx"')


@pytest.mark.parametrize(
    ("words", "extra", "light"),
    [
        (["train", "DATA"], "[train]", ". For --recipe fast --backbone"),
        (["compare", "DATA"], "[train]", ". For --backbones"),
        (["export", "pets", "--to", "int8", "--out", "x"], "[lite]", None),
        (["export", "pets", "--to", "litert", "--out", "x"], "[train]", None),
        (["audit", "DATA", "--backbone", "net.onnx"], "[lite]", None),
    ],
)
def test_a_base_install_is_told_of_the_smallest_extra_that_does(
    striped, tmp_path, words, extra, light
):
    (tmp_path / "net.onnx").write_bytes(b"")
    given = [str(striped) if word == "DATA" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ONNX, *given], cwd=tmp_path, capture_output=True, text=True
    )
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith("Error: This needs 'onnx', which is not installed. Install it with: ")
    first, _, rest = told.partition(". For ")
    assert extra in first
    assert (light in told and "[lite]" in rest) if light else not rest
