"""The Open Inference Protocol (KServe v2 REST) with its binary tensor extension.

Tensors in, tensors out: for clients that read and resize pictures themselves, by
`pawsure.data.images.read`. Source: github.com/kserve/open-inference-protocol, "HTTP/REST", and
Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from pawsure._version import __version__
from pawsure.serving import intake
from pawsure.serving.aside import Crashed, TookTooLong, split_json
from pawsure.serving.batching import Row
from pawsure.serving.refusals import BadRequest, NoSuchThing, TooLarge
from pawsure.serving.schemas import (
    ErrorBody,
    InferBody,
    LiveBody,
    ModelReadyBody,
    ReadyBody,
    ServerBody,
    TensorModelBody,
)
from pawsure.serving.v1 import errors, json_response
from pawsure.serving.work import Work

_VERSION = "1"
_BINARY = "binary_tensor_data"
_HEAD_LENGTH = "inference-header-content-length"
# A level as JSON takes up to four characters, "255,"; the rest is room for names.
_JSON_BYTES_PER_VALUE = 5
_JSON_BYTES_BESIDE = 64 * 1024
# Parsed in a millisecond. Longer ones hold Python's lock all the while, for up to a second.
_SHORT_JSON_BYTES = 64 * 1024

_NOT_HERE: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such model here."}
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An inference request, understood.

    Attributes:
        pictures: uint8 (N, S, S, 3).
        outputs: name of each output that is wanted to whether its data are to be binary.
        request_id: to be repeated in the answer.
    """

    pictures: np.ndarray
    outputs: dict[str, bool]
    request_id: str | None


def open_inference_routes(work: Work) -> APIRouter:
    """The routes, over one model."""
    router = APIRouter()

    async def own(name: str) -> None:
        if name != work.name:
            raise NoSuchThing(f"There is no such model; this server has '{work.name}'.")

    async def own_version(name: str, version: str) -> None:
        await own(name)
        if version != _VERSION:
            raise NoSuchThing(f"There is no such version; this model has '{_VERSION}'.")

    @router.get(
        "/v2",
        summary="Open Inference Protocol: the server",
        response_class=Response,
        responses={200: {"model": ServerBody, "description": "The server."}, **errors()},
    )
    async def server() -> Response:
        extensions = [_BINARY]
        return json_response({"name": "pawsure", "version": __version__, "extensions": extensions})

    @router.get(
        "/v2/health/live",
        summary="Open Inference Protocol: alive",
        response_class=Response,
        responses={200: {"model": LiveBody, "description": "It is."}, **errors()},
    )
    async def live() -> Response:
        return json_response({"live": True})

    @router.get(
        "/v2/health/ready",
        summary="Open Inference Protocol: ready",
        response_class=Response,
        responses={
            200: {"model": ReadyBody, "description": "Ready."},
            503: {"model": ReadyBody, "description": "Starting or stopping."},
            **errors(),
        },
    )
    async def ready() -> Response:
        return json_response({"ready": work.ready}, status=200 if work.ready else 503)

    model = "/v2/models/{name}"
    for path, check in ((model, own), (f"{model}/versions/{{version}}", own_version)):
        router.include_router(_model_routes(work, path), dependencies=[Depends(check)])
    return router


def _model_routes(work: Work, path: str) -> APIRouter:
    """What can be asked of the model at `path`, with or without its version."""
    router = APIRouter()

    @router.get(
        path,
        summary="Open Inference Protocol: the model",
        response_class=Response,
        responses={
            200: {"model": TensorModelBody, "description": "Its tensors."},
            **_NOT_HERE,
            **errors(401),
        },
    )
    async def model() -> Response:
        return json_response(_describe(work))

    @router.get(
        f"{path}/ready",
        summary="Open Inference Protocol: the model is ready",
        response_class=Response,
        responses={
            200: {"model": ModelReadyBody, "description": "Ready."},
            503: {"model": ModelReadyBody, "description": "Starting or stopping."},
            **_NOT_HERE,
            **errors(401),
        },
    )
    async def model_ready() -> Response:
        content = {"name": work.name, "ready": work.ready}
        return json_response(content, status=200 if work.ready else 503)

    @router.post(
        f"{path}/infer",
        summary="Open Inference Protocol: run the model",
        response_class=Response,
        responses={
            200: {"model": InferBody, "description": "The outputs."},
            **_NOT_HERE,
            **errors(400, 401, 408, 413, 415, 503),
        },
        openapi_extra={"requestBody": _request_body(work)},
    )
    async def infer(request: Request) -> Response:
        """Run pictures of the model's own size; `GET` of the model tells its tensors."""
        with work.budget.share() as share:
            body = await intake.read_whole(
                request, share, work.settings, max_bytes=_max_bytes(work)
            )
            head_length = request.headers.get(_HEAD_LENGTH)
            if len(body) - _binary_bytes(body, head_length) > _SHORT_JSON_BYTES:
                asked = await asyncio.to_thread(understand, body, head_length, work)
            else:
                asked = understand(body, head_length, work)
            loads = [_giving(picture) for picture in asked.pictures]
            rows = await work.rows(request, loads)
        return _respond(work, asked, [row for row in rows if isinstance(row, tuple)])

    return router


def _giving(picture: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: picture


def _num_values(work: Work) -> int:
    return work.predictor.size_px**2 * 3


def _max_bytes(work: Work) -> int:
    values = work.settings.max_pictures * _num_values(work)
    return min(work.settings.max_body_bytes, values * _JSON_BYTES_PER_VALUE + _JSON_BYTES_BESIDE)


def understand(body: bytes, head_length: str | None, work: Work) -> Asked:
    """Check an inference request, whatever it is.

    Args:
        body: of the request; where binary tensors follow the JSON, both.
        head_length: bytes of the JSON, as the header says; None when all of it is.
        work: whose model is asked.

    Raises:
        BadRequest: it does not keep to the protocol, or to the model's tensors.
        TooLarge: more pictures than one request may have.
    """
    end = len(body) - _binary_bytes(body, head_length)
    content, levels = _parsed(body[:end], work)
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequest("'inputs' has to be a list of one tensor, 'image'.")
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise BadRequest("'id' has to be text.")
    return Asked(
        pictures=_pictures(inputs[0], body[end:], levels, work),
        outputs=_wanted(content, work.output_shapes),
        request_id=request_id,
    )


def _binary_bytes(body: bytes, head_length: str | None) -> int:
    """How many bytes follow on the JSON."""
    if head_length is None:
        return 0
    if not (head_length.isascii() and head_length.isdecimal() and int(head_length) <= len(body)):
        raise BadRequest("Inference-Header-Content-Length is not a length within the body.")
    return len(body) - int(head_length)


def _parsed(text: bytes, work: Work) -> tuple[dict[str, Any], bytes | None]:
    """The JSON without its levels, and those; long ones are parsed by another process."""
    try:
        if len(text) > _SHORT_JSON_BYTES:
            content, levels = work.json_aside.read_json(text, seconds=work.settings.aside_s)
        else:
            content, levels = split_json(text)
    except ValueError as exc:
        raise BadRequest(str(exc)) from exc
    except (TookTooLong, Crashed) as exc:
        raise TooLarge(
            "The JSON takes too long to parse; send fewer pictures at once, or binary data."
        ) from exc
    if not isinstance(content, dict):
        raise BadRequest("The body has to be a JSON object with 'inputs'.")
    return content, levels


def _pictures(
    tensor: dict[str, Any], binary: bytes, levels: bytes | None, work: Work
) -> np.ndarray:
    size = work.predictor.size_px
    shape = tensor.get("shape")
    if tensor.get("name") != "image" or tensor.get("datatype") != "UINT8":
        raise BadRequest("The input has to be named 'image', of datatype 'UINT8'.")
    if (
        not isinstance(shape, list)
        or not all(type(side) is int for side in shape)
        or shape[1:] != [size, size, 3]
        or shape[0] < 1
    ):
        raise BadRequest(f"The shape has to be [N, {size}, {size}, 3] with N at least 1.")
    if shape[0] > work.settings.max_pictures:
        raise TooLarge(f"More than {work.settings.max_pictures} pictures; send fewer at once.")
    return _values(tensor, binary, levels, math.prod(shape)).reshape(shape)


def _values(tensor: dict[str, Any], binary: bytes, levels: bytes | None, count: int) -> np.ndarray:
    parameters = tensor.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest("'parameters' has to be an object.")
    announced = parameters.get("binary_data_size")
    if announced is not None:
        if levels is not None or announced != count or len(binary) != count:
            raise BadRequest(f"The binary data have to be {count:,} bytes, and the only data.")
        return np.frombuffer(binary, np.uint8)
    if binary:
        raise BadRequest("Binary data follow, but 'binary_data_size' does not tell of them.")
    if levels is None or len(levels) != count:
        raise BadRequest(f"'data' has to be {count:,} whole numbers, as the shape says.")
    return np.frombuffer(levels, np.uint8)


def _wanted(content: dict[str, Any], known: dict[str, list[int]]) -> dict[str, bool]:
    """Name to whether binary, of the outputs that are asked for; all when none is named."""
    all_binary = _flag(content, "binary_data_output")
    outputs = content.get("outputs")
    if outputs is None or outputs == []:
        return dict.fromkeys(known, all_binary)
    if not isinstance(outputs, list) or not all(isinstance(item, dict) for item in outputs):
        raise BadRequest("'outputs' has to be a list of objects with a 'name'.")
    wanted = {}
    for item in outputs:
        name = item.get("name")
        if not isinstance(name, str) or name not in known:
            raise BadRequest(f"The outputs are {', '.join(known)}.")
        wanted[name] = _flag(item, "binary_data", default=all_binary)
    return wanted


def _flag(holder: dict[str, Any], name: str, *, default: bool = False) -> bool:
    parameters = holder.get("parameters") or {}
    value = parameters.get(name, default) if isinstance(parameters, dict) else None
    if not isinstance(value, bool):
        raise BadRequest(f"'parameters' has to be an object; '{name}' in it true or false.")
    return value


def _respond(work: Work, asked: Asked, rows: list[Row]) -> Response:
    tensors, tail = [], b""
    for name, binary in asked.outputs.items():
        values = np.stack([getattr(outputs, name)[row] for outputs, row in rows])
        tensor: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if binary:
            data = values.astype("<f4").tobytes()
            tensor["parameters"] = {"binary_data_size": len(data)}
            tail += data
        else:
            tensor["data"] = values.ravel().astype(float).tolist()
        tensors.append(tensor)
    content: dict[str, Any] = {"model_name": work.name, "model_version": _VERSION}
    if asked.request_id is not None:
        content["id"] = asked.request_id
    response = json_response(content | {"outputs": tensors})
    if not any(asked.outputs.values()):
        return response
    head = bytes(response.body)
    return Response(
        head + tail,
        media_type="application/octet-stream",
        headers={"Inference-Header-Content-Length": str(len(head))},
    )


def _describe(work: Work) -> dict[str, Any]:
    size = work.predictor.size_px
    outputs = [
        {"name": name, "datatype": "FP32", "shape": shape}
        for name, shape in work.output_shapes.items()
    ]
    return {
        "name": work.name,
        "versions": [_VERSION],
        "platform": "onnx_onnxruntime",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, size, size, 3]}],
        "outputs": outputs,
    }


def _request_body(work: Work) -> dict[str, Any]:
    size, most = work.predictor.size_px, work.settings.max_pictures
    parameters = {"type": "object"}
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": "image"},
            "datatype": {"const": "UINT8"},
            "shape": {
                "type": "array",
                "items": {"type": "integer"},
                "description": f"[N, {size}, {size}, 3], N at most {most}.",
            },
            "data": {"type": "array", "description": "Levels from 0 to 255, flat or nested."},
            "parameters": parameters,
        },
    }
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "parameters": parameters},
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": output},
            "parameters": parameters,
        },
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}
