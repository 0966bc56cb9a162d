"""Tests of the HTML report in a real Chromium: what a person can do with it, and a stranger cannot.

They are skipped where there is no selenium, Chromium or chromedriver.
"""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import pytest
from PIL import Image
from test_html_report import LABELS, cell, write_picture

from malaria.inference.predict import Prediction
from malaria.outputs.html_report import Page

pytest.importorskip("chromium", reason="selenium is not installed")
from chromium import (
    accessible,
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
from selenium.webdriver.support.ui import WebDriverWait

EVALUATION = {
    "metrics": [{"name": "accuracy", "value": 0.5, "low": 0.2, "high": None}],
    "confusion": [[2, 1], [2, 1]],
    "roc": {"false": [0, float("nan"), 1], "true": [0, 0.5, 1]},
    "reliability": [{"predicted": 0.5, "observed": 0.5, "count": 6}],
    "report": "x" * 300,
}
HOSTILE = "<img src=x onerror=alert(1)>.png"
HOSTILE_END = "</script><script>alert(1)</script>.png"
# (name, probability of Parasitized, patient, true label)
CELLS = [
    ("a.png", 0.97, "C10", "Parasitized"),
    ("b.png", 0.10, "C2", "Parasitized"),
    ("c.png", 0.80, "C2", "Uninfected"),
    ("d.png", 0.02, "C10", "Uninfected"),
    (HOSTILE, 0.55, '"><b>', "Parasitized"),
    ("sub/e.png", 0.99, "C2", "Uninfected"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The file of a report on CELLS, one with an overlay, and on two unreadable images."""
    folder = tmp_path_factory.mktemp("report")
    page = Page(folder / "report.html", LABELS, LABELS[0], 0.5, 'model "><b>' + "x" * 150)
    Image.new("RGB", (80, 80), "orange").save(folder / "overlay.png")
    for name, positive, group, truth in CELLS:
        overlay = folder / "overlay.png" if name == "a.png" else None
        known = {"group": group, "true_label": truth, "overlay": overlay}
        page.add(cell(write_picture(folder / name), positive, **known))
    page.add(Prediction(folder / HOSTILE_END, error="</script><script>alert(2)</script>"))
    page.add(Prediction(folder / ("n" * 200 + ".png"), error="no such file", group="C3"))
    page.write(evaluation=EVALUATION)
    return page.path


@pytest.fixture
def browser(chromium, report):
    """The report freshly opened in a wide window. After each test: no alert, a quiet console."""
    with opened(chromium, report):
        yield chromium


def shown(browser):
    """The names on the tiles of the grid, in order, without their folders' names."""
    titles = run(browser, "[...document.querySelectorAll('#grid button')].map((b) => b.title)")
    return [title.partition("/report0/")[2] for title in titles]


def choose(browser, **values):
    """Set fields of the form as a person would, one event each."""
    script = """
        const field = document.getElementById("choose").elements[arguments[0]];
        field[field.type === "checkbox" ? "checked" : "value"] = arguments[1];
        field.dispatchEvent(new Event("input", { bubbles: true }));
    """
    for name, value in values.items():
        browser.execute_script(script, name, value)


ALL = [*(name for name, *_ in CELLS), HOSTILE_END, "n" * 200 + ".png"]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("path", ALL),
        ("high", ["sub/e.png", "a.png", "c.png", HOSTILE, "b.png", "d.png", *ALL[-2:]]),
        ("low", ["d.png", "b.png", HOSTILE, "c.png", "a.png", "sub/e.png", *ALL[-2:]]),
        ("group", [HOSTILE, "b.png", "c.png", "sub/e.png", ALL[-1], "a.png", "d.png", ALL[-2]]),
        ("mistakes", ["sub/e.png", "b.png", "c.png", HOSTILE, "a.png", "d.png", *ALL[-2:]]),
    ],
)
def test_the_pictures_are_ordered_as_chosen_the_worst_mistakes_first(browser, order, names):
    assert shown(browser)[:3] == ["sub/e.png", "b.png", "c.png"]
    choose(browser, order=order)
    assert shown(browser) == names


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"label": "=Parasitized"}, ["a.png", "c.png", HOSTILE, "sub/e.png"]),
        ({"label": "unreadable"}, ALL[-2:]),
        ({"from": "0.1", "to": "0.8"}, ["b.png", "c.png", HOSTILE]),
        ({"from": "0.97"}, ["a.png", "sub/e.png"]),
        ({"group": "=C2"}, ["b.png", "c.png", "sub/e.png"]),
        ({"group": '="><b>'}, [HOSTILE]),
        ({"group": "=not known"}, [HOSTILE_END]),
        ({"wrong": True}, ["b.png", "c.png", "sub/e.png"]),
        ({"text": "SUB/"}, ["sub/e.png"]),
        ({"text": "<IMG"}, [HOSTILE]),
        ({"wrong": True, "group": "=C2", "to": "0.5"}, ["b.png"]),
        ({"from": "0.9", "to": "0.1"}, []),
    ],
)
def test_the_pictures_are_filtered_as_chosen_and_counted(browser, values, names):
    choose(browser, order="path", **values)
    assert shown(browser) == names
    said = run(browser, "document.getElementById('status').textContent")
    assert said == (f"{len(names)} of 8 images" if names else "No image fits this choice.")


def test_typing_filters_and_reset_brings_all_back(browser):
    browser.find_element("name", "text").send_keys("b.png")
    WebDriverWait(browser, 5).until(lambda browser: shown(browser) == ["b.png"])
    browser.find_element("css selector", "[type=reset]").click()
    WebDriverWait(browser, 5).until(lambda browser: len(shown(browser)) == 8)
    assert browser.find_element("name", "text").get_property("value") == ""


@pytest.mark.parametrize(
    ("column", "first", "again"),
    [
        (0, ['"><b>', "C2", "C3", "C10", "not known"], ["not known", "C10", "C3", "C2", '"><b>']),
        (1, ["C2", "C10", '"><b>', "C3", "not known"], ['"><b>', "C3", "not known", "C10", "C2"]),
        (-3, ['"><b>', "C2", "C10", "C3", "not known"], ["C3", "not known", "C10", "C2", '"><b>']),
    ],
)
def test_the_table_of_patients_is_sorted_by_keyboard(browser, column, first, again):
    directions = ("descending", "ascending") if column else ("ascending", "descending")
    heads = browser.find_elements("css selector", ".by-group thead th")
    for names, direction in zip((first, again), directions, strict=True):
        heads[column].find_element("tag name", "button").send_keys(Keys.ENTER)
        rows = "[...document.querySelectorAll('.by-group tbody th')].map((h) => h.textContent)"
        assert run(browser, rows) == names
        assert heads[column].get_attribute("aria-sort") == direction
        assert len(browser.find_elements("css selector", ".by-group [aria-sort]")) == 1


def test_a_picture_opens_moves_and_closes_by_keyboard(browser):
    choose(browser, order="path")
    browser.find_element("css selector", "[type=reset]").send_keys(Keys.TAB)
    assert focused(browser).endswith("/a.png")
    for key, name in ((Keys.END, "n.png"), (Keys.ARROW_RIGHT, "n.png"), (Keys.HOME, "/a.png")):
        press(browser, key)
        assert focused(browser).endswith(name)
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ENTER)
    assert dialog(browser)["title"] == "b.png"
    press(browser, Keys.ARROW_RIGHT)
    assert dialog(browser)["title"] == "c.png"
    press(browser, Keys.ESCAPE)
    assert not run(browser, "document.getElementById('cell').open")
    # The dialog tells that it is closed a moment later.
    WebDriverWait(browser, 5).until(lambda browser: focused(browser).endswith("/c.png"))


def focused(browser):
    return run(browser, "document.activeElement.title")


def dialog(browser):
    """What the open dialog says: its title, its lines as a dict, how many images it shows."""
    assert run(browser, "document.getElementById('cell').open")
    lines = run(browser, "document.getElementById('cell-details').innerText.match(/.+/g)")
    return {
        "title": run(browser, "document.getElementById('cell-name').textContent"),
        "lines": dict(zip(lines[::2], lines[1::2], strict=True)),
        "pictures": len(browser.find_elements("css selector", "#cell-pictures img")),
    }


def test_the_large_view_has_all_figures_and_the_overlay_beside_the_picture(browser):
    choose(browser, order="path")
    browser.find_elements("css selector", "#grid button")[0].click()
    said = dialog(browser)
    assert said["pictures"] == 2
    assert said["lines"].pop("Path").endswith("/report0/a.png")
    assert said["lines"] == {
        "Label": "Parasitized",
        "True label": "Parasitized",
        "Probability of Parasitized": "0.9700",
        "Probability of Uninfected": "0.0300",
        "Patient or folder": "C10",
    }
    sizes = run(browser, "[...document.querySelectorAll('dialog img')].map((i) => i.naturalWidth)")
    assert sizes == [40, 80]


def test_all_of_many_pictures_come_into_the_grid_the_last_is_a_key_away_and_all_are_printed(
    browser, tmp_path
):
    many = 2500  # more than are put into the grid at once
    page = Page(tmp_path / "report.html", LABELS, LABELS[0], 0.5, "model")
    for number in range(many):
        page.add(Prediction(f"{number}.png", error="no such file"))
    page.write()
    browser.get(page.path.as_uri())
    assert run(browser, "document.getElementById('status').textContent") == "2,500 of 2,500 images"
    tiles = "document.getElementById('grid').childElementCount"
    WebDriverWait(browser, 10).until(lambda browser: run(browser, tiles) == many)
    titles = run(browser, "[...document.querySelectorAll('#grid button')].map((b) => b.title)")
    assert titles == [f"{number}.png" for number in range(many)]

    last = """
        document.getElementById("choose").reset();
        choose();
        document.querySelector("#grid button").focus();
        const key = new KeyboardEvent("keydown", { key: "End", bubbles: true });
        document.activeElement.dispatchEvent(key);
        return [document.activeElement.title, document.querySelectorAll("#grid button").length];
    """
    assert browser.execute_script(last) == [f"{many - 1}.png", many]
    printed = """
        choose();
        const before = document.querySelectorAll("#grid li").length;
        dispatchEvent(new Event("beforeprint"));
        return [before < arguments[0], document.querySelectorAll("#grid li").length];
    """
    assert browser.execute_script(printed, many) == [True, many]


def test_hostile_names_are_text_and_only_text_and_their_links_lead_to_the_files(browser, report):
    choose(browser, order="path")
    pictures = run(browser, "[...document.images].map((i) => i.getAttribute('src').slice(0, 11))")
    assert pictures == ["data:image/"] * len(CELLS)
    assert run(browser, "document.querySelectorAll('b').length") == 0
    assert run(browser, "document.scripts.length") == 2
    text = browser.find_element("tag name", "body").text
    for part in (HOSTILE_END.rpartition("/")[2], "</script><script>alert(2)", 'model "><b>'):
        assert part in text
    browser.find_elements("css selector", "#grid button")[4].click()
    assert dialog(browser)["title"] == HOSTILE
    link = run(browser, "document.getElementById('cell-link').href")
    assert unquote(link) == f"file://{report.parent}/{HOSTILE}"


def test_nothing_is_asked_of_a_network(browser):
    choose(browser, order="high")
    browser.find_elements("css selector", "#grid button")[0].click()
    requested = requests_of(browser)
    assert requested
    assert {url.partition(":")[0] for url in requested} <= {"file", "data"}
    entries = run(browser, "performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith("data:") for name in entries)


def test_the_policy_stops_a_script_a_style_and_a_request_that_got_in(chromium, report):
    with listening_server() as (address, asked):
        chromium.get(report.as_uri())
        chromium.execute_script(
            """
            document.body.insertAdjacentHTML("beforeend",
                "<p id=probe style='color: red'></p><img src=x onerror='window.hacked = 1'>");
            const script = document.createElement("script");
            script.textContent = "window.hacked = 2";
            const image = document.createElement("img");
            image.src = arguments[0];
            document.body.append(script, image);
            """,
            address,
        )
        sent = "fetch(arguments[0]).then(() => arguments[1]('sent'), () => arguments[1]('stopped'))"
        assert chromium.execute_async_script(sent, address) == "stopped"
    assert asked == []
    assert run(chromium, "window.hacked") is None
    colour = run(chromium, "getComputedStyle(document.getElementById('probe')).color")
    assert colour != "rgb(255, 0, 0)"
    assert len(chromium.get_log("browser")) >= 4


@contextmanager
def listening_server():
    """(address, list of the paths that were asked for) of a server on this machine."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


def test_a_narrow_screen_needs_no_sideways_scrolling(browser):
    set_screen(browser, width=360, height=640)
    assert overflow(browser, "document.documentElement") == 0
    choose(browser, order="path")
    for button in browser.find_elements("css selector", "#grid button"):
        browser.execute_script("arguments[0].click()", button)
        assert overflow(browser, "document.getElementById('cell')") == 0
        assert overflow(browser, "document.documentElement") == 0
        press(browser, Keys.ESCAPE)


def test_a_dark_scheme_is_dark_on_a_screen_and_light_on_paper(browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    assert run(browser, ground) == "rgb(255, 255, 255)"
    set_screen(browser, scheme="dark")
    assert run(browser, ground) == "rgb(23, 24, 27)"
    set_screen(browser, scheme="dark", media="print")
    assert run(browser, ground) == "rgb(255, 255, 255)"


def test_paper_has_the_figures_and_the_chosen_pictures_but_no_controls(browser):
    choose(browser, group="=C2")
    set_screen(browser, media="print")
    assert [printed(browser, part) for part in ("form", "dialog", "details", ".hint")] == [0] * 4
    assert printed(browser, ".by-group tbody tr") == 5
    assert printed(browser, "main svg[role=img]") == 3
    assert printed(browser, "#grid img") == 3


def test_without_javascript_the_summary_and_the_tables_are_there(browser):
    with without_script(browser):
        texts = {node.get("name", {}).get("value") for node in accessible(browser)}
    assert {"Summary", "66.7%", "Images by label", "By patient or folder", "C10"} <= texts
    assert "The thumbnails need JavaScript. Everything above works without it." in texts
    assert "Reset" not in texts


def test_every_control_has_a_name_for_a_reader_of_the_screen(browser):
    controls = ("combobox", "searchbox", "spinbutton", "checkbox", "button", "image")
    shown = [node for node in accessible(browser) if node["role"]["value"] in controls]
    roles = {node["role"]["value"] for node in shown}
    assert roles >= {"combobox", "spinbutton", "button", "image"}
    assert [node["role"]["value"] for node in shown if not node["name"]["value"]] == []


def test_an_accessibility_check_finds_nothing_nor_in_the_large_view(browser):
    pytest.importorskip("axe_core_python")
    assert violations(browser) == []
    set_screen(browser, scheme="dark", width=360)
    assert violations(browser) == []
    browser.find_elements("css selector", "#grid button")[0].click()
    assert violations(browser, within="dialog") == []
