"""How to add an extra to this installation of pawsure, from wherever it was installed."""

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

    pip notes where a folder, a file or a repository was installed from, and the command
    installs from there again. An installation without such a note may be from an index or from
    a file that has been forgotten, so the extra's own requirements are named: those are found
    either way.

    Args:
        extra: as pyproject.toml names it, such as "train".

    Source: direct_url.json, PyPA specification "Recording the Direct URL Origin of installed
    distributions" (PEP 610).
    """
    try:
        installed = distribution("pawsure")
    except PackageNotFoundError:  # run from a checkout that is on the path
        return _pip(_checkout(extra))
    return _pip(_origin(installed, extra) or _requirements(installed, extra))


def _pip(words: list[str]) -> str:
    """`pip install`, by a pip that installs into this environment."""
    bin_folder = Path(sys.executable).parent
    if find_spec("pip") is not None:
        found = shutil.which("pip")
        is_ours = found is not None and Path(found).parent == bin_folder
        command = ["pip"] if is_ours else [sys.executable, "-m", "pip"]
        return shlex.join([*command, "install", *words])
    # Environments that uv makes have no pip.
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *words])


def _checkout(extra: str) -> list[str]:
    root = Path(__file__).parents[2]
    if (root / "pyproject.toml").is_file():
        return [f"{root}[{extra}]"]
    return [f"pawsure[{extra}]"]


def _origin(installed: Distribution, extra: str) -> list[str]:
    """What to install again; nothing where it is not noted or no longer there."""
    note = _direct_url(installed)
    url = str(note.get("url", ""))
    if not url:
        return []
    if url.startswith("file:") and not (path := _path_of(url)).exists():
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


def _path_of(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _requirements(installed: Distribution, extra: str) -> list[str]:
    """Those of an extra, with what else they depend on, such as the platform."""
    found = []
    for requirement in installed.requires or ():
        wanted, _, marker = requirement.partition(";")
        others, is_of_extra = re.subn(
            rf"\s*(?:and\s+)?extra\s*==\s*['\"]{re.escape(extra)}['\"]\s*", "", marker
        )
        if is_of_extra:
            found.append("; ".join(part for part in (wanted.strip(), others.strip()) if part))
    return found or [f"pawsure[{extra}]"]
