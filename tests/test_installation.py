from __future__ import annotations

import json
import shlex
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution
from pathlib import Path

import pytest

from pawsure import installation
from pawsure.errors import MissingExtraError
from pawsure.installation import install_command

METADATA = """Metadata-Version: 2.4
Name: pawsure
Version: 0.1.0
Provides-Extra: serve
Provides-Extra: train
Requires-Dist: numpy>=2.0
Requires-Dist: fastapi>=0.115; extra == 'serve'
Requires-Dist: keras<3.16,>=3.15; extra == 'train'
Requires-Dist: tf-cpu>=2; (sys_platform == 'linux' and os_name == 'posix') and extra == 'train'
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a pawsure, as far as metadata tell; `note` is its direct_url.json."""
    folder = tmp_path / "pawsure-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)

    def found(name: str) -> Distribution:
        return PathDistribution(folder)

    def install(note: object = None) -> None:
        if note is not None:
            (folder / "direct_url.json").write_text(json.dumps(note))
        monkeypatch.setattr(installation, "distribution", found)

    return install


def words(extra: str = "train") -> list[str]:
    """What follows `pip install`."""
    command = shlex.split(install_command(extra))
    return command[command.index("install") + 1 :]


def test_from_a_checkout_that_can_be_edited(installed, tmp_path):
    checkout = tmp_path / "my code"
    checkout.mkdir()
    installed({"dir_info": {"editable": True}, "url": checkout.as_uri()})
    assert words() == ["--editable", f"{checkout}[train]"]


def test_from_a_folder(installed, tmp_path):
    installed({"dir_info": {}, "url": tmp_path.as_uri()})
    assert words("serve") == [f"{tmp_path}[serve]"]


def test_from_a_wheel(installed, tmp_path):
    wheel = tmp_path / "pawsure-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    installed({"archive_info": {}, "url": wheel.as_uri()})
    assert words() == [f"pawsure[train] @ {wheel.as_uri()}"]


def test_from_a_repository(installed):
    vcs = {"vcs": "git", "commit_id": "c0ffee"}
    installed({"vcs_info": vcs, "url": "https://example.org/pawsure.git"})
    assert words() == ["pawsure[train] @ git+https://example.org/pawsure.git@c0ffee"]


@pytest.mark.parametrize("note", [None, [], {"dir_info": {}, "url": "file:///gone/for/good"}])
def test_else_by_what_the_extra_is_made_of(installed, note):
    installed(note)
    assert words() == [
        "keras<3.16,>=3.15",
        "tf-cpu>=2; (sys_platform == 'linux' and os_name == 'posix')",
    ]
    assert words("serve") == ["fastapi>=0.115"]


def test_a_checkout_that_is_only_on_the_path(monkeypatch):
    def lacking(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", lacking)
    assert words() == [f"{Path(__file__).parents[1]}[train]"]


def test_pip_is_that_of_this_environment(installed, monkeypatch, tmp_path):
    installed()
    monkeypatch.setattr(installation.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(installation.shutil, "which", lambda name: "/elsewhere/pip")
    assert install_command("serve").startswith(f"{tmp_path / 'python'} -m pip install ")
    monkeypatch.setattr(installation.shutil, "which", lambda name: str(tmp_path / "pip"))
    assert install_command("serve").startswith("pip install ")
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    assert install_command("serve").startswith(f"uv pip install --python {tmp_path / 'python'} ")


def test_the_error_says_it(installed):
    installed()
    assert str(MissingExtraError("fastapi", "serve")).endswith(install_command("serve"))
