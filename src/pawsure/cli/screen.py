"""What a person or a program reads: answers on standard output, the rest on standard error."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

STANDARD_OUTPUT = "Standard output"
"""What errors call it."""


def answer(line: str) -> None:
    """Show a line of what was asked for; safe to pipe."""
    try:
        print(line)
    except OSError as exc:
        exc.filename = exc.filename or STANDARD_OUTPUT
        raise


def answer_json(content: dict[str, Any]) -> None:
    """Show one object as one line of JSON."""
    answer(json.dumps(content))


def note(line: str) -> None:
    """Tell a person something beside the answer."""
    print(line, file=sys.stderr)


def next_command(why: str, *words: object) -> None:
    """Close with the command that most people want next.

    Args:
        why: what it is for, such as "To use it".
        words: the command after `pawsure`; quoted where a shell needs it. Words in capitals
            stand for what only the reader knows.
    """
    note(f"{why}: {command(*words)}")


def command(*words: object) -> str:
    """A command of ours as it is typed into a shell; `words` come after `pawsure`."""
    return f"pawsure {shlex.join(str(word) for word in words)}"
