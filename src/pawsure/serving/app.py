"""The application: routes, errors and the guard before them, over one model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pawsure._version import __version__
from pawsure.model.predictor import Predictor
from pawsure.serving.addresses import PlainHttp
from pawsure.serving.guard import Guard, refusal_headers
from pawsure.serving.open_inference import open_inference_routes
from pawsure.serving.refusals import STATUS_CODES, Gone, Refusal
from pawsure.serving.settings import ServingSettings
from pawsure.serving.site import site_routes
from pawsure.serving.v1 import json_response, v1_routes
from pawsure.serving.work import Work

# What nginx calls a request whose client left; nobody sees it but the metrics.
_CLIENT_LEFT = 499


def create_app(
    predictor: Predictor,
    *,
    name: str = "model",
    settings: ServingSettings | None = None,
) -> FastAPI:
    """An ASGI application that answers for one model.

    Args:
        predictor: the model.
        name: what the model is called in addresses and on the page.
        settings: the bounds; None takes the defaults.
    """
    settings = settings or ServingSettings()
    work = Work(predictor, name, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work.open()
        yield
        await work.close()

    app = FastAPI(
        title="pawsure",
        version=__version__,
        summary="Say what is in pictures, with one model file.",
        lifespan=lifespan,
        # FastAPI's own pages load their scripts from elsewhere; `/docs` here is ours.
        docs_url=None,
        redoc_url=None,
        # An address with a slash at its end is the same one, and no redirect; see PlainHttp.
        redirect_slashes=False,
    )
    app.include_router(v1_routes(work))
    app.include_router(open_inference_routes(work))
    app.include_router(site_routes())
    _translate_errors(app)
    app.add_middleware(PlainHttp, root_path=settings.root_path)
    app.add_middleware(
        Guard, settings=settings, metrics=work.metrics, check_room=work.batcher.check_room
    )
    app.state.work = work
    return app


def _translate_errors(app: FastAPI) -> None:
    """Every way out of a route is a status code and one sentence; no trace leaves."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        response = json_response({"error": str(refusal)}, status=STATUS_CODES[type(refusal)])
        response.headers.update(refusal_headers(refusal))
        return response

    @app.exception_handler(Gone)
    async def gone(_: Request, __: Gone) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        places = sorted({str(item["loc"][-1]) for item in error.errors()})
        known = [place for place in places if place == "evidence"]
        what = f"The parameter '{known[0]}'" if known else "A parameter"
        return json_response({"error": f"{what} has a value that is not allowed."}, status=422)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        response = json_response({"error": f"{error.detail}."}, status=error.status_code)
        response.headers.update(error.headers or {})
        return response
