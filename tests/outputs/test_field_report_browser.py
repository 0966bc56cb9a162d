"""Tests of the page of fields in a real Chromium.

They are skipped where there is no selenium, Chromium or chromedriver.
"""

from pathlib import Path

import pytest
from PIL import Image

from malaria.inference.classifier import Classifier
from malaria.inference.prediction import CLUMP, UNLIKE, Prediction
from malaria.outputs.field_report import FieldReport
from malaria.pictures.box import Box
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

pytest.importorskip("chromium", reason="selenium is not installed")
from chromium import (
    opened,
    overflow,
    press,
    printed,
    requests_of,
    run,
    set_screen,
    violations,
    without_script,
)
from selenium.webdriver.common.keys import Keys

# Those that are switched on.
BOXES = ".photograph [data-kind]:not([hidden]) .box"
LABELS = ("Parasitized", "Uninfected")
HOSTILE = "</script><script>alert(1)</script>\u2028<img src=x onerror=alert(2)> \U0001f9a0.png"
# {field: (patient, probabilities of Parasitized of its cells)}; an UNLIKE and a CLUMP in each.
FIELDS = {
    "a.png": ('"><b>1', (0.99, 0.4, 0.01)),
    "b.png": ("2", (0.02, 0.98, 0.97, 0.96)),
    HOSTILE: ("2", (0.6, 0.3, 0.97)),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    model = Classifier(Metadata(LABELS, LABELS[0], PixelFormat((8, 8))), network=None)
    report = FieldReport(model, None, folder / "report.html")
    for name, (patient, cells) in FIELDS.items():
        path = folder / name.replace("/", "_")
        Image.new("RGB", (900, 700), "pink").save(path)
        for place, positive in enumerate((*cells, 0.9, 0.1)):
            label = (UNLIKE, CLUMP)[place - len(cells)] if place >= len(cells) else None
            label = label or LABELS[positive < 0.5]
            known = {"group": patient, "unlike": "several cells" if label == UNLIKE else None}
            both = None if label == CLUMP else (positive, 1 - positive)
            box = Box(100 * place, 100 + 50 * place, 90, 80)
            report.add(Prediction(path, label, positive, both, box=box, **known))
    report.add(Prediction(Path(HOSTILE), error=HOSTILE))
    report.notes = [HOSTILE]
    report.finish()
    report.close()
    return report.page


@pytest.fixture
def browser(chromium, page):
    with opened(chromium, page):
        yield chromium


def focused(browser):
    return run(browser, "document.activeElement.id")


def seen(browser):
    """The cells that are listed, of all fields in their order, by field and place."""
    script = (
        "all('.seen a').filter((cell) => cell.checkVisibility()).map((cell) => cell.id.slice(5))"
    )
    return run(browser, script)


def choose(browser, **values):
    script = """
        form.elements[arguments[0]].value = arguments[1];
        form.dispatchEvent(new Event("input", { bubbles: true }));
    """
    for name, value in values.items():
        browser.execute_script(script, name, value)


def toggle(browser, kind):
    browser.find_element("css selector", f"[value='{kind}']").click()


def test_a_click_on_a_box_leads_to_its_cell_and_enter_back_each_shows_the_other(browser):
    browser.find_element("css selector", "#box-1-0 path").click()
    assert focused(browser) == "cell-1-0"
    assert run(browser, "document.querySelector('.is-current').id") == "box-1-0"
    press(browser, Keys.ENTER)
    assert focused(browser) == "box-1-0"
    assert run(browser, "document.querySelector('.is-current').id") == "cell-1-0"
    assert run(browser, "all('.is-current').length") == 1
    in_view = "document.activeElement.getBoundingClientRect()"
    assert 0 < run(browser, f"{in_view}.top") < run(browser, f"{in_view}.bottom") < 900
    press(browser, Keys.ENTER)
    assert focused(browser) == "cell-1-0"


def test_arrows_go_from_cell_to_cell_and_with_shift_from_field_to_field(browser):
    def go(key, held=""):
        press(browser, key, held=held)
        return focused(browser) or run(browser, "document.activeElement.dataset.place")

    first = [go(Keys.ARROW_RIGHT) for _ in range(4)]
    assert first == ["cell-0-0", "cell-0-1", "cell-0-2", "cell-1-0"]
    assert go(Keys.ARROW_LEFT) == "cell-0-2"
    assert go(Keys.ARROW_RIGHT, Keys.SHIFT) == "1"
    assert go(Keys.ARROW_RIGHT) == "cell-1-0"
    assert [go(Keys.ARROW_LEFT, Keys.SHIFT) for _ in range(3)] == ["1", "0", "0"]
    browser.find_element("css selector", "[aria-label='Next field']").click()
    browser.find_element("css selector", "[aria-label='Next cell']").click()
    assert focused(browser) == "cell-1-0"
    toggle(browser, "positive")
    browser.find_element("css selector", "[aria-label='Next cell']").click()
    assert focused(browser) == "cell-2-1"


def test_kinds_are_switched_on_and_off_in_photographs_and_lists_and_patients_chosen(browser):
    assert seen(browser) == [f"{f}-{n}" for f, cells in enumerate((3, 4, 4)) for n in range(cells)]
    texts = [label.text for label in browser.find_elements("css selector", ".legend label")]
    assert texts == [
        *("Parasitized: 6", "Parasitized, but no single red cell to the guard: 3"),
        *("Uninfected, doubtful: 2", "Uninfected: 2", "clump: 3"),
    ]
    boxes = len(browser.find_elements("css selector", BOXES))
    toggle(browser, "positive")
    assert seen(browser) == ["0-0", "0-1", "1-0", "2-1", "2-2"]
    assert len(browser.find_elements("css selector", BOXES)) == boxes - 6
    toggle(browser, "clump")
    assert len(browser.find_elements("css selector", BOXES)) == boxes - 9
    choose(browser, patient='="><b>1')
    assert seen(browser) == ["0-0", "0-1"]
    assert browser.find_element("id", "status").text == "1 of 3 fields"
    browser.find_element("css selector", "[type=reset]").click()
    assert run(browser, "new Promise((done) => setTimeout(done, 50))") is None
    assert len(seen(browser)) == 11


@pytest.mark.parametrize(
    ("order", "cells"),
    [
        ("given", ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2", "1-3", "2-0", "2-1", "2-2", "2-3"]),
        ("doubtful", ["2-0", "2-1", "2-2", "2-3", "0-0", "0-1", "0-2", "1-0", "1-1", "1-2", "1-3"]),
        ("probable", ["1-3", "1-2", "1-1", "1-0", "2-3", "2-2", "2-0", "2-1", "0-2", "0-1", "0-0"]),
    ],
)
def test_doubtful_cells_come_first_or_what_is_chosen(browser, order, cells):
    choose(browser, order="probable")
    choose(browser, order=order)
    assert seen(browser) == cells


def test_what_strangers_wrote_is_text_and_nothing_is_asked_of_a_network(browser):
    assert run(browser, "document.scripts.length") == 1
    assert run(browser, "document.querySelectorAll('b').length") == 0
    assert HOSTILE.replace("\u2028", "\\u2028") in browser.find_element("tag name", "main").text
    requested = requests_of(browser)
    assert {url.partition(":")[0] for url in requested} == {"file", "data"}
    assert run(browser, "[...document.images].every((one) => one.src.startsWith('data:image/'))")


def test_without_script_photographs_boxes_tables_and_jumps_are_there(browser):
    with without_script(browser):
        assert printed(browser, ".photograph img") == 3
        assert printed(browser, ".photograph .box") == 3 + 4 + 4 + 5
        assert printed(browser, ".legend label") == 5
        assert printed(browser, "tbody tr") == 2 + 4
        assert [printed(browser, part) for part in ("form", ".moves", "input")] == [0, 0, 0]
        browser.find_element("css selector", "#box-0-0 path").click()
        assert focused(browser) == "cell-0-0"


def test_a_narrow_screen_needs_no_sideways_scrolling_and_paper_has_no_controls(browser):
    set_screen(browser, width=360, height=640)
    assert overflow(browser, "document.documentElement") == 0
    toggle(browser, "clump")
    set_screen(browser, media="print")
    assert [printed(browser, part) for part in ("form", ".moves", "input", ".hint")] == [0] * 4
    assert printed(browser, ".photograph img") == 3
    assert printed(browser, ".legend label") == 4


@pytest.mark.parametrize("screen", [{"scheme": "light"}, {"scheme": "dark", "width": 360}])
def test_an_accessibility_check_finds_nothing(browser, screen):
    pytest.importorskip("axe_core_python")
    set_screen(browser, **screen)
    assert violations(browser) == []
