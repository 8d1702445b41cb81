"""`pawsure serve`: a web page and an API for one model file."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.options import ModelOption
from pawsure.errors import MissingExtraError, UsageError

EXAMPLE = "Example: pawsure serve --model runs/pets/model.onnx"

_NEEDED = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client")
_MEBIBYTE = 1024 * 1024


def serve(
    model: ModelOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is all addresses of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in the API (default: from its path).")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="PAWSURE_TOKEN", help="Bearer token that clients must send."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also accept this host name, such as one that a proxy forwards "
            "(*.example.org for all subdomains). Repeatable.",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(metavar="PATH", help="Path prefix behind a proxy, such as /pets."),
    ] = "",
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let pages of this origin use the API, such as https://example.org (* for all). "
            "Repeatable. Without it, browsers block other sites.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Most pictures per forward pass.")] = 4,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Most pictures in the queue; further requests get a 503.")
    ] = 256,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest picture file, in MiB.")] = 20,
    max_megapixels: Annotated[
        int, typer.Option(min=1, help="Largest picture, in megapixels.")
    ] = 50,
    threads: Annotated[
        int,
        typer.Option(
            min=1,
            help="CPU threads per forward pass. 1 answers most pictures a second, with one pass on "
            "each core; more suit a single client and a large network.",
        ),
    ] = 1,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Log a line for each request.")
    ] = False,
) -> None:
    """Serve a model over HTTP: a web page and an API.

    Only this machine can connect, unless --host is set.
    """
    from pawsure.model.builtin import check_model

    check_model(model)
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(module, "serve")

    from pawsure.model.predictor import load
    from pawsure.serving.hosts import is_loopback
    from pawsure.serving.server import serve as serve_model
    from pawsure.serving.settings import ServingSettings

    settings = ServingSettings(
        max_picture_bytes=max_megabytes * _MEBIBYTE,
        max_body_bytes=max(64, max_megabytes + 1) * _MEBIBYTE,
        max_bytes_in_flight=max(256, 4 * max_megabytes) * _MEBIBYTE,
        max_pixels=max_megapixels * 1_000_000,
        max_waiting=max_waiting,
        max_pictures=min(32, max_waiting),
        batch_size=batch_size,
        token=token,
        local_only=is_loopback(host),
        allowed_hosts=tuple(allow_host or ()),
        root_path=root_path,
        cors_origins=tuple(cors or ()),
    )
    open_to_all = not is_loopback(host) and token is None
    predictor = load(model, threads=threads)
    serve_model(
        predictor,
        name=_checked_name(name) if name else _name_of(predictor.path),
        host=host,
        port=port,
        settings=settings,
        log_requests=log_requests,
        on_ready=lambda address: _announce(address, host, token, open_to_all=open_to_all),
    )


def _announce(address: str, host: str, token: str | None, *, open_to_all: bool) -> None:
    screen.note(f"Page: {address}  API: {address}/docs")
    if open_to_all:
        screen.note(f"Warning: everybody who can reach {host} can use it; --token restricts this.")
    shown = "" if token is None else "-H 'Authorization: Bearer TOKEN' "
    screen.note(f"To use the API: curl {shown}-F pictures=@PICTURE {address}/v1/predict")
    screen.note("Stop with Ctrl+C.")


def _name_of(path: Path) -> str:
    """The run folder's name for a model.onnx, else the file's; made fit for a URL."""
    path = path.resolve()
    name = path.parent.name if path.name == "model.onnx" else path.stem
    return re.sub(r"[^a-zA-Z0-9._-]", "-", name).strip("-.") or "model"


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", name) or not name.strip("."):
        raise UsageError("--name is part of URLs: only letters, digits, '-', '_' and '.'.")
    return name
