from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_page import Page
from report_runs import TRUST, change_metrics
from typer.testing import CliRunner
from whole_app import app

from pawsure.errors import RunFolderError, SourceError
from pawsure.evaluation.measure import measure
from pawsure.report.build import write_report


@pytest.fixture(scope="module")
def run(make_run) -> Path:
    return make_run()


@pytest.fixture
def copy(run, tmp_path) -> Path:
    """A run folder that may be changed; its pictures are where they were."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def report(run: Path, **options: object) -> Page:
    return Page(write_report(run, **options).read_text(encoding="utf-8"))


def ids(page: Page) -> set[str]:
    return {str(attributes["id"]) for _, attributes in page.elements if "id" in attributes}


ALWAYS = {"summary", "diagnosis", "pictures", "classes", "confidence", "ood", "training",
          "data", "reproduce"}  # fmt: skip


def test_the_page_is_whole_and_says_the_answer_first(run):
    page = report(run)
    assert not page.problems
    assert ids(page) >= ALWAYS
    metrics = json.loads((run / "metrics.json").read_text())
    accuracy = f"{metrics['test']['accuracy']['value']:.1%}"
    assert page.text.index(accuracy) < page.text.index("Diagnosis", page.text.index("accuracy on"))
    assert re.search(r"(Reliable|Roughly reliable|Not reliable yet):", page.text)
    links = {link["href"] for link in page.all("a")}
    assert links <= {f"#{name}" for name in ids(page)}


def test_nothing_is_fetched_from_anywhere(run):
    page = report(run)
    addresses = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    assert not page.all("script")
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_pictures_come_with_their_heat_maps_and_words(run):
    page = report(run)
    images = page.all("img")
    assert len(images) >= 2 and len(images) % 2 == 0
    assert all(image["alt"] for image in images)
    assert "labelled" in page.text and "familiarity" in page.text


def test_the_surest_mistakes_come_first(run):
    text = report(run).text
    part = text[text.index("Most confident mistakes") : text.index("Least confident answers")]
    sure = [float(value) for value in re.findall(r", (?:> )?([\d.]+)% ?; labelled", part)]
    assert len(sure) >= 2 and sure == sorted(sure, reverse=True)
    assert "(correct)" not in part


def test_every_chart_has_a_name_a_description_and_a_table(run):
    html = write_report(run).read_text(encoding="utf-8")
    charts = re.findall(r'<svg [^>]*role="img"[^>]*>(.*?)</svg>', html, re.DOTALL)
    assert len(charts) >= 6
    for chart in charts:
        assert re.match(r"<title>[^<]{5,}</title><desc>[^<]{5,}</desc>", chart)
        assert "nan" not in chart and "inf" not in chart
    figures = re.findall(r"<figure class=\"card.*?</figure>", html, re.DOTALL)
    assert sum("<table" in figure for figure in figures) >= 5


def test_the_same_run_gives_the_same_page(run):
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_it_is_small_and_quick(run):
    started = time.process_time()
    path = write_report(run)
    assert time.process_time() - started < 3
    assert path.stat().st_size < 1_000_000


def test_data_that_are_gone_are_said_to_be_and_the_page_is_still_made(copy, run, tmp_path):
    answers = run.parent / "data"
    moved = answers.rename(tmp_path / "elsewhere")
    try:
        page = report(copy)
        assert not page.all("img") and not page.problems
        assert "The pictures can't be shown" in page.text and "--data" in page.text
        captions = {found.get("aria-label") for found in page.all("div")}
        assert "Pictures" in captions  # a table in place of cards
        assert report(copy, data=moved).all("img")
    finally:
        moved.rename(answers)


def test_a_picture_that_has_changed_since_is_not_shown_for_what_it_was(make_run):
    run = make_run(each=20)
    for path in (run.parent / "data").rglob("*.png"):
        Image.new("RGB", (20, 20), "green").save(path)
    page = report(run)
    assert not page.all("img")
    assert "Not shown: it has changed since the run." in page.text


def test_older_runs_without_answers_still_get_a_page(copy):
    (copy / "predictions.parquet").unlink()
    metrics = json.loads((copy / "metrics.json").read_text())
    for key in ("reliability", "risk_coverage", "precision_recall", "answers"):
        del metrics["test"][key]
    for key in ("diagnosis", "data", "stages"):
        del metrics[key]
    (copy / "metrics.json").write_text(json.dumps(metrics))
    page = report(copy)
    assert not page.problems
    assert "recorded no answers" in page.text
    assert {"diagnosis", "training"}.isdisjoint(ids(page))
    assert "pawsure train DATA" in page.text


@pytest.mark.parametrize("name", ["model.onnx", "catalog.parquet", "recipe.toml"])
def test_any_other_file_may_be_missing_or_damaged(copy, name):
    (copy / name).write_bytes(b"\x00damaged")
    assert not report(copy).problems
    (copy / name).unlink()
    page = report(copy)
    assert not page.problems and ids(page) >= {"summary", "pictures"}


def test_what_is_no_run_is_refused_with_the_way_out(tmp_path, copy):
    with pytest.raises(RunFolderError, match="is not a run folder.*such as runs/mine"):
        write_report(tmp_path)
    (copy / "metrics.json").write_text("{")
    with pytest.raises(RunFolderError, match="can't be read"):
        write_report(copy)
    (copy / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match="is not finished.*--resume"):
        write_report(copy)


def test_data_that_were_named_and_are_not_there_are_an_error(copy):
    with pytest.raises(SourceError):
        write_report(copy, data="no-such-folder")


NASTY = ('<img src=x onerror="alert(1)">', "<script>alert('2') & more")


def test_labels_and_paths_are_text_whatever_they_hold(make_run):
    run = make_run(*NASTY, each=24)
    html = write_report(run).read_text(encoding="utf-8")
    page = Page(html)
    assert not page.problems and not page.all("script")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert not any(key.startswith("on") for _, found in page.elements for key in found)
    assert NASTY[0] in page.text and NASTY[1] in page.text


def test_many_labels_with_long_names(make_run):
    labels = tuple(f"a label that is rather long, number {n:02}" for n in range(14))
    page = report(make_run(*labels, each=12))
    assert not page.problems
    assert all(label in page.text for label in labels)
    assert "Most frequent confusions" in page.text


def test_copies_are_shown_and_a_leak_is_the_first_thing_said(make_run):
    def leak(data: Path) -> None:
        for split in ("train", "val", "test"):
            for label in ("blue", "red"):
                (data / split / label).mkdir(parents=True)
        for label in ("blue", "red"):
            for number, path in enumerate(sorted((data / label).iterdir())):
                split = ("train", "val", "test")[number % 3]
                path.rename(data / split / label / path.name)
            (data / label).rmdir()
        one = next((data / "test" / "blue").iterdir())
        shutil.copy(one, data / "train" / "red" / "copy.png")

    page = report(make_run(change=leak))
    assert "Not reliable yet: 1 of" in page.text
    assert "different labels; one of these is wrong" in page.text
    assert "copy.png" in page.text


def test_pictures_that_could_not_be_read_are_named(make_run):
    page = report(make_run(change=lambda data: (data / "red" / "x.jpg").write_bytes(b"no")))
    assert "red/x.jpg" in page.text and "1 picture could not be read" in page.text


def test_familiarity_and_calibration_where_the_run_has_them(copy):
    change_metrics(copy, trust=TRUST)
    page = report(copy)
    assert "10.0% of 40 other pictures were accepted as a known label (95% CI" in page.text
    assert "Other thresholds" in page.text
    assert "Temperature 1.40" in page.text
    assert "guaranteeing it needs 230 validation pictures" in page.text
    assert "other pictures accepted 10.0%" in page.text


def test_a_run_without_strangers_says_how_to_measure_them(copy):
    trust = TRUST | {"neither": TRUST["neither"] | {"ood": None}}
    change_metrics(copy, trust=trust)
    page = report(copy)
    assert "Not measured:" in page.text and "--neither OTHER_PICTURES" in page.text


def test_what_an_audit_found_is_told(copy):
    change_metrics(copy, audit={"sentences": ["Copies: 3 exact ones."], "flagged": {}})
    page = report(copy)
    assert "Copies: 3 exact ones." in page.text and "pawsure audit" in page.text


def test_the_command_writes_it_and_tells_where(copy):
    result = CliRunner().invoke(app, ["report", str(copy)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(copy / "report.html")
    told = json.loads(CliRunner().invoke(app, ["report", str(copy), "--json"]).stdout)
    assert told == {"report": str(copy / "report.html"), "bytes": told["bytes"]}
    assert CliRunner().invoke(app, ["report", "nowhere"]).exit_code == 2
    assert CliRunner().invoke(app, ["report", str(copy), "--data", "nowhere"]).exit_code == 4


def test_a_heat_map_is_of_what_was_said(run):
    html = write_report(run).read_text(encoding="utf-8")
    assert re.search(
        r'alt="Heat map for (blue|red): warm areas support it, blue areas oppose it"', html
    )


def answers_like(kind: str, label: np.ndarray, num_labels: int) -> np.ndarray:
    """Probabilities of a model that is as odd as they come."""
    if kind == "says nothing":
        return np.full((len(label), num_labels), 1 / num_labels, np.float32)
    shift = {"always right": 0, "always wrong": 1}.get(kind, 0)
    said = np.zeros_like(label) if kind == "always the same" else (label + shift) % num_labels
    return np.eye(num_labels, dtype=np.float32)[said]


@pytest.mark.parametrize("n", [2, 40])
@pytest.mark.parametrize(
    "kind", ["always right", "always wrong", "always the same", "says nothing"]
)
def test_models_that_are_as_odd_as_they_come(copy, kind, n):
    label = np.arange(n) % 2
    probability = answers_like(kind, label, 2)
    figures = measure(probability, label, ["blue", "red"])
    loss = {"loss": 0.6931471805599453, "validation_loss": 0.6931471805599454}
    shares = {"accuracy": 1.0, "validation_accuracy": 1.0}
    history = [{"epoch": 1, "seconds": 0.1, **loss, **shares}]
    fitted = [{"penalty": 10.0**-power, **history[0]} for power in (2, 1)]
    change_metrics(
        copy,
        test=figures,
        stages=[
            {"name": "head", "kept_epoch": 1, "history": fitted},
            {"name": "fine-tune", "kept_epoch": 1, "history": history},
        ],
        trust=TRUST | {"neither": TRUST["neither"] | {"test": [n] + [0] * 19}},
    )
    page = report(copy)
    assert not page.problems
    drawn = [value for name in ("polyline", "polygon") for value in page.all(name)]
    assert not any("nan" in str(each) or "inf" in str(each) for each in drawn)


def _few(n: int) -> dict:
    label = np.arange(n) % 2
    return measure(np.eye(2)[label] * 0.8 + 0.1, label, ["blue", "red"])


CROSSED = {
    "of": "linear probe",
    "folds": 5,
    "num_groups": 60,
    "accuracy_by_fold": [1.0] * 5,
    **{
        name: _few(60)[name]
        for name in ("n", "labels", "accuracy", "confusion_matrix", "per_class")
    },
}


def test_few_test_pictures_are_shown_by_cross_validation(copy):
    change_metrics(copy, test=_few(4), cross_validation=CROSSED)
    page = write_report(copy).read_text()
    assert "accuracy in 5-fold cross-validation of the linear probe (60 training and" in page
    assert "By 5-fold cross-validation of the linear probe" in page
    assert "4 test pictures: too few to measure this" in page
    assert "answered</span>" not in page and "calibration error" not in page


def test_few_test_pictures_are_no_headline(copy):
    change_metrics(copy, test=_few(4))
    page = write_report(copy).read_text()
    assert "Too few test pictures to measure accuracy (4)" in page
    assert "Not measured" in page
    assert "100.0%</span>" not in page


def test_how_answers_fare_as_pictures_change_is_shown_where_it_was_measured(copy):
    assert "robustness" not in ids(report(copy))
    figures = {
        "n": 50,
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "answers": {
            "answered": {"n": 40, "value": 0.8, "low": 0.7, "high": 0.9},
            "error": {"value": 0.025, "low": 0.01, "high": 0.1},
        },
    }
    kinds = {"blurred": {**figures, "strengths": [figures] * 5}}
    answers = {name: figures["answers"] for name in ("clean", "changed")}
    change_metrics(
        copy,
        robustness={"n": 50, "clean": figures, "kinds": kinds},
        trust=TRUST | {"unsure": TRUST["unsure"] | {"answers": answers}},
    )
    page = report(copy)
    assert "robustness" in ids(page)
    assert "blurred" in page.text and "90% 90% 90% 90% 90%" in page.text
    assert "2.50% [1.00%, 10.00%]" in page.text
