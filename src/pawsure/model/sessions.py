"""ONNX Runtime sessions that share the cores with threads that decode."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pawsure.data.file_names import native_path
from pawsure.errors import ModelFileError
from pawsure.onnx_runtime import onnxruntime

_ONLY_ERRORS = 3  # ONNX Runtime's severity; users can't act on its warnings

_PROCESSOR = Path("/proc/cpuinfo")


def open_session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """Load a graph, to run on CPUs.

    Args:
        path: of the file.
        threads: CPU threads of one forward pass; None takes one per core.

    Raises:
        ModelFileError: ONNX Runtime can't load it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_ERRORS
    options.intra_op_num_threads = threads or 0
    # Spinning threads take cores from decoding: 360 pictures a second with spinning, 380 without.
    # A single picture takes 2.2 instead of 1.4 ms, of a process of 200 ms. Other settings did not
    # help: without the memory arena it is a third slower, lower optimization levels load 12 ms
    # faster and run 3 to 5 times slower, a saved optimized graph is bound to its processor.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not _adds_bytes_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(
            native_path(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # the runtime's errors have no common base class
        raise ModelFileError(
            f"{path} can't be loaded by ONNX Runtime {onnxruntime.__version__}: {exc} "
            "The file is damaged, or needs a newer onnxruntime."
        ) from exc


def one_thread_session(content: bytes) -> onnxruntime.InferenceSession:
    """Load a serialized graph of pawsure for passes of one thread, several in parallel."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_ERRORS
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@cache
def _adds_bytes_exactly() -> bool:
    """Whether the processor is known to have VNNI, and so needs no precision mode.

    Processors with AVX2 but without VNNI saturate sums of two products of bytes. ONNX Runtime's
    precision mode avoids this with slower kernels, so that int8 gives the same results everywhere.
    With VNNI it is not needed, but slower too (1.32): 2.6 instead of 1.5 ms of one core per
    picture (MobileNetV2, 128 pixels), for the same bits. If the processor is unknown (outside of
    Linux), the mode is on; processors other than x86 ignore it.
    """
    try:
        with _PROCESSOR.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line.split() for line in lines if line.startswith("flags")), [])
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags
