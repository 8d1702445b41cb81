from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
from pawsure.cli.chatter import without_chatter
with without_chatter():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\\n")
    os.write(2, b"I0000 port.cc:153] oneDNN custom operations are on. You may see\\n")
    os.write(2, b"W0000 something to know\\n")
    sys.stderr.write("from Python, ")
    sys.stderr.flush()
    {ending}
os.write(2, b"oneDNN custom operations are on, afterwards\\n")
"""


def run(ending: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(ending=ending)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_only_the_chatter_is_left_out():
    result = run("pass")
    assert result.returncode == 0
    assert "W0000 something to know" in result.stderr
    assert "from Python, " in result.stderr
    assert "InitializeLog" not in result.stderr
    assert result.stderr.count("oneDNN") == 1
    assert result.stderr.endswith("afterwards\n")


def test_the_last_words_of_a_crash_are_kept():
    result = run('os.write(2, b"F0000 check failed\\n"); os.abort()')
    assert result.returncode != 0
    assert "F0000 check failed" in result.stderr


def test_a_traceback_is_kept():
    assert "ZeroDivisionError" in run("1 / 0").stderr
