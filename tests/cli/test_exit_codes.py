from __future__ import annotations

import inspect

import pytest
import typer
from typer.testing import CliRunner

from pawsure import errors
from pawsure.cli.app import _Commands
from pawsure.cli.exit_codes import EXIT_CODES, ExitCode, exit_code
from pawsure.installation import install_command

RAISED_ON_PURPOSE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.PawsureError) and kind is not errors.PawsureError
]


def make(kind: type[errors.PawsureError]) -> errors.PawsureError:
    return kind("keras", "train") if kind is errors.MissingExtraError else kind("it broke")


@pytest.mark.parametrize("kind", RAISED_ON_PURPOSE, ids=lambda kind: kind.__name__)
def test_every_error_that_is_raised_on_purpose_has_one_code(kind):
    assert sum(issubclass(kind, branch) for branch in EXIT_CODES) == 1
    assert exit_code(make(kind)) is not ExitCode.UNEXPECTED


def test_codes_are_those_of_the_contract():
    assert exit_code(errors.RecipeError("")) == 2
    assert exit_code(errors.PictureError("")) == 3
    assert exit_code(errors.SourceError("")) == 4
    assert exit_code(errors.ParityError("")) == 5
    assert exit_code(ZeroDivisionError()) == 1


def app_that_raises(error: Exception) -> typer.Typer:
    app = typer.Typer(cls=_Commands, pretty_exceptions_enable=False)

    @app.callback()
    def group() -> None: ...

    @app.command()
    def go() -> None:
        raise error

    return app


def test_an_error_is_told_on_standard_error_without_a_traceback():
    result = CliRunner().invoke(app_that_raises(errors.DataError("no pictures in x")), ["go"])
    assert result.exit_code == 4
    assert result.stderr == "Error: no pictures in x\n"
    assert result.stdout == ""


def test_a_bug_keeps_its_traceback():
    result = CliRunner().invoke(app_that_raises(ZeroDivisionError()), ["go"])
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_missing_extra_says_what_to_install():
    error = errors.MissingExtraError("tensorflow", "train")
    result = CliRunner().invoke(app_that_raises(error), ["go"])
    assert result.exit_code == 2
    assert f"Install it with: {install_command('train')}" in result.stderr
