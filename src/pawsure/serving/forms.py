"""Multipart forms: parsed as they arrive, in memory and never on disk, within limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pawsure.serving.refusals import BadRequest, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "pictures"
"""The name that every part of a form must have."""


@dataclass
class Upload:
    """One picture as it was sent.

    Attributes:
        name: as the client sent it; it only goes back into JSON.
        data: the bytes of the file.
    """

    name: str | None = None
    data: bytes | bytearray = field(default_factory=bytearray)


async def read_form(
    body: AsyncIterator[bytes], content_type: str, *, max_pictures: int, max_picture_bytes: int
) -> list[Upload]:
    """The pictures of a form, in order.

    Args:
        body: pieces of the request's body.
        content_type: of the request, with its boundary.
        max_pictures: in the form.
        max_picture_bytes: of each.

    Raises:
        BadRequest: the form is malformed or truncated, has no pictures, or has other parts.
        TooLarge: there are too many pictures, or one is too large.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadRequest("The Content-Type of the multipart request has no boundary.")
    form = _Form(max_pictures, max_picture_bytes)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for piece in body:
            parser.write(piece)
        parser.finalize()
    except FormParserError as exc:
        raise BadRequest("The multipart body is malformed.") from exc
    if not form.ended:
        raise BadRequest("The multipart body was cut short: its closing boundary is missing.")
    if not form.uploads:
        raise BadRequest(f"The form has no pictures; send each as a part named '{FIELD}'.")
    return form.uploads


class _Form:
    """Collects the parts."""

    def __init__(self, max_pictures: int, max_picture_bytes: int) -> None:
        self.uploads: list[Upload] = []
        self.ended = False
        self._max_pictures = max_pictures
        self._max_picture_bytes = max_picture_bytes
        self._header = b""
        self._value = b""
        self._disposition = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._head_end,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        if len(self.uploads) >= self._max_pictures:
            raise TooLarge(f"The form has more than {self._max_pictures} pictures; send fewer.")
        self.uploads.append(Upload())
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _head_end(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if options.get(b"name") != FIELD.encode():
            raise BadRequest(f"Every part of the form must be a picture named '{FIELD}'.")
        name = options.get(b"filename")
        self.uploads[-1].name = name.decode("utf-8", "replace") if name else None

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        picture = self.uploads[-1].data
        assert isinstance(picture, bytearray)
        if len(picture) + end - start > self._max_picture_bytes:
            raise TooLarge(
                f"A picture is larger than {self._max_picture_bytes:,} bytes; make it smaller."
            )
        picture += data[start:end]

    def _end(self) -> None:
        self.ended = True
