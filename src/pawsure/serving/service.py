"""What all routes share: the model, its batcher, and how uploads become answers."""

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
from pawsure.serving.batching import Batcher, Decode, Result, SlowDecode
from pawsure.serving.decoder_process import Crashed, DecoderProcess, TookTooLong
from pawsure.serving.forms import Upload
from pawsure.serving.intake import MemoryBudget
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import ClientLeft, NotAPicture, Refusal, TooLarge, Unreadable
from pawsure.serving.settings import ServingSettings

_NOT_A_PICTURE = ("damaged or cut short: it begins", "a TIFF of a kind that is not read")
# It blocks a worker: twelve such pictures at once block two cores for a quarter of a second.
_QUICK_S = 0.05


class ModelService:
    """One model, shared by every request.

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
        self.json_process = DecoderProcess()
        self.ready = False
        self.output_shapes: dict[str, list[int]] = {}
        cores = available_cores()
        # One more than cores: between two steps a worker waits for Python's lock. On two cores
        # three workers give 429 answers a second and two give 397, with the same latency.
        workers = settings.workers or cores + 1
        self.batcher = Batcher(
            predictor.predict_batch,
            batch_size=settings.batch_size,
            max_waiting=settings.max_waiting,
            wait_s=settings.wait_s,
            metrics=self.metrics,
            workers=workers,
            passes=max(1, min(workers, cores // predictor.threads)),
            decoder_processes=min(cores, settings.max_decoder_processes),
            slow_decode_s=settings.slow_decode_s,
        )
        gauge = self.metrics.gauge
        gauge("waiting_pictures", "Accepted, not answered.", lambda: self.batcher.waiting)
        gauge("expected_wait_seconds", "Of a new picture.", self.batcher.expected_wait_s)
        gauge("body_bytes", "Bodies in memory.", lambda: self.budget.in_flight)

    def open(self) -> None:
        """Warm up the model and accept pictures; call it within the event loop."""
        size_px = self.predictor.size_px
        # Pillow imports a reader with the first picture of its format, which would count as slow.
        for format in ("JPEG", "PNG", "WEBP"):
            file = BytesIO()
            Image.new("RGB", (8, 8)).save(file, format)
            images.read(file.getvalue(), size_px=size_px)
        outputs = self.predictor.predict_batch(np.zeros((1, size_px, size_px, 3), np.uint8))
        # Stored: finding them out takes a forward pass.
        self.output_shapes = {
            name: [-1, *value.shape[1:]]
            for name, value in vars(outputs).items()
            if value is not None
        }
        self.batcher.start()
        self.ready = True

    async def close(self) -> None:
        """Answer everything accepted, then stop."""
        self.ready = False
        await self.batcher.close()
        self.json_process.close()

    async def answers(self, request: Request, uploads: Sequence[Upload]) -> list[Answer | Refusal]:
        """An answer or a refusal for each picture, in order.

        Raises:
            Busy: there is no room, or it took too long.
            ClientLeft: the client closed the connection.
        """
        limits = images.Limits(
            max_bytes=self.settings.max_picture_bytes, max_pixels=self.settings.max_pixels
        )
        size_px = self.predictor.size_px
        decodes = [_decoder(bytes(upload.data), size_px, limits) for upload in uploads]
        results = await self.run(request, decodes)
        return [
            result if isinstance(result, Refusal) else self._answer(result, upload.name)
            for upload, result in zip(uploads, results, strict=True)
        ]

    async def run(self, request: Request, decodes: Sequence[Decode]) -> list[Result | Refusal]:
        """The model's outputs or a refusal for each picture, in order.

        Raises:
            Busy: there is no room, or it took too long.
            ClientLeft: the client closed the connection.
        """
        tickets = self.batcher.submit(decodes, deadline_s=self.settings.deadline_s)
        left: asyncio.Future[Any] = asyncio.ensure_future(_client_left(request))
        futures = [ticket.future for ticket in tickets]
        gathered: asyncio.Future[Any] = asyncio.gather(*futures, return_exceptions=True)
        try:
            await asyncio.wait({left, gathered}, return_when=asyncio.FIRST_COMPLETED)
            if not gathered.done():
                raise ClientLeft
            return [_checked(result) for result in gathered.result()]
        finally:
            left.cancel()
            for ticket in tickets:
                if not ticket.future.done():
                    ticket.drop()

    def _answer(self, result: Result, name: str | None) -> Answer:
        answer = self.predictor.answer(*result, path=name)
        self.metrics.answers.labels(answer.answer).inc()
        return answer


async def _client_left(request: Request) -> None:
    """Returns when the client closes the connection; the body has to be read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _checked(result: Result | BaseException) -> Result | Refusal:
    """A refusal belongs to one picture; a full server or a bug to the whole request."""
    if isinstance(result, (TooLarge, NotAPicture, Unreadable)):
        return result
    if isinstance(result, BaseException):
        raise result
    return result


def _decoder(data: bytes, size_px: int, limits: images.Limits) -> Decode:
    """Decodes a picture in a worker thread, or if that may be slow, in a process."""

    def decode() -> np.ndarray | SlowDecode:
        with _refusals(data):
            pixels = images.read_if_quick(data, size_px=size_px, limits=limits, seconds=_QUICK_S)
        return decode_slowly if pixels is None else pixels

    def decode_slowly(process: DecoderProcess, seconds: float) -> np.ndarray:
        with _refusals(data):
            return process.read_picture(data, size_px=size_px, limits=limits, seconds=seconds)

    return decode


@contextmanager
def _refusals(data: bytes) -> Iterator[None]:
    """Turns errors of reading a picture into refusals."""
    try:
        yield
    except PictureError as exc:
        raise _kind_of(exc, data)(_message(exc.reason)) from exc
    except TookTooLong as exc:
        raise TooLarge(_message("it takes too long to decode; make it smaller")) from exc
    except Crashed as exc:
        raise Unreadable(_message("damaged: the decoder crashed; save it again")) from exc


def _kind_of(error: PictureError, data: bytes) -> type[Refusal]:
    """Decides by the reason and the first bytes; the picture is not opened again."""
    if "more than the limit" in error.reason or "more than can be read" in error.reason:
        return TooLarge
    no_picture = format_of(data) is None or error.reason.startswith(_NOT_A_PICTURE)
    return NotAPicture if no_picture else Unreadable


def _message(reason: str) -> str:
    return f"The picture can't be read: {reason}."
