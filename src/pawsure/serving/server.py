"""Run the application on a socket."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable
from functools import partial

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
                http=bounded_protocol(settings, partial(_refuse, app.state.work)),
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


def _refuse(work: Work) -> Busy | None:
    """What the guard would do too, but sooner."""
    busy = work.batcher.lack_of_room()
    if busy is not None:
        note_request(work.metrics, "POST", "refused", "503", 0.0)
    return busy


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
