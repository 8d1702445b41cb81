"""The command that adds an extra to this installation of pawsure."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname


def install_command(extra: str) -> str:
    """The command that installs an extra, for a shell.

    It installs from the folder, file or repository that pip recorded. Without such a record, it
    names the requirements of the extra.

    Args:
        extra: its name in pyproject.toml, such as "train".

    Source: direct_url.json, PyPA specification "Recording the Direct URL Origin of installed
    distributions" (PEP 610).
    """
    try:
        installed = distribution("pawsure")
    except PackageNotFoundError:  # run from a checkout on the path
        root = Path(__file__).parents[2]
        is_checkout = (root / "pyproject.toml").is_file()
        return _pip([f"{root if is_checkout else 'pawsure'}[{extra}]"])
    return _pip(_origin(installed, extra) or _requirements(installed, extra))


def _pip(words: list[str]) -> str:
    """`pip install` into this environment."""
    bin_folder = Path(sys.executable).parent
    if find_spec("pip") is not None:
        pip = shutil.which("pip")
        is_ours = pip is not None and Path(pip).parent == bin_folder
        command = ["pip"] if is_ours else [sys.executable, "-m", "pip"]
        return shlex.join([*command, "install", *words])
    # uv creates environments without pip.
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *words])


def _origin(installed: Distribution, extra: str) -> list[str]:
    """What to install again; empty if it is not recorded or no longer there."""
    note = _direct_url(installed)
    url = str(note.get("url", ""))
    path = Path(url2pathname(urlsplit(url).path))
    if not url or (url.startswith("file:") and not path.exists()):
        return []
    if "dir_info" in note:
        is_editable = bool(note["dir_info"].get("editable"))
        return [*(["--editable"] if is_editable else []), f"{path}[{extra}]"]
    if "vcs_info" in note:
        vcs = note["vcs_info"]
        return [f"pawsure[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    return [f"pawsure[{extra}] @ {url}"]


def _direct_url(installed: Distribution) -> dict[str, Any]:
    try:
        note = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _requirements(installed: Distribution, extra: str) -> list[str]:
    """The requirements of an extra, with their other conditions, such as the platform."""
    requirements = []
    for requirement in installed.requires or ():
        wanted, _, marker = requirement.partition(";")
        others, is_of_extra = re.subn(
            rf"\s*(?:and\s+)?extra\s*==\s*['\"]{re.escape(extra)}['\"]\s*", "", marker
        )
        if is_of_extra:
            requirements.append(
                "; ".join(part for part in (wanted.strip(), others.strip()) if part)
            )
    return requirements or [f"pawsure[{extra}]"]
