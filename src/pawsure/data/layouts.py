"""Labels and splits by the folders that pictures are in and their names.

cat/1.jpg                folders are labels; what is deeper inside belongs to them too
train/cat/1.jpg          folders of splits, each with folders of labels
train/train/cat/1.jpg    the same, as archives have it that were packed twice
cat/train/1.jpg          folders of labels, each with folders of splits
cat.1.jpg                names begin with the label and end with a number
train/cat.1.jpg          folders of splits with such names
anything/cat/1.jpg       any of these inside one folder of any name (a wrapper), as archives have it

In site1/cat/1.jpg, site2/cat/2.jpg either folder could be the label: pawsure asks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pawsure.data.entries import Entry, check_spelling
from pawsure.data.file_names import as_label, as_text
from pawsure.data.skipped import Skipped
from pawsure.data.split_names import UNLABELLED, meaning, split_named
from pawsure.errors import SourceError, UsageError
from pawsure.wording import count

LAYOUTS = (
    "a folder for each label (cat/1.jpg), folders train, validation and test with such folders "
    "in them (train/cat/1.jpg), or names that begin with the label (cat.1.jpg)"
)

OUTER, INNER, PARENT = "outer", "inner", "parent"

LEVELS = (OUTER, INNER, PARENT)
"""Which folder may name the label, wrappers and splits not counted: the first, the second, or
the one that the picture is in."""

_STRAY = "has no label: it is in no label's folder"

# "cat.0", "great_pyrenees_12", "Cat (3)": a label without digits, then a number.
_LABEL_AND_NUMBER = re.compile(r"(?P<label>\D*[^\W\d_])[ ._-]*\(?\d+\)?")

# How cameras, phones and programs begin the names of pictures.
_NO_LABELS = frozenset(
    """
    img image images imag dsc dscn dscf sdc sam hpim cimg kic pict pic pics picture photo photos
    foto pxl mvimg pano burst gopr gh gx dji wa p dcim vid mov frame capture screenshot screen
    scan untitled unnamed unknown file default download thumb thumbnail preview logo cover fb_img
    img_e whatsapp_image bild bildschirmfoto sample
    """.split()  # noqa: SIM905
)

# 2021, 2021-05, 20210503, …
_DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")

# Numbered folders: fold1, images_002, New folder (3).
_PART = re.compile(
    r"(fold|part|batch|shard|chunk|subset|volume|disc|images?|imgs?|photos?|pictures?|files?"
    r"|folder)[ _.-]*\(?\d+\)?|(new|untitled) folder( \(?\d+\)?)?",
    re.IGNORECASE,
)

# 100APPLE, 101CANON, 102_0503: the folders of a camera's card (DCF, JEITA CP-3461, 3.3.1).
_CAMERA_FOLDER = re.compile(r"[1-9]\d\d(?=\w*[A-Z_])[A-Z0-9_]{5}", re.IGNORECASE)

_NO_CONTENT = frozenset(
    "images imgs pictures photos data dataset unknown all test_folder".split()  # noqa: SIM905
)
_NO_LABEL_FOLDERS = ((_DATE, "dates"), (_PART, "parts"), (_CAMERA_FOLDER, "a camera's folders"))

# This share of pictures in inner folders of the same names is no chance.
_MOST = 0.9

_Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A path without wrappers and splits, and its split."""

    parts: _Parts
    split: str | None = None


def labelled(
    paths: Iterable[str],
    *,
    where: str,
    level: str | None = None,
    skipped: Skipped | None = None,
) -> list[Entry]:
    """Find label and split of every picture by its path.

    Args:
        paths: of pictures, relative to the folder or archive, with forward slashes.
        where: the folder or archive, for messages.
        level: one of `LEVELS`; None finds it out, and refuses to guess.
        skipped: what a search found besides pictures; test pictures without labels, which get no
            entry, are added.

    Returns:
        An entry for every path, sorted by path. Those without a label have it as their problem.

    Raises:
        SourceError: there are no pictures, they are in none of `LAYOUTS`, or several folders
            could name the label.
        UsageError: there is no such level.
    """
    if level not in (None, *LEVELS):
        raise UsageError(f"There is no level '{level}' of labels. There are: {', '.join(LEVELS)}.")
    found = {path: _parts(path) for path in sorted(paths)}
    if not found:
        raise SourceError(f"{where} holds no pictures. Pawsure takes {LAYOUTS}.")
    places = _places(found, where)
    skipped = skipped or Skipped()
    if level is None:
        _refuse_to_guess(places.values(), where)
        _refuse_class_files(found, skipped.class_files, where)
    labels = _labels(places, level)
    places = _without_unlabelled(places, labels, skipped)
    _note_blanks(places.values(), skipped)
    entries = [
        Entry(path, labels[path], place.split, "" if labels[path] else _STRAY)
        for path, place in places.items()
    ]
    if not any(entry.label for entry in entries):
        raise SourceError(
            f"{where} holds {len(found)} pictures, but nothing says what is on them (first: "
            f"{as_text(next(iter(found)))}). Pawsure takes {LAYOUTS}, or a CSV or Parquet file "
            "with the columns path and label."
        )
    check_spelling(entries, where)
    return entries


def _parts(path: str) -> _Parts:
    # Archives may hold names such as '../x' or '/x'; nothing is unpacked, so they mean 'x'.
    return tuple(part for part in path.split("/") if part not in ("", ".", ".."))


def _places(found: Mapping[str, _Parts], where: str) -> dict[str, _Place]:
    """Every path without wrappers, and its split."""
    depth = _depth_of_wrappers(list(found.values()))
    inside = {path: _below(parts, depth) for path, parts in found.items()}
    if _are_splits(inside.values(), where):
        return _in_splits(inside)
    places = {path: _Place(parts) for path, parts in inside.items()}
    if _hold_splits(inside.values()):
        for path, parts in inside.items():
            if len(parts) > 2:
                places[path] = _Place((parts[0], *parts[2:]), split_named(parts[1]))
    return places


def _below(parts: _Parts, depth: int) -> _Parts:
    """A path without wrappers; of a file beside one of them, its name."""
    return parts[depth:] if len(parts) > depth else parts[-1:]


def _depth_of_wrappers(paths: Sequence[_Parts]) -> int:
    """How many folders on top hold nothing but one folder, and perhaps a few stray pictures."""
    depth = 0
    while True:
        inside = [parts for parts in paths if len(parts) > depth + 1]
        folders = {parts[depth] for parts in inside}
        if len(folders) != 1 or split_named(*folders) or not _wraps(inside, len(paths), depth):
            break
        depth += 1
    return depth + 1 if _is_a_folder_of_names(paths, depth) else depth


def _wraps(inside: Sequence[_Parts], total: int, depth: int) -> bool:
    """Whether nearly all pictures are in folders in a folder, not beside it or in itself."""
    deeper = [parts for parts in inside if len(parts) > depth + 2]
    if len(deeper) == total:
        return True
    beside, own = total - len(inside), len(inside) - len(deeper)
    several = len({parts[depth + 1] for parts in deeper}) > 1
    return several and beside < len(deeper) and 10 * own <= len(deeper)


def _is_a_folder_of_names(paths: Sequence[_Parts], depth: int) -> bool:
    """Whether all pictures are cat.1.jpg, dog.1.jpg, … in one folder."""
    inside = [parts for parts in paths if len(parts) > depth]
    folders = {parts[depth] for parts in inside}
    if len(folders) > 1 or any(len(parts) != depth + 2 for parts in inside):
        return False
    labels = {_label_in_name(parts[-1]) for parts in inside}
    return split_named(*folders) is None and None not in labels and len(labels) > 1


def _are_splits(inside: Iterable[_Parts], where: str) -> bool:
    """Whether the outer folders are splits."""
    folders = {parts[0] for parts in inside if len(parts) > 1}
    splits = {folder for folder in folders if split_named(folder)}
    others = sorted(folder for folder in folders if meaning(folder) is None)
    # One such name among others may be a label: of trains, say.
    if others and len({split_named(folder) for folder in splits}) > 1:
        raise SourceError(
            f"{where} has folders of splits ({_listed(splits)}) and beside them "
            f"{_listed(others)}. Are these labels, or not part of the data? Move them into "
            "the splits, or away."
        )
    return bool(splits) and not others


def _hold_splits(inside: Iterable[_Parts]) -> bool:
    """Whether the outer folders are labels with nothing but splits in them."""
    inner: dict[str, set[str]] = {}
    for parts in inside:
        if len(parts) == 2:
            return False
        if len(parts) > 2:
            inner.setdefault(parts[0], set()).add(parts[1])
    splits = [{split_named(name) for name in names} for names in inner.values()]
    return len(inner) > 1 and all(None not in names and "train" in names for names in splits)


def _in_splits(inside: Mapping[str, _Parts]) -> dict[str, _Place]:
    """Paths below the folders of splits, without wrappers inside these."""
    of_folder: dict[str, list[_Parts]] = {}
    for parts in inside.values():
        if len(parts) > 1:
            of_folder.setdefault(parts[0], []).append(parts[1:])
    depth = {folder: _depth_in_split(below) for folder, below in of_folder.items()}
    return {
        path: _Place(_below(parts[1:], depth[parts[0]]), meaning(parts[0]))
        if len(parts) > 1
        else _Place(parts)
        for path, parts in inside.items()
    }


def _depth_in_split(paths: Sequence[_Parts]) -> int:
    """How many folders in a split's folder only repeat its name, or are called "images"."""
    depth = 0
    while True:
        folders = {parts[depth] for parts in paths if len(parts) > depth + 1}
        wrapped = len(folders) == 1 and _says_nothing(*folders)
        if not wrapped or any(len(parts) < depth + 2 for parts in paths):
            return depth
        depth += 1


def _says_nothing(folder: str) -> bool:
    return meaning(folder) is not None or folder.lower() in _NO_CONTENT


def _refuse_to_guess(places: Iterable[_Place], where: str) -> None:
    """Ask which folder names the label where several could."""
    paths = [place.parts for place in places if len(place.parts) > 1]
    outer = _listed({parts[0] for parts in paths})
    for depth, inner in ((0, INNER), (1, PARENT)):
        holders = _inner_folders(paths, depth)
        names = _names_that_repeat(holders, len(paths), alone=depth == 0)
        if names:
            within = _listed("/".join(one) for one in holders if names & holders[one].keys())
            raise SourceError(
                f"{where} does not show which folders are labels: {outer}, or {_listed(names)} "
                f"in {within}. Say --labels {OUTER} for {outer}, --labels {inner} for "
                f"{_listed(names)}, or list the pictures in a CSV file with the columns path and "
                "label."
            )
    folders = {as_label(parts[0]) for parts in paths}
    for form, what in _NO_LABEL_FOLDERS:
        if len(folders) > 1 and all(map(form.fullmatch, folders)):
            raise SourceError(
                f"The folders of {where} are {what}, not labels: {_listed(folders)}. Put the "
                "pictures of each label into a folder of its own, list them in a CSV file with "
                f"the columns path and label, or say --labels {OUTER} if these are the labels."
            )


def _refuse_class_files(paths: Iterable[str], classes: Sequence[str], where: str) -> None:
    """Refuse shards: folders of pictures whose labels are in files beside them."""
    stems = {path.rpartition(".")[0] for path in paths}
    labelled_by_file = [path for path in classes if path.rpartition(".")[0] in stems]
    if 2 * len(labelled_by_file) > len(stems):
        raise SourceError(
            f"{where} has the label of each picture in a file beside it "
            f"({as_text(min(labelled_by_file))}), which is not read here. List the pictures in a "
            "CSV file with the columns path and label."
        )


def _inner_folders(paths: Iterable[_Parts], depth: int) -> dict[_Parts, Counter[str]]:
    """How many pictures each folder has in it, by the inner folders that they are in."""
    holders: dict[_Parts, Counter[str]] = {}
    for parts in paths:
        if len(parts) > depth + 2:
            name = as_label(parts[depth + 1]).casefold()
            holders.setdefault(parts[: depth + 1], Counter())[name] += 1
    return holders


def _names_that_repeat(
    holders: Mapping[_Parts, Counter[str]], total: int, *, alone: bool
) -> set[str]:
    """Names of inner folders that could be the labels; none where the outer ones are.

    They could where nearly all pictures are in inner folders that several outer ones have, where
    one outer folder has all that the others have, and (`alone`) where only one has any.
    """
    counts = sum(holders.values(), Counter[str]())
    names = set(counts)
    if len(names) < 2 or counts.total() < _MOST * total or all(map(_DATE.fullmatch, names)):
        return set()
    tops = {name: {one[0] for one in holders if name in holders[one]} for name in names}
    shared = {name for name in names if len(tops[name]) > 1}
    in_shared = sum(counts[name] for name in shared)
    if len(shared) > 1 and in_shared >= _MOST * total:
        return shared if all(shared & inner.keys() for inner in holders.values()) else set()
    has_all = any(inner.keys() == names for inner in holders.values())
    # The second: beside folders without any, such as the figures of a readme.
    nested = has_all and shared or alone and len(holders) == 1 and counts.total() < total
    return names if nested else set()


def _labels(places: Mapping[str, _Place], level: str | None) -> dict[str, str | None]:
    """The label of each path; None for those without."""
    if level is not None:
        return {path: _label_at(place.parts, level) for path, place in places.items()}
    by_name = {
        path: _label_in_name(place.parts[0]) if len(place.parts) == 1 else None
        for path, place in places.items()
    }
    found: dict[str, str | None] = {}
    for split in {place.split for place in places.values()}:
        own = {path: place for path, place in places.items() if place.split == split}
        in_folders = sum(len(place.parts) > 1 for place in own.values())
        named = Counter(label for path in own if (label := by_name[path]))
        if all(map(split_named, named)):
            named.clear()  # train_1.jpg, test_1.jpg
        # Folders or names, never both.
        by_names = named.total() > in_folders
        for path, place in own.items():
            label = _label_in_name(place.parts[-1]) if by_names else _label_at(place.parts, OUTER)
            found[path] = label if label in named or not by_names else None
    return found


def _label_at(parts: _Parts, level: str) -> str | None:
    folders = parts[-2:-1] if level == PARENT else parts[:-1][LEVELS.index(level) :]
    return as_label(folders[0]) if folders else None


def _label_in_name(name: str) -> str | None:
    match = _LABEL_AND_NUMBER.fullmatch(name.rpartition(".")[0])
    label = as_label(match["label"]) if match else ""
    plain = re.sub(r"[^\w]+", "_", label.lower()).strip("_")
    return None if not label or plain in _NO_LABELS else label


def _without_unlabelled(
    places: dict[str, _Place], labels: Mapping[str, str | None], skipped: Skipped
) -> dict[str, _Place]:
    """Leave out test pictures that have no label."""
    learned = {labels[path] for path, place in places.items() if place.split == "train"}
    for split in ("test", UNLABELLED):
        own = [path for path, place in places.items() if place.split == split]
        told = {label for path in own if (label := labels[path]) and not _says_nothing(label)}
        if not own or (split == "test" and (told or not learned)) or told & learned:
            continue
        instead = "; test pictures are drawn from the others" if split == "test" else ""
        pictures = count(len(own), "picture")
        skipped.notes.append(
            f"Skipped: {pictures} without labels (the first: {as_text(own[0])}){instead}."
        )
        places = {path: place for path, place in places.items() if place.split != split}
    return {
        path: _Place(place.parts) if place.split == UNLABELLED else place
        for path, place in places.items()
    }


def _note_blanks(places: Iterable[_Place], skipped: Skipped) -> None:
    """Note folders that are one label, since their names differ only in blanks."""
    folders = {place.parts[0] for place in places if len(place.parts) > 1}
    of_label: dict[str, list[str]] = {}
    for folder in sorted(folders):
        of_label.setdefault(as_label(folder), []).append(folder)
    for label, names in of_label.items():
        if len(names) > 1 and any(name.strip() != name for name in names):
            listed = " and ".join(f"'{as_text(name)}'" for name in names)
            skipped.notes.append(f"The folders {listed} are one label, '{label}'.")


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    shown = ", ".join(map(as_text, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
