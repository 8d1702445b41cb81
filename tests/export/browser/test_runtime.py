from __future__ import annotations

import base64
import hashlib
import os
import tarfile
from pathlib import Path

import pytest
from drawn_pictures import put

from pawsure.errors import UsageError
from pawsure.export.browser import runtime


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package in the place of the real one, and an empty cache."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    inside = tmp_path / "unpacked" / "package"
    contents = {name: f"the content of {name}".encode() for name in runtime.FILES}
    for name, content in contents.items():
        put(inside / "dist" / name, content)
    path = tmp_path / "runtime.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inside, "package")
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(runtime, "FILES", digests)
    digest = hashlib.sha512(path.read_bytes()).digest()
    monkeypatch.setattr(runtime, "INTEGRITY", "sha512-" + base64.b64encode(digest).decode())
    return path


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a script in the place of npm, alone on the PATH but for the shell's own tools."""
    folder = tmp_path / "bin"

    def place(script: str) -> None:
        put(folder / "npm", f"#!/bin/sh\n{script}\n").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    return place


def test_npm_is_asked_once_for_the_pinned_version_and_runs_no_scripts(package, npm, tmp_path):
    npm(f'echo "$@" >> {tmp_path}/asked\ncp {package} .')
    folder = runtime.find_runtime()
    assert runtime.find_runtime() == folder
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 1
    assert asked[0].startswith(f"pack onnxruntime-web@{runtime.VERSION} --ignore-scripts")
    assert {path.name for path in folder.iterdir()} == set(runtime.FILES)


def test_npm_leaves_nothing_in_the_home_and_asks_for_no_newer_npm(package, npm, tmp_path):
    npm(f"env > {tmp_path}/environment\ncp {package} .")
    runtime.find_runtime()
    told = dict(
        line.split("=", 1)
        for line in (tmp_path / "environment").read_text().splitlines()
        if "=" in line
    )
    assert told["npm_config_update_notifier"] == "false"
    assert told["npm_config_logs_max"] == "0"
    assert not told["npm_config_cache"].startswith(os.path.expanduser("~") + os.sep)


def test_a_cache_that_was_damaged_is_made_anew(package):
    folder = runtime.find_runtime(package)
    (folder / "ort.wasm.min.mjs").write_text("something else")
    assert runtime.find_runtime(package) == folder
    assert (folder / "ort.wasm.min.mjs").read_text() == "the content of ort.wasm.min.mjs"


def test_without_npm_the_ways_out_are_told(package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"npm is not installed\. Install Node\.js.*--runtime"):
        runtime.find_runtime()


def test_without_a_network_npms_reason_and_the_way_out_are_told(package, npm):
    npm('echo "npm error code ENOTFOUND" >&2\nexit 1')
    with pytest.raises(UsageError, match=r"\(npm error code ENOTFOUND\).*network.*--runtime"):
        runtime.find_runtime()
    assert not runtime._place().exists()


def test_a_package_that_is_not_what_was_published_is_refused(package, npm, tmp_path):
    other = put(tmp_path / "other.tgz", b"something else")
    npm(f"cp {other} .")
    for given in (None, other):
        with pytest.raises(UsageError, match=r"is not the published .*: its checksum is sha512-"):
            runtime.find_runtime(given)
    assert not runtime._place().exists()


@pytest.mark.parametrize("name", ["unpacked", "unpacked/package", "unpacked/package/dist"])
def test_an_unpacked_package_needs_no_npm_and_is_checked(package, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    found = runtime.find_runtime(tmp_path / name)
    assert found == tmp_path / "unpacked" / "package" / "dist"
    (found / "ort.wasm.min.mjs").write_text("changed")
    with pytest.raises(UsageError, match=r"ort\.wasm\.min\.mjs is not from the published"):
        runtime.find_runtime(tmp_path / name)


def test_what_holds_no_runtime_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"does not hold ort\.wasm\.min\.mjs"):
        runtime.find_runtime(tmp_path)
    with pytest.raises(UsageError, match=r"There is no .*nowhere"):
        runtime.find_runtime(tmp_path / "nowhere")
