"""The folder in Chromium, from a plain server of files: what people get, against the predictor."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_pictures import drawn, jpegs, lossless
from drawn_pictures import encoded

import pawsure
from pawsure.data import images
from pawsure.data.catalog import build_catalog
from pawsure.errors import UsageError
from pawsure.export.browser.export import export_browser
from pawsure.export.browser.runtime import find_runtime
from pawsure.model.predictor import Predictor

pytestmark = pytest.mark.browser

selenium = pytest.importorskip("selenium")
from chromium import chromium  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
PETS = {"weights": "pets"}  # on board
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page over a model trained on drawn pictures, with pictures beside it."""
    folder = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(folder / "cache"))
        try:
            runtime = find_runtime()
        except UsageError as exc:
            pytest.skip(f"ONNX Runtime Web is not to be had: {exc}")
        run = pawsure.train("sample", recipe="fast", out=folder / "run", overrides=PETS)
        pictures = build_catalog("sample")
        out = folder / "site"
        result = export_browser(run.model_file, out, catalog=pictures, runtime=runtime)
    assert result.agreement.changed == 0
    assert result.agreement.max_difference < 1e-3
    (out / "pictures").mkdir()
    for name, data in (lossless() | jpegs()).items():
        (out / "pictures" / name).write_bytes(data)
    return out


class Handler(SimpleHTTPRequestHandler):
    """As `python -m http.server`, but quiet, and with headers if asked to."""

    extra: dict[str, str] = {}

    def end_headers(self) -> None:
        for name, value in self.extra.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        with suppress(ConnectionError):  # the browser no longer wants it
            super().copyfile(source, outputfile)


@pytest.fixture
def serve(site: Path) -> Iterator[Callable[..., str]]:
    servers = []

    def start(**headers: str) -> str:
        handler = type("Handler", (Handler,), {"extra": headers})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(downloads=tmp_path_factory.mktemp("downloads")) as browser:
        browser.set_script_timeout(120)
        yield browser


class Page:
    """What a person does with the page, and sees."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.until(lambda: self.state() in ("ready", "failed"))

    def state(self) -> str | None:
        return self.find("#engine").get_attribute("data-state")

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def script(self, code: str, *values: object) -> Any:
        return self.browser.execute_script(code, *values)

    def promise(self, code: str, *values: object) -> Any:
        """What an async function of `code`, given `values`, comes to."""
        found = self.browser.execute_async_script(
            "const [code, values, done] = arguments;"
            "new (async () => {}).constructor('values', code)(values)"
            ".then((value) => done({ value }), (error) => done({ error: String(error) }));",
            code,
            list(values),
        )
        assert "error" not in found, found
        return found["value"]

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(1200):
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"not within a minute; the page says: {self.find('body').text}")

    def choose(self, *files: Path) -> None:
        before = len(self.all(".card"))
        self.find("#files").send_keys("\n".join(map(str, files)))
        self.until(lambda: len(self.all(".card")) == before + len(files))
        self.until(lambda: not self.all(".card.waiting"))

    def answers(self) -> dict[str, dict[str, str]]:
        """The rows that the page saves, by path."""
        saved = self.browser.downloads / "answers.csv"
        saved.unlink(missing_ok=True)
        self.find("#csv").click()
        self.until(saved.exists)
        return {row["path"]: row for row in csv.DictReader(io.StringIO(saved.read_text()))}


@pytest.fixture
def page(browser: webdriver.Chrome, serve: Callable[..., str]) -> Iterator[Page]:
    browser.get_log("browser")
    page = Page(browser, serve())
    assert page.state() == "ready"
    yield page
    assert not browser.get_log("browser")


READ = """
const [name, size] = values;
const { read } = await import(new URL("way_in.js", location.href).href);
return Array.from(await read(await (await fetch(`pictures/${name}`)).blob(), size));"""


def differences(page: Page, site: Path, names: list[str], size_px: int) -> dict[str, np.ndarray]:
    """By how many levels of 255 the page's pixels differ from Python's."""
    found = {}
    for name in names:
        pixels = np.array(page.promise(READ, name, size_px)).reshape(size_px, size_px, 3)
        ours = images.read(site / "pictures" / name, size_px=size_px)
        found[name] = np.abs(pixels - ours.astype(int))
    return found


@pytest.mark.parametrize("size_px", [128, 224])
def test_lossless_pictures_come_in_as_they_do_in_python(page, site, size_px):
    """Equal, but for one level where Pillow resizes columns first, and in 16 bits."""
    found = differences(page, site, list(lossless()), size_px)
    assert {name: each.max() for name, each in found.items() if each.max() > 1} == {}
    assert sum(each.max() == 0 for each in found.values()) >= len(found) - 3


@pytest.mark.parametrize("size_px", [128, 224])
def test_jpegs_come_in_nearly_as_they_do_in_python(page, site, size_px):
    """Python decodes large ones at a part of their size, where colours, stored at half of it,
    need no enlarging; the browser enlarges them, and means over squares follow."""
    found = differences(page, site, list(jpegs()), size_px)
    assert {name: each.mean() for name, each in found.items() if each.mean() > 0.6} == {}
    assert max(each.max() for each in found.values()) <= 16
    assert found["small.jpg"].max() <= 1


def test_a_browser_that_changes_what_pages_read_is_found_out(page):
    change = """
    const prototype = OffscreenCanvasRenderingContext2D.prototype;
    const original = prototype.getImageData;
    prototype.getImageData = function (...box) {
      const image = original.apply(this, box);
      image.data.forEach((_, at) => (image.data[at] = Math.random() * 256));
      return image;
    };
    const { read } = await import(new URL("way_in.js", location.href).href);
    const file = await (await fetch("pictures/small.png")).blob();
    return read(file, 128).then(() => "read", (error) => error.message);"""
    assert "changes the pixels that pages read" in page.promise(change)


def test_answers_are_those_of_the_predictor(page, site):
    predictor = Predictor(site / "model.onnx")
    names = [*lossless(), *jpegs()]
    files = [site / "pictures" / name for name in names]
    page.choose(*files)
    answers = page.answers()
    gaps = {".jpg": 0.0, "lossless": 0.0}
    for file in files:
        expected, found = predictor(file), answers[file.name]
        kind = file.suffix if file.suffix == ".jpg" else "lossless"
        gap = max(
            abs(float(found[f"probability_{label}"]) - probability)
            for label, probability in expected.probabilities.items()
        )
        if expected.familiarity is not None:
            gap = max(gap, abs(float(found["familiarity"]) - expected.familiarity))
        gaps[kind] = max(gaps[kind], gap)
        if kind == "lossless" or gap < 0.001:
            assert (found["answer"], found["label"]) == (expected.answer, expected.label), file
    print(f"largest difference of a probability or a familiarity: {gaps}")
    assert gaps["lossless"] <= 0.01
    assert gaps[".jpg"] <= 0.1


def test_a_card_says_all_there_is(page, site):
    assert page.find("#title").text == "Cat or dog?"
    page.choose(site / "pictures" / "drawn-0.png")
    assert page.find(".card .facts").text.endswith(" ms")
    assert len(page.all(".card .bars .percent")) == 2
    if Predictor(site / "model.onnx")(site / "pictures" / "drawn-0.png").familiarity is not None:
        assert page.find(".card .facts").text.startswith("familiarity ")
    assert "Nothing is uploaded" in page.find("header").text


def test_the_heat_map_is_pressed_by_keyboard_and_leaves_the_picture_as_it_is(page, site):
    page.choose(site / "pictures" / "drawn-0.png")
    picture = page.find(".picture")
    picture.send_keys(Keys.ENTER)
    page.script("document.getAnimations().forEach((animation) => animation.finish())")
    assert picture.get_attribute("aria-pressed") == "true"
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert page.script(style, ".heat", "opacity") == "1"
    assert page.script(style, ".picture img", "filter") == "none"
    drawn_alpha = page.script(
        "const canvas = document.querySelector('.heat');"
        "const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "return Math.max(...data.filter((_, at) => at % 4 === 3))"
    )
    assert drawn_alpha > 20


def test_a_file_that_is_no_picture_says_so_and_the_rest_is_answered(page, site, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(jpegs()["small.jpg"][:100])
    (tmp_path / "empty.png").write_bytes(b"")
    page.choose(tmp_path / "broken.jpg", tmp_path / "empty.png", site / "pictures" / "small.png")
    why = [card.text for card in page.all(".card.failed .why")]
    assert len(why) == 2
    assert why[0].startswith("It can't be read")
    assert why[1] == "The file is empty."
    assert len(page.all(".card:not(.failed) .bars dt")) == 2


def test_after_loading_no_network_is_needed(browser, serve, site):
    page = Page(browser, serve())
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        page.choose(*[site / "pictures" / f"drawn-{seed}.jpg" for seed in range(3)])
        assert not page.all(".card.failed")
    finally:
        online = offline | {"offline": False}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", online)
        browser.execute_cdp_cmd("Network.disable", {})


def test_nothing_is_asked_of_any_other_host(page, site):
    page.choose(site / "pictures" / "drawn-0.png")
    asked = page.script("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert asked
    origin = page.script("return location.origin")
    assert all(name.startswith((origin, f"blob:{origin}")) for name in asked)


def test_the_policy_binds_the_page_and_the_worker(browser, serve):
    page = Page(browser, serve())
    other = serve()  # another port, so another origin, and one that would answer
    ask = "fetch(`${other}/model.json`, {mode: 'no-cors'}).then(() => 'sent', () => 'refused')"
    assert page.promise(f"const [other] = values; return {ask}", other) == "refused"
    worker = """
    const [code] = values;
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    return new Promise((said) => {
      new Worker(address, { type: "module" }).onmessage = ({ data }) => said(data);
    });"""
    code = f"const other = {json.dumps(other)}; {ask}.then((said) => postMessage(said));"
    assert page.promise(worker, code) == "refused"
    starts = page.promise("return (await fetch('api.js')).text()")
    assert "new Worker(address" in starts  # the way that was tried here


def test_threads_are_used_where_the_server_allows_them(browser, serve, site):
    page = Page(browser, serve(**ISOLATED))
    assert page.state() == "ready", page.find("#engine").text
    assert page.script("return crossOriginIsolated")
    page.choose(site / "pictures" / "drawn-1.png")
    expected = Predictor(site / "model.onnx")(site / "pictures" / "drawn-1.png")
    assert float(page.answers()["drawn-1.png"]["probability"]) == pytest.approx(
        expected.probability, abs=0.01
    )


def test_what_is_missing_is_said(browser, serve, site, tmp_path):
    told = json.loads((site / "model.json").read_text())
    broken = tmp_path / "site"
    shutil.copytree(site, broken, ignore=shutil.ignore_patterns("pictures", "model.onnx"))
    assert told["files"]["model.onnx"] > 0
    handler = partial(Handler, directory=str(broken))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = Page(browser, f"http://127.0.0.1:{server.server_port}")
        assert page.state() == "failed"
        assert "model.onnx is not there (status 404)" in page.find("#engine").text
        page.choose(site / "pictures" / "small.png")
        assert "model.onnx is not there" in page.find(".card.failed .why").text
        server.shutdown()


def test_opened_from_disk_it_says_what_to_do(browser, site):
    browser.get((site / "index.html").as_uri())
    stuck = browser.find_element(By.CSS_SELECTOR, ".stuck")
    browser.execute_script("document.getAnimations().forEach((each) => each.finish())")
    assert stuck.is_displayed()
    assert "python -m http.server" in stuck.text
    browser.get("about:blank")
    browser.get_log("browser")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a_phone(page, site, scheme, tmp_path):
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        long = tmp_path / f"{'a-long-name-' * 12}.png"
        long.write_bytes(encoded(drawn(2, 200, 150), "PNG"))
        page.choose(long, *[site / "pictures" / f"drawn-{seed}.png" for seed in range(4)])
        page.script("document.querySelectorAll('.picture')[1].click()")
        width = "return document.documentElement.scrollWidth"
        assert page.script(width) == PHONE["width"]
        ground = page.script("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(246, 244, 239)") == (scheme == "light")
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
