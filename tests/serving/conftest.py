"""A model whose answers are known, and servers over it on real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from served_colours import COLOURS, Colours, picture, running
from tiny_models import red_or_blue_model_file

from pawsure.model.predictor import Predictor


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("colours")
    return Colours(red_or_blue_model_file(folder / "model.onnx"), threads=1)


@pytest.fixture
def serve(colours: Predictor) -> Iterator[Callable[..., str]]:
    """Starts servers; gives their addresses; stops them at the end."""
    with ExitStack() as stack:
        yield lambda predictor=colours, **settings: stack.enter_context(
            running(predictor, **settings)
        )


@pytest.fixture(scope="session")
def address(colours: Predictor) -> Iterator[str]:
    """One server with the default bounds, for all tests that leave it as it was."""
    with running(colours) as address:
        yield address


@pytest.fixture
def folder_of_pictures(tmp_path: Path) -> Path:
    for answer in COLOURS:
        (tmp_path / f"{answer}.png").write_bytes(picture(answer, "PNG", size=(400, 300)))
    (tmp_path / "broken.jpg").write_bytes(picture("red")[:200])
    return tmp_path
