"""The command line with all of its subcommands, as most tests call it."""

from __future__ import annotations

from pawsure.cli.app import app_of

app = app_of()
