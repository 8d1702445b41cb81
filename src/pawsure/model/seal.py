"""Give a model file the checksum of what it holds now.

    python -m pawsure.model.seal model.onnx

For files whose metadata or graph were changed on purpose with other tools, and for those that an
older pawsure wrote. The graph stays as it is, byte for byte.
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
    """Write a model file's checksum into it, whole or not at all.

    The format version in its metadata rises to the one that requires a checksum.

    Args:
        path: of the model file; replaced.

    Raises:
        ModelFileError: it is no pawsure model, and is left as it was.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(with_checksum(_current(_read(path), path)))
        read_metadata(temporary)  # refuses what no pawsure could use


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ModelFileError(f"{path} can't be read: {exc.strerror or exc}.") from exc


def _current(content: bytes, path: Path) -> bytes:
    """A serialized model without checksum, of the current format."""
    kept: list[bytes] = []
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
                kept.append(field)
    except (CutShortError, NotOnnxError, UnicodeDecodeError) as exc:
        raise ModelFileError(f"{path} is not a whole ONNX file, so it can't be sealed.") from exc
    return b"".join(kept)


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
    """Seal the files that are named."""
    if not paths:
        sys.stderr.write("Give one or more model files: python -m pawsure.model.seal FILE…\n")
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
