"""The uvicorn server that runs the application."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from pawsure.errors import UsageError
from pawsure.model.predictor import Predictor
from pawsure.serving.app import create_app
from pawsure.serving.connections import bounded_protocol
from pawsure.serving.guard import record_request
from pawsure.serving.memory import return_freed_memory
from pawsure.serving.refusals import Busy
from pawsure.serving.service import ModelService
from pawsure.serving.settings import ServingSettings

_BACKLOG = 2048
_KEEP_ALIVE_S = 15
# How long a thread waits for Python's lock before it asks for it. With Python's default of 5 ms,
# workers stand still while the event loop is busy refusing: 311 answers a second at twice the
# peak load, and 372 with this; p99 latency is a quarter lower.
_SWITCH_S = 0.0001


def serve(
    predictor: Predictor,
    *,
    name: str,
    host: str,
    port: int,
    settings: ServingSettings,
    log_requests: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process gets SIGTERM or SIGINT; then finish the open requests.

    Args:
        predictor: the model.
        name: of the model.
        host: address to listen on.
        port: 0 takes any free one.
        settings: the limits.
        log_requests: log a line for each, without anything that the client sent.
        on_ready: called with the server's URL once it accepts requests.

    Raises:
        UsageError: the address can't be listened on.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    level = logging.INFO if log_requests else logging.WARNING
    logging.getLogger("pawsure.serving").setLevel(level)
    return_freed_memory()
    sys.setswitchinterval(_SWITCH_S)
    listener = listen(host, port)
    app = create_app(predictor, name=name, settings=settings)
    Server(app, settings, on_ready=on_ready).run(sockets=[listener])


class Server(uvicorn.Server):
    """The uvicorn server, configured for one application; reports when it is ready."""

    def __init__(
        self,
        app: FastAPI,
        settings: ServingSettings,
        *,
        on_ready: Callable[[str], None] | None = None,
    ) -> None:
        """Configure; `run(sockets=[listen(...)])` runs it until `should_exit` is set."""
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(settings, _Admission(app.state.service).refusal),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(settings.drain_s),
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then call `on_ready`."""
        await super().startup(sockets)
        # These objects stay; a garbage collection over them takes 50 ms every few seconds.
        gc.collect()
        gc.freeze()
        if self._on_ready is not None and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")


class _Admission:
    """Refuses a request at its head, as the guard would, but at less cost."""

    def __init__(self, service: ModelService) -> None:
        self._service = service
        # Admitted in this turn of the event loop, so not counted by the batcher yet.
        self._num_new = 0

    def refusal(self) -> Busy | None:
        """Why one more request can't be accepted, after recording it; None if it can."""
        busy = self._service.batcher.lack_of_room(self._num_new + 1)
        if busy is None:
            self._num_new += 1
            # Runs just before the request, which is scheduled after this.
            asyncio.get_running_loop().call_soon(self._forget)
        else:
            record_request(self._service.metrics, "POST", "refused", "503", 0.0)
        return busy

    def _forget(self) -> None:
        self._num_new -= 1


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 takes any free one.

    Raises:
        UsageError: the address can't be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # Connections inherit it. With Nagle's algorithm an answer waits up to 40 ms for the
        # client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return listener
    except (OSError, OverflowError) as exc:
        raise UsageError(
            f"The server can't listen on {host}, port {port}: {exc}. "
            "Is another one running there? Choose another port with --port (0 takes any)."
        ) from exc
