"""The files of the page, read once and sent with an ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _File(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def site_routes() -> APIRouter:
    """A route for each file of the page; no other file can be requested."""
    router = APIRouter(include_in_schema=False)
    for name, file in _read_files().items():
        path = {"index.html": "/", "docs.html": "/docs"}.get(name, f"/page/{name}")
        router.get(path)(_endpoint(file))
    return router


def _endpoint(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if file.etag in known or known.strip() == "*":
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return send


def _read_files() -> dict[str, _File]:
    result = {}
    for entry in sorted(files("pawsure.serving").joinpath("page").iterdir(), key=lambda e: e.name):
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in _MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            result[entry.name] = _File(content, _MEDIA_TYPES[suffix], etag)
    return result
