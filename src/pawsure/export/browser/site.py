"""The files of the web page: shared ones, its own, the runtime and the description."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pawsure._version import __version__
from pawsure.export.agreement import Agreement
from pawsure.export.browser.runtime import PACKAGE, VERSION
from pawsure.export.folder import accuracy_sentence, agreement_sentence, size_of
from pawsure.model.metadata import ModelMetadata

MODEL = "model.onnx"
DESCRIPTION = "model.json"
README = "README.md"

SHARED = ("card.js", "heat.js", "main.js", "paw.svg", "style.css", "words.js")
"""Shared with the page of `pawsure serve`. They call `api.js`, of which each page has its own."""


def write_page(folder: Path) -> None:
    """Copy the page."""
    server = files("pawsure").joinpath("serving", "page")
    own = files("pawsure.export.browser").joinpath("page")
    copied = [server.joinpath(name) for name in SHARED] + list(own.iterdir())
    for file in copied:
        _copy(file, folder / file.name)


def write_runtime(runtime: Path, folder: Path) -> None:
    """Copy ONNX Runtime Web with its licence.

    Modules are named .js: servers that do not know .mjs send it as a type that browsers refuse.

    Args:
        runtime: the folder of `find_runtime`.
        folder: to create.
    """
    folder.mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"):
        shutil.copyfile(runtime / name, folder / Path(name).with_suffix(".js"))
    shutil.copyfile(runtime / "ort-wasm-simd-threaded.wasm", folder / "ort-wasm-simd-threaded.wasm")
    licence = files("pawsure.export.browser").joinpath("runtime_licence.txt")
    _copy(licence, folder / "LICENSE.txt")
    # The npm package has none; what ONNX Runtime is built from is the same in Python's.
    found = find_spec("onnxruntime")
    notices = (
        Path(found.origin).parent / "ThirdPartyNotices.txt" if found and found.origin else None
    )
    if notices is not None and notices.is_file():
        shutil.copyfile(notices, folder / "ThirdPartyNotices.txt")


def write_description(
    folder: Path,
    *,
    name: str,
    metadata: ModelMetadata,
    agreement: Agreement,
    accuracy: dict[str, Any],
    checked_in: str,
) -> None:
    """Write the description of the model and the README; all other files must exist.

    Args:
        folder: of the page.
        name: of the model.
        metadata: of the model.
        agreement: with the model file.
        accuracy: see `pawsure.export.folder.ExportResult`.
        checked_in: name of the compared runtime.
    """
    fetched = (MODEL, "runtime/ort-wasm-simd-threaded.wasm")
    description = {
        "format": "browser",
        "name": name,
        "labels": list(metadata.labels),
        "size_px": metadata.size_px,
        "backbone": metadata.backbone,
        "thresholds": {key: metadata.thresholds.get(key) for key in _THRESHOLDS},
        "files": {file: (folder / file).stat().st_size for file in fetched},
        "data_fingerprint": metadata.data_fingerprint,
        "pawsure_version": __version__,
        "runtime": f"{PACKAGE} {VERSION}",
        "checked_in": checked_in,
        "agreement": agreement.to_dict(),
        "accuracy": accuracy,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, "utf-8")
    (folder / README).write_text(
        _readme(folder, metadata, agreement, accuracy, checked_in), "utf-8"
    )


_THRESHOLDS = ("unsure_below", "neither_below")


def _readme(
    folder: Path,
    metadata: ModelMetadata,
    agreement: Agreement,
    accuracy: dict[str, Any],
    checked_in: str,
) -> str:
    model, everything = (folder / MODEL).stat().st_size, size_of(folder)
    size = metadata.size_px
    parts = [
        "# A pawsure model as a web page",
        f"Labels: {', '.join(metadata.labels)}. The model runs in the browser. No picture leaves "
        "the device; the page's Content-Security-Policy forbids requests to other hosts.",
        "```sh\npython -m http.server --bind 127.0.0.1 8000  # in this folder, then open "
        "http://127.0.0.1:8000\n```",
        "Any server of static files works; browsers refuse to run the page from disk (file://). "
        "Over https with the headers `Cross-Origin-Opener-Policy: same-origin` and "
        "`Cross-Origin-Embedder-Policy: require-corp`, the model runs on several threads.",
        f"`{MODEL}` ({model / 1e6:.1f} MB of {everything / 1e6:.1f}) is the exported model "
        f"file, byte for byte. It takes {size} x {size} pixels; `preprocessing.js` and `resize.js` "
        "read and resize pictures as pawsure does in Python.",
        f"Checked in {checked_in}. {agreement_sentence(agreement)}",
        accuracy_sentence(accuracy),
        f"`runtime/` is {PACKAGE} {VERSION}, MIT: see `runtime/LICENSE.txt`. Written by pawsure "
        f"{__version__}, Apache-2.0; the same as JSON: `{DESCRIPTION}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _copy(file: Traversable, path: Path) -> None:
    path.write_bytes(file.read_bytes())
