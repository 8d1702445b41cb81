"""The long description of the package: README.md, without links that lead nowhere.

README.md links to files of the repository and shows a picture of it. Outside of the repository,
as on a package index, relative links are dead. Where pyproject.toml names the repository's
address, they are made absolute, and the address becomes the project's URL; where it does not,
links become plain text and the picture is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A target that is no address and no place on the page.
_TARGET = r"\((?![a-z][a-z+.-]*:|#)([^)]+)\)"
_PICTURE = re.compile(rf"!\[([^\]]*)\]{_TARGET}")
# The text of a link may be a picture.
_LINK = re.compile(rf"(?<!!)\[((?:!\[[^\]]*\]\([^)]*\)|[^\]])*)\]{_TARGET}")


class LongDescription(MetadataHookInterface):
    """hatchling's hook `custom` of pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set what pyproject.toml calls dynamic."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = str(self.config.get("repository", "")).rstrip("/")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": long_description(text, repository),
        }
        metadata["urls"] = {}
        if repository:
            metadata["urls"] = {
                "Repository": repository,
                "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
            }


def long_description(readme: str, repository: str) -> str:
    """A README for readers who do not have the repository.

    Args:
        readme: Markdown.
        repository: its address, without a slash at the end; empty if it has none.
    """
    if repository:
        readme = _PICTURE.sub(rf"![\1]({repository}/raw/HEAD/\2)", readme)
        return _LINK.sub(rf"[\1]({repository}/blob/HEAD/\2)", readme)
    plain = _LINK.sub(r"\1", _PICTURE.sub("", readme))
    return re.sub(r"\n{3,}", "\n\n", plain)
