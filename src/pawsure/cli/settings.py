"""Keys of a recipe, set on a command line."""

from __future__ import annotations

import tomllib
from typing import Any

from pawsure.errors import UsageError


def read_setting(text: str) -> tuple[str, Any]:
    """One `key=value`, the value read as TOML where it is TOML, else as text."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise UsageError(f"--set takes KEY=VALUE, such as --set seed=7; got '{text}'.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
