"""The application over one model: routes, errors and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pawsure._version import __version__
from pawsure.model.predictor import Predictor
from pawsure.serving.addresses import PlainHttp
from pawsure.serving.guard import Guard
from pawsure.serving.open_inference import open_inference_routes
from pawsure.serving.refusals import ClientLeft, Refusal
from pawsure.serving.service import ModelService
from pawsure.serving.settings import ServingSettings
from pawsure.serving.site import site_routes
from pawsure.serving.v1 import json_response, v1_routes

# As in nginx. Nobody receives it; the metrics count it.
_CLIENT_LEFT = 499


def create_app(
    predictor: Predictor,
    *,
    name: str = "model",
    settings: ServingSettings | None = None,
) -> FastAPI:
    """An ASGI application that serves one model.

    Args:
        predictor: the model.
        name: of the model, in addresses and on the page.
        settings: the limits; None takes the defaults.
    """
    settings = settings or ServingSettings()
    service = ModelService(predictor, name, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.open()
        yield
        await service.close()

    app = FastAPI(
        title="pawsure",
        version=__version__,
        summary="Classify pictures with one model file.",
        lifespan=lifespan,
        # FastAPI's own pages load scripts from another host; `/docs` here is ours.
        docs_url=None,
        redoc_url=None,
        # PlainHttp treats a trailing slash as none, without a redirect.
        redirect_slashes=False,
    )
    app.include_router(v1_routes(service))
    app.include_router(open_inference_routes(service))
    app.include_router(site_routes())
    _handle_errors(app)
    app.add_middleware(PlainHttp, root_path=settings.root_path)
    app.add_middleware(
        Guard, settings=settings, metrics=service.metrics, check_room=service.batcher.check_room
    )
    app.state.service = service
    return app


def _handle_errors(app: FastAPI) -> None:
    """Every error of a route becomes a status code and one sentence; no traceback is sent."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return _error(str(refusal), refusal.status_code, refusal.headers())

    @app.exception_handler(ClientLeft)
    async def client_left(_: Request, __: ClientLeft) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        # Only names that are ours are repeated.
        is_evidence = any(item["loc"][-1] == "evidence" for item in error.errors())
        subject = "The parameter 'evidence'" if is_evidence else "A parameter"
        return _error(f"{subject} has a value that is not allowed.", 422)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        return _error(f"{error.detail}.", error.status_code, dict(error.headers or {}))


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    response = json_response({"error": message}, status=status)
    response.headers.update(headers or {})
    return response
