"""The folder, with files in the place of the runtime's: nothing is fetched."""

from __future__ import annotations

import json
import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import put
from tiny_runs import tiny_run
from typer.testing import CliRunner
from whole_app import app

from pawsure.data.catalog import build_catalog
from pawsure.errors import ExportError, ParityError, UsageError
from pawsure.export.browser import export as browser
from pawsure.export.browser.runtime import FILES


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("tiny") / "run")[0]


@pytest.fixture
def no_node(tmp_path, monkeypatch) -> None:
    for name in FILES:
        put(tmp_path / "runtime" / name, f"the content of {name}")
    monkeypatch.setattr(browser, "find_runtime", lambda *_, **__: tmp_path / "runtime")
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)


@pytest.fixture
def pictures(run):
    return build_catalog(run.parent / "pictures")


def test_the_folder_holds_the_model_the_page_and_the_runtime(run, pictures, no_node, tmp_path):
    out = tmp_path / "out"
    result = browser.export_browser(run / "model.onnx", out, catalog=pictures)
    assert (out / "model.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    assert result.agreement.changed == 0
    assert result.agreement.n == len(pictures)
    told = json.loads((out / "model.json").read_text())
    assert told["labels"] == ["blue", "red"]
    assert told["files"]["model.onnx"] == result.num_bytes
    assert told["agreement"] == result.to_dict()["agreement"]
    server = files("pawsure").joinpath("serving", "page")
    for name in ("main.js", "card.js", "words.js", "style.css"):
        assert (out / name).read_bytes() == server.joinpath(name).read_bytes()
    assert {path.name for path in (out / "runtime").iterdir()} >= {
        "ort.wasm.min.js",
        "ort-wasm-simd-threaded.js",
        "ort-wasm-simd-threaded.wasm",
        "LICENSE.txt",
    }
    readme = (out / "README.md").read_text()
    assert "python -m http.server" in readme
    assert "Node.js, to run ONNX Runtime Web, is not installed" in readme
    assert len(readme.splitlines()) < 30


def test_every_file_that_the_page_names_is_there(run, pictures, no_node, tmp_path):
    out = tmp_path / "out"
    browser.export_browser(run / "model.onnx", out, catalog=pictures)
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', (out / "index.html").read_text()))
    for script in out.glob("*.js"):
        named |= set(re.findall(r'(?:from|URL\()\s*"([\w./-]+)"', script.read_text()))
    assert {"main.js", "./words.js", "worker.js", "./runtime/ort.wasm.min.js"} <= named
    missing = [name for name in named if not (out / name).exists()]
    assert not missing


def test_the_page_names_no_other_host_and_its_policy_allows_none(run, pictures, no_node, tmp_path):
    out = tmp_path / "out"
    browser.export_browser(run / "model.onnx", out, catalog=pictures)
    for file in [*out.glob("*.html"), *out.glob("*.js"), *out.glob("*.css")]:
        assert not re.search(r"(?:https?:)?//[\w-]+\.", file.read_text()), file.name
    policy = re.search(
        r'Content-Security-Policy" content="([^"]+)', (out / "index.html").read_text()
    )
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    allowed = {source for sources in rules.values() for source in sources.split()}
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:"}


def test_what_answers_otherwise_is_not_written(run, pictures, no_node, tmp_path, monkeypatch):
    original = browser.Predictor.predict_batch
    calls = []

    def every_second_is_wrong(self, batch: np.ndarray):
        calls.append(batch)
        return original(self, batch if len(calls) % 2 else 255 - batch)

    monkeypatch.setattr(browser.Predictor, "predict_batch", every_second_is_wrong)
    with pytest.raises(ParityError, match="another label than the model file"):
        browser.export_browser(run / "model.onnx", tmp_path / "out", catalog=pictures)
    assert {path.name for path in tmp_path.iterdir()} == {"runtime"}


def test_a_path_that_exists_is_refused_before_anything_is_fetched(run, tmp_path):
    with pytest.raises(UsageError, match="exists already"):
        browser.export_browser(run / "model.onnx", tmp_path)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_a_runtime_that_does_not_run_says_why(run, pictures, tmp_path, monkeypatch):
    for name in FILES:
        put(tmp_path / "runtime" / name, "throw new Error('too old');")
    monkeypatch.setattr(browser, "find_runtime", lambda *_, **__: tmp_path / "runtime")
    with pytest.raises(ExportError, match="under Node.js: Error: too old"):
        browser.export_browser(run / "model.onnx", tmp_path / "out", catalog=pictures)
    assert not (tmp_path / "out").exists()


def test_the_command_says_how_to_serve_it(run, no_node, tmp_path):
    out = tmp_path / "a page"
    words = ["export", str(run), "--to", "browser", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last == f"To use it: python -m http.server --bind 127.0.0.1 --directory '{out}' 8000"


def test_only_the_browser_takes_a_runtime(run, tmp_path):
    words = ["export", str(run), "--to", "int8", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*words, "--runtime", str(tmp_path)])
    assert result.exit_code == 2
    assert "--runtime is for --to browser; got --to int8" in result.stderr
