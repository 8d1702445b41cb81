"""JSON bodies for the OpenAPI document; tests check them against real responses."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(_Wire):
    """An error."""

    error: str = Field(description="One sentence that says what to do.")


class AnswerBody(_Wire):
    """The answer for one picture, as in `pawsure predict --json`."""

    path: str | None = Field(description="The file name that was sent, or null.")
    answer: str = Field(
        description='What to act on: a label; "unsure" if `probability` is below the model\'s '
        'threshold `unsure_below`; "neither" if `familiarity` is below `neither_below`.'
    )
    label: str = Field(
        description="The most probable label, also if the answer is unsure or neither."
    )
    probability: Probability = Field(description="Of `label`.")
    probabilities: dict[str, Probability] = Field(description="Of every label; they sum to 1.")
    familiarity: Probability | None = Field(
        description="How similar the picture is to the training pictures: the share of "
        "validation pictures, changed at random, that are less similar. Null if the model has "
        "no such score."
    )
    message: str = Field(description="The answer as a sentence.")
    evidence: list[list[float]] | None = Field(
        default=None,
        description="The heat map, row by row: how much each part of the picture supports "
        "`label` over the other labels, or below 0 how much it opposes it. Only on request.",
    )


class FailureBody(_Wire):
    """A picture of several that has no answer."""

    path: str | None
    error: str


class AnswersBody(_Wire):
    """An entry for each picture, in the order of the request."""

    answers: list[AnswerBody | FailureBody]


class LimitsBody(_Wire):
    """The limits of one request."""

    max_picture_bytes: int
    max_pixels: int
    max_pictures: int
    max_body_bytes: int


class ModelBody(_Wire):
    """The metadata of the model file."""

    name: str
    labels: list[str]
    size_px: int = Field(description="Side of the square that pictures are resized to.")
    backbone: str
    figures: dict[str, Any] = Field(description="Measured on held-out pictures.")
    thresholds: dict[str, float | None] = Field(
        description="`unsure_below`, a probability, and `neither_below`, a familiarity; null if "
        "the model never gives this answer."
    )
    data_fingerprint: str
    recipe: str = Field(description="How it was trained, as TOML.")
    pawsure_version: str = Field(description="The version that wrote the model file.")
    limits: LimitsBody


class HealthBody(_Wire):
    """The state of the server."""

    status: str


class ServerBody(_Wire):
    """Open Inference Protocol: server metadata."""

    name: str
    version: str
    extensions: list[str]


class LiveBody(_Wire):
    """Open Inference Protocol: the server is alive."""

    live: bool


class ReadyBody(_Wire):
    """Open Inference Protocol: whether the server is ready."""

    ready: bool


class ModelReadyBody(_Wire):
    """Open Inference Protocol: whether the model is ready."""

    name: str
    ready: bool


class TensorMetadata(_Wire):
    """Open Inference Protocol: a tensor; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class TensorModelBody(_Wire):
    """Open Inference Protocol: model metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(_Wire):
    """Open Inference Protocol: an output, flat in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | None = None
    parameters: dict[str, Any] | None = None


class InferBody(_Wire):
    """Open Inference Protocol: the response to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
