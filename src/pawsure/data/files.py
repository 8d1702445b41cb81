"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pawsure.errors import StorageError


def check_place(path: str | Path) -> None:
    """Make sure that a new file or folder can be created, before minutes are spent on it.

    Args:
        path: of what is to be created; folders above it may be missing.

    Raises:
        StorageError: it can't be created.
    """
    folder = Path(path).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError as exc:  # the folder is there, but has no name any more
        raise StorageError(
            f"{path} can't be created: the folder that pawsure was started in is gone. Change to "
            "one that exists."
        ) from exc
    except OSError as exc:
        exc.filename = os.fspath(path)
        raise StorageError.of(exc) from exc


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, with its suffix, and rename it if all goes well.

    The file is flushed to the disk before the rename, so that a power cut leaves the old file or
    the new one. After an error, `path` is as it was and nothing is beside it.

    Args:
        path: the file to write; one that exists is replaced. Its folder must exist.

    Raises:
        FileNotFoundError: the block wrote nothing to the temporary path.
        OSError: it can't be written; names `path` where the system names nothing.

    Example:
        >>> with atomic_path("figures.json") as temporary:  # doctest: +SKIP
        ...     temporary.write_text("{}")
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as exc:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        names = (None, os.fspath(temporary), temporary)
        # An error without a number would lose its own words for the name.
        if isinstance(exc, OSError) and exc.errno is not None and exc.filename in names:
            exc.filename = os.fspath(path)  # the name that a person knows
        raise
    _flush_folder(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a new, empty folder beside `path`, and rename it if all goes well.

    If another process created `path` in the meantime, that one stays: two runs that fill the same
    cache both find it filled.

    Args:
        path: the folder to create, with those above it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        temporary.mkdir()
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
            shutil.rmtree(temporary)
    except BaseException as exc:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(exc, OSError) and isinstance(exc.filename, (str, Path)):
            exc.filename = os.fspath(exc.filename).replace(os.fspath(temporary), os.fspath(path))
        raise
    _flush_folder(path.parent)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder, so in the same file system, that nobody else takes."""
    # Long names are cut: most file systems take 255 bytes.
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(6)}{path.suffix}")


def _flush_folder(folder: Path) -> None:
    """Make a rename itself last; systems that can't open folders need no such thing."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
