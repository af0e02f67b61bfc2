"""The report in a real browser: it opens without a network, filters, and its slider moves."""

import shutil
from typing import Any, Iterator, List

import pytest
from test_report import ODD_NAME, row, write_run

from rembg_beam.pipelines import cli

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page with a report, of which some pictures lie in a folder, some are suspect; what it asked
    for elsewhere, and what went wrong in it."""
    from PIL import Image

    pytest.importorskip("playwright", reason="no playwright: make test-browser installs it")
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")
    folder = tmp_path_factory.mktemp("browser")
    outcomes = []
    for number in range(12):
        name = f"{'bags' if number % 3 else 'shoes'}/{number}.jpg"
        before, after = folder / f"{number}.jpg", folder / f"{number}.png"
        Image.new("RGB", (300, 200), (250, 20 * number, 0)).save(before)
        Image.new("RGBA", (300, 200), (0, 0, 0, 0)).save(after)
        doubts = [["soft", "cut"], ["borders"], []][number % 3]
        more: Any = {"uri": str(before), "outputs": [str(after)], "suspect": doubts}
        outcomes.append(row(name, **more))
    outcomes += [
        row(ODD_NAME),
        row(f"{ODD_NAME}2", "failed", error="TimeoutError", message=ODD_NAME),
    ]
    outcomes.append(row("root.jpg"))
    write_run(folder / "out", outcomes)
    assert cli.main(["report", str(folder / "out"), "--to", str(folder / "r.html")]) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 390, "height": 800}, offline=True)
        page.asked, page.wrong = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda said: page.wrong.append(said.text))
        page.on("dialog", lambda dialog: page.wrong.append(dialog.message))
        page.goto((folder / "r.html").as_uri())
        yield page
        browser.close()


@pytest.fixture
def page(opened: Any) -> Any:
    opened.keyboard.press("Escape")
    return opened


def visible(page: Any) -> List[str]:
    return [str(each) for each in page.locator(".card:visible figcaption b").all_inner_texts()]


def test_it_opens_alone_and_nothing_goes_wrong(page: Any) -> None:
    assert len(visible(page)) == 15
    assert all(url.startswith(("file:", "data:")) for url in page.asked)
    assert page.wrong == []
    assert ODD_NAME.rpartition("/")[2] in visible(page)
    broken = "images => images.filter(image => image.complete && !image.naturalWidth).length"
    page.locator("#pictures").scroll_into_view_if_needed()
    assert page.locator(".card img").evaluate_all(broken) == 0


def test_filters(page: Any) -> None:
    page.select_option("#folder", "shoes")
    assert sorted(visible(page)) == ["0.jpg", "3.jpg", "6.jpg", "9.jpg"]
    page.select_option("#folder", "")
    page.select_option("#reason", "borders")
    assert sorted(visible(page)) == ["1.jpg", "10.jpg", "4.jpg", "7.jpg"]
    page.select_option("#reason", "*")
    assert len(visible(page)) == 8
    page.fill("#text", "SHOES/3")
    assert visible(page) == ["3.jpg"]
    assert page.locator("#count").inner_text() == "1 of 15"
    page.keyboard.press("Escape")
    assert len(visible(page)) == 15


def test_failures_the_root_folder_and_those_at_random(page: Any) -> None:
    page.select_option("#status", "failed")
    assert visible(page) == [f"{ODD_NAME}2".rpartition("/")[2]]
    page.fill("#text", "timeouterror")
    assert len(visible(page)) == 1
    page.fill("#text", "nothing of the kind")
    assert visible(page) == []
    page.keyboard.press("Escape")
    page.select_option("#folder", ".")
    assert visible(page) == ["root.jpg"]
    page.keyboard.press("Escape")
    page.select_option("#group", "worst")
    assert len(visible(page)) == 8
    page.select_option("#group", "random")
    assert len(visible(page)) == 14
    page.keyboard.press("Escape")
    assert len(visible(page)) == 15


def test_the_keyboard_does_it_all(page: Any) -> None:
    page.locator("#count").click()
    page.keyboard.press("/")
    page.keyboard.type("bags/1")
    assert sorted(visible(page)) == ["1.jpg", "10.jpg", "11.jpg"]
    page.keyboard.press("Escape")
    slider = page.locator(".pair input").first
    slider.focus()
    page.keyboard.press("Home")
    assert _edge(page) == "0%"
    page.keyboard.press("ArrowRight")
    assert _edge(page) == "1%"


def test_the_slider_moves_by_pointer(page: Any) -> None:
    pair = page.locator(".pair").first
    pair.scroll_into_view_if_needed()
    box = pair.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert 70 < float(_edge(page).rstrip("%")) < 90


def test_light_and_dark(page: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate(colour) != before
    page.click("#theme")
    assert page.evaluate(colour) == before


def test_nothing_is_wider_than_a_phone(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def _edge(page: Any) -> str:
    return str(page.locator(".pair").first.evaluate("pair => pair.style.getPropertyValue('--x')"))
