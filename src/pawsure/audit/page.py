"""The findings as one HTML page: pictures side by side, no other file, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np

from pawsure._version import __version__
from pawsure.audit.audit import Audit
from pawsure.audit.checks import BY_NAME, CHECKS
from pawsure.data.files import atomic_path
from pawsure.errors import PictureError
from pawsure.model.showing import data_uri, small_picture
from pawsure.wording import agreeing, count

MOST_SHOWN = 60
"""Pictures shown of one check: each takes about 10 KB."""

MOST_GROUPS = 40
MOST_OF_A_GROUP = 8

_LONGEST_PX = 240
_QUALITY = 75

# Nothing from anywhere else, no scripts: what file names and pictures hold can't act.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(audit: Audit, path: str | Path) -> None:
    """Write the page, whole or not at all.

    Args:
        audit: what to show.
        path: of the HTML file.
    """
    page = build_page(audit)
    with atomic_path(path) as temporary:
        Path(temporary).write_text(page, encoding="utf-8", errors="backslashreplace")


def build_page(audit: Audit) -> str:
    """The page as text."""
    sections = [
        section
        for section in (
            _leakage(audit),
            _copies(audit),
            _wrong_labels(audit),
            _strangers(audit),
            *(_file_check(audit, name) for name in ("blank", "tiny", "extreme_aspect", "animated")),
            _unreadable(audit),
            _make_up(audit),
            _checks(audit),
        )
        if section is not None
    ]
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in sections)
    body = "".join(
        f'<section id="{name}"><h2>{escape(title)}</h2>{content}</section>'
        for name, title, content in sections
    )
    style = resources.files("pawsure.audit").joinpath("page.css").read_text(encoding="utf-8")
    name = escape(audit.catalog.source.name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit of {name}</title><style>{style}</style></head><body>"
        f"<h1>Audit of {name}</h1>{_summary(audit)}<nav>{links}</nav>{body}"
        f'<p class="muted">pawsure {__version__}</p></body></html>\n'
    )


Section = tuple[str, str, str]


def _summary(audit: Audit) -> str:
    summary = audit.summary
    nothing = [] if summary.has_findings else ["No problems found."]
    said = [*nothing, *summary.sentences()]
    if audit.not_looked:
        said.append(f"Labels and strangers were not looked at. {audit.not_looked}")
    by = f" Labels and strangers judged by {summary.embedded_by}." if summary.embedded_by else ""
    items = "".join(f"<li>{escape(one)}</li>" for one in said)
    return (
        f'<p class="muted">{count(summary.pictures, "picture")} of '
        f"{count(len(summary.labels), 'label')}."
        f'{escape(by)}</p><ul class="said">{items}</ul>'
    )


def _leakage(audit: Audit) -> Section | None:
    catalog = audit.catalog
    groups = _groups(audit, audit.flags["leakage"])
    if not groups:
        return None
    text = (
        "The same picture is in more than one split. A network is then asked what it has seen the "
        "answer to. The held-out picture is advised to stay, its copies to go."
    )
    return (
        "leakage",
        f"Copies across splits ({count(len(groups), 'group')})",
        _paragraph(text)
        + _of_groups(audit, groups, lambda row: f"<b>{escape(catalog.split[row])}</b>"),
    )


def _copies(audit: Audit) -> Section | None:
    groups = _groups(audit, audit.flags["exact_copy"] | audit.flags["near_copy"])
    if not groups:
        return None
    text = "Copies stay on the same side of a split. Those with different labels come first."
    return (
        "copies",
        f"Copies ({count(len(groups), 'group')})",
        _paragraph(text) + _of_groups(audit, groups, lambda row: _how_alike(audit, row)),
    )


def _wrong_labels(audit: Audit) -> Section | None:
    if "wrong_label" not in audit.scores:
        return None
    catalog, score = audit.catalog, audit.scores["wrong_label"]
    flagged = int(audit.flags["wrong_label"].sum())

    def caption(row: int) -> str:
        likely = catalog.labels[audit.likely[row]]
        return (
            f'<span class="wrong">labelled {escape(_label(audit, row))}</span>, looks like '
            f"<b>{escape(likely)}</b> <small>({1 - score[row]:.1%} for its label)</small>"
        )

    text = (
        f"Classifiers that saw neither the picture nor copies of it agree with "
        f"{audit.summary.label_accuracy:.1%} of the labels. They confidently disagree on "
        f"{count(flagged, 'label')}. "
    )
    if flagged:
        text += (
            "The likeliest mistakes come first. Some are hard pictures, rightly labelled: look "
            "before you change a label. "
        )
    text += "The table has the score of every picture."
    title = f"Labels that look wrong ({flagged:,})"
    return ("labels", title, _paragraph(text) + _gallery_of(audit, "wrong_label", caption))


def _strangers(audit: Audit) -> Section | None:
    if "out_of_place" not in audit.scores:
        return None
    score = audit.scores["out_of_place"]
    flagged = int(audit.flags["out_of_place"].sum())
    text = (
        "Far from all other pictures, the farthest first. Those at the top often show none of the "
        "labels: drawings, text, other things. Further down are rare but right ones, which a "
        "classifier needs. "
        if flagged
        else "No picture is farther from the others than the set's own spread explains. "
    )
    text += "The table has the score of every picture."
    title = f"Pictures out of place ({flagged:,})"
    shown = _gallery_of(
        audit,
        "out_of_place",
        lambda row: (
            f"labelled <b>{escape(_label(audit, row))}</b> <small>({score[row]:.2f})</small>"
        ),
    )
    return ("strangers", title, _paragraph(text) + shown)


def _file_check(audit: Audit, name: str) -> Section | None:
    flagged = int(audit.flags[name].sum())
    if not flagged:
        return None
    check, catalog = BY_NAME[name], audit.catalog
    shown = _gallery_of(
        audit, name, lambda row: f"<b>{catalog.width[row]} × {catalog.height[row]}</b> pixels"
    )
    return (name, f"{check.title} ({flagged:,})", _paragraph(f"{check.meaning}.") + shown)


def _unreadable(audit: Audit) -> Section | None:
    catalog = audit.catalog
    rows = np.flatnonzero(audit.flags["unreadable"] | audit.flags["misnamed"])
    if not len(rows):
        return None
    lines = [[catalog.path[row], str(audit.reason[row])] for row in rows[:500]]
    return (
        "files",
        f"Files ({len(rows):,})",
        _table(["picture", "what is wrong"], lines) + _more(len(rows) - len(lines), ""),
    )


def _make_up(audit: Audit) -> Section:
    """Labels, formats, sizes."""
    summary = audit.summary
    most = max(summary.labels.values(), default=1) or 1
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{count:,}</td>'
        f'<td><div class="bar"><i style="width:{count / most:.0%}"></i></div></td></tr>'
        for name, count in sorted(summary.labels.items(), key=lambda item: -item[1])[:100]
    )
    labels = (
        '<div class="wide"><table><tr><th>label</th><th class="number">pictures</th><th></th></tr>'
        f"{rows}</table></div>"
    )
    formats = ", ".join(f"{name} {count:,}" for name, count in summary.formats.items())
    low, middle, high = summary.sides
    text = (
        f"Formats: {formats}. Shorter sides: {low:,} to {high:,} pixels, half of them at least "
        f"{middle:,}. Pictures are brought to a square of the network's size; where they are "
        "smaller than that, a larger input brings nothing."
    )
    return ("make-up", "What there is", labels + _paragraph(text))


def _checks(audit: Audit) -> Section:
    lines = [
        [
            check.title,
            f"{int(audit.flags[check.name].sum()):,}" if check.name in audit.flags else "not made",
            check.meaning,
            check.score,
        ]
        for check in CHECKS
    ]
    heads = ["check", "pictures", "what it means", "score"]
    return ("checks", "All checks", _table(heads, lines))


def _groups(audit: Audit, flag: np.ndarray) -> list[list[int]]:
    """Rows of each group with a flagged picture; conflicting labels first, then by size."""
    together: dict[int, list[int]] = {}
    for row in np.flatnonzero((audit.catalog.problem == "") & flag).tolist():
        together.setdefault(int(audit.catalog.group[row]), []).append(row)
    conflict = audit.flags["conflicting_copy"] | audit.flags["conflicting_near_copy"]
    groups = [rows for rows in together.values() if len(rows) > 1]
    return sorted(groups, key=lambda rows: (-int(conflict[rows[0]]), -len(rows), rows[0]))


def _of_groups(audit: Audit, groups: list[list[int]], caption: Callable[[int], str]) -> str:
    shown = []
    for rows in groups[:MOST_GROUPS]:
        more = len(rows) - MOST_OF_A_GROUP
        note = f"<p class='muted'>and {more:,} more</p>" if more > 0 else ""
        gallery = _gallery(
            audit,
            rows[:MOST_OF_A_GROUP],
            lambda row: f"labelled <b>{escape(_label(audit, row))}</b>, {caption(row)}",
        )
        shown.append(f'<div class="group">{gallery}{note}</div>')
    rest = _more(len(groups) - MOST_GROUPS, "group")
    return f'<div class="groups">{"".join(shown)}</div>{rest}'


def _more(number: int, what: str) -> str:
    """What there is beyond what is shown."""
    if number <= 0:
        return ""
    named = count(number, f"more {what}") if what else f"{number:,} more"
    return _paragraph(f"{named} {agreeing(number, 'is', 'are')} in the table.")


def _how_alike(audit: Audit, row: int) -> str:
    if audit.flags["near_copy"][row]:
        return f"likeness {audit.scores['near_copy'][row]:.2f}"
    return "exact copy"


def _label(audit: Audit, row: int) -> str:
    label = audit.catalog.label[row]
    return audit.catalog.labels[label] if label >= 0 else "nothing"


def _gallery_of(audit: Audit, check: str, caption: Callable[[int], str]) -> str:
    """The pictures that a check has flagged, and no others."""
    rows = [row for row in audit.ranked(check) if audit.flags[check][row]]
    return _gallery(audit, rows, caption) if rows else ""


def _gallery(audit: Audit, rows: Sequence[int], caption: Callable[[int], str]) -> str:
    figures = [_figure(audit, int(row), caption(int(row))) for row in rows[:MOST_SHOWN]]
    more = _more(len(rows) - MOST_SHOWN, "")
    return f'<div class="pictures">{"".join(figures)}</div>{more}'


def _figure(audit: Audit, row: int, caption: str) -> str:
    path = escape(audit.catalog.path[row])
    try:
        picture = small_picture(audit.catalog.read(row), _LONGEST_PX)
        shown = f'<img src="{data_uri(picture, quality=_QUALITY)}" alt="{path}">'
    except PictureError as error:
        shown = escape(error.reason)
    return (
        f'<figure><div class="frame">{shown}</div><figcaption>{caption}<br>{path}</figcaption>'
        "</figure>"
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _paragraph(text: str) -> str:
    return f"<p>{escape(text[:1].upper() + text[1:])}</p>"
