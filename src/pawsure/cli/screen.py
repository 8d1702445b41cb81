"""Output: answers on standard output, everything else on standard error."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

STANDARD_OUTPUT = "Standard output"  # its name in errors


def answer(line: str) -> None:
    """Print a line of the result; safe to pipe."""
    try:
        print(line)
    except OSError as exc:
        exc.filename = exc.filename or STANDARD_OUTPUT
        raise


def answer_json(content: dict[str, Any]) -> None:
    """Print one object as one line of JSON."""
    answer(json.dumps(content))


def note(line: str) -> None:
    """Print a line for people."""
    print(line, file=sys.stderr)


def next_command(why: str, *words: object) -> None:
    """Print the command that most people want next.

    Args:
        why: its purpose, such as "To use it".
        words: the command after `pawsure`. Words in capitals are placeholders.
    """
    note(f"{why}: {command(*words)}")


def command(*words: object) -> str:
    """A pawsure command, quoted for a shell; `words` come after `pawsure`."""
    return f"pawsure {shlex.join(str(word) for word in words)}"
