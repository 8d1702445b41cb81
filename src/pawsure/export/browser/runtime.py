"""ONNX Runtime Web in one version, from npm or a file, with its checksums."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from pawsure.data.cache import cache_dir
from pawsure.data.files import atomic_folder
from pawsure.errors import UsageError
from pawsure.progress import NO_PROGRESS, Progress

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZ"
    "ClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""Of the published package, as in npm's lock files."""

FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
"""The files needed from `dist`, with SHA-256: WebAssembly with SIMD, for one thread or several."""

_TIMEOUT_S = 900

_NPM_LEAVES_NOTHING = {"npm_config_update_notifier": "false", "npm_config_logs_max": "0"}
"""No check for updates of npm, no logs."""

_OTHERWISE = (
    f"Or download it on another machine, with 'npm pack {PACKAGE}@{VERSION}', and give the "
    f"file: --runtime {PACKAGE}-{VERSION}.tgz"
)


def find_runtime(given: str | Path | None = None, *, progress: Progress = NO_PROGRESS) -> Path:
    """A folder with the files of `FILES`, checked.

    Args:
        given: the package, as a file of `npm pack` or unpacked; None: npm downloads it once, into
            pawsure's cache.
        progress: told before a download.

    Raises:
        UsageError: it is not available, or is another version.
    """
    if given is not None:
        given = Path(given)
        return _cached(given) if given.is_file() else _in_folder(given)
    folder = _place()
    if _is_whole(folder):
        return folder
    with TemporaryDirectory() as temporary:
        progress.say(f"Downloading {PACKAGE} {VERSION} with npm (33 MB, cached).")
        return _cached(_fetch(Path(temporary)))


def _place() -> Path:
    return cache_dir() / PACKAGE / VERSION


def _is_whole(folder: Path) -> bool:
    return all(_has(folder / name, digest) for name, digest in FILES.items())


def _has(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _fetch(folder: Path) -> Path:
    """Download the package with npm; returns the file."""
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            f"The page needs {PACKAGE}, which npm downloads, and npm is not installed. Install "
            f"Node.js, which includes npm. {_OTHERWISE}"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(
            [*command, "--pack-destination", str(folder)],
            cwd=folder,
            env={**os.environ, **_NPM_LEAVES_NOTHING, "npm_config_cache": str(folder / "npm")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise UsageError(f"npm did not download {PACKAGE} {VERSION}: {exc} {_OTHERWISE}") from exc
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = next((line for line in (done.stderr or "").splitlines() if "error" in line), "")
        raise UsageError(
            f"npm could not download {PACKAGE} {VERSION} ({said.strip() or 'no reason given'}). "
            f"Check the network and the npm registry. {_OTHERWISE}"
        )
    return found[0]


def _cached(package: Path) -> Path:
    """Check a package, and put the needed files into the cache."""
    content = package.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise UsageError(
            f"{package} is not the published {PACKAGE} {VERSION}: its checksum is {found}, "
            f"expected {INTEGRITY}. Download that version: npm pack {PACKAGE}@{VERSION}"
        )
    folder = _place()
    if _is_whole(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as temporary, tarfile.open(package) as archive:
        for name in FILES:
            member = archive.extractfile(f"package/dist/{name}")
            if member is not None:
                (temporary / name).write_bytes(member.read())
    return folder


def _in_folder(folder: Path) -> Path:
    """The files in an unpacked package, in its `dist`, or in a folder that holds it."""
    if not folder.is_dir():
        raise UsageError(f"There is no {folder}. {_OTHERWISE}")
    inside = ("", "dist", "package/dist", f"{PACKAGE}/dist", f"node_modules/{PACKAGE}/dist")
    for place in [folder / name for name in inside]:
        if all((place / name).is_file() for name in FILES):
            break
    else:
        raise UsageError(f"{folder} does not hold {', '.join(FILES)}. {_OTHERWISE}")
    changed = [name for name, digest in FILES.items() if not _has(place / name, digest)]
    if changed:
        raise UsageError(
            f"In {place}, {', '.join(changed)} is not from the published {PACKAGE} {VERSION}. "
            f"{_OTHERWISE}"
        )
    return place
