"""The page to try the service, in a real browser: by mouse, by keyboard, on a phone, light and dark."""

import json

import psycopg
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests import browsers
from tests.command import until
from tests.recommended import recommended
from tests.services import serving

pytestmark = pytest.mark.machine

HOSTILE = "<img src=x onerror=document.title='broken'> & <b>bold</b>"
# Everything one can operate, without a name for those who cannot see it.
NAMELESS = """
return [...document.querySelectorAll('a, button, input, [role=combobox], [role=listbox], section, svg')]
    .filter(each => each.checkVisibility())
    .filter(each => !(each.textContent.trim() || each.getAttribute('aria-label')
        || each.getAttribute('aria-labelledby') || each.labels?.length || each.alt))
    .map(each => each.outerHTML)
"""
# The contrast of a text with the page behind it, as WCAG defines it.
CONTRAST = """
const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number)
    .map(part => part / 255).map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [.2126, .7152, .0722][place], 0);
const card = getComputedStyle(document.querySelector('.card')).backgroundColor;
return Math.min(...[...document.querySelectorAll('.lead, .why, .name, .artist, .score, h3')].map(each => {
    const [one, other] = [light(getComputedStyle(each).color), light(card)].sort((a, b) => b - a);
    return (one + .05) / (other + .05);
}));
"""


@pytest.fixture(scope="module")
def url(postgres_url, built_template):
    with recommended(postgres_url, built_template, "looked_at") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("update marts.tracks set name = %s", [HOSTILE])
            connection.execute("update marts.tracks set artist = 'Ada Lovelace' where id % 2 = 0")
        yield url


@pytest.fixture(scope="module")
def service(url):
    with serving(DATABASE_URL=url) as service:
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.opened(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def show(browser, url, width, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(url)
    until(lambda: by_css(browser, "#examples button"))


def by_css(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def titles(browser, name):
    return [each.text for each in by_css(browser, f"#{name} .name")]


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (375, "light")])
def test_a_listener_is_shown_with_both_lists_and_a_session_changes_the_list(width, scheme, browser, service):
    show(browser, service.url + "/", width, scheme)
    assert not by_css(browser, "main:not([hidden])")
    by_css(browser, "#examples button")[0].click()
    until(lambda: titles(browser, "discover") and titles(browser, "again"))
    user_id = by_css(browser, "#user")[0].get_attribute("value")
    assert by_css(browser, "#listener-title")[0].text == f"Listener {user_id}"
    expected = service.get(f"/users/{user_id}/recommendations?limit=10").json["items"]
    assert [title.startswith(HOSTILE) for title in titles(browser, "discover")] == [True] * len(expected)
    reasons = [each.text for each in by_css(browser, "#discover .why")]
    assert all(
        reason.startswith({"track": "Because you listened to", "genre": "Because of", "popular": "Many"}[kind])
        for reason, kind in zip(reasons, (item["reason"]["type"] for item in expected), strict=True)
    )
    assert len(by_css(browser, "#weeks svg rect")) == 12 and by_css(browser, "#top-tracks li")

    search = by_css(browser, "#search")[0]
    search.send_keys("ada")
    until(lambda: by_css(browser, "#found [role=option]"))
    search.send_keys(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_DOWN, Keys.ENTER)
    until(lambda: titles(browser, "session-list"))
    assert len(by_css(browser, "#session-list .moved")) == len(titles(browser, "session-list"))
    by_css(browser, "#picked button")[0].click()
    until(lambda: not titles(browser, "session-list"))

    root = "return document.documentElement"
    assert browser.execute_script(f"{root}.scrollWidth <= {root[7:]}.clientWidth"), "no sideways scrolling"
    assert browser.execute_script(NAMELESS) == []
    assert browser.execute_script(CONTRAST) >= 4.5
    assert browser.title == "MooVitamix recommendations" and not by_css(browser, "main img")


def test_a_user_is_found_by_keyboard_and_an_unknown_one_is_said(browser, service):
    show(browser, service.url + "/", 1200, "light")
    field = by_css(browser, "#user")[0]
    field.send_keys("987654321", Keys.ENTER)
    until(lambda: "no user 987654321" in by_css(browser, "#message")[0].text)
    assert not by_css(browser, "main:not([hidden])")
    user_id = service.get("/page/users").json[0]["user_id"]
    field.clear()
    field.send_keys(str(user_id), Keys.ENTER)
    until(lambda: titles(browser, "discover"))
    assert by_css(browser, "#message")[0].text == "" and browser.current_url.endswith(f"#{user_id}")
    before = len(titles(browser, "discover"))
    by_css(browser, "#discover-more")[0].send_keys(Keys.ENTER)
    assert len(titles(browser, "discover")) > before


def test_the_page_asks_nobody_else_and_its_console_is_empty(browser, service):
    browser.get_log("browser")
    browser.get_log("performance")
    show(browser, f"{service.url}/#{service.get('/page/users').json[0]['user_id']}", 1200, "light")
    until(lambda: titles(browser, "discover"))
    sent = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"}
    assert asked and all(address.startswith(service.url) for address in asked)
    assert browser.get_log("browser") == []
    browser.get(f"{service.url}/docs")
    assert "/users/{user_id}/recommendations" in by_css(browser, "body")[0].text
    assert browser.get_log("browser") == []
