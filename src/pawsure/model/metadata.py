"""The metadata of a model file: labels, sizes, thresholds, recipe, figures.

They are one JSON text under one key of the ONNX metadata, so any ONNX tool shows them and the file
needs no companion. The file is read here without any ONNX library: it is faster, and files that
are no model, cut short or damaged are recognised before a runtime fails on them or gives wrong
answers.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pawsure._version import __version__
from pawsure.errors import ModelFileError, ShapeError
from pawsure.model.onnx_file import (
    CHECKSUM_KEY,
    GRAPH,
    IR_VERSION,
    MODEL_FIELDS,
    OPSET,
    PRODUCER_NAME,
    PROPERTY,
    CutShortError,
    NotOnnxError,
    checksum_of,
    parse_entry,
    walk,
)

FORMAT_VERSION = 2
"""Incremented when an older pawsure could no longer use the file correctly, or when the file
guarantees more: from 2 on, it ends with its checksum."""

_CHECKSUM_SINCE = 2

METADATA_KEY = "pawsure"
"""The key in the ONNX metadata."""

PRODUCER = "pawsure"


def _no_thresholds() -> dict[str, float | None]:
    return {"unsure_below": None, "neither_below": None}


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """Everything in a model file except its graph.

    It has no timestamps: the same run writes the same bytes.

    Attributes:
        labels: the K class names, in the order of the columns of `probability`.
        size_px: side of the square input picture.
        backbone: its name, such as "mobilenet_v2".
        recipe: the resolved recipe, as TOML text.
        data_fingerprint: of the catalog that the model was trained on.
        figures: measured on held-out pictures, JSON-ready.
        thresholds: "unsure_below" (a probability) and "neither_below" (a familiarity); None if
            none was fitted.
        precision: of the network, "float32" or "int8".
        pawsure_version: that wrote the file.
        format_version: see `FORMAT_VERSION`.
    """

    labels: tuple[str, ...]
    size_px: int
    backbone: str = ""
    recipe: str = ""
    data_fingerprint: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, float | None] = field(default_factory=_no_thresholds)
    precision: str = "float32"
    pawsure_version: str = __version__
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Check types and values."""
        labels = () if isinstance(self.labels, str) else tuple(self.labels)
        object.__setattr__(self, "labels", labels)
        named = all(isinstance(label, str) for label in labels)
        if not named or len(labels) < 2 or len(set(labels)) < len(labels):
            raise ShapeError(f"A model needs two or more different labels; got {list(labels)}.")
        if type(self.size_px) is not int or self.size_px < 1:
            raise ShapeError(
                f"The picture size must be a whole number of pixels, 1 or more; got {self.size_px}."
            )
        for name in ("backbone", "recipe", "data_fingerprint", "precision", "pawsure_version"):
            if not isinstance(getattr(self, name), str):
                raise ShapeError(f"'{name}' must be a string; got {getattr(self, name)!r}.")
        if not isinstance(self.figures, dict):
            raise ShapeError(f"'figures' must be a table; got {self.figures!r}.")
        thresholds = self.thresholds
        if (
            not isinstance(thresholds, dict)
            or not set(_no_thresholds()) <= set(thresholds)
            or not all(map(_is_threshold, thresholds.values()))
        ):
            raise ShapeError(
                "The thresholds must be a table of 'unsure_below' and 'neither_below', each a "
                f"number or nothing; got {thresholds!r}."
            )

    def to_properties(self) -> dict[str, str]:
        """The entries of the ONNX metadata."""
        content = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, allow_nan=False)
        return {METADATA_KEY: content}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], *, name: str) -> ModelMetadata:
        """Read the metadata of an ONNX file; `name` is that of the file in errors.

        Raises:
            ModelFileError: it is not of a pawsure model, malformed, or of a newer format.
        """
        if METADATA_KEY not in properties:
            raise ModelFileError(
                f"{name} is an ONNX file, but not a pawsure model: its metadata have no "
                f"'{METADATA_KEY}' entry. Give a model.onnx that 'pawsure train' wrote."
            )
        try:
            content = json.loads(properties[METADATA_KEY])
            _refuse_newer(content, name)
            known = {item.name for item in fields(cls)}
            return cls(**{key: value for key, value in content.items() if key in known})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise ModelFileError(
                f"{name} has pawsure metadata that can't be read ({exc}). "
                "The file is damaged; copy it again or train again."
            ) from exc


def _is_threshold(value: object) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))  # type: ignore[arg-type]


def _refuse_newer(content: Mapping[str, Any], name: str) -> None:
    version = int(content["format_version"])
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{name} has model format {version} (pawsure "
            f"{content.get('pawsure_version', 'of unknown version')}); this pawsure "
            f"({__version__}) reads formats up to {FORMAT_VERSION}. Upgrade pawsure."
        )


def read_metadata(path: str | Path) -> ModelMetadata:
    """The metadata of a model file. The whole file is checked; its graph is not loaded.

    Raises:
        ModelFileError: there is no such file, or it is not a pawsure model, cut short, damaged, or
            of a newer format.
    """
    return read_checked(path)[0]


def read_checked(path: str | Path) -> tuple[ModelMetadata, int]:
    """The metadata of a model file and the checksum of its content; see `read_metadata`.

    Files of formats before 2 may have no checksum; they are not checked.
    """
    path = Path(path)
    properties = _read_properties(path)
    try:
        checksum, is_whole = checksum_of(path)
    except OSError as exc:
        raise ModelFileError(_why_unreadable(path, exc)) from exc
    if not is_whole and CHECKSUM_KEY in properties:
        raise ModelFileError(
            f"{path} is damaged or was changed: its checksum does not match. Copy it again or "
            "train again. If it was changed on purpose, write a new checksum: "
            f"python -m pawsure.model.seal {shlex.quote(str(path))}"
        )
    metadata = ModelMetadata.from_properties(properties, name=str(path))
    if not is_whole and metadata.format_version >= _CHECKSUM_SINCE:
        raise ModelFileError(
            f"{path} was cut short or changed: it does not end with its checksum. Copy it "
            "again. If it was changed on purpose, write a new checksum: "
            f"python -m pawsure.model.seal {shlex.quote(str(path))}"
        )
    return metadata, checksum


def _read_properties(path: Path) -> dict[str, str]:
    """The metadata entries of an ONNX file; see `read_metadata` for errors."""
    cut_short = f"{path} was cut short: it ends before the model does. Copy or download it again."
    seen: set[int] = set()
    properties: dict[str, str] = {}
    producer = b""
    try:
        with path.open("rb") as file:
            for number, content in walk(file, MODEL_FIELDS, wanted=(PRODUCER_NAME, PROPERTY)):
                seen.add(number)
                if number == PRODUCER_NAME:
                    producer = content
                elif number == PROPERTY:
                    key, value = parse_entry(content)
                    properties[key] = value
    except OSError as exc:
        raise ModelFileError(_why_unreadable(path, exc)) from exc
    except CutShortError as exc:
        if IR_VERSION in seen or path.stat().st_size < 2:
            raise ModelFileError(cut_short) from exc
        raise ModelFileError(_not_onnx(path)) from exc
    except (NotOnnxError, UnicodeDecodeError) as exc:
        raise ModelFileError(_not_onnx(path)) from exc
    if IR_VERSION not in seen:
        raise ModelFileError(cut_short if not seen else _not_onnx(path))
    # Fields are in the order of their numbers: a file cut between two of them lacks the later ones.
    if not {GRAPH, OPSET} <= seen or (producer == PRODUCER.encode() and not properties):
        raise ModelFileError(cut_short)
    return properties


def _not_onnx(path: Path) -> str:
    return (
        f"{path} is not an ONNX file. Give a model.onnx that 'pawsure train' wrote, "
        "or its run folder."
    )


def _why_unreadable(path: Path, exc: OSError) -> str:
    if isinstance(exc, FileNotFoundError):
        return f"There is no model file at {path}. Check the path; 'pawsure train' writes one."
    if path.is_dir():
        return f"{path} is a folder, not a model file. Give the model.onnx of a run."
    return f"{path} can't be read: {exc.strerror or exc}."
