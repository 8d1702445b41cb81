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
from pawsure.report.markup import Markup, element
from pawsure.report.ood import ood_section
from pawsure.report.pictures import Gallery, mistakes_section
from pawsure.report.reproduce import reproduce_section
from pawsure.report.robustness import robustness_section
from pawsure.report.run_data import RunData
from pawsure.report.summary import diagnosis_section, summary_section


def page(run: RunData, gallery: Gallery) -> str:
    """The report as the text of a self-contained HTML file."""
    sections = (
        ("diagnosis", "Diagnosis", diagnosis_section(run)),
        ("pictures", "Pictures", mistakes_section(run, gallery)),
        ("classes", "Labels", classes_section(run)),
        ("confidence", "Confidence", confidence_section(run)),
        ("ood", "Other pictures", ood_section(run)),
        ("robustness", "Robustness", robustness_section(run)),
        ("training", "Training", training_section(run)),
        ("data", "Data", data_section(run, gallery)),
        ("reproduce", "Reproduce", reproduce_section(run)),
    )
    links = [
        element("li", element("a", name, href=f"#{anchor}"))
        for anchor, name, content in sections
        if content is not None
    ]
    body = element(
        "body",
        element("a", "Skip to the summary", href="#summary", class_="skip"),
        _top(run, links),
        element("main", summary_section(run), [content for *_, content in sections], id="main"),
        element(
            "footer",
            f"Made by pawsure {__version__}. Figures are of the model file on pictures that it was "
            "not trained on, unless marked as cross-validated. This page works offline.",
        ),
    )
    return "<!doctype html>\n" + element("html", _head(run), body, lang="en") + "\n"


def _head(run: RunData) -> Markup:
    css = resources.files("pawsure.report").joinpath("style.css").read_text(encoding="utf-8")
    style = Markup(css)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Labels and paths come from the data; nothing in them may load, run or send anything.
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
        element("title", _title(run)),
        element("link", rel="icon", href=_paw_uri()),
        element("style", style),
    )


def _title(run: RunData) -> str:
    value = run.headline.value
    return f"{run.name}{'' if value is None else f': {value:.1%}'} · pawsure"


def _top(run: RunData, links: list[Markup]) -> Markup:
    paw = element("svg", _PAW, viewBox="0 0 64 64", aria_hidden="true", class_="paw")
    name = element("span", run.name, class_="run")
    return element(
        "header",
        element("p", paw, element("span", "pawsure"), name, class_="brand"),
        element("nav", element("ul", links), aria_label="Sections"),
        class_="top",
    )


# The drawing of serving/page/paw.svg.
_PAW = Markup(
    '<rect width="64" height="64" rx="16" fill="#d9572b"/><g fill="#fff8f0">'
    '<ellipse cx="17.5" cy="31" rx="5" ry="6.8" transform="rotate(-18 17.5 31)"/>'
    '<ellipse cx="26.6" cy="20.6" rx="5.2" ry="7.4" transform="rotate(-6 26.6 20.6)"/>'
    '<ellipse cx="38" cy="20.8" rx="5.2" ry="7.4" transform="rotate(8 38 20.8)"/>'
    '<ellipse cx="47" cy="31.4" rx="5" ry="6.8" transform="rotate(20 47 31.4)"/>'
    '<path d="M32.2 31.5c6.6 0 13.3 8.2 13.3 14 0 4.1-3 6.2-6.4 6.2-2.6 0-4.5-1.2-6.9-1.2s-4.3 '
    '1.2-6.9 1.2c-3.4 0-6.4-2.1-6.4-6.2 0-5.8 6.7-14 13.3-14z"/></g>'
)


def _paw_uri() -> str:
    svg = element("svg", _PAW, xmlns="http://www.w3.org/2000/svg", viewBox="0 0 64 64")
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
