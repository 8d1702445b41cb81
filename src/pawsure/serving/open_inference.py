"""The Open Inference Protocol (KServe v2 REST) with its binary tensor extension.

Tensors in, tensors out: for clients that read and resize pictures themselves, with
`pawsure.data.images.read`. Source: github.com/kserve/open-inference-protocol, "HTTP/REST", and
Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from pawsure._version import __version__
from pawsure.serving import intake
from pawsure.serving.batching import Result
from pawsure.serving.decoder_process import Crashed, TookTooLong, split_json
from pawsure.serving.refusals import BadRequest, NotFound, TooLarge
from pawsure.serving.schemas import (
    InferBody,
    LiveBody,
    ModelReadyBody,
    ReadyBody,
    ServerBody,
    TensorModelBody,
)
from pawsure.serving.service import ModelService
from pawsure.serving.v1 import documented, json_response

_VERSION = "1"
_BINARY = "binary_tensor_data"
_JSON_LENGTH = "Inference-Header-Content-Length"
# A pixel value takes up to four characters, "255,", and perhaps a space.
_JSON_BYTES_PER_VALUE = 5
_OTHER_JSON_BYTES = 64 * 1024
# Parsed in a millisecond. Longer JSON holds Python's lock for up to a second.
_SHORT_JSON_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class InferenceRequest:
    """A parsed inference request.

    Attributes:
        pictures: uint8 (N, S, S, 3).
        outputs: name of each requested output to whether its data are to be binary.
        request_id: repeated in the response.
    """

    pictures: np.ndarray
    outputs: dict[str, bool]
    request_id: str | None


def open_inference_routes(service: ModelService) -> APIRouter:
    """The routes of the Open Inference Protocol."""
    router = APIRouter()
    server_ok = {"model": ServerBody, "description": "The server."}
    live_ok = {"model": LiveBody, "description": "Yes."}
    ready_ok = {"model": ReadyBody, "description": "Yes."}

    async def check_name(name: str) -> None:
        if name != service.name:
            raise NotFound(f"No such model; this server has '{service.name}'.")

    async def check_version(name: str, version: str) -> None:
        await check_name(name)
        if version != _VERSION:
            raise NotFound(f"No such version; this model has '{_VERSION}'.")

    @router.get("/v2", **_documented("server metadata", server_ok))
    async def server() -> Response:
        extensions = [_BINARY]
        return json_response({"name": "pawsure", "version": __version__, "extensions": extensions})

    @router.get("/v2/health/live", **_documented("is the server alive?", live_ok))
    async def live() -> Response:
        return json_response({"live": True})

    @router.get(
        "/v2/health/ready", **_documented("is the server ready?", ready_ok, or_unready=True)
    )
    async def ready() -> Response:
        return json_response({"ready": service.ready}, status=200 if service.ready else 503)

    model = "/v2/models/{name}"
    for path, check in ((model, check_name), (f"{model}/versions/{{version}}", check_version)):
        router.include_router(_model_routes(service, path), dependencies=[Depends(check)])
    return router


def _documented(summary: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return documented(f"Open Inference Protocol: {summary}", *args, **kwargs)


def _model_routes(service: ModelService, path: str) -> APIRouter:
    """The routes of the model at `path`, with or without its version."""
    router = APIRouter()
    model_ok = {"model": TensorModelBody, "description": "Its tensors."}
    ready_ok = {"model": ModelReadyBody, "description": "Yes."}
    infer_ok = {"model": InferBody, "description": "The outputs."}

    @router.get(path, **_documented("model metadata", model_ok, 401, 404))
    async def model() -> Response:
        return json_response(_metadata(service))

    @router.get(
        f"{path}/ready",
        **_documented("is the model ready?", ready_ok, 401, 404, or_unready=True),
    )
    async def model_ready() -> Response:
        content = {"name": service.name, "ready": service.ready}
        return json_response(content, status=200 if service.ready else 503)

    @router.post(
        f"{path}/infer",
        **_documented("run the model", infer_ok, 400, 401, 404, 408, 413, 415, 503),
        openapi_extra={"requestBody": _request_body(service)},
    )
    async def infer(request: Request) -> Response:
        """Run the model on pictures of its size; the model metadata describe its tensors."""
        with service.budget.share() as share:
            max_bytes = _max_bytes(service)
            body = await intake.read_whole(request, share, service.settings, max_bytes=max_bytes)
            json_length = request.headers.get(_JSON_LENGTH)
            if len(body) - _num_binary(body, json_length) > _SHORT_JSON_BYTES:
                parsed = await asyncio.to_thread(parse_request, body, json_length, service)
            else:
                parsed = parse_request(body, json_length, service)
            decodes = [lambda pixels=pixels: pixels for pixels in parsed.pictures]
            results = await service.run(request, decodes)
        return _respond(service, parsed, [each for each in results if isinstance(each, tuple)])

    return router


def _max_bytes(service: ModelService) -> int:
    values = service.settings.max_pictures * service.predictor.size_px**2 * 3
    most = values * _JSON_BYTES_PER_VALUE + _OTHER_JSON_BYTES
    return min(service.settings.max_body_bytes, most)


def parse_request(body: bytes, json_length: str | None, service: ModelService) -> InferenceRequest:
    """Parse and check an inference request.

    Args:
        body: the JSON, and any binary data behind it.
        json_length: bytes of the JSON, from the header; None if there are no binary data.
        service: of the model.

    Raises:
        BadRequest: it does not conform to the protocol, or not to the model's tensors.
        TooLarge: it has too many pictures, or its JSON takes too long to parse.
    """
    end = len(body) - _num_binary(body, json_length)
    content, pixels = _parse_json(body[:end], service)
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequest("'inputs' has to be a list of one tensor, 'image'.")
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise BadRequest("'id' has to be text.")
    return InferenceRequest(
        pictures=_pictures(inputs[0], body[end:], pixels, service),
        outputs=_requested_outputs(content, service.output_shapes),
        request_id=request_id,
    )


def _num_binary(body: bytes, json_length: str | None) -> int:
    """How many bytes of binary data follow the JSON."""
    if json_length is None:
        return 0
    if not (json_length.isascii() and json_length.isdecimal() and int(json_length) <= len(body)):
        raise BadRequest(f"{_JSON_LENGTH} is not a length within the body.")
    return len(body) - int(json_length)


def _parse_json(text: bytes, service: ModelService) -> tuple[dict[str, Any], bytes | None]:
    """The JSON without its pixels, and the pixels; long JSON is parsed by another process."""
    try:
        if len(text) > _SHORT_JSON_BYTES:
            seconds = service.settings.slow_decode_s
            content, pixels = service.json_process.read_json(text, seconds=seconds)
        else:
            content, pixels = split_json(text)
    except ValueError as exc:
        raise BadRequest(str(exc)) from exc
    except (TookTooLong, Crashed) as exc:
        raise TooLarge(
            "The JSON takes too long to parse; send fewer pictures at once, or binary data."
        ) from exc
    if not isinstance(content, dict):
        raise BadRequest("The body has to be a JSON object with 'inputs'.")
    return content, pixels


def _pictures(
    tensor: dict[str, Any], binary: bytes, pixels: bytes | None, service: ModelService
) -> np.ndarray:
    size = service.predictor.size_px
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
    if shape[0] > service.settings.max_pictures:
        raise TooLarge(f"More than {service.settings.max_pictures} pictures; send fewer at once.")
    data = _data(tensor, binary, pixels, math.prod(shape))
    return np.frombuffer(data, np.uint8).reshape(shape)


def _data(tensor: dict[str, Any], binary: bytes, pixels: bytes | None, count: int) -> bytes:
    parameters = tensor.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest("'parameters' has to be an object.")
    num_binary = parameters.get("binary_data_size")
    if num_binary is not None:
        if pixels is not None or num_binary != count or len(binary) != count:
            raise BadRequest(f"The binary data have to be {count:,} bytes, and the only data.")
        return binary
    if binary:
        raise BadRequest("There are binary data, but no 'binary_data_size'.")
    if pixels is None or len(pixels) != count:
        raise BadRequest(f"'data' has to be {count:,} whole numbers, as the shape says.")
    return pixels


def _requested_outputs(content: dict[str, Any], known: dict[str, list[int]]) -> dict[str, bool]:
    """Name of each requested output to whether it is binary; all outputs if none is named."""
    all_binary = _flag(content, "binary_data_output")
    outputs = content.get("outputs")
    if outputs is None or outputs == []:
        return dict.fromkeys(known, all_binary)
    if not isinstance(outputs, list) or not all(isinstance(item, dict) for item in outputs):
        raise BadRequest("'outputs' has to be a list of objects with a 'name'.")
    requested = {}
    for item in outputs:
        name = item.get("name")
        if not isinstance(name, str) or name not in known:
            raise BadRequest(f"The outputs are {', '.join(known)}.")
        requested[name] = _flag(item, "binary_data", default=all_binary)
    return requested


def _flag(holder: dict[str, Any], name: str, *, default: bool = False) -> bool:
    parameters = holder.get("parameters") or {}
    value = parameters.get(name, default) if isinstance(parameters, dict) else None
    if not isinstance(value, bool):
        raise BadRequest(f"'parameters' has to be an object, and '{name}' in it true or false.")
    return value


def _respond(service: ModelService, parsed: InferenceRequest, results: list[Result]) -> Response:
    tensors, binary_data = [], b""
    for name, is_binary in parsed.outputs.items():
        values = np.stack([getattr(outputs, name)[index] for outputs, index in results])
        tensor: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if is_binary:
            data = values.astype("<f4").tobytes()
            tensor["parameters"] = {"binary_data_size": len(data)}
            binary_data += data
        else:
            tensor["data"] = values.ravel().astype(float).tolist()
        tensors.append(tensor)
    content: dict[str, Any] = {"model_name": service.name, "model_version": _VERSION}
    if parsed.request_id is not None:
        content["id"] = parsed.request_id
    response = json_response(content | {"outputs": tensors})
    if not any(parsed.outputs.values()):
        return response
    head = bytes(response.body)
    return Response(
        head + binary_data,
        media_type="application/octet-stream",
        headers={_JSON_LENGTH: str(len(head))},
    )


def _metadata(service: ModelService) -> dict[str, Any]:
    size = service.predictor.size_px
    outputs = [
        {"name": name, "datatype": "FP32", "shape": shape}
        for name, shape in service.output_shapes.items()
    ]
    return {
        "name": service.name,
        "versions": [_VERSION],
        "platform": "onnx_onnxruntime",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, size, size, 3]}],
        "outputs": outputs,
    }


def _request_body(service: ModelService) -> dict[str, Any]:
    size, most = service.predictor.size_px, service.settings.max_pictures
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
            "data": {"type": "array", "description": "Values from 0 to 255, flat or nested."},
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
