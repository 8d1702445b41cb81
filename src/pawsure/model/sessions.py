"""ONNX Runtime sessions that share the cores with threads that decode."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pawsure.data.file_names import native_path
from pawsure.errors import ModelFileError
from pawsure.onnx_runtime import make_session, onnxruntime

_PROCESSOR = Path("/proc/cpuinfo")


def open_session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """Load a graph, to run on CPUs.

    Args:
        path: of the file.
        threads: CPU threads of one forward pass; None takes one per core.

    Raises:
        ModelFileError: ONNX Runtime can't load it.
    """
    # Threads that wait for work by spinning take the cores that decode the next pictures:
    # 360 pictures a second with it, 380 without. One picture alone takes 2.2 ms in place of
    # 1.4, of a process of 200. Other settings gained nothing: without the memory arena a
    # third slower, lower optimisation levels 12 ms faster to load and 3 to 5 times slower
    # to run, a graph saved after optimisation bound to the processor that it was made on.
    entries = {"session.intra_op.allow_spinning": "0"}
    if not _adds_bytes_exactly():
        entries["session.x64quantprecision"] = "1"
    try:
        return make_session(native_path(path), threads=threads or 0, entries=entries)
    except Exception as exc:  # the runtime's errors share no base class of their own
        raise ModelFileError(
            f"{path} can't be loaded by ONNX Runtime {onnxruntime.__version__}: {exc} "
            "The file is damaged, or needs a newer onnxruntime."
        ) from exc


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
