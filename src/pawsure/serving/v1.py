"""pawsure's own API: pictures in, answers out; model metadata; health and metrics."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from pawsure.model.answer import Answer
from pawsure.serving import forms, intake
from pawsure.serving.forms import FIELD, Upload
from pawsure.serving.refusals import NotAPicture, Refusal
from pawsure.serving.schemas import (
    AnswersBody,
    ErrorBody,
    HealthBody,
    LimitsBody,
    ModelBody,
)
from pawsure.serving.service import ModelService

# A thousandth of a logit changes no map.
_EVIDENCE_DECIMALS = 4

_REASONS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    404: "No such model.",
    408: "The upload was too slow.",
    413: "More bytes, pixels or pictures than the limits.",
    415: "Not a picture format that can be read.",
    421: "The request names another host.",
    422: "The picture is damaged or truncated, or a parameter is wrong.",
    503: "The server is busy; Retry-After says when to try again.",
}


def documented(
    summary: str, ok: dict[str, Any], *errors: int, or_unready: bool = False
) -> dict[str, Any]:
    """Arguments of a route for its documentation.

    Args:
        summary: of the route.
        ok: its response, as FastAPI's `responses` has it.
        errors: status codes of its errors, but for 421, which every route may send.
        or_unready: whether it sends the same with 503 while the model is not ready.
    """
    responses = {200: ok}
    for code in (*errors, 421):
        responses[code] = {"model": ErrorBody, "description": _REASONS[code]}
    if or_unready:
        responses[503] = ok | {"description": "Starting or stopping."}
    return {"summary": summary, "response_class": Response, "responses": responses}


def _request_body(service: ModelService) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    pictures = {
        "type": "array",
        "items": file,
        "minItems": 1,
        "maxItems": service.settings.max_pictures,
    }
    form = {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: pictures},
        "additionalProperties": False,
    }
    kinds = ("application/octet-stream", "image/jpeg", "image/png", "image/webp")
    content = {kind: {"schema": file | {"minLength": 1}} for kind in kinds}
    return {"required": True, "content": {"multipart/form-data": {"schema": form}} | content}


def v1_routes(service: ModelService) -> APIRouter:
    """The routes of pawsure's own API."""
    router = APIRouter()

    @router.post(
        "/v1/predict",
        **documented(
            "Classify pictures",
            {"model": AnswersBody, "description": "An entry for each picture, in order."},
            *(400, 401, 408, 413, 415, 422, 503),
        ),
        openapi_extra={"requestBody": _request_body(service)},
    )
    async def predict(
        request: Request,
        evidence: Annotated[
            bool, Query(description="Add heat maps: the evidence in each part of a picture.")
        ] = False,
    ) -> Response:
        """One picture as the body, or several as the parts `pictures` of a form.

        A picture that can't be read has an `error` in its entry. If none can be read, the
        response is an error.
        """
        with service.budget.share() as share:
            uploads = await _uploads(request, share, service)
            results = await service.answers(request, uploads)
        return _respond(uploads, results, evidence=evidence)

    card = {"model": ModelBody, "description": "What the model file says of the model."}

    @router.get("/v1/model", **documented("Model metadata", card, 401))
    async def model() -> Response:
        return json_response(_metadata(service))

    health = {"model": HealthBody, "description": "Yes."}

    @router.get("/healthz", **documented("Is the process alive?", health))
    async def alive() -> Response:
        return json_response({"status": "alive"})

    @router.get("/readyz", **documented("Is the model ready?", health, or_unready=True))
    async def ready() -> Response:
        if service.ready:
            return json_response({"status": "ready"})
        return json_response({"status": "not ready"}, status=503)

    text = {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "Prometheus's text format.",
    }

    @router.get("/metrics", **documented("Metrics for Prometheus", text, 401))
    async def metrics() -> Response:
        return Response(
            service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router


def json_response(content: dict[str, Any], *, status: int = 200) -> Response:
    """JSON without NaN, which would be a bug and raises ValueError."""
    body = json.dumps(content, allow_nan=False).encode()
    return Response(body, status_code=status, media_type="application/json")


async def _uploads(
    request: Request, share: intake.MemoryShare, service: ModelService
) -> list[Upload]:
    settings = service.settings
    content_type = request.headers.get("content-type", "application/octet-stream")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = intake.chunks(request, share, settings, max_bytes=settings.max_body_bytes)
        return await forms.read_form(
            body,
            content_type,
            max_pictures=settings.max_pictures,
            max_picture_bytes=settings.max_picture_bytes,
        )
    if kind != "application/octet-stream" and not kind.startswith("image/"):
        raise NotAPicture(
            "Send the picture as image/* or application/octet-stream, or several as "
            "multipart/form-data."
        )
    data = await intake.read_whole(request, share, settings, max_bytes=settings.max_picture_bytes)
    return [Upload(data=data)]


def _respond(uploads: list[Upload], results: list[Answer | Refusal], *, evidence: bool) -> Response:
    refusals = [result for result in results if isinstance(result, Refusal)]
    if len(refusals) == len(results):
        first = refusals[0]
        if len(refusals) == 1:
            raise first
        raise type(first)(f"None of the {len(results)} pictures can be read. The first: {first}")
    entries = [
        {"path": upload.name, "error": str(result)}
        if isinstance(result, Refusal)
        else _entry(result, evidence=evidence)
        for upload, result in zip(uploads, results, strict=True)
    ]
    return json_response({"answers": entries})


def _entry(answer: Answer, *, evidence: bool) -> dict[str, Any]:
    entry = answer.to_dict()
    if evidence and answer.evidence is not None:
        entry["evidence"] = answer.evidence.astype(float).round(_EVIDENCE_DECIMALS).tolist()
    return entry


def _metadata(service: ModelService) -> dict[str, Any]:
    metadata, settings = service.predictor.metadata, service.settings
    limits = {name: getattr(settings, name) for name in LimitsBody.model_fields}
    return {
        "name": service.name,
        "labels": list(metadata.labels),
        "size_px": metadata.size_px,
        "backbone": metadata.backbone,
        "figures": metadata.figures,
        "thresholds": metadata.thresholds,
        "data_fingerprint": metadata.data_fingerprint,
        "recipe": metadata.recipe,
        "pawsure_version": metadata.pawsure_version,
        "limits": limits,
    }
