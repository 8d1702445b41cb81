"""What a model file says about itself: labels, sizes, thresholds, recipe, figures.

All of it is one JSON text under one key of the ONNX metadata, so any ONNX tool shows it
and the file needs no companion. The file is walked here without any ONNX library: naming
the labels of a model must not cost the start of a runtime, and a file that is no model
must be told apart from one that was cut short before a runtime answers with an error of
its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

from pawsure import __version__
from pawsure.errors import ModelFileError, ShapeError

FORMAT_VERSION = 1
"""Raised when a reader of an older pawsure could no longer use the file rightly."""

METADATA_KEY = "pawsure"
"""The key in the ONNX metadata that holds everything."""

PRODUCER = "pawsure"


def _no_thresholds() -> dict[str, float | None]:
    return {"unsure_below": None, "neither_below": None}


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """Everything a model file carries beside its graph.

    Nothing in it depends on the clock: the same run writes the same bytes.

    Attributes:
        labels: the K class names, in the order of the columns of `probability`.
        size_px: side of the square picture that goes in.
        backbone: name in the table of backbones, such as "mobilenet_v2".
        recipe: the resolved recipe, as TOML text.
        data_fingerprint: of the catalog that the model was trained on.
        figures: what was measured on held-out pictures, JSON-ready.
        thresholds: "unsure_below" (a probability) and "neither_below" (a familiarity);
            None where none was fitted.
        precision: what its network computes in: "float32" or "int8".
        pawsure_version: of the pawsure that wrote the file.
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
        """Refuse what no model could have."""
        labels = () if isinstance(self.labels, str) else tuple(self.labels)
        object.__setattr__(self, "labels", labels)
        named = all(isinstance(label, str) for label in labels)
        if not named or len(labels) < 2 or len(set(labels)) < len(labels):
            raise ShapeError(f"A model needs two or more different labels; got {list(labels)}.")
        if self.size_px < 1:
            raise ShapeError(f"The picture size must be at least 1 pixel; got {self.size_px}.")

    def to_properties(self) -> dict[str, str]:
        """The flat text map that goes into the ONNX metadata."""
        content = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, allow_nan=False)
        return {METADATA_KEY: content}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], *, name: str) -> ModelMetadata:
        """Read the map back.

        Args:
            properties: the metadata of an ONNX file.
            name: what to call the file in errors.

        Raises:
            ModelFileError: the map is of no pawsure model, malformed, or of a newer format.
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
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise ModelFileError(
                f"{name} has pawsure metadata that can't be read ({exc}). "
                "The file is damaged; copy it again or train again."
            ) from exc


def _refuse_newer(content: Mapping[str, Any], name: str) -> None:
    version = int(content["format_version"])
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{name} is of model format {version}, written by pawsure "
            f"{content.get('pawsure_version', 'of unknown version')}; this pawsure "
            f"({__version__}) reads formats up to {FORMAT_VERSION}. "
            "Install a newer pawsure."
        )


def read_metadata(path: str | Path) -> ModelMetadata:
    """The metadata of a model file, without loading its graph.

    Raises:
        ModelFileError: there is no such file, or it is not ONNX, was cut short, is not
            pawsure's, or is of a newer format.
    """
    return ModelMetadata.from_properties(_read_properties(Path(path)), name=str(path))


# The outermost message of an ONNX file (ModelProto in onnx.proto, ONNX 1.x): field number
# to wire type, where 0 is a varint and 2 a length and that many bytes.
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_IR_VERSION, _PRODUCER_NAME, _GRAPH, _OPSET, _PROPERTY = 1, 2, 7, 8, 14


class _CutShortError(Exception):
    """The bytes end inside a field."""


class _NotOnnxError(Exception):
    """The bytes are no ModelProto."""


def _read_properties(path: Path) -> dict[str, str]:
    """The metadata entries of an ONNX file; see `read_metadata` for errors."""
    cut_short = f"{path} was cut short: it ends before the model does. Copy or download it again."
    seen: set[int] = set()
    properties: dict[str, str] = {}
    producer = b""
    try:
        with path.open("rb") as file:
            for number, content in _walk(file, _MODEL_FIELDS, wanted=(_PRODUCER_NAME, _PROPERTY)):
                seen.add(number)
                if number == _PRODUCER_NAME:
                    producer = content
                elif number == _PROPERTY:
                    key, value = _parse_entry(content)
                    properties[key] = value
    except OSError as exc:
        raise ModelFileError(_why_unreadable(path, exc)) from exc
    except _CutShortError as exc:
        if _IR_VERSION in seen or path.stat().st_size < 2:
            raise ModelFileError(cut_short) from exc
        raise ModelFileError(_not_onnx(path)) from exc
    except (_NotOnnxError, UnicodeDecodeError) as exc:
        raise ModelFileError(_not_onnx(path)) from exc
    if _IR_VERSION not in seen:
        raise ModelFileError(cut_short if not seen else _not_onnx(path))
    # Fields are written in the order of their numbers, so a file of ours that ends between
    # two of them lacks the later ones.
    if not {_GRAPH, _OPSET} <= seen or (producer == PRODUCER.encode() and not properties):
        raise ModelFileError(cut_short)
    return properties


def _not_onnx(path: Path) -> str:
    return (
        f"{path} is not an ONNX file. Give a model.onnx that 'pawsure train' wrote, "
        "or the run folder that holds it."
    )


def _why_unreadable(path: Path, exc: OSError) -> str:
    if isinstance(exc, FileNotFoundError):
        return f"There is no model file at {path}. Check the path; 'pawsure train' writes one."
    if path.is_dir():
        return f"{path} is a folder, not a model file. Give the model.onnx of a run."
    return f"{path} can't be read: {exc.strerror or exc}."


def _parse_entry(content: bytes) -> tuple[str, str]:
    """One StringStringEntryProto: key is field 1, value field 2."""
    import io

    entry = dict(_walk(io.BytesIO(content), {1: 2, 2: 2}, wanted=(1, 2)))
    return entry.get(1, b"").decode(), entry.get(2, b"").decode()


def _walk(
    file: BinaryIO, known: Mapping[int, int], *, wanted: tuple[int, ...]
) -> Iterator[tuple[int, bytes]]:
    """Yield (field number, content) of one protobuf message; empty content unless wanted.

    Source: protobuf.dev/programming-guides/encoding.
    """
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    while file.tell() < end:
        number, wire_type = divmod(_read_varint(file), 8)
        if known.get(number) != wire_type:
            raise _NotOnnxError
        if wire_type == 0:
            _read_varint(file)
            yield number, b""
            continue
        length = _read_varint(file)
        if file.tell() + length > end:
            raise _CutShortError
        if number in wanted:
            yield number, file.read(length)
        else:
            file.seek(length, 1)
            yield number, b""


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _CutShortError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _NotOnnxError
