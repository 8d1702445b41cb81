from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from pawsure.progress_bars import Bar, Lines, python_progress, terminal_progress


def drawn(terminal: bool = True) -> tuple[Bar, io.StringIO]:
    screen = io.StringIO()
    return Bar(Console(file=screen, force_terminal=terminal, width=120)), screen


def test_a_pipe_gets_no_bars():
    assert isinstance(terminal_progress(), Lines)


@pytest.mark.parametrize("stream", [None, object()])
def test_a_program_without_a_console_gets_no_bars(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert isinstance(terminal_progress(), Lines)
    python_progress()


def test_lines_for_nobody_are_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    progress = python_progress()
    progress.start("Reading", 10)
    progress.say("Read 10 pictures")


def test_plain_lines_keep_what_is_said_off_standard_output(capsys):
    progress = Lines(sys.stderr)
    progress.start("Reading", 10)
    progress.advance(10)
    progress.finish()
    progress.say("Read 10 pictures")
    assert capsys.readouterr() == ("", "Read 10 pictures\n")


def test_a_bar_shows_what_how_far_and_how_fast():
    bar, screen = drawn()
    bar.start("Reading", 200)
    bar.advance(50)
    bar.advance(150)
    bar.finish()
    assert "Reading" in screen.getvalue()
    assert "200/200" in screen.getvalue()
    assert "pictures/s" in screen.getvalue()


def test_lines_are_said_while_a_bar_runs_and_are_not_read_as_markup():
    bar, screen = drawn()
    bar.start("Reading", None, unit="files")
    bar.say("odd name: [bold].jpg")
    bar.finish()
    assert "odd name: [bold].jpg" in screen.getvalue()


def test_a_bar_may_be_finished_twice_or_never_started():
    bar, _ = drawn()
    bar.advance()
    bar.finish()
    bar.start("One", 1)
    bar.start("Two", 1)
    bar.finish()
    bar.finish()


def test_python_gets_a_line_for_each_piece_of_work(capsys):
    progress = python_progress()
    progress.start("Reading features", 2000)
    progress.advance(2000)
    progress.finish()
    progress.start("Fetching", None)
    progress.say("Done")
    assert capsys.readouterr() == ("", "Reading features (2,000 pictures) …\nFetching …\nDone\n")


def test_details_are_shown_only_if_asked_for(capsys):
    for verbose in (False, True):
        progress = terminal_progress(verbose=verbose)
        progress.say("warning")
        progress.detail("detail")
        bar = Bar(Console(file=sys.stdout, width=120), verbose=verbose)
        bar.say("warning")
        bar.detail("detail")
    expected = "warning\n" + "warning\ndetail\n"
    assert capsys.readouterr() == (expected, expected)


def test_a_notebook_gets_them_on_standard_output(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    python_progress().say("Done")
    assert capsys.readouterr() == ("Done\n", "")
