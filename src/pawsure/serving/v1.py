"""pawsure's own API: pictures in, answers out; the model's card; health and metrics."""

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
from pawsure.serving.work import Work

# Decimals of evidence that are told: a thousandth of a logit is nothing.
_DECIMALS = 4

_WHY = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    408: "The upload came too slowly.",
    413: "More bytes, pixels or pictures than the limits.",
    415: "No kind of picture that can be read.",
    421: "The request was meant for another host.",
    422: "The picture is damaged or cut short, or a parameter is wrong.",
    503: "No room now; Retry-After says when to come again.",
}


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for its documentation."""
    return {code: {"model": ErrorBody, "description": _WHY[code]} for code in (*codes, 421)}


def _request_body(work: Work) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    pictures = {
        "type": "array",
        "items": file,
        "minItems": 1,
        "maxItems": work.settings.max_pictures,
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


def v1_routes(work: Work) -> APIRouter:
    """The routes, over one model."""
    router = APIRouter()

    @router.post(
        "/v1/predict",
        summary="Say what is in pictures",
        response_class=Response,
        responses={
            200: {"model": AnswersBody, "description": "An entry for each picture, in order."},
            **errors(400, 401, 408, 413, 415, 422, 503),
        },
        openapi_extra={"requestBody": _request_body(work)},
    )
    async def predict(
        request: Request,
        evidence: Annotated[
            bool, Query(description="Tell which places of the picture spoke for the label.")
        ] = False,
    ) -> Response:
        """One picture as the body, or several as the parts `pictures` of a form.

        A picture that can't be read has an `error` in its entry; where that leaves no answer
        at all, the response is an error itself.
        """
        with work.budget.share() as share:
            uploads = await _uploads(request, share, work)
            results = await work.answers(request, uploads)
        return _respond(uploads, results, evidence=evidence)

    @router.get(
        "/v1/model",
        summary="What the model says of itself",
        response_class=Response,
        responses={200: {"model": ModelBody, "description": "The model."}, **errors(401)},
    )
    async def model() -> Response:
        return json_response(_card(work))

    @router.get(
        "/healthz",
        summary="The process is alive",
        response_class=Response,
        responses={200: {"model": HealthBody, "description": "It is."}, **errors()},
    )
    async def alive() -> Response:
        return json_response({"status": "alive"})

    @router.get(
        "/readyz",
        summary="The model is loaded and answers",
        response_class=Response,
        responses={
            200: {"model": HealthBody, "description": "Ready."},
            503: {"model": HealthBody, "description": "Starting or stopping."},
            **errors(),
        },
    )
    async def ready() -> Response:
        if work.ready:
            return json_response({"status": "ready"})
        return json_response({"status": "not ready"}, status=503)

    @router.get(
        "/metrics",
        summary="Counts for Prometheus",
        response_class=Response,
        responses={
            200: {
                "content": {"text/plain": {"schema": {"type": "string"}}},
                "description": "Prometheus's text format.",
            },
            **errors(401),
        },
    )
    async def metrics() -> Response:
        page, media_type = work.metrics.exposition()
        return Response(page, media_type=media_type)

    return router


def json_response(content: dict[str, Any], *, status: int = 200) -> Response:
    """JSON that no number can break: NaN would be a bug, and is an error here."""
    body = json.dumps(content, allow_nan=False).encode()
    return Response(body, status_code=status, media_type="application/json")


async def _uploads(request: Request, share: intake.MemoryShare, work: Work) -> list[Upload]:
    settings = work.settings
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
        # One kind of trouble for the status; of several pictures each has its own sentence.
        first = refusals[0]
        if len(refusals) == 1:
            raise first
        raise type(first)(f"None of the {len(results)} pictures can be read; the first: {first}")
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
        entry["evidence"] = answer.evidence.astype(float).round(_DECIMALS).tolist()
    return entry


def _card(work: Work) -> dict[str, Any]:
    metadata, settings = work.predictor.metadata, work.settings
    limits = {name: getattr(settings, name) for name in LimitsBody.model_fields}
    return {
        "name": work.name,
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
