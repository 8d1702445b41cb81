"""Run the application on a socket."""

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
from pawsure.serving.guard import note_request
from pawsure.serving.memory import give_memory_back
from pawsure.serving.refusals import Busy
from pawsure.serving.settings import ServingSettings
from pawsure.serving.work import Work

_BACKLOG = 2048
_KEEP_ALIVE_S = 15
# How long a thread that wants Python's lock lets another keep it. With Python's own 5 ms a
# worker whose forward pass is done stands still while the event loop is busy refusing: at twice
# the peak 311 answers a second, with this 372; and the slowest hundredth waits a quarter less.
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
    """Answer until the process is told to end; then finish what is in hand.

    Args:
        predictor: the model.
        name: what it is called.
        host: address to listen on.
        port: 0 takes any that is free.
        settings: the bounds.
        log_requests: one line each, without anything that the client sent.
        on_ready: called with the address of the page once it can be asked.

    Raises:
        UsageError: the address can't be listened on.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    level = logging.INFO if log_requests else logging.WARNING
    logging.getLogger("pawsure.serving").setLevel(level)
    give_memory_back()
    sys.setswitchinterval(_SWITCH_S)
    listener = listen(host, port)
    app = create_app(predictor, name=name, settings=settings)
    Server(app, settings, on_ready=on_ready).run(sockets=[listener])


class Server(uvicorn.Server):
    """The uvicorn server, set up for one application; says when it is ready, and where."""

    def __init__(
        self,
        app: FastAPI,
        settings: ServingSettings,
        *,
        on_ready: Callable[[str], None] | None = None,
    ) -> None:
        """Set up; `run(sockets=[listen(...)])` runs it, until `should_exit` is set."""
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(settings, _Door(app.state.work).refusal),
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
        """Start to listen, then say so."""
        await super().startup(sockets)
        # What is here now stays; looking through it for garbage takes 50 ms every few seconds.
        gc.collect()
        gc.freeze()
        if self._on_ready is not None and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")


class _Door:
    """Refuses at the head of a request, as the guard would do too, but for less."""

    def __init__(self, work: Work) -> None:
        self._work = work
        # Let in, in this turn of the event loop: not among the pictures in hand yet.
        self._entering = 0

    def refusal(self) -> Busy | None:
        """Why one more request can't come in; counted."""
        busy = self._work.batcher.lack_of_room(self._entering + 1)
        if busy is None:
            self._entering += 1
            # Runs just before the request itself does, which was not scheduled yet.
            asyncio.get_running_loop().call_soon(self._entered)
        else:
            note_request(self._work.metrics, "POST", "refused", "503", 0.0)
        return busy

    def _entered(self) -> None:
        self._entering -= 1


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 takes any that is free.

    Raises:
        UsageError: the address can't be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as exc:
        raise UsageError(
            f"The server can't listen on {host}, port {port}: {exc}. "
            "Is another one running there? Choose another with --port (0 takes any)."
        ) from exc
