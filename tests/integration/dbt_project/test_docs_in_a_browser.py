"""The dbt docs in a real browser, served by the server that `make docs-serve` starts."""

import json
import os
import re
import threading
from unittest import mock

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pipeline.operations import docs
from tests import browsers
from tests.databases import database_copy
from warehouse import database

pytestmark = pytest.mark.machine

WAIT_SECONDS = 30
LAYER_MODELS = (
    ("staging", "stg_moovitamix__users"),
    ("intermediate", "int_listens"),
    ("marts", "listen_history"),
    ("features", "user_profile.v1"),
)
PAGES = {
    "": "The MooVitamix warehouse",
    "#!/model/model.moovitamix.users": "users",
    "#!/source/source.moovitamix.gate.loads": "gate.loads",
    "#!/exposure/exposure.moovitamix.genre_recommender": "Genre recommender",
}


@pytest.fixture(scope="module")
def address(postgres_url, built_template):
    """Serve the docs of a small warehouse and return their address."""
    with database_copy(postgres_url, built_template, "documented") as url, docs.server(0) as server:
        with mock.patch.dict(os.environ):
            docs.make(database.find(url, "test"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{docs.HOST}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.opened(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def overview(browser, address):
    """Return the browser with the first page of the docs open."""
    browser.get("about:blank")  # otherwise the browser would only scroll the open page
    for log in ("browser", "performance"):
        browser.get_log(log)  # reading a log empties it
    open_page(browser, address, PAGES[""])
    return browser


def until(browser, condition):
    """Wait until the condition is truthy, and return its value."""
    return WebDriverWait(browser, WAIT_SECONDS, poll_frequency=0.1).until(lambda _: condition())


def heading(browser):
    return browser.execute_script("return document.querySelector('.app-body h1')?.innerText.trim() ?? ''")


def open_page(browser, target, title):
    browser.get(target)
    until(browser, lambda: heading(browser).startswith(title))


def colours_drawn(browser):
    """Return the colours of the lineage graph: number of pixels per `#rrggbb`."""
    return browser.execute_script("""
        const pixels = {};
        for (const canvas of document.querySelectorAll('canvas')) {
            if (!canvas.width || !canvas.height) continue;
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] < 255) continue;
                const colour = '#' + [0, 1, 2].map(i => data[at + i].toString(16).padStart(2, '0')).join('');
                pixels[colour] = (pixels[colour] || 0) + 1;
            }
        }
        return pixels;
    """)


def is_near(colour, other):
    """Return whether the colours differ by no more than an antialiased edge."""
    return all(abs(int(colour[at : at + 2], 16) - int(other[at : at + 2], 16)) <= 10 for at in (1, 3, 5))


def test_the_overview_links_each_table_to_its_page(overview):
    links = overview.find_elements(By.CSS_SELECTOR, ".app-body td a")
    targets = {link.text: link.get_attribute("href") for link in links if link.text}
    assert len(targets) == 16
    for table, target in targets.items():
        _, name = table.split(".")
        open_page(overview, target, f"{name} ")


def test_the_search_finds_a_column_and_a_click_shows_its_description(overview):
    overview.find_element(By.ID, "search").send_keys("listened_at")
    found = ".search-result[href='#!/model/model.moovitamix.listen_history']"
    until(overview, lambda: overview.find_elements(By.CSS_SELECTOR, found))[0].click()
    until(overview, lambda: heading(overview).startswith("listen_history"))

    rows = overview.find_elements(By.CSS_SELECTOR, "tr.column-row")
    (row,) = [row for row in rows if row.text.startswith("listened_at")]
    row.click()
    unfolded = overview.find_element(By.CSS_SELECTOR, "tr.column-row-selected + tr")
    until(overview, lambda: "latest moment it can have happened" in unfolded.text)


def test_the_whole_text_of_each_column_is_visible_and_a_table_has_its_size_and_age(overview, address):
    open_page(overview, address + "#!/model/model.moovitamix.listen_history", "listen_history")
    (row,) = [
        row for row in overview.find_elements(By.CSS_SELECTOR, "tr.column-row") if row.text.startswith("listened_at")
    ]
    assert "This is the latest moment it can have happened. UTC. Never NULL." in " ".join(row.text.split())
    hidden, height = overview.execute_script(
        "const cell = arguments[0].children[2]; return [cell.scrollWidth - cell.clientWidth, cell.clientHeight]", row
    )
    assert hidden <= 0 and height > 60, "it takes several lines"
    details = " ".join(overview.find_element(By.TAG_NAME, "table-details").text.upper().split())
    assert re.search(r"APPROXIMATE ROWS \d+", details) and re.search(r"NEWEST PUBLICATION \d{4}-", details), details


def test_unit_tests_are_not_in_the_lineage(address):
    page = docs.page().read_text()
    assert "model.moovitamix.listen_history" in page and "unit_test.moovitamix" not in page


def test_the_pages_fit_a_phone(overview, address):
    size = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    overview.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for page, title in PAGES.items():
            open_page(overview, address + page, title)
            left, right, width = overview.execute_script(
                "const {left, right} = document.querySelector('.app-content h1').getBoundingClientRect();"
                " return [left, right, document.documentElement.scrollWidth]"
            )
            assert left >= 0 and right <= 375 and width <= 375, page
    finally:
        overview.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_lineage_is_drawn_in_the_colours_of_the_layers(overview):
    manifest = json.loads((docs.page().parent / "manifest.json").read_text())
    colours = {
        layer: manifest["nodes"][f"model.moovitamix.{model}"]["docs"]["node_color"] for layer, model in LAYER_MODELS
    }
    assert len(set(colours.values())) == len(LAYER_MODELS)

    overview.find_element(By.CSS_SELECTOR, ".launcher-btn a").click()

    def are_all_drawn():
        drawn = colours_drawn(overview)
        # a node is small, and most of its pixels are edges
        return all(
            sum(pixels for other, pixels in drawn.items() if is_near(colour, other)) >= 5 for colour in colours.values()
        )

    until(overview, are_all_drawn)


def test_the_console_has_no_errors_and_all_requests_go_to_the_server(overview, address):
    for page, title in PAGES.items():
        open_page(overview, address + page, title)
    overview.find_element(By.CSS_SELECTOR, ".launcher-btn a").click()
    until(overview, lambda: overview.find_elements(By.TAG_NAME, "canvas"))

    assert [entry for entry in overview.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in overview.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert address in asked
    assert [url for url in asked if not url.startswith((address, "data:", "about:"))] == []
