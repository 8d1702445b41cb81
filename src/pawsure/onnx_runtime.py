"""ONNX Runtime, imported with its telemetry off; no other module imports it.

The official builds of ONNX Runtime 1.29 and later report every session (names and hashes of
graphs, timings, the program's path) to their vendor. They read the environment variable
`ORT_DISABLE_TELEMETRY` once, when the library is loaded, so it is set during the import and then
restored. If a program imported onnxruntime earlier, as much as possible is turned off afterwards.

Source: Privacy.md in the onnxruntime package, "Disabling Telemetry".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxruntime import quantization as quantization

NO_TELEMETRY = ("ORT_DISABLE_TELEMETRY", "1")
"""The environment variable that turns ONNX Runtime's telemetry off, and its value."""


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


with _environment(*NO_TELEMETRY):
    import onnxruntime as onnxruntime

onnxruntime.disable_telemetry_events()


def __getattr__(name: str) -> Any:
    """Import `quantization` when it is first used: it needs onnx, of the extra 'train'."""
    if name != "quantization":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return import_module("onnxruntime.quantization")
