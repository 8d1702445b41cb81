"""What stands before every route: who may come in, and what every response carries."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import STATUS_CODES, NoToken, Refusal, WrongHost
from pawsure.serving.settings import ServingSettings

logger = logging.getLogger("pawsure.serving")

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Pictures that were chosen are shown from memory, and are never fetched.
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
"""On every response, whatever it is."""

# Probes ask without a token, and the page has to load before it can ask for one.
_NEEDS_TOKEN = ("/v1/", "/v2/models", "/metrics")
_LOCAL_NAMES = frozenset(["localhost", "127.0.0.1", "[::1]"])

# A client that is refused while it still sends would meet a closed connection in place of the
# reason, so what it sends is thrown away, for this long and this many bytes.
_DISCARD_S = 2.0
_DISCARD_BYTES = 32 * 1024 * 1024


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """The headers that go with a refusal."""
    headers = {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    if isinstance(refusal, NoToken):
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def note_request(metrics: Metrics, method: str, route: str, status: str, took_s: float) -> None:
    """Count one request, and log it; nothing that a client sent is in either."""
    metrics.requests.add(method, route, status)
    metrics.request_s.observe(took_s)
    logger.info("%s %s %s %.1f ms", method, route, status, took_s * 1000)


class Guard:
    """ASGI middleware: host, token, headers, counting, and the rest of refused bodies."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServingSettings,
        metrics: Metrics,
        check_room: Callable[[], None],
    ) -> None:
        """Stand before `app`; `check_room` raises when no more pictures can be taken on."""
        self._app = app
        self._check_room = check_room
        self._settings = settings
        self._metrics = metrics
        self._token = None if settings.token is None else settings.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            self._check(scope)
        except Refusal as refusal:
            exchange.refused = True
            await _send_refusal(refusal, exchange.send)
        else:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            self._count(scope, exchange)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self._settings.local_only and not _is_local(headers.get(b"host", b"")):
            raise WrongHost(
                "This server answers only to localhost. To serve others, start it with "
                "--host and that address."
            )
        if self._token is not None and scope["path"].startswith(_NEEDS_TOKEN):
            kind, _, shown = headers.get(b"authorization", b"").partition(b" ")
            right = hmac.compare_digest(shown.strip(), self._token)
            if kind.lower() != b"bearer" or not right:
                raise NoToken("Send the token of this server as 'Authorization: Bearer TOKEN'.")

        # Asked here and not in the routes: past saturation, what is refused must cost little.
        if scope["method"] == "POST":
            self._check_room()

    def _count(self, scope: Scope, exchange: _Exchange) -> None:
        # The template of a route, never what was asked for: anybody may ask for anything.
        route = getattr(scope.get("route"), "path", "refused" if exchange.refused else "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = str(exchange.status or "gone")
        note_request(self._metrics, method, route, status, time.monotonic() - exchange.started)


_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


def _is_local(host: bytes) -> bool:
    name = host.decode("latin-1").lower()
    if not name.endswith("]"):
        name, colon, port = name.rpartition(":") if ":" in name else (name, "", "")
        if colon and not port.isdecimal():
            return False
    return name in _LOCAL_NAMES


async def _send_refusal(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"error": str(refusal)}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= refusal_headers(refusal)
    await send(
        {
            "type": "http.response.start",
            "status": STATUS_CODES[type(refusal)],
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


class _Exchange:
    """One request and its response, as they pass by."""

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
            message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS]
            if self._body_pending:
                message["headers"].append((b"connection", b"close"))
        elif self._body_pending and not message.get("more_body", False):
            # All of the response goes out at once; only its end waits for the client's.
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
