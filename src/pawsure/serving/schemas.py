"""What goes over the wire, as OpenAPI tells it; checked against real responses by the tests."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(_Wire):
    """Why there is no answer."""

    error: str = Field(description="One sentence, with the way out.")


class AnswerBody(_Wire):
    """What the model says of one picture, as `pawsure predict --json` does."""

    path: str | None = Field(description="The file name that was sent, if any.")
    answer: str = Field(
        description='What to act on: a label; "unsure" when `probability` is below the model\'s '
        'threshold `unsure_below`; "neither" when `familiarity` is below `neither_below`.'
    )
    label: str = Field(description="The most probable label, whatever `answer` says.")
    probability: Probability = Field(description="Of `label`.")
    probabilities: dict[str, Probability] = Field(description="Of every label; they sum to 1.")
    familiarity: Probability | None = Field(
        description="How like the training pictures this one is: the share of validation "
        "pictures, changed at random, that are less so; null when the model can't tell."
    )
    message: str = Field(description="The answer in one sentence, for people.")
    evidence: list[list[float]] | None = Field(
        default=None,
        description="What each place of the picture says for `label` rather than for the other "
        "labels, row by row, below 0 where it speaks against it; there when it was asked for.",
    )


class FailureBody(_Wire):
    """Why one picture of several has no answer."""

    path: str | None
    error: str


class AnswersBody(_Wire):
    """One entry for each picture, in the order in which they were sent."""

    answers: list[AnswerBody | FailureBody]


class LimitsBody(_Wire):
    """What one request may hold."""

    max_picture_bytes: int
    max_pixels: int
    max_pictures: int
    max_body_bytes: int


class ModelBody(_Wire):
    """What the model file says of itself."""

    name: str
    labels: list[str]
    size_px: int = Field(description="Side of the square that pictures are resized to.")
    backbone: str
    figures: dict[str, Any] = Field(description="Measured on pictures held out of training.")
    thresholds: dict[str, float | None] = Field(
        description="`unsure_below`, a probability, and `neither_below`, a familiarity; null "
        "where the model has none, and never answers so."
    )
    data_fingerprint: str
    recipe: str = Field(description="How it was trained, as TOML.")
    pawsure_version: str = Field(description="Of the pawsure that wrote the model file.")
    limits: LimitsBody


class HealthBody(_Wire):
    """How the server is."""

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
    """Open Inference Protocol: the server, or the model, is ready."""

    ready: bool


class ModelReadyBody(_Wire):
    """Open Inference Protocol: the model is ready."""

    name: str
    ready: bool


class TensorMetadata(_Wire):
    """Open Inference Protocol: a tensor; -1 stands for any size."""

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
    """Open Inference Protocol: a tensor of an answer, flat in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | None = None
    parameters: dict[str, Any] | None = None


class InferBody(_Wire):
    """Open Inference Protocol: the answer to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
