"""`pawsure serve`: a page and an API over one model file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from pawsure.cli import screen
from pawsure.errors import MissingExtraError, UsageError

EXAMPLE = "Example: pawsure serve --model runs/pets/model.onnx"

_NEEDED = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client")
_MEBIBYTE = 1024 * 1024


def serve(
    model: Annotated[
        Path | None, typer.Option(help="A model file, or the run folder that holds one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="What the model is called; else by its file.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="PAWSURE_TOKEN", help="Clients must show it as a bearer token."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer to this host name too, such as one that a proxy passes on "
            "(*.example.org for all under it). Repeatable.",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(metavar="PATH", help="Prefix under which a proxy serves this, as /pets."),
    ] = "",
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let pages of this origin ask, such as https://example.org (* for all). "
            "Repeatable; without it, browsers let no other site's page read an answer.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Most pictures a forward pass.")] = 4,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Most pictures taken on at once; others get a 503.")
    ] = 256,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Of one picture's file.")] = 20,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Of one picture.")] = 50,
    threads: Annotated[
        int,
        typer.Option(
            min=1,
            help="CPU threads of one forward pass. With 1, as many passes at once as cores: most "
            "answers a second. More are for one client at a time and a large network.",
        ),
    ] = 1,
    log_requests: Annotated[bool, typer.Option(help="A line for each request.")] = False,
) -> None:
    """Answer over HTTP, with a page for people and an API for programs.

    Only this machine can ask, unless --host says otherwise.
    """
    from pawsure.model.onboard import check_model

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
    screen.note(f"The page is at {address}, what programs may ask at {address}/docs.")
    if open_to_all:
        screen.note(f"Whoever reaches {host} may ask: there is no --token.")
    shown = "" if token is None else "-H 'Authorization: Bearer TOKEN' "
    screen.note(f"To ask it: curl {shown}-F pictures=@PICTURE {address}/v1/predict")
    screen.note("Ctrl+C ends it.")


def _name_of(path: Path) -> str:
    """The run folder's name for a model.onnx, else the file's; made fit for an address."""
    path = path.resolve()
    named = path.parent.name if path.name == "model.onnx" else path.stem
    kept = "".join(letter if _fits(letter) else "-" for letter in named)
    return kept.strip("-.") or "model"


def _checked_name(name: str) -> str:
    if not all(map(_fits, name)) or not name.strip("."):
        raise UsageError("--name stands in addresses: letters, digits, '-', '_' and '.' only.")
    return name


def _fits(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "-_.")
