"""What all routes share: the model, its batcher, and the way from uploads to answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request

from pawsure.data import images
from pawsure.data.cores import available_cores
from pawsure.data.formats import format_of
from pawsure.errors import PictureError
from pawsure.model.answer import Answer
from pawsure.model.predictor import Predictor
from pawsure.serving.aside import Aside, Crashed, TookTooLong
from pawsure.serving.batching import Batcher, Later, Load, Row, Ticket
from pawsure.serving.forms import Upload
from pawsure.serving.intake import MemoryBudget
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import Gone, NotAPicture, Refusal, TooLarge, Unreadable
from pawsure.serving.settings import ServingSettings


class Work:
    """The model at work, shared by every request.

    Attributes:
        output_shapes: name to shape of the model's outputs, -1 for the number of pictures;
            empty until `open`.
    """

    def __init__(self, predictor: Predictor, name: str, settings: ServingSettings) -> None:
        """Set up; `open` starts it."""
        self.predictor = predictor
        self.name = name
        self.settings = settings
        self.metrics = Metrics()
        self.budget = MemoryBudget(settings.max_bytes_in_flight)
        self.json_aside = Aside()
        self.ready = False
        self.output_shapes: dict[str, list[int]] = {}
        cores = available_cores()
        # One more than cores: between two steps a worker waits for Python's lock. On two cores
        # three workers give 429 answers a second where two give 397, and no later ones.
        workers = settings.workers or cores + 1
        self.batcher = Batcher(
            predictor.predict_batch,
            batch_size=settings.batch_size,
            max_waiting=settings.max_waiting,
            wait_s=settings.wait_s,
            metrics=self.metrics,
            workers=workers,
            passes=max(1, min(workers, cores // predictor.threads)),
            asides=min(cores, settings.max_asides),
            aside_s=settings.aside_s,
        )
        self.metrics.gauges.update(
            waiting_pictures=("Taken on, not answered.", lambda: self.batcher.waiting),
            expected_wait_seconds=("Of a new picture.", self.batcher.expected_wait_s),
            body_bytes=("Bodies in memory.", lambda: self.budget.in_flight),
        )

    def open(self) -> None:
        """Warm the model and take pictures on; call it within the event loop."""
        size_px = self.predictor.size_px
        # Readers are imported by the first picture of a format: too slow to judge the pace by.
        for format in ("JPEG", "PNG", "WEBP"):
            file = BytesIO()
            Image.new("RGB", (8, 8)).save(file, format)
            images.read(file.getvalue(), size_px=size_px)
        outputs = self.predictor.predict_batch(np.zeros((1, size_px, size_px, 3), np.uint8))
        # Known from here on: asking the network again would take a pass for each request.
        self.output_shapes = {
            name: [-1, *value.shape[1:]]
            for name, value in vars(outputs).items()
            if value is not None
        }
        self.batcher.start()
        self.ready = True

    async def close(self) -> None:
        """Answer what was taken on, then stop."""
        self.ready = False
        await self.batcher.close()
        self.json_aside.close()

    async def answers(self, request: Request, uploads: Sequence[Upload]) -> list[Answer | Refusal]:
        """An answer for each picture, or why there is none, in order.

        Raises:
            Busy: there is no room, or it took too long.
            Gone: the client left.
        """
        limits = images.Limits(
            max_bytes=self.settings.max_picture_bytes, max_pixels=self.settings.max_pixels
        )
        loads = [_load(bytes(upload.data), self.predictor.size_px, limits) for upload in uploads]
        results = await self.rows(request, loads)
        return [
            result if isinstance(result, Refusal) else self._answer(result, upload.name)
            for upload, result in zip(uploads, results, strict=True)
        ]

    async def rows(self, request: Request, loads: Sequence[Load]) -> list[Row | Refusal]:
        """The model's outputs for each picture, or why there are none.

        Raises:
            Busy: there is no room, or it took too long.
            Gone: the client left.
        """
        tickets = self.batcher.submit(loads, deadline_s=self.settings.deadline_s)
        left: asyncio.Future[Any] = asyncio.ensure_future(_left(request))
        futures = [ticket.future for ticket in tickets]
        gathered: asyncio.Future[Any] = asyncio.gather(*futures, return_exceptions=True)
        try:
            await asyncio.wait({left, gathered}, return_when=asyncio.FIRST_COMPLETED)
            if not gathered.done():
                raise Gone
            return [_checked(result) for result in gathered.result()]
        finally:
            left.cancel()
            _drop(tickets)

    def _answer(self, row: Row, name: str | None) -> Answer:
        answer = self.predictor.answer(*row, path=name)
        self.metrics.answers.add(answer.answer)
        return answer


def _drop(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():
            ticket.drop()


async def _left(request: Request) -> None:
    """Ends when the client closes the connection; the body has to be read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _checked(result: Row | BaseException) -> Row | Refusal:
    """One picture's refusal is its own; a full server or a bug is the whole request's."""
    if isinstance(result, (TooLarge, NotAPicture, Unreadable)):
        return result
    if isinstance(result, BaseException):
        raise result
    return result


def _load(data: bytes, size_px: int, limits: images.Limits) -> Load:
    """What decodes a picture, in a worker's thread if that is quick."""

    def load() -> np.ndarray | Later:
        with _refusing(data):
            pixels = images.read_if_quick(data, size_px=size_px, limits=limits, seconds=_QUICK_S)
        return later if pixels is None else pixels

    def later(aside: Aside, seconds: float) -> np.ndarray:
        with _refusing(data):
            return aside.read_picture(data, size_px=size_px, limits=limits, seconds=seconds)

    return load


@contextmanager
def _refusing(data: bytes) -> Iterator[None]:
    """Turn what stands against a picture into a refusal."""
    try:
        yield
    except PictureError as exc:
        raise _kind_of(exc, data)(_sentence(exc.reason)) from exc
    except TookTooLong as exc:
        raise TooLarge(_sentence("it takes too long to decode; make it smaller")) from exc
    except Crashed as exc:
        raise Unreadable(_sentence("damaged: its decoder broke down; save it anew")) from exc


def _kind_of(error: PictureError, data: bytes) -> type[Refusal]:
    """Too large, damaged, or no picture that is read at all; nothing is opened once more."""
    if "more than the limit" in error.reason or "more than can be read" in error.reason:
        return TooLarge
    no_picture = format_of(data) is None or error.reason.startswith(_NO_PICTURE)
    return NotAPicture if no_picture else Unreadable


_NO_PICTURE = ("damaged or cut short: it begins", "a TIFF of a kind that is not read")
# A worker is held up by it; twelve such pictures at once keep two cores for a quarter of a second.
_QUICK_S = 0.05


def _sentence(reason: str) -> str:
    return f"The picture can't be read: {reason}."
