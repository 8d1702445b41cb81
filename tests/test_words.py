"""One word for one thing: words that the project no longer uses, and what it uses instead."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

RETIRED = {
    r"strangers?": "out-of-distribution (OOD) pictures; for people: other pictures",
    r"looks? twice|second[_ -]look|two[_-]looks": "test-time augmentation, tta",
    r"part of the way back|way back": "weight interpolation",
    r"head solved|best linear head": "linear probe",
    r"frozen part": "frozen layers",
    r"handover|shipping": "finalize",
    r"lean": "fused",
    r"way in": "preprocessing",
    r"pupil": "student",
    r"out of place": "outlier",
    r"mind of its own|other mind": "disagree",
    r"on board|onboard": "built-in",
    r"nothing was learned from": "held-out",
    r"made anew": "made again, rewritten",
    r"went through the frozen": "features computed",
}
"""Regular expressions of whole words."""

DRAWN = "src/pawsure/sample/"
"""A drawn cat leans and has pupils."""

STILL_READ = {
    "src/pawsure/export/choices.py": "two-looks",  # the former name of a format
    "src/pawsure/graph/tta.py": "second_look",  # of nodes in model files
    "docs/export.md": "two-looks.txt",  # a log
}

HISTORY = ("docs/results/", "CHANGELOG.md", "tests/test_words.py")
"""Logs and lists of changes name things as they were."""

READ = {".py", ".md", ".html", ".js", ".css", ".toml"}


def texts():
    for top in ("src", "docs", "README.md", "CONTRIBUTING.md"):
        path = ROOT / top
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = each.relative_to(ROOT).as_posix()
            if each.suffix in READ and not name.startswith(HISTORY):
                yield name, each.read_text(encoding="utf-8")


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_is_used_nowhere(word):
    pattern = re.compile(rf"(?<![a-z]){word}(?![a-z])", re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts()
        if not (name.startswith(DRAWN) and word in ("lean", "pupil"))
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line.replace(STILL_READ.get(name, "\n"), ""))
    ]
    assert not found, f"Write {RETIRED[word]}:\n" + "\n".join(found[:20])
