from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner
from whole_app import app

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
]
README = (ROOT / "README.md").read_text()
COMMANDS = get_command(app).commands


def shown_commands(page: Path) -> list[str]:
    """Lines in code blocks, and code in text, that begin with the command."""
    text = page.read_text()
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
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


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        if "://" in target:
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


# Which photographs the README calls by these names.
PHOTOGRAPHS = {
    "cougar.jpg": "neither/cougar_face/image_0003.jpg",
    "felix.jpg": "full-size/cat/cat.1.jpg",
    "pizza.jpg": "neither/pizza/image_0016.jpg",
    "rex.jpg": "full-size/dog/dog.1.jpg",
}


@pytest.mark.real
@pytest.mark.skipif("PAWSURE_DATA" not in os.environ, reason="needs PAWSURE_DATA")
def test_the_session_with_the_built_in_model_is_what_the_command_prints(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for name, photograph in PHOTOGRAPHS.items():
        shutil.copy(Path(os.environ["PAWSURE_DATA"]) / photograph, tmp_path / "photos" / name)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["predict", "photos/"])
    shown = re.search(r"^\$ pawsure predict photos/\n(.*?)^```", README, re.M | re.S)[1]
    assert result.output.startswith(shown)
