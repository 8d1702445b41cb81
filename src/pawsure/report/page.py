"""The page as a whole: its head, its sections in order, its style."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from pawsure._version import __version__
from pawsure.report.classes import classes_section
from pawsure.report.confidence import confidence_section
from pawsure.report.curves import training_section
from pawsure.report.data import data_section
from pawsure.report.markup import Markup, element, together
from pawsure.report.material import Material
from pawsure.report.pictures import Gallery, mistakes_section
from pawsure.report.reproduce import reproduce_section
from pawsure.report.robustness import robustness_section
from pawsure.report.strangers import strangers_section
from pawsure.report.summary import diagnosis_section, summary_section

_NAMES = {
    "diagnosis": "Diagnosis",
    "pictures": "Pictures",
    "classes": "Labels",
    "confidence": "Confidence",
    "strangers": "Strangers",
    "robustness": "Elsewhere",
    "training": "Training",
    "data": "Data",
    "reproduce": "Do it again",
}


def page(material: Material, gallery: Gallery) -> str:
    """The report as the text of an HTML file that needs nothing else."""
    sections = {
        "diagnosis": diagnosis_section(material),
        "pictures": mistakes_section(material, gallery),
        "classes": classes_section(material),
        "confidence": confidence_section(material),
        "strangers": strangers_section(material),
        "robustness": robustness_section(material),
        "training": training_section(material),
        "data": data_section(material, gallery),
        "reproduce": reproduce_section(material),
    }
    there = {name: content for name, content in sections.items() if content is not None}
    body = element(
        "body",
        element("a", "Skip to the figures", href="#summary", class_="skip"),
        _top(material, list(there)),
        element("main", summary_section(material), list(there.values()), id="main"),
        element(
            "footer",
            f"Made by pawsure {__version__} on the machine that trained it. Figures are of the "
            "model file on pictures that it was not trained on, unless they are marked as "
            "cross-validated. This page needs no network.",
        ),
    )
    return "<!doctype html>\n" + element("html", _head(material), body, lang="en") + "\n"


def _head(material: Material) -> Markup:
    style = Markup(_style())
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Nothing may be fetched, run or sent, whatever a label or a path of the data says.
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"pawsure {__version__}"),
        element("title", _title(material)),
        element("link", rel="icon", href=_paw_uri()),
        element("style", style),
    )


def _title(material: Material) -> str:
    value = material.headline.value
    return f"{material.name}{'' if value is None else f': {value:.1%}'} · pawsure"


def _top(material: Material, there: list[str]) -> Markup:
    return element(
        "header",
        element(
            "p",
            _paw(),
            element("span", "pawsure"),
            element("span", material.name, class_="run"),
            class_="brand",
        ),
        element(
            "nav",
            element(
                "ul", [element("li", element("a", _NAMES[name], href=f"#{name}")) for name in there]
            ),
            aria_label="Sections",
        ),
        class_="top",
    )


def _style() -> str:
    return resources.files("pawsure.report").joinpath("style.css").read_text(encoding="utf-8")


_PAW = together(
    element("rect", width=64, height=64, rx=16, fill="#d9572b"),
    element(
        "g",
        *(
            element("ellipse", cx=x, cy=y, rx=rx, ry=ry, transform=f"rotate({turn} {x} {y})")
            for x, y, rx, ry, turn in (
                (17.5, 31, 5, 6.8, -18),
                (26.6, 20.6, 5.2, 7.4, -6),
                (38, 20.8, 5.2, 7.4, 8),
                (47, 31.4, 5, 6.8, 20),
            )
        ),
        element(
            "path",
            d="M32.2 31.5c6.6 0 13.3 8.2 13.3 14 0 4.1-3 6.2-6.4 6.2-2.6 0-4.5-1.2-6.9-1.2s-4.3 "
            "1.2-6.9 1.2c-3.4 0-6.4-2.1-6.4-6.2 0-5.8 6.7-14 13.3-14z",
        ),
        fill="#fff8f0",
    ),
)


def _paw() -> Markup:
    return element("svg", _PAW, viewBox="0 0 64 64", aria_hidden="true", class_="paw")


def _paw_uri() -> str:
    svg = element("svg", _PAW, xmlns="http://www.w3.org/2000/svg", viewBox="0 0 64 64")
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
