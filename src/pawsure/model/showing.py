"""How an answer is shown: the picture, its heat map, and a sentence."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pawsure.data import images
from pawsure.errors import PictureError, UsageError
from pawsure.model.heat_map import overlay
from pawsure.model.words import percent
from pawsure.trust.rule import NEITHER, UNSURE

if TYPE_CHECKING:
    from pawsure.data.images import Picture
    from pawsure.model.answer import Answer

SHOWN_PX = 480
"""The longer side of a shown picture."""

_MOST_LABELS = 6  # with a bar each
_QUALITY = 85


def small_picture(picture: Picture, longest_px: int = SHOWN_PX) -> Image.Image:
    """A picture to show: upright, RGB, in its own proportions, never enlarged.

    Args:
        picture: a path, the bytes of a file, an array or a PIL image.
        longest_px: the longer side is at most this.

    Raises:
        PictureError: it can't be read.
    """
    if isinstance(picture, Image.Image):
        shown = picture.convert("RGB")
    elif isinstance(picture, np.ndarray):
        shown = Image.fromarray(picture).convert("RGB")
    else:
        is_path = not isinstance(picture, (bytes, bytearray, memoryview))
        data = images.read_file(picture) if is_path else bytes(picture)  # type: ignore[arg-type]
        shown = Image.fromarray(images.decode(data))
    shown.thumbnail((longest_px, longest_px))
    return shown


def draw_evidence(
    answer: Answer, picture: Picture | None = None, *, longest_px: int = SHOWN_PX
) -> Image.Image:
    """The picture of an answer with its heat map; see `Answer.overlay`."""
    if answer.evidence is None:
        raise UsageError(
            "This answer has no heat map: its network pools the whole picture, or the answer was "
            "read from JSON."
        )
    return overlay(_shown(answer, picture, longest_px), answer.evidence)


def _shown(answer: Answer, picture: Picture | None, longest_px: int) -> Image.Image:
    source = picture if picture is not None else answer.picture
    source = source if source is not None else answer.path
    if source is None:
        raise UsageError("This answer has no picture; pass it: answer.overlay(picture).")
    return small_picture(source, longest_px)


def in_words(answer: Answer) -> tuple[str, str]:
    """A headline and a sentence."""
    if answer.answer in (UNSURE, NEITHER):
        return answer.answer, answer.message
    return answer.label, f"{percent(answer.probability)} sure."


def as_html(answer: Answer) -> str:
    """An answer for a notebook: picture and heat map side by side, text below."""
    headline, sentence = in_words(answer)
    try:
        shown = _shown(answer, None, SHOWN_PX)
    except (PictureError, UsageError) as error:
        pictures = f"<p><em>The picture can't be shown: {escape(str(error))}</em></p>"
    else:
        pictures = _figure(shown, "the picture")
        if answer.evidence is not None:
            caption = f"supports {answer.label} (warm), opposes it (blue)"
            pictures += _figure(overlay(shown, answer.evidence), caption)
    path = "" if answer.path is None else f"<br><small>{escape(answer.path)}</small>"
    return (
        '<div style="font-family: system-ui, sans-serif; max-width: 720px">'
        f'<div style="display: flex; gap: 8px; flex-wrap: wrap">{pictures}</div>'
        f'<p style="margin: 8px 0"><strong style="font-size: 1.3em">{escape(headline)}</strong> '
        f"{escape(sentence)}{path}</p>{_bars(answer)}</div>"
    )


def _figure(image: Image.Image, caption: str) -> str:
    return (
        '<figure style="margin: 0; flex: 1 1 200px; max-width: 340px">'
        f'<img src="{data_uri(image)}" alt="{escape(caption)}" '
        'style="width: 100%; border-radius: 8px; display: block">'
        f'<figcaption style="opacity: 0.75; font-size: 0.85em">{escape(caption)}</figcaption>'
        "</figure>"
    )


def _bars(answer: Answer) -> str:
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:_MOST_LABELS]
    rows = "".join(
        f'<tr style="background: none"><td style="text-align: left">{escape(label)}</td>'
        '<td style="width: 180px"><div style="height: 8px; border-radius: 4px; '
        f'background: #e0873a; min-width: 2px; width: {100 * value:.1f}%"></div></td>'
        f"<td>{escape(percent(value))}</td></tr>"
        for label, value in ranked
    )
    return f'<table style="border: none">{rows}</table>'


def data_uri(image: Image.Image, *, quality: int = _QUALITY) -> str:
    """A picture as a data URI, for a page without other files."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
