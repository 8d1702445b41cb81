"""A model whose answers are known, and a server over it on a real socket."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drawn_pictures import encoded
from PIL import Image

from pawsure.model.answer import Answer
from pawsure.model.predictor import Outputs, Predictor
from pawsure.serving.app import create_app
from pawsure.serving.server import Server, listen
from pawsure.serving.settings import ServingSettings
from pawsure.trust.rule import NEITHER, UNSURE

COLOURS = {"red": "#d02020", "blue": "#2030d0", "unsure": "#a020a0", "neither": "#10c010"}


def picture(answer: str, format: str = "JPEG", *, size: tuple[int, int] = (40, 30)) -> bytes:
    """The bytes of a picture for which the model gives this answer."""
    return encoded(Image.new("RGB", size, COLOURS[answer]), format)


class Colours(Predictor):
    """Says red or blue; unsure when both are as bright, neither when green is brighter."""

    def answer(self, outputs: Outputs, row: int, *, path: str | None = None) -> Answer:
        """The answer that the colours ask for."""
        answer = super().answer(outputs, row, path=path)
        red, green, blue = outputs.embedding[row]
        if green > max(red, blue):
            return dataclasses.replace(answer, answer=NEITHER, familiarity=0.01)
        if answer.probability < 0.8:
            return dataclasses.replace(answer, answer=UNSURE, familiarity=0.9)
        return dataclasses.replace(answer, familiarity=0.9)


@contextmanager
def running(predictor: Predictor, **settings: Any) -> Iterator[str]:
    """A server on a free port of this machine; gives its address."""
    bounds = ServingSettings(**settings)
    ready = threading.Event()
    addresses: list[str] = []

    def on_ready(address: str) -> None:
        addresses.append(address)
        ready.set()

    server = Server(create_app(predictor, name="colours", settings=bounds), bounds)
    server._on_ready = on_ready
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listen("127.0.0.1", 0)]})
    thread.start()
    try:
        assert ready.wait(10)
        yield addresses[0]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
