"""Test the rendered report: on a phone, on a screen, in light and dark mode, and on paper."""

import base64
import datetime as dt
import json
from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By

from monitoring.report import ActionItems, OpenLoad, page
from pipeline.run.message_parts import without_blocked_advice
from tests import browsers
from tests.integration.monitoring import a_month
from warehouse.redaction import sanitize

pytestmark = pytest.mark.machine

PHONE, SCREEN = 360, 1240
LOAD = OpenLoad(
    "1764302401.224466",
    "users",
    "blocked",
    "583 bad rows",
    [("publish:", "make gate ARGS=\"release 1764302401.224466 users --reason '...'\"")],
)
ACTION_ITEMS = ActionItems(
    "see why", [LOAD], [("users", "email_is_an_address", 17, a_month.NOW - dt.timedelta(days=2))]
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Yield a browser with the report of a month."""
    home = tmp_path_factory.mktemp("browser")
    with browsers.opened(home) as browser:
        browser.get(written(home / "nights.html", a_month.record()))
        yield browser


def written(file, history):
    """Write the report of a history, and return its address."""
    text = page(
        history,
        ACTION_ITEMS,
        zone=dt.UTC,
        zone_name="UTC",
        stale_after=dt.timedelta(hours=26),
        sanitize=sanitize,
        without_blocked_advice=without_blocked_advice,
        recommendations=a_month.recommendations(),
    )
    file.write_text(text, "utf-8")
    return file.as_uri()


def view(browser, width, scheme="light", media="screen"):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def colours(browser):
    """Return the rendered colours of the page, the text, the bars and the labels of a chart."""
    return browser.execute_script("""
        const painted = (element, what) => getComputedStyle(element)[what];
        const chart = document.querySelector('#cost ~ .cards .chart');
        const bar = [...chart.querySelectorAll('path')].find(path => path.getAttribute('fill')?.includes('--c1'));
        return [painted(document.body, 'backgroundColor'), painted(document.body, 'color'),
                painted(bar, 'fill'), painted(chart.querySelector('text'), 'fill')];
    """)


def can_be_scrolled_sideways(browser):
    return browser.execute_script(
        "const {scrollWidth, clientWidth} = document.documentElement; return scrollWidth > clientWidth"
    )


def beyond_the_edge(browser):
    """Return the texts that overflow the window or their card."""
    return browser.execute_script("""
        const width = document.documentElement.clientWidth;
        return [...document.querySelectorAll('main *, footer *')].filter(element => {
            const has_text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
            if (!has_text || element.closest('.unseen') || !element.checkVisibility()) return false;
            const {left, right} = element.getBoundingClientRect();
            const card = element.closest('.card, .tiles li, .smalls figure, .verdict')?.getBoundingClientRect();
            return left < 0 || right > width + 0.5 || card && (left < card.left || right > card.right + 0.5);
        }).map(element => element.textContent.trim());
    """)


@pytest.mark.parametrize("width", [PHONE, 768, SCREEN])
def test_no_text_overflows_the_window_or_its_card(browser, width):
    view(browser, width)
    assert not can_be_scrolled_sideways(browser)
    assert beyond_the_edge(browser) == []


def test_the_texts_of_the_charts_can_be_read_on_a_phone(browser):
    view(browser, PHONE)
    texts = browser.find_elements(By.CSS_SELECTOR, ".chart svg text")
    assert len(texts) > 50
    assert {"28 Nov", "marts.listen_history", "1,173 read", "8 quarantined, 47 blocked"} <= {
        text.text for text in texts
    }
    assert min(text.rect["height"] for text in texts if text.text) >= 10


def test_light_and_dark_mode_differ_and_are_both_readable(browser):
    view(browser, SCREEN, "light")
    light = colours(browser)
    view(browser, SCREEN, "dark")
    dark = colours(browser)
    assert all(one != other for one, other in zip(light, dark, strict=True)), (light, dark)
    for page_, text, bar, label in (light, dark):
        assert contrast(page_, text) > 7 and contrast(page_, label) > 4.5 and contrast(page_, bar) > 3


def contrast(one, other):
    """Return the WCAG contrast ratio of two `rgb(...)` colours."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_print_version_is_light_unfolded_and_cuts_no_chart(browser):
    view(browser, SCREEN, "light")
    light = colours(browser)
    view(browser, 700, "dark", "print")  # about A4
    assert colours(browser)[1:] == light[1:]
    shown = browser.execute_script(
        "return [...document.querySelectorAll('details tr')].map(row => row.checkVisibility())"
    )
    assert shown == [True] * (len(a_month.SIZES) + 1)
    assert not can_be_scrolled_sideways(browser)
    assert beyond_the_edge(browser) == []
    sheet = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    printed = base64.b64decode(sheet["data"])
    assert 3 <= printed.count(b"/Type /Page\n") <= 8


def test_each_chart_has_a_text_and_each_night_its_outcome(browser):
    view(browser, SCREEN)
    charts = browser.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) >= 15
    assert all(chart.get_attribute("role") == "img" and chart.get_attribute("aria-label") for chart in charts)
    cells = browser.find_elements(By.CSS_SELECTOR, ".strip li")
    assert len(cells) == 30
    shown = [cell.find_element(By.TAG_NAME, "a").get_attribute("title") for cell in cells]
    assert shown[-1].startswith("Sat 28 Nov 2026, 02:20: blocked, exit code 4: blocked with a long sentence")
    assert shown[a_month.WITHOUT_A_NIGHT[0]] == "Sat 7 Nov 2026: no night"
    signs = {cell.get_attribute("class"): cell.find_element(By.TAG_NAME, "b").text for cell in cells}
    assert len(set(signs.values())) == len(signs) == 5, "a sign of its own beside each colour"


def test_a_click_on_a_night_shows_it_in_the_timeline(browser):
    view(browser, PHONE)
    browser.find_element(By.CSS_SELECTOR, ".strip li.failed a").click()
    night = browser.find_element(By.CSS_SELECTOR, ".timeline li:target")
    assert night.is_displayed() and "failed with a long sentence" in night.text


def test_the_timeline_holds_nights_decisions_and_other_runs(browser):
    view(browser, SCREEN)
    entries = [entry.text for entry in browser.find_elements(By.CSS_SELECTOR, ".timeline li")]
    assert len(entries) == 28 + 3
    assert [entry.split()[1] for entry in entries[:7]] == [
        *("blocked", "succeeded", "failed", "succeeded", "succeeded"),
        *("erase", "succeeded"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_far_from_usual_is_marked_in_readable_colours_and_in_words(browser, scheme):
    view(browser, SCREEN, scheme)
    marked = browser.find_elements(By.CSS_SELECTOR, ".timeline mark")
    assert [mark.text for mark in marked] == ["▲ 733 (usually 9)", "▲ 731 (usually 3)"]
    for mark in (*marked, *browser.find_elements(By.CSS_SELECTOR, ".badge")):
        painted = "return ['color', 'backgroundColor'].map(name => getComputedStyle(arguments[0])[name])"
        assert contrast(*browser.execute_script(painted, mark)) > 4.5, mark.text


def test_the_recommendations_are_charted_beside_popularity(browser):
    view(browser, SCREEN)
    section = browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=recommendations]")
    assert "Readers see release 29, made Fri 27 Nov 2026, 08:20 for 1,086 users." in section.text
    assert "Champion of discover: neighbours, version 12" in section.text
    assert "No listens have been compared with a release yet." in section.text
    (chart,) = section.find_elements(By.CSS_SELECTOR, ".chart[aria-label^='NDCG@10 of discover']")
    label = chart.get_attribute("aria-label")
    assert "on 7 days: 0.100 on the newest, popularity 0.190, interval 0.070 to 0.130" in label
    dots = chart.find_elements(By.CSS_SELECTOR, "path[aria-roledescription], .mark-symbol path")
    assert len([dot for dot in dots if "--c1" in dot.get_attribute("fill")]) == 7


def test_the_times_of_two_nights_of_one_minute_do_not_overlap(browser, tmp_path):
    history, shown = a_month.record(), browser.current_window_handle
    *nights, newest = history.nights
    twins = [replace(newest, started_at=newest.started_at + dt.timedelta(seconds=10 * n)) for n in (0, 1, 2)]
    browser.switch_to.new_window("tab")
    browser.get(written(tmp_path / "twins.html", replace(history, nights=[*nights, *twins])))
    view(browser, PHONE)
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.strip .time')].map(time => [time.scrollWidth, time.clientWidth])"
    )
    browser.close()
    browser.switch_to.window(shown)
    assert len(widths) == 3 and all(text <= cell for text, cell in widths), widths


def test_the_console_has_no_errors_and_nothing_is_fetched(browser):
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    page_ = browser.current_url.partition("#")[0]
    # the browser's start page makes many requests
    assert [request["request"]["url"] for request in asked if request["documentURL"] == page_] == [page_]
