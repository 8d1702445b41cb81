from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from whole_app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = get_command(app).commands


def shown_commands(page: Path) -> list[str]:
    """Lines in code blocks, and code in text, that begin with the command."""
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(pawsure [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [line for line in lines if line.startswith("pawsure ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist_with_their_options(page):
    for line in shown_commands(page):
        _, name, *words = shlex.split(line, comments=True)
        if name.startswith("--") or name == "COMMAND":
            continue
        assert name in COMMANDS, line
        options = {text for parameter in COMMANDS[name].params for text in parameter.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        assert used <= options, line


def test_readme_names_every_command():
    shown = {line.split()[1] for line in shown_commands(ROOT / "README.md")}
    assert set(COMMANDS) <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_are_shown_exist(page):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = re.findall(r"^make (\w+)|`make (\w+)`", page.read_text(), re.MULTILINE)
    assert {first or second for first, second in shown} <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target
