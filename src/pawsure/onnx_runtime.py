"""ONNX Runtime, imported with its telemetry off; no other module imports it or opens a graph.

The official builds of ONNX Runtime 1.29 and later report every session (names and hashes of
graphs, timings, the program's path) to their vendor. They read the environment variable
`ORT_DISABLE_TELEMETRY` once, when the library is loaded, so it is set during the import and then
restored. If a program imported onnxruntime earlier, as much as possible is turned off afterwards.

Source: Privacy.md in the onnxruntime package, "Disabling Telemetry".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
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

ONLY_ERRORS = 3
"""ONNX Runtime's severity: its warnings mean nothing to people who predict or train."""

ONLY_FATAL = 4
"""For graphs that may not run: what ONNX Runtime has to say is in its errors too."""


def make_session(
    graph: str | bytes,
    *,
    threads: int = 0,
    severity: int = ONLY_ERRORS,
    entries: Mapping[str, str] = MappingProxyType({}),
) -> onnxruntime.InferenceSession:
    """Load a graph, to run on CPUs: the one place where that is done.

    Args:
        graph: the path of a file, or the graph serialised.
        threads: CPU threads of one forward pass; 0 takes one per core.
        severity: of the least important messages that ONNX Runtime prints, from 0 to 4.
        entries: further settings of the session, by ONNX Runtime's names.

    Raises:
        Exception: the graph can't be loaded; the runtime's errors share no base class.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    options.intra_op_num_threads = threads
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def one_thread_session(graph: str | bytes) -> onnxruntime.InferenceSession:
    """Load a graph for passes of one thread, several of them side by side; see `make_session`."""
    return make_session(graph, threads=1)


def __getattr__(name: str) -> Any:
    """Import `quantization` when it is first used: it needs onnx, of the extra 'train'."""
    if name != "quantization":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return import_module("onnxruntime.quantization")
