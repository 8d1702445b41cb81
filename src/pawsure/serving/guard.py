"""Middleware before every route: who may ask, and the headers of every response."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pawsure.serving.addresses import own_path
from pawsure.serving.hosts import check_host
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import CompressedBody, Refusal, Unauthorized
from pawsure.serving.settings import ServingSettings

logger = logging.getLogger("pawsure.serving")

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # The page shows chosen pictures from memory.
        "img-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)

SECURITY_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
"""On every response."""

# Health probes send no token, and the page has to load before it can ask for one.
_NEEDS_TOKEN = ("/v1/", "/v2/models", "/metrics")
_EXCHANGE = "pawsure.exchange"
_INTERNAL_ERROR = "Internal server error; see the server's log."
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

_CORS_METHODS = ("GET", "HEAD", "POST")
_CORS_HEADERS = ("Authorization", "Inference-Header-Content-Length")
_CORS_EXPOSED = ("Inference-Header-Content-Length", "Retry-After")

# A client that is refused while it still sends would see a closed connection and not the reason,
# so the rest of its body is read and discarded, up to these limits.
_DISCARD_S = 2.0
_DISCARD_BYTES = 32 * 1024 * 1024


def record_request(metrics: Metrics, method: str, route: str, status: str, seconds: float) -> None:
    """Count and log one request; nothing that a client sent is in either."""
    metrics.requests.labels(method, route, status).inc()
    metrics.request_s.observe(seconds)
    logger.info("%s %s %s %.1f ms", method, route, status, seconds * 1000)


class Guard:
    """ASGI middleware: host, token, CORS, headers, metrics, and the rest of refused bodies."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServingSettings,
        metrics: Metrics,
        check_room: Callable[[], None],
    ) -> None:
        """Wrap `app`; `check_room` raises if no more pictures can be accepted."""
        self._app = app
        self._check_room = check_room
        self._settings = settings
        self._metrics = metrics
        self._token = None if settings.token is None else settings.token.encode()
        # Around the checks, so that pages of other sites can read why they were refused.
        self._answer: ASGIApp = self._check_and_answer
        if settings.cors_origins:
            self._answer = CORSMiddleware(
                self._answer,
                allow_origins=settings.cors_origins,
                allow_methods=_CORS_METHODS,
                allow_headers=_CORS_HEADERS,
                expose_headers=_CORS_EXPOSED,
                allow_private_network=True,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        scope[_EXCHANGE] = exchange
        try:
            await self._answer(scope, exchange.receive, exchange.send)
        finally:
            self._count(scope, exchange)

    async def _check_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except Refusal as refusal:
            scope[_EXCHANGE].refused = True
            await _send_error(refusal.status_code, str(refusal), refusal.headers(), send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception:  # uvicorn logs it; the client gets a 500
            if not scope[_EXCHANGE].status:
                await _send_error(500, _INTERNAL_ERROR, {}, send)
            raise

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        settings = self._settings
        if settings.local_only or settings.allowed_hosts:
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            check_host(hosts, scope["http_version"], settings.allowed_hosts)
        path = own_path(scope["path"], settings.root_path)
        if self._token is not None and path.startswith(_NEEDS_TOKEN):
            kind, _, token = headers.get(b"authorization", b"").partition(b" ")
            is_right = hmac.compare_digest(token.strip(), self._token)
            if kind.lower() != b"bearer" or not is_right:
                raise Unauthorized("Send this server's token as 'Authorization: Bearer TOKEN'.")
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise CompressedBody("Send the body uncompressed, without a Content-Encoding.")
        # Here, not in the routes: past saturation, a refusal must cost little.
        if scope["method"] == "POST":
            self._check_room()

    def _count(self, scope: Scope, exchange: _Exchange) -> None:
        # The route's template and not the path: a client may send any path.
        route = getattr(scope.get("route"), "path", "refused" if exchange.refused else "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = str(exchange.status or "gone")
        record_request(self._metrics, method, route, status, time.monotonic() - exchange.started)


async def _send_error(status: int, error: str, headers: dict[str, str], send: Send) -> None:
    body = json.dumps({"error": error}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


class _Exchange:
    """One request and its response, observed."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.started = time.monotonic()
        self.status = 0
        self.refused = False
        self._receive = receive
        self._send = send
        headers = dict(scope["headers"])
        has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        self._body_pending = has_body

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_pending = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", []), *SECURITY_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))  # answers are private
            message["headers"] = headers
            if self._body_pending:
                message["headers"].append((b"connection", b"close"))
        elif self._body_pending and not message.get("more_body", False):
            # The response is sent at once; only its end waits for the end of the request.
            await self._send({**message, "more_body": True})
            await self._discard_rest()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _discard_rest(self) -> None:
        discarded = 0
        try:
            async with asyncio.timeout(_DISCARD_S):
                while self._body_pending and discarded < _DISCARD_BYTES:
                    discarded += len((await self.receive()).get("body", b""))
        except TimeoutError:
            logger.debug("A refused upload went on for too long.")
