"""What of a request's address and method is settled before the routes see it.

Behind a proxy the application may have a prefix that the proxy takes off, or leaves; a slash at
the end of an address means the same as none; HEAD is GET without the body (RFC 9110, 9.3.2) and
OPTIONS says what an address allows. `own_path` also tells the check of the token what is asked
for, so that the check and the routes always speak of the same path.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pawsure.errors import UsageError

# Files of the page are addressed relative to these, so the slash at the end matters.
_PAGES = ("/docs",)
_OWN = ("/v1", "/v2", "/page", "/docs", "/healthz", "/readyz", "/metrics", "/openapi.json")


def checked_root_path(root_path: str) -> str:
    """The prefix under which a proxy serves the application, as "/a/b"; "" for none.

    Raises:
        UsageError: it is no path, or one of the server's own.
    """
    path = "/" + root_path.strip("/") if root_path.strip("/") else ""
    if any(letter in path for letter in "?#%\\ ") or "//" in path or not path.isascii():
        raise UsageError(f"--root-path takes a plain path, such as /pets; got '{root_path}'.")
    if any(path == own or path.startswith(f"{own}/") for own in _OWN):
        raise UsageError(f"--root-path can't be '{path}': the server has an address of that name.")
    return path


def own_path(path: str, root_path: str) -> str:
    """The path within the application, whether or not the proxy took the prefix off."""
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        path = path[len(root_path) :]
    path = path or "/"
    return path[:-1] if path.endswith("/") and path.rstrip("/") else path


class PlainHttp:
    """ASGI middleware: HEAD and OPTIONS for every route, and one form of each address."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        """Stand before `app`, whose requests come under `root_path`."""
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through in its plain form."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = scope["path"]
        if place := _elsewhere(asked, self._root_path):
            await _redirect(place, send)
            return
        method = scope["method"]
        # A copy: the server still has to know that it was HEAD.
        inner = {
            **scope,
            "path": own_path(asked, self._root_path),
            "root_path": self._root_path,
            "method": "GET" if method == "HEAD" else method,
        }
        try:
            await self._app(inner, receive, _Plain(method, send))
        finally:
            scope["route"] = inner.get("route")


def _elsewhere(path: str, root_path: str) -> str | None:
    """Where the page is whose relative addresses would be wrong at `path`; None if right."""
    if root_path and path == root_path:
        return f"{root_path}/"
    if path.endswith("/") and own_path(path, root_path) in _PAGES:
        return f"..{own_path(path, root_path)}"
    return None


async def _redirect(place: str, send: Send) -> None:
    # Relative, so that it holds under a prefix that only the proxy knows.
    headers = [(b"location", place.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Plain:
    """Sends what a route gives, as it fits the method that was asked."""

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
        if message["status"] != 405:
            if self._method == "OPTIONS":
                self._method = "GET"  # an error, with its sentence
            return message
        allowed = {name for key, value in headers if key == b"allow" for name in _names(value)}
        if b"GET" in allowed:
            allowed.add(b"HEAD")
        if self._method == "OPTIONS":
            allowed.add(b"OPTIONS")
        kept = [(key, value) for key, value in headers if key != b"allow"]
        kept.append((b"allow", b", ".join(sorted(allowed))))
        if self._method != "OPTIONS":
            return {**message, "headers": kept}
        kept = [pair for pair in kept if pair[0] not in (b"content-length", b"content-type")]
        return {**message, "status": 204, "headers": kept}


def _names(allow: bytes) -> list[bytes]:
    return [name.strip() for name in allow.split(b",")]
