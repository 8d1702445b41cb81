"""Runs modules of the page under Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pawsure.export.browser.site import write_page

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node.js")


def run_javascript(folder: Path, code: str, given: dict[str, Any]) -> Any:
    """What `code` gives: a module's text that reads `given` and calls `give` once.

    The modules of the page lie beside it.
    """
    (folder / "page").mkdir()
    write_page(folder / "page")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "given.json").write_text(json.dumps(given))
    head = (
        'import { readFileSync, writeFileSync } from "node:fs";\n'
        'const given = JSON.parse(readFileSync("given.json"));\n'
        'const give = (value) => writeFileSync("found.json", JSON.stringify(value));\n'
    )
    (folder / "test.js").write_text(head + code)
    done = subprocess.run(
        [str(NODE), "test.js"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())
