"""Labels and splits, told from where pictures lie and what they are called.

cat/1.jpg                folders are labels; what is deeper inside belongs to them too
train/cat/1.jpg          folders of splits, each with folders of labels
cat.1.jpg                names begin with the label and end with a number
train/cat.1.jpg          folders of splits with such names
anything/cat/1.jpg       any of these inside one folder of any name, as archives have it
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from pawsure.data.entries import Entry, split_named
from pawsure.errors import SourceError

LAYOUTS = (
    "a folder for each label (cat/1.jpg), folders train, validation and test with such folders "
    "in them (train/cat/1.jpg), or names that begin with the label (cat.1.jpg)"
)

# "cat.0", "great_pyrenees_12", "Cat (3)": a label without digits, then a number.
_LABEL_AND_NUMBER = re.compile(r"(?P<label>\D*[^\W\d_])[ ._-]*\(?\d+\)?")

_Parts = tuple[str, ...]


def labelled(paths: Iterable[str], *, where: str) -> list[Entry]:
    """Tell label and split of every picture from its path.

    Args:
        paths: of pictures, relative to the place that was named, with forward slashes.
        where: that place, for messages.

    Returns:
        An entry for every path, sorted by path. Those that fit into no label say so.

    Raises:
        SourceError: there are no pictures, or they lie in none of `LAYOUTS`.
    """
    found = {path: _parts(path) for path in sorted(paths)}
    if not found:
        raise SourceError(f"{where} holds no pictures. Pawsure takes {LAYOUTS}.")
    depth = _depth_of_wrappers(list(found.values()))
    inside = {path: parts[depth:] for path, parts in found.items()}
    if _are_splits(inside.values(), where):
        return _in_splits(inside, where)
    entries = [_entry(path, parts) for path, parts in inside.items()]
    _check_some_labels(entries, where)
    return entries


def _parts(path: str) -> _Parts:
    """Archives may hold names such as '../x' or '/x'; nothing is unpacked, so they mean 'x'."""
    return tuple(part for part in path.split("/") if part not in ("", ".", ".."))


def _depth_of_wrappers(paths: Sequence[_Parts]) -> int:
    """How many folders hold nothing but one folder that holds folders."""
    depth = 0
    while True:
        first = paths[0][depth : depth + 1]
        alone = all(parts[depth : depth + 1] == first and len(parts) > depth + 2 for parts in paths)
        if not alone or split_named(first[0]) is not None:
            break
        depth += 1
    return depth + 1 if _is_a_folder_of_names(paths, depth) else depth


def _is_a_folder_of_names(paths: Sequence[_Parts], depth: int) -> bool:
    """Whether all there is are cat.1.jpg, dog.1.jpg, … in one folder, as an archive has it."""
    folders = {parts[depth] for parts in paths}
    if len(folders) > 1 or any(len(parts) != depth + 2 for parts in paths):
        return False
    labels = {_label_in_name(parts[-1]) for parts in paths}
    return split_named(*folders) is None and None not in labels and len(labels) > 1


def _are_splits(inside: Iterable[_Parts], where: str) -> bool:
    folders = {parts[0] for parts in inside if len(parts) > 1}
    splits = {folder for folder in folders if split_named(folder)}
    others = sorted(folders - splits)
    # One such name among others may be a label: of trains, say.
    if others and len({split_named(folder) for folder in splits}) > 1:
        raise SourceError(
            f"{where} has folders of splits ({', '.join(sorted(splits))}) and beside them "
            f"{', '.join(others[:5])}. Are these labels, or not part of the data? Move them into "
            "the splits, or away."
        )
    return bool(splits) and not others


def _in_splits(inside: dict[str, _Parts], where: str) -> list[Entry]:
    entries = [
        _entry(path, parts[1:], split=split_named(parts[0])) if len(parts) > 1 else _stray(path)
        for path, parts in inside.items()
    ]
    _check_some_labels(entries, where)
    unlabelled = [entry for entry in entries if entry.label is None and entry.split == "test"]
    if unlabelled and not any(entry.label for entry in entries if entry.split == "test"):
        raise SourceError(
            f"The test pictures of {where} have no labels (first: {unlabelled[0].path}), so "
            "nothing can be measured on them. Name the folder with the labelled pictures "
            "instead; test pictures are then set aside from those."
        )
    return entries


def _entry(path: str, parts: _Parts, *, split: str | None = None) -> Entry:
    if len(parts) > 1:
        return Entry(path, _label(parts[0]), split)
    label = _label_in_name(parts[0]) if parts else None
    return Entry(path, label, split) if label else _stray(path, split)


def _label_in_name(name: str) -> str | None:
    match = _LABEL_AND_NUMBER.fullmatch(name.rpartition(".")[0])
    return _label(match["label"]) if match else None


def _stray(path: str, split: str | None = None) -> Entry:
    return Entry(path, None, split, "has no label: it lies in no label's folder")


def _label(name: str) -> str:
    """Names from a Mac come with accents as characters of their own; labels must compare."""
    return unicodedata.normalize("NFC", name)


def _check_some_labels(entries: Sequence[Entry], where: str) -> None:
    if not any(entry.label for entry in entries):
        raise SourceError(
            f"{where} holds {len(entries)} pictures, but nothing says what is on them (first: "
            f"{entries[0].path}). Pawsure takes {LAYOUTS}, or a CSV or Parquet file with the "
            "columns path and label."
        )
