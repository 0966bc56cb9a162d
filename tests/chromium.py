"""A real Chromium for tests of pages, and what a person does in it and sees."""

import json
import os
import shutil
from contextlib import contextmanager
from importlib.resources import files

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.action_chains import ActionChains

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


def open_browser(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    switches = "headless disable-gpu disable-quic no-first-run disable-sync "
    switches += "disable-background-networking disable-component-update"
    if os.geteuid() == 0:  # its sandbox cannot be set up by root
        switches += " no-sandbox"
    for switch in (*switches.split(), f"user-data-dir={profile}", "window-size=1280,900"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


@contextmanager
def opened(browser, page):
    """The page freshly opened in a wide window; in the end there is no alert, a quiet console."""
    set_screen(browser)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    yield
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    assert browser.get_log("browser") == []


def set_screen(browser, *, width=1280, height=900, media="", scheme="light"):
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def run(browser, expression):
    return browser.execute_script(f"return {expression}")


def press(browser, *keys, held=""):
    """Press keys one after another while another is held."""
    actions = ActionChains(browser)
    if held:
        actions.key_down(held).send_keys(*keys).key_up(held).perform()
    else:
        actions.send_keys(*keys).perform()


def overflow(browser, element):
    """How many pixels of it can only be seen by scrolling sideways."""
    return run(browser, f"{element}.scrollWidth - {element}.clientWidth")


def printed(browser, selector):
    elements = f"[...document.querySelectorAll({selector!r})]"
    return run(browser, f"{elements}.filter((element) => element.checkVisibility()).length")


@contextmanager
def without_script(browser):
    """The page, loaded again by a browser that runs no script."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def requests_of(browser):
    """The addresses that were asked for since the page was opened."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [entry for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    return [entry["params"]["request"]["url"] for entry in sent]


def violations(browser, within="html"):
    """What axe-core finds that people cannot use: [(rule, the first element, why), ...]."""
    browser.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    check = """
        const [within, done] = arguments;
        const first = ({ id, nodes: [one] }) => [id, one.html, one.failureSummary];
        axe.run(within, { resultTypes: ["violations"] })
            .then((found) => done(found.violations.map(first)));
    """
    return browser.execute_async_script(check, within)


def accessible(browser):
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [node for node in nodes if not node["ignored"]]
