"""The pages in a browser, opened from disk: they work, with the keyboard too, and ask no network for anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.web.folder import write_site
from tests.pages import browser, needs_chromium, wait, watched
from tests.reporting.conftest import Bench
from tests.tuning.studies import report_of, tuned_row
from tests.tuning.studies import usual as usual_study
from tests.web.making import epochs, finish, log, site_reader, usual
from tests.web.test_server import running

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    write_site(site_reader(bench, usual(bench)).read(), bench.root.parent / "a report")
    return bench.root.parent / "a report"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser(viewport={"width": 1280, "height": 900}, color_scheme="light") as page:
        page.said = watched(page)
        yield page


@pytest.fixture
def page(chromium: Any) -> Any:
    chromium.goto("about:blank")
    chromium.said.clear()
    return chromium


def rows(page: Any) -> list[str]:
    return [one.text_content() for one in page.query_selector_all("table.results button.open")]


def draw(page: Any) -> None:
    page.eval_on_selector("#curves", "one => one.scrollIntoView()")
    page.wait_for_selector(".drawing[data-drawn] .main-svg", timeout=120_000)


def test_no_page_has_errors_or_asks_a_network(folder: Path, page: Any) -> None:
    pages = [folder / "index.html", folder / "table3.html", *sorted((folder / "runs").iterdir())[:3]]
    for path in pages:
        page.goto(path.as_uri())
        if page.query_selector(".drawing"):
            draw(page)
        assert page.said == [], path


@pytest.mark.parametrize("name", ["index.html", "table3.html"])
def test_a_phone_scrolls_no_page_sideways(folder: Path, page: Any, name: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto((folder / name).as_uri())
    if name == "table3.html":
        draw(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.query_selector(".scroll:has(table.results)")
    assert box.evaluate("one => one.scrollWidth > one.clientWidth")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_columns_sort_up_down_and_back(folder: Path, page: Any) -> None:
    page.goto((folder / "index.html").as_uri())
    head = page.query_selector("th:has(> button[data-by='mIoU'])")
    order = rows(page)

    def press() -> tuple[str, list[str]]:
        page.focus("button[data-by='mIoU']")
        page.keyboard.press("Enter")
        return head.get_attribute("aria-sort"), rows(page)

    direction, found = press()
    assert (direction, found[0]) == ("descending", "one-region-gaussian")
    # Rows without a number are last in both directions.
    assert found[-2:] == ["rand-patch-vector", "rand-region-gaussian"]
    direction, found = press()
    assert (direction, found[2]) == ("ascending", "one-region-gaussian")
    assert found[-2:] == ["rand-patch-vector", "rand-region-gaussian"]
    assert press() == ("none", order)


def test_a_row_shows_its_seeds_which_lead_to_their_runs(folder: Path, page: Any) -> None:
    page.goto((folder / "index.html").as_uri())
    button = page.query_selector("#open-table3-one-patch-gaussian")
    seed = page.query_selector("#table3-one-patch-gaussian-1")
    assert not seed.is_visible()
    button.focus()
    page.keyboard.press("Space")
    assert button.get_attribute("aria-expanded") == "true"
    assert seed.is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*.html")
    assert page.text_content("h1") == "table3/one-patch-gaussian seed 0"
    assert page.said == []


def test_columns_can_be_hidden(folder: Path, page: Any) -> None:
    page.goto((folder / "index.html").as_uri())
    published, difference = (page.query_selector(f"td.{name}") for name in ("published", "difference"))
    # Numbers of this profile do not compare with those published.
    assert (published.is_visible(), difference.is_visible()) == (True, False)
    page.click("text=measured less published")
    page.uncheck("#show-table3-published")
    assert (published.is_visible(), difference.is_visible()) == (False, True)


def test_the_theme_follows_the_system_until_one_is_chosen(folder: Path, page: Any) -> None:
    def paper() -> str:
        found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    page.goto((folder / "index.html").as_uri())
    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light != dark
    page.select_option("#theme", "light")
    assert paper() == light
    # Other pages remember it.
    page.click("nav >> text=table3")
    page.wait_for_url("**/table3.html")
    assert (paper(), page.input_value("#theme")) == (light, "light")
    page.select_option("#theme", "")
    assert paper() == dark
    page.emulate_media(color_scheme="light")


CONTRAST = """
one => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (text) => {
    const [r, g, b] = channels(text).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => getComputedStyle(element).backgroundColor;
  let behind = one;
  while (behind !== document.body && channels(paper(behind))[3] === 0) behind = behind.parentElement;
  const [text, back] = [light(getComputedStyle(one).color), light(paper(behind))];
  return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
}
"""


def contrast(page: Any, selector: str) -> float:
    """Of a text with the background that it stands on (WCAG 2)."""
    found: float = page.eval_on_selector(selector, CONTRAST)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out(folder: Path, page: Any, theme: str) -> None:
    page.goto((folder / "table3.html").as_uri())
    page.select_option("#theme", theme)
    texts = ["body", "h1", "header a", ".theme", ".note", ".note code", "td small", "td .good", "td.missing", ".seed a",
             "pre", "button", "figcaption", "td .dim", "nav .dim, nav.dim a", "td.published"]  # fmt: skip
    assert {text: found for text in texts if (found := contrast(page, text)) < 4.5} == {}


def test_figures_are_drawn_when_they_come_into_view_and_choices_redraw_them(folder: Path, page: Any) -> None:
    page.goto((folder / "table3.html").as_uri())
    assert page.evaluate("window.Plotly === undefined")
    draw(page)
    legend = ".drawing .legendtext"
    assert page.eval_on_selector_all(legend, "all => all.map(one => one.textContent)") == [
        "one-patch-vector", "one-patch-gaussian", "one-region-gaussian",
    ]  # fmt: skip
    page.select_option("#choice-rows", "")
    wait(page, f"document.querySelectorAll('{legend}').length === 5")
    page.select_option("#choice-metric", "aErr")
    wait(page, "document.querySelector('.drawing .ytitle').textContent.startsWith('aErr')")
    assert page.said == []


def test_the_divider_moves_by_keyboard_and_pointer(folder: Path, page: Any) -> None:
    page.goto((folder / "table3.html").as_uri())
    page.eval_on_selector("#pictures", "one => one.scrollIntoView()")
    pair = page.query_selector(".pair")
    left, right = pair.query_selector_all("img")
    assert left.get_attribute("src") != right.get_attribute("src")
    assert all(one.evaluate("one => one.complete && one.naturalWidth > 0") for one in (left, right))
    assert left.get_attribute("alt") == "image 0, semantic, one-patch-vector"

    def cut() -> str:
        found: str = right.evaluate("one => getComputedStyle(one).clipPath")
        return found

    page.focus("#pictures-divider")
    page.keyboard.press("Home")
    assert cut() == "inset(0px 0px 0px 0%)"
    page.keyboard.press("ArrowRight")
    assert cut() == "inset(0px 0px 0px 1%)"
    box = pair.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 10)
    page.mouse.up()
    assert cut() == "inset(0px 0px 0px 75%)"
    page.select_option("#pictures-right", "one-patch-vector")
    assert left.get_attribute("src") == right.get_attribute("src")


def test_the_page_is_reached_with_tab_alone(folder: Path, page: Any) -> None:
    page.goto((folder / "table3.html").as_uri())
    seen: list[str] = []
    for _ in range(400):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if seen[-1] == "pictures-divider":
            break
    assert seen[0] == "Skip to the content"
    assert {"theme", "show-table3-gain", "open-table3-one-patch-vector", "choice-metric", "pictures-divider"} <= set(
        seen
    )


def test_a_live_page_takes_what_is_new_and_keeps_what_its_reader_did(bench: Bench, page: Any) -> None:
    runs = usual(bench)
    with running(site_reader(bench, runs, live=True)) as server:
        page.goto(f"{server.address}table3.html")
        page.said.clear()
        wait(page, "document.getElementById('live').textContent === 'live'")
        page.click("#open-table3-one-patch-gaussian")
        page.click("button[data-by='mIoU']")
        page.select_option("#choice-metric", "mErr")
        assert "12 of 15 runs are done" in page.text_content("#runs")
        finish(bench, runs[10], 2.0)
        log(bench, runs[13], epochs(2.0, 3))
        wait(page, "document.getElementById('runs').textContent.includes('13 of 15 runs are done')")
        assert page.query_selector("#table3-one-patch-gaussian-1").is_visible()
        assert rows(page)[0] == "one-region-gaussian"
        assert page.input_value("#choice-metric") == "mErr"
        assert not [one for one in page.said if not one.startswith(server.address)]
        page.context.set_offline(True)
        wait(page, "document.getElementById('live').textContent.startsWith('not live')")
        page.context.set_offline(False)


def test_the_page_of_a_study_stands_in_the_same_frame(tmp_path: Path, page: Any) -> None:
    from rdc_sweeps.tuning.figures import draw_figures
    from rdc_sweeps.tuning.study_html import write_html

    tuned = tuned_row(tmp_path, title="An example & <more>")
    report = report_of(tuned, usual_study(tuned), tmp_path / "runs")
    write_html(report, draw_figures(report.summary, tuned.spec.space), tmp_path / "report.html")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((tmp_path / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.select_option("#theme", "dark")
    assert contrast(page, "tr.best th") >= 4.5
    assert contrast(page, ".note") >= 4.5
    assert page.said == []


def test_what_a_page_should_not_do_would_be_seen(tmp_path: Path, page: Any) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/picture.png"><script>thereIsNoSuchFunction()</script>')
    page.goto(bad.as_uri())
    assert any("thereIsNoSuchFunction" in one for one in page.said)
    assert "http://127.0.0.1:9/picture.png" in page.said
