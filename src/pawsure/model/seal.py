"""Write a new checksum into a model file.

    python -m pawsure.model.seal model.onnx

For files that were changed on purpose with other tools, or that an older pawsure wrote. The graph
keeps its bytes.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from pawsure.data.files import atomic_path
from pawsure.errors import ModelFileError, PawsureError
from pawsure.model.metadata import FORMAT_VERSION, METADATA_KEY, read_metadata
from pawsure.model.onnx_file import (
    CHECKSUM_KEY,
    MODEL_FIELDS,
    PROPERTY,
    CutShortError,
    NotOnnxError,
    metadata_field,
    parse_entry,
    walk,
    with_checksum,
)


def seal_file(path: str | Path) -> None:
    """Replace a model file by one of the current format with a matching checksum.

    Raises:
        ModelFileError: it is not a pawsure model; it is not changed.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ModelFileError(f"{path} can't be read: {exc.strerror or exc}.") from exc
    with atomic_path(path) as temporary:
        temporary.write_bytes(with_checksum(_current(content, path)))
        read_metadata(temporary)  # raises if the file is not usable


def _current(content: bytes, path: Path) -> bytes:
    """A serialized model without checksum, of the current format."""
    fields: list[bytes] = []
    start = 0
    file = io.BytesIO(content)
    try:
        for number, value in walk(file, MODEL_FIELDS, wanted=(PROPERTY,)):
            field = content[start : file.tell()]
            start = file.tell()
            key, text = parse_entry(value) if number == PROPERTY else ("", "")
            if key == METADATA_KEY:
                field = metadata_field(key, _of_this_format(text))
            if key != CHECKSUM_KEY:
                fields.append(field)
    except (CutShortError, NotOnnxError, UnicodeDecodeError) as exc:
        raise ModelFileError(
            f"{path} is not a complete ONNX file, so it gets no checksum."
        ) from exc
    return b"".join(fields)


def _of_this_format(text: str) -> str:
    try:
        content = json.loads(text)
        if content["format_version"] >= FORMAT_VERSION:
            return text
        content["format_version"] = FORMAT_VERSION
    except (ValueError, LookupError, TypeError):
        return text
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def main(paths: list[str]) -> int:
    """Seal these files; returns the exit code."""
    if not paths:
        sys.stderr.write("Name one or more model files: python -m pawsure.model.seal FILE…\n")
        return 2
    for path in paths:
        try:
            seal_file(path)
        except PawsureError as error:
            sys.stderr.write(f"Error: {error}\n")
            return 5
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
