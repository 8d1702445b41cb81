"""The page in a real browser: every way in, every kind of answer, and no mouse."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image
from served_colours import picture

pytestmark = pytest.mark.browser

selenium = pytest.importorskip("selenium")
from chromium import chromium  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402


class Page:
    """What a person does with the page, and sees."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser = browser
        browser.get(address)
        self.until(lambda: "?" in self.text("#title"))

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def script(self, code: str, *values: object) -> object:
        return self.browser.execute_script(code, *values)

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(200):
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"not within 10 seconds; the page says: {self.text('body')}")

    def choose(self, *files: Path) -> None:
        before = len(self.all(".card"))
        self.find("#files").send_keys("\n".join(map(str, files)))
        self.until(lambda: len(self.all(".card")) == before + len(files))
        self.settle()

    def settle(self) -> None:
        self.until(lambda: self.all(".card") and not self.all(".card.waiting"))

    def headlines(self) -> list[str]:
        return [card.text for card in self.all(".card .answer strong")]

    def heat(self) -> float:
        self.script("document.getAnimations().forEach((animation) => animation.finish())")
        return float(
            self.script("return getComputedStyle(document.querySelector('.heat')).opacity")
        )

    def complaints(self) -> list[str]:
        """What the browser's console says, but for answers that are refusals."""
        log = self.browser.get_log("browser")
        return [entry["message"] for entry in log if "with a status of" not in entry["message"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(downloads=tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> Iterator[Page]:
    page = Page(browser, address)
    yield page
    assert not page.complaints()


def test_pictures_are_chosen_and_answered(page, folder_of_pictures):
    assert page.text("#title") == "Blue or red?"
    page.choose(folder_of_pictures / "red.png", folder_of_pictures / "blue.png")
    assert page.headlines() == ["Red", "Blue"]
    assert "almost certain" in page.text(".card")
    page.until(lambda: page.text("#summary") == "2 pictures: 1 red, 1 blue")


def test_unsure_and_neither_are_explained_in_a_sentence(page, folder_of_pictures):
    page.choose(folder_of_pictures / "unsure.png", folder_of_pictures / "neither.png")
    assert page.headlines() == ["Unsure", "Neither"]
    unsure, neither = (card.text for card in page.all(".card .why"))
    assert unsure == "Blue 50%, red 50%: too close to call."
    assert neither.startswith("Looks like ")
    assert "unlike the pictures this model was trained on" in neither


def test_a_file_that_is_no_picture_says_so_and_the_rest_is_answered(page, folder_of_pictures):
    page.choose(folder_of_pictures / "broken.jpg", folder_of_pictures / "red.png")
    assert page.headlines() == ["No answer", "Red"]
    assert "can't be read" in page.text(".card.failed .why")
    assert not page.find(".card.failed .again").is_displayed()


PUT = """
const [kind, data, target, done] = arguments;
const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "put.png", { type: "image/png" }));
const options = { bubbles: true, cancelable: true };
document.querySelector(target).dispatchEvent(
  kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
    : new DragEvent(kind, { ...options, dataTransfer: transfer }));
"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(page, kind):
    page.script(PUT, kind, base64.b64encode(picture("blue", "PNG")).decode(), "body")
    page.until(lambda: page.all(".card"))
    page.settle()
    assert page.headlines() == ["Blue"]
    assert page.text(".card .name") == "put.png"


def test_the_heat_map_shows_where_and_lines_up_with_the_picture(page, tmp_path):
    half = Image.new("RGB", (400, 300), "black")
    half.paste("red", (200, 0, 400, 300))
    half.save(tmp_path / "half.png")
    page.choose(tmp_path / "half.png")
    assert page.heat() == 0
    page.find(".picture").click()
    assert page.find(".picture").get_attribute("aria-pressed") == "true"
    assert page.heat() == 1
    brightness = """
    const canvas = document.querySelector(".heat");
    const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
    return [0.1, 0.9].map((part) => row[4 * Math.round(part * canvas.width) + 3]);"""
    left, right = page.script(brightness)
    assert right > 2 * left
    shape = "const c = document.querySelector('.heat'); return c.width / c.height"
    assert page.script(shape) == pytest.approx(4 / 3, rel=0.02)


def test_everything_works_with_the_keyboard_alone(page, folder_of_pictures):
    page.choose(folder_of_pictures / "red.png", folder_of_pictures / "blue.png")
    page.script("document.activeElement.blur()")
    reached = {}
    focused = page.find("body")
    for _ in range(30):
        focused.send_keys(Keys.TAB)
        focused = page.browser.switch_to.active_element
        name = focused.get_attribute("id") or focused.get_attribute("class")
        reached.setdefault(name, focused)
        outline = page.script("return getComputedStyle(arguments[0]).outlineStyle", focused)
        assert outline != "none", name
        if name == "remove":
            break
    assert {"skip", "choose", "heat-all", "csv", "clear", "picture", "remove"} <= set(reached)
    reached["heat-all"].send_keys(Keys.ENTER)
    assert [p.get_attribute("aria-pressed") for p in page.all(".picture")] == ["true", "true"]
    reached["picture"].send_keys(Keys.SPACE)
    assert page.all(".picture")[0].get_attribute("aria-pressed") == "false"
    reached["remove"].send_keys(Keys.ENTER)
    page.until(lambda: page.headlines() == ["Blue"])
    assert page.browser.switch_to.active_element.get_attribute("aria-label") == "Remove blue.png"
    page.find("#clear").send_keys(Keys.ENTER)
    page.until(lambda: not page.all(".card"))
    assert page.browser.switch_to.active_element.get_attribute("id") == "choose"


def test_a_screen_reader_is_told(page, folder_of_pictures):
    page.choose(folder_of_pictures / "red.png")
    assert page.find("#summary").aria_role == "status"
    assert page.find(".picture").accessible_name.startswith("Heat map of red.png")
    assert page.find("#results").accessible_name == "Results"
    unnamed = [
        button.get_attribute("outerHTML")
        for button in page.all("button")
        if button.is_displayed() and not button.accessible_name
    ]
    assert not unnamed


def test_the_results_are_saved_as_csv(page, folder_of_pictures):
    formula = folder_of_pictures / "=1+1.png"
    shutil.copy(folder_of_pictures / "red.png", formula)
    page.choose(formula, folder_of_pictures / "neither.png", folder_of_pictures / "broken.jpg")
    page.find("#csv").click()
    saved = page.browser.downloads / "answers.csv"
    page.until(saved.exists)
    rows = list(csv.DictReader(io.StringIO(saved.read_text())))
    assert [row["answer"] for row in rows] == ["red", "neither", ""]
    assert rows[0]["path"] == "'=1+1.png"
    assert float(rows[0]["probability_red"]) > 0.9
    assert "can't be read" in rows[2]["error"]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (1280, 900)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_at_any_width(page, folder_of_pictures, width, height, scheme):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 1000}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})
    try:
        page.choose(*sorted(folder_of_pictures.iterdir()))
        beyond = """
        return [...document.querySelectorAll("body *")].filter((element) => {
          const box = element.getBoundingClientRect();
          return box.width && (box.right > innerWidth + 1 || box.left < -1)
            && !element.closest(".skip");
        }).map((element) => element.outerHTML.slice(0, 120));"""
        assert page.script(beyond) == []
        light = page.script("return getComputedStyle(document.body).backgroundColor")
        assert (light == "rgb(246, 244, 239)") == (scheme == "light")
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_is_asked_of_any_other_host(page, address, folder_of_pictures):
    page.choose(folder_of_pictures / "red.png")
    asked = page.script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert asked
    assert all(name.startswith((address, "blob:" + address)) for name in asked)


def test_scripts_from_elsewhere_do_not_run(browser, address):
    page = Page(browser, address)
    page.script(
        "const s = document.createElement('img'); s.src = 'http://127.0.0.2:9/x.png';"
        "document.body.append(s);"
    )
    page.until(lambda: any("Content Security Policy" in text for text in page.complaints()))


def test_a_token_is_asked_for_once(browser, serve, folder_of_pictures):
    address = serve(token="correct horse")
    browser.get(address)
    page = object.__new__(Page)
    page.browser = browser
    page.until(lambda: page.find("#token-dialog").is_displayed())
    page.find("#token").send_keys("correct horse" + Keys.ENTER)
    page.until(lambda: page.text("#title") == "Blue or red?")
    page.choose(folder_of_pictures / "red.png")
    assert page.headlines() == ["Red"]


def test_a_full_server_is_asked_again(browser, serve, folder_of_pictures):
    address = serve(max_waiting=1, max_pictures=1)
    page = Page(browser, address)
    files = []
    for number in range(8):
        files.append(folder_of_pictures / f"{number}.png")
        shutil.copy(folder_of_pictures / "blue.png", files[-1])
    page.choose(*files)
    assert page.headlines() == ["Blue"] * 8


def test_the_page_for_programs_shows_every_operation(browser, address):
    browser.get(f"{address}/docs")
    page = object.__new__(Page)
    page.browser = browser
    with urlopen(f"{address}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    methods = {"get", "post", "put", "delete"}
    count = sum(len(methods & set(operations)) for operations in paths.values())
    assert count > 10
    page.until(lambda: len(page.all(".operation")) == count)
    assert not page.complaints()
