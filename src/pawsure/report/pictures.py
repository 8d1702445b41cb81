"""Section: mistakes and uncertain answers, as thumbnails with heat maps."""

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
from pawsure.report.predictions import RecordedAnswers
from pawsure.report.run_data import RunData

MOST_MISTAKES = 12
MOST_UNSURE = 6
THUMBNAIL_PX = 220
"""Twice the size on a phone, so that thumbnails are sharp there too."""

_QUALITY = 78


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture and its answer.

    Attributes:
        path: in the source.
        truth: its label.
        prediction: the most probable label.
        probability: of the prediction.
        familiarity: or None.
        content: SHA-256 of the file during the run; "" if unknown.
        picture: data URI of the thumbnail; "" if it can't be shown.
        heat: data URI of the heat map; "" if there is none.
        problem: why it can't be shown.
    """

    path: str
    truth: str
    prediction: str
    probability: float
    familiarity: float | None
    content: str = ""
    picture: str = ""
    heat: str = ""
    problem: str = ""


class Gallery:
    """Draws thumbnails and heat maps.

    Args:
        source: of the pictures, or None.
        predictor: for the heat maps, or None.
        why_not: the reason if there is no source.
    """

    def __init__(
        self, source: Source | None, predictor: Predictor | None, *, why_not: str = ""
    ) -> None:
        self.why_not = why_not if source is None else ""
        self._source = source
        self._predictor = predictor

    def thumbnail(self, path: str, *, content: str = "") -> str:
        """A thumbnail as a data URI.

        Raises:
            PictureError: the picture can't be read, or has changed since the run.
        """
        return data_uri(_thumbnail(self._read(path, content)), quality=_QUALITY)

    def draw(self, example: Example) -> Example:
        """Adds thumbnail and heat map, or the problem."""
        try:
            data = self._read(example.path, example.content)
            thumbnail = _thumbnail(data)
        except PictureError as error:
            return replace(example, problem=error.reason)
        heat = ""
        if self._predictor is not None and self._predictor.tells_places:
            evidence = _evidence(self._predictor, data, example.prediction)
            heat = data_uri(overlay(thumbnail, evidence), quality=_QUALITY)
        return replace(example, picture=data_uri(thumbnail, quality=_QUALITY), heat=heat)

    def _read(self, path: str, content: str) -> bytes:
        if self._source is None:
            raise PictureError(self.why_not)
        data = self._source.read(path)
        if content and hashlib.sha256(data).hexdigest() != content:
            raise PictureError("it has changed since the run")
        return data


def _evidence(predictor: Predictor, data: bytes, label: str) -> np.ndarray:
    outputs = predictor.predict_batch(images.read(data, size_px=predictor.size_px)[np.newaxis])
    column = predictor.labels.index(label)
    return relative_evidence(outputs.evidence[0], outputs.probability[0], column)


def _thumbnail(data: bytes) -> Image.Image:
    """Upright and in the picture's proportions.

    Read as a square and then stretched, because `images.read` decodes a photograph of twelve
    million pixels at an eighth of its size.
    """
    square = Image.fromarray(images.read(data, size_px=THUMBNAIL_PX))
    info = images.probe(data)
    scale = THUMBNAIL_PX / max(info.width, info.height)
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    return square.resize(size, Image.Resampling.BICUBIC)


def mistakes_section(run: RunData, gallery: Gallery) -> Markup:
    """The most confident mistakes and the least confident answers."""
    answers = run.answers
    if answers is None or not len(answers.where("test")):
        lead: str | None = None
        content: list[Markup | None] = [
            missing("This run of an older version recorded no answers. Train again to see them.")
        ]
    else:
        lead = "Heat maps: warm areas support the prediction, blue areas oppose it."
        content = _examples(run, answers, gallery)
    return section("pictures", "Mistakes and uncertain answers", lead, *content)


def _examples(run: RunData, answers: RecordedAnswers, gallery: Gallery) -> list[Markup | None]:
    contents = _contents(run)
    wrong = [gallery.draw(each) for each in most_confident_mistakes(answers, contents)]
    skipped = {example.path for example in wrong}
    unsure = [gallery.draw(each) for each in least_confident(answers, contents, skipped)]
    return [
        missing(f"The pictures can't be shown: {gallery.why_not}") if gallery.why_not else None,
        element("h3", "Most confident mistakes", id="mistakes"),
        element("p", _about_mistakes(run, len(wrong)), class_="note"),
        _show(wrong, gallery),
        element("h3", "Least confident answers", id="least-confident") if unsure else None,
        _show(unsure, gallery),
    ]


def most_confident_mistakes(
    answers: RecordedAnswers, contents: Mapping[str, str], most: int = MOST_MISTAKES
) -> list[Example]:
    """Test pictures with a wrong prediction, the most confident first."""
    test = answers.where("test")
    wrong = test[answers.probability[test].argmax(axis=1) != answers.label[test]]
    order = np.argsort(-answers.probability[wrong].max(axis=1), kind="stable")
    return [_example(answers, index, contents) for index in wrong[order][:most].tolist()]


def least_confident(
    answers: RecordedAnswers,
    contents: Mapping[str, str],
    skipped: set[str],
    most: int = MOST_UNSURE,
) -> list[Example]:
    """Test pictures whose prediction has the lowest probability."""
    test = answers.where("test")
    order = np.argsort(answers.probability[test].max(axis=1), kind="stable")
    indices = [index for index in test[order].tolist() if answers.path[index] not in skipped]
    return [_example(answers, index, contents) for index in indices[:most]]


def _example(answers: RecordedAnswers, index: int, contents: Mapping[str, str]) -> Example:
    best = int(answers.probability[index].argmax())
    path = str(answers.path[index])
    return Example(
        path=path,
        truth=answers.labels[int(answers.label[index])],
        prediction=answers.labels[best],
        probability=float(answers.probability[index, best]),
        familiarity=None if answers.familiarity is None else float(answers.familiarity[index]),
        content=contents.get(path, ""),
    )


def _contents(run: RunData) -> dict[str, str]:
    """SHA-256 by path."""
    pictures = run.pictures
    if not {"path", "content"} <= set(pictures):
        return {}
    paths = map(from_text, pictures["path"].tolist())
    return dict(zip(paths, pictures["content"].tolist(), strict=True))


def _about_mistakes(run: RunData, num_shown: int) -> str:
    matrix = run.test["confusion_matrix"]
    mistakes = sum(map(sum, matrix)) - sum(row[place] for place, row in enumerate(matrix))
    if not mistakes:
        return f"None on {run.test['n']:,} test pictures."
    which = f"{num_shown} of {mistakes:,}" if num_shown < mistakes else f"All {mistakes}"
    advice = "If the model looks right, the label may be wrong: correct it and train again."
    return f"{which}. {advice}" if mistakes > 1 else f"The only one. {advice}"


def _show(examples: Sequence[Example], gallery: Gallery) -> Markup | None:
    if not examples:
        return None
    if not gallery.why_not:
        return element("ul", [_card(example) for example in examples], class_="gallery")
    rows = [
        (each.path, each.truth, each.prediction, percent(each.probability)) for each in examples
    ]
    head = ("picture", "label", "prediction", "probability")
    return table(head, rows, caption="Pictures", numbers=False)


def _card(example: Example) -> Markup:
    prediction, truth = example.prediction, example.truth
    if example.picture:
        alt = f"{example.path}, labelled {truth}"
        heat_alt = f"Heat map for {prediction}: warm areas support it, blue areas oppose it"
        shown = element(
            "div",
            element("img", src=example.picture, alt=alt),
            element("img", src=example.heat, alt=heat_alt) if example.heat else None,
            class_="pair",
        )
    else:
        shown = missing(f"Not shown: {example.problem}.")
    is_right = prediction == truth
    words = together(
        element("strong", prediction, class_="right" if is_right else "wrong"),
        f", {percent(example.probability)}",
        " (correct)" if is_right else together("; labelled ", element("strong", truth)),
    )
    familiarity = example.familiarity
    familiar = "" if familiarity is None else f" · familiarity {percent(familiarity)}"
    return element(
        "li",
        shown,
        element("p", words, class_="words"),
        element("p", example.path, familiar, class_="path"),
    )
