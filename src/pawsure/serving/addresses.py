"""Normalizes paths and methods before the routes see them.

A proxy may strip the application's prefix or not; a trailing slash is ignored; HEAD is GET
without the body (RFC 9110, 9.3.2) and OPTIONS lists the allowed methods. The token check uses
`own_path` too, so that it and the routes always see the same path.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pawsure.errors import UsageError

# Their links are relative, so a trailing slash would change them.
_PAGES = ("/docs",)
_OWN = ("/v1", "/v2", "/page", "/docs", "/healthz", "/readyz", "/metrics", "/openapi.json")


def checked_root_path(root_path: str) -> str:
    """The prefix under which a proxy serves the application, as "/a/b"; "" for none.

    Raises:
        UsageError: it is not a plain path, or is one of the server's own.
    """
    path = "/" + root_path.strip("/") if root_path.strip("/") else ""
    if any(letter in path for letter in "?#%\\ ") or "//" in path or not path.isascii():
        raise UsageError(f"--root-path takes a plain path, such as /pets; got '{root_path}'.")
    if any(path == own or path.startswith(f"{own}/") for own in _OWN):
        raise UsageError(f"--root-path can't be '{path}': the server uses that path itself.")
    return path


def own_path(path: str, root_path: str) -> str:
    """The path within the application, whether or not the proxy stripped the prefix."""
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        path = path[len(root_path) :]
    path = path or "/"
    return path[:-1] if path.endswith("/") and path.rstrip("/") else path


class PlainHttp:
    """ASGI middleware: HEAD and OPTIONS for every route, and one form of each path."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        """Wrap `app`, which is served under `root_path`."""
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on in its normal form."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if location := _page_location(path, self._root_path):
            await _redirect(location, send)
            return
        method = scope["method"]
        # A copy: the server must still see HEAD.
        inner = {
            **scope,
            "path": own_path(path, self._root_path),
            "root_path": self._root_path,
            "method": "GET" if method == "HEAD" else method,
        }
        try:
            await self._app(inner, receive, _Sender(method, send))
        finally:
            scope["route"] = inner.get("route")


def _page_location(path: str, root_path: str) -> str | None:
    """Where the page is if its relative links would be wrong at `path`; else None."""
    if root_path and path == root_path:
        return f"{root_path}/"
    if path.endswith("/") and own_path(path, root_path) in _PAGES:
        return f"..{own_path(path, root_path)}"
    return None


async def _redirect(location: str, send: Send) -> None:
    # Relative, so that it is right under a prefix that only the proxy knows.
    headers = [(b"location", location.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Sender:
    """Turns the response to the route's method into one to the client's."""

    def __init__(self, method: str, send: Send) -> None:
        self._method = method
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif self._method in ("HEAD", "OPTIONS"):
            message = {**message, "body": b""}
        await self._send(message)

    def _start(self, message: Message) -> Message:
        headers: Sequence[tuple[bytes, bytes]] = message.get("headers", [])
        is_options = self._method == "OPTIONS"
        if message["status"] != 405:
            if is_options:
                self._method = "GET"  # an error, with its message
            return message
        lists = [value.split(b",") for name, value in headers if name == b"allow"]
        allowed = {method.strip() for methods in lists for method in methods}
        allowed |= {b"HEAD"} if b"GET" in allowed else set()
        allowed |= {b"OPTIONS"} if is_options else set()
        replaced = (b"allow", b"content-length", b"content-type") if is_options else (b"allow",)
        others = [(name, value) for name, value in headers if name not in replaced]
        return {
            **message,
            "status": 204 if is_options else 405,
            "headers": [*others, (b"allow", b", ".join(sorted(allowed)))],
        }
