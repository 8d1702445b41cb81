"""ONNX Runtime Web under Node.js: the answers of the page, without a browser."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from pawsure.errors import ExportError
from pawsure.export.agreement import Runtime
from pawsure.model.predictor import Outputs


@contextmanager
def node_runtime(node: str, runtime: Path, model_file: Path, size_px: int) -> Iterator[Runtime]:
    """Start Node.js with a model; yields a function that runs pictures.

    Args:
        node: the command.
        runtime: the folder of `find_runtime`.
        model_file: the model.
        size_px: of its pictures.

    Raises:
        ExportError: on use, when Node.js ends before it has answered.
    """
    script = files("pawsure.export.browser").joinpath("check.mjs")
    with as_file(script) as path, TemporaryFile() as errors_file:
        command = [node, str(path), str(runtime), str(model_file), str(size_px)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors_file
        )
        try:
            yield lambda pictures: _run(process, errors_file, pictures)
        finally:
            process.kill()
            process.communicate()


def _run(process: subprocess.Popen[bytes], errors_file: IO[bytes], pictures: np.ndarray) -> Outputs:
    try:
        each = [_one(process, picture) for picture in pictures]
    except (OSError, ValueError) as exc:
        process.kill()
        process.wait()
        errors_file.seek(0)
        lines = [line for line in errors_file.read().decode(errors="replace").splitlines() if line]
        errors = [line for line in lines if re.match(r"\w*Error\b", line)]
        why = (errors or lines or [str(exc)])[0]
        raise ExportError(
            f"The model does not run in ONNX Runtime Web under Node.js: {why.strip()}. "
            "It needs Node.js 18 or newer; without Node.js on the PATH, this check is skipped."
        ) from exc
    return Outputs(**{name: np.concatenate([one[name] for one in each]) for name in each[0]})


def _one(process: subprocess.Popen[bytes], picture: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs for one picture; raises OSError or ValueError where the process has ended."""
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    process.stdin.write(np.ascontiguousarray(picture).tobytes())
    process.stdin.flush()
    outputs = {}
    for name, shape in json.loads(process.stdout.readline()):
        values = np.frombuffer(process.stdout.read(4 * int(np.prod(shape))), np.float32)
        outputs[name] = values.reshape(shape)
    return outputs
