"""Pictures of a run, small, with the heat map of what the model saw in each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pawsure.data import images
from pawsure.data.entries import Source
from pawsure.data.file_names import from_text
from pawsure.errors import PictureError
from pawsure.model.evidence import relative_evidence
from pawsure.model.heat_map import overlay
from pawsure.model.predictor import Predictor
from pawsure.model.showing import data_uri
from pawsure.model.words import percent
from pawsure.report.blocks import missing, section, table
from pawsure.report.markup import Markup, element, together
from pawsure.report.material import Material
from pawsure.report.predictions import RecordedAnswers

MOST_MISTAKES = 12
MOST_UNSURE = 6
THUMBNAIL_PX = 220
"""Twice what a phone shows of it beside its map, so that it is sharp there too."""

_QUALITY = 78


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One picture that is to be shown.

    Attributes:
        path: as the source names it.
        truth: its label.
        said: the most probable label.
        probability: of that.
        familiarity: or None.
        content: SHA-256 that it had when it was answered; empty if unknown.
        picture: address of the picture, which holds it; empty where it can't be shown.
        heat: the same of its heat map.
        problem: why it can't be shown.
    """

    path: str
    truth: str
    said: str
    probability: float
    familiarity: float | None
    content: str = ""
    picture: str = ""
    heat: str = ""
    problem: str = ""


class Gallery:
    """Draws pictures; or says why it can't.

    Args:
        source: where they come from; None: they can't be had.
        predictor: for the heat maps; None: without them.
        why_not: the reason, where there is no source.
    """

    def __init__(
        self, source: Source | None, predictor: Predictor | None, *, why_not: str = ""
    ) -> None:
        self.why_not = why_not if source is None else ""
        self._source = source
        self._predictor = predictor

    def thumbnail(self, path: str, *, content: str = "") -> str:
        """The address of a small picture.

        Raises:
            PictureError: it can't be had, or is not the one that it was.
        """
        return data_uri(_small(self._read(path, content)), quality=_QUALITY)

    def draw(self, shown: Shown) -> Shown:
        """The same with picture and map, or with the reason why not."""
        try:
            data = self._read(shown.path, shown.content)
            small = _small(data)
        except PictureError as error:
            return replace(shown, problem=error.reason)
        heat = ""
        if self._predictor is not None and self._predictor.tells_places:
            evidence = self._evidence(self._predictor, data, shown.said)
            heat = data_uri(overlay(small, evidence), quality=_QUALITY)
        return replace(shown, picture=data_uri(small, quality=_QUALITY), heat=heat)

    def _read(self, path: str, content: str) -> bytes:
        if self._source is None:
            raise PictureError(self.why_not)
        data = self._source.read(path)
        if content and hashlib.sha256(data).hexdigest() != content:
            raise PictureError("it has changed since the run")
        return data

    def _evidence(self, predictor: Predictor, data: bytes, said: str) -> np.ndarray:
        outputs = predictor.predict_batch(images.read(data, size_px=predictor.size_px)[np.newaxis])
        column = predictor.labels.index(said)
        return relative_evidence(outputs.evidence[0], outputs.probability[0], column)


def _small(data: bytes) -> Image.Image:
    """A thumbnail, upright and in its own proportions.

    Read as a square, as a network takes it, and then brought into shape: so a photograph of
    twelve million pixels is decoded at an eighth of its size.
    """
    square = Image.fromarray(images.read(data, size_px=THUMBNAIL_PX))
    info = images.probe(data)
    scale = THUMBNAIL_PX / max(info.width, info.height)
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    return square.resize(size, Image.Resampling.BICUBIC)


def mistakes_section(material: Material, gallery: Gallery) -> Markup:
    """The most confident mistakes and the least sure answers."""
    answers = material.answers
    title = "Look for yourself"
    if answers is None or not len(answers.where("test")):
        return section(
            "pictures",
            title,
            None,
            missing(
                "This run kept no answers to single pictures (older versions did not); a new run "
                "does, and shows its mistakes here."
            ),
        )
    contents = _contents(material)
    wrong = [gallery.draw(shown) for shown in most_confident_mistakes(answers, contents)]
    skipped = {shown.path for shown in wrong}
    unsure = [gallery.draw(shown) for shown in least_sure(answers, contents, skipped)]
    return section(
        "pictures",
        title,
        "Beside each picture is what the model saw in it: warm places spoke for what it said, "
        "blue ones against it.",
        missing(f"The pictures can't be shown: {gallery.why_not}") if gallery.why_not else None,
        element("h3", "The most confident mistakes", id="mistakes"),
        element("p", _on_mistakes(material, len(wrong)), class_="note"),
        _shown(wrong, gallery),
        element("h3", "The least sure answers", id="least-sure") if unsure else None,
        element("p", "Right or wrong, these were close to a guess.", class_="note")
        if unsure
        else None,
        _shown(unsure, gallery),
    )


def most_confident_mistakes(
    answers: RecordedAnswers, contents: Mapping[str, str], most: int = MOST_MISTAKES
) -> list[Shown]:
    """Test pictures with a wrong answer, the surest first."""
    rows = answers.where("test")
    best = answers.probability[rows].argmax(axis=1)
    wrong = rows[best != answers.label[rows]]
    order = np.argsort(-answers.probability[wrong].max(axis=1), kind="stable")
    return [_of_row(answers, int(row), contents) for row in wrong[order][:most]]


def least_sure(
    answers: RecordedAnswers,
    contents: Mapping[str, str],
    skipped: set[str],
    most: int = MOST_UNSURE,
) -> list[Shown]:
    """Test pictures whose best label has the lowest probability."""
    rows = answers.where("test")
    order = np.argsort(answers.probability[rows].max(axis=1), kind="stable")
    kept = [row for row in rows[order].tolist() if answers.path[row] not in skipped]
    return [_of_row(answers, row, contents) for row in kept[:most]]


def _of_row(answers: RecordedAnswers, row: int, contents: Mapping[str, str]) -> Shown:
    best = int(answers.probability[row].argmax())
    path = str(answers.path[row])
    return Shown(
        path=path,
        truth=answers.labels[int(answers.label[row])],
        said=answers.labels[best],
        probability=float(answers.probability[row, best]),
        familiarity=None if answers.familiarity is None else float(answers.familiarity[row]),
        content=contents.get(path, ""),
    )


def _contents(material: Material) -> dict[str, str]:
    """SHA-256 by path, as the run found them."""
    pictures = material.pictures
    if not {"path", "content"} <= set(pictures):
        return {}
    paths = map(from_text, pictures["path"].tolist())
    return dict(zip(paths, pictures["content"].tolist(), strict=True))


def _on_mistakes(material: Material, shown: int) -> str:
    matrix = material.test["confusion_matrix"]
    mistakes = sum(map(sum, matrix)) - sum(row[place] for place, row in enumerate(matrix))
    if not mistakes:
        return f"There are none among {material.test['n']:,} test pictures."
    if mistakes == 1:
        which = "The only one."
    elif shown < mistakes:
        which = f"The {shown} surest of {mistakes:,}, the surest first."
    else:
        which = f"All {mistakes} of them, the surest first."
    return (
        f"{which} Where the model seems to be right, the label may be wrong: correct it and "
        "train again."
    )


def _shown(pictures: Sequence[Shown], gallery: Gallery) -> Markup | None:
    if not pictures:
        return None
    if gallery.why_not:
        return _as_table(pictures)
    return element("ul", [_card(shown) for shown in pictures], class_="gallery")


def _as_table(pictures: Sequence[Shown]) -> Markup:
    rows = [(shown.path, shown.truth, shown.said, percent(shown.probability)) for shown in pictures]
    return table(("picture", "is", "called", "sure"), rows, caption="Pictures", numbers=False)


def _card(shown: Shown) -> Markup:
    is_right = shown.said == shown.truth
    drawn = (
        element(
            "div",
            element("img", src=shown.picture, alt=f"{shown.path}, labelled {shown.truth}"),
            element(
                "img", src=shown.heat, alt=f"What spoke for {shown.said} (warm) and against (blue)"
            )
            if shown.heat
            else None,
            class_="pair",
        )
        if shown.picture
        else element("p", f"Can't be shown: {shown.problem}.", class_="missing")
    )
    words = together(
        "called ",
        element("strong", shown.said, class_="right" if is_right else "wrong"),
        f", {percent(shown.probability)} sure",
        ", which is right" if is_right else together("; labelled ", element("strong", shown.truth)),
    )
    familiar = "" if shown.familiarity is None else f" · {percent(shown.familiarity)} familiar"
    return element(
        "li",
        drawn,
        element("p", words, class_="words"),
        element("p", shown.path, familiar, class_="path"),
    )
