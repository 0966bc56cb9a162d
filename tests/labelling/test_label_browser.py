"""Tests of the page on which cells are labelled, in a real Chromium.

They are skipped where there is no selenium, Chromium or chromedriver.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.annotations.read_annotations import read_annotations
from malaria.data.drawn_cells import write_cells
from malaria.inference.prediction import Prediction
from malaria.labelling.label_session import Change, LabelSession
from malaria.labelling.label_table import read_labels

pytest.importorskip("chromium", reason="selenium is not installed")
from chromium import press, run, set_screen
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

P, U = "Parasitized", "Uninfected"
HOSTILE = "\"><img src=x onerror=alert(1)>'\U0001f9a0.png"


def wait(browser, condition):
    WebDriverWait(browser, 10, poll_frequency=0.02).until(lambda browser: run(browser, condition))


def start(browser, server):
    set_screen(browser)
    browser.get_log("browser")
    browser.get(server.address)
    wait(browser, "setup !== undefined && find('cell').firstChild?.complete === true")


def label(browser, keys):
    """Press keys as fast as the images come, and wait until all is saved."""
    for key in keys:
        wait(browser, "imageOf(current).complete")
        press(browser, key)
    browser.execute_async_script("queue.then(arguments[0])")


def labels_of(session):
    return {row.key: row.label for row in read_labels(session.table).values()}


def text(browser, name):
    return run(browser, f"find({name!r}).textContent")


@pytest.fixture
def drawn(tmp_path, model):
    """A function: a session of 20 drawn cells, new or gone on with."""
    paths = write_cells(tmp_path / "cells", 10)
    cells = [
        Prediction(path, path.parent.name, 0.9, (0.9, 0.1) if n < 10 else (0.1, 0.9), group="7")
        for n, path in enumerate(paths)
    ]
    return lambda: LabelSession(cells, model, tmp_path / "labels.csv", who="Ana", count=20)


@pytest.fixture
def fields(session, serve, tmp_path, chromium):
    """A server of 40 cells in 4 fields, and its page in the browser."""
    for number in range(4):
        Image.new("RGB", (240, 80), (200, 150, 150)).save(tmp_path / f"field{number}.png")
    with serve(session, list(session.cells.values()), notes=["a note"]) as server:
        start(chromium, server)
        yield server
        assert chromium.get_log("browser") == []


def test_twenty_cells_are_labelled_by_keyboard_with_the_tab_closed_in_the_middle(
    drawn, serve, chromium
):
    truth = "".join(one.cell.path.parent.name[0].lower() for one in drawn().chosen)
    session = drawn()
    with serve(session) as server:
        start(chromium, server)
        label(chromium, truth[:8])
        assert text(chromium, "progress").startswith("8 of 20 labelled, less than a minute left")
        chromium.get("about:blank")
    session = drawn()
    with serve(session, [one.cell for one in session.chosen]) as server:
        start(chromium, server)
        assert text(chromium, "progress") == "8 of 20 labelled"
        assert run(chromium, "current") == 8
        label(chromium, truth[8:])
        assert text(chromium, "progress") == "20 of 20 labelled"
        assert run(chromium, "find('finished').checkVisibility()")
        wait(chromium, "find('lines').textContent.includes('so far 10')")
    rows = read_labels(session.table).values()
    assert len(rows) == 20
    assert all(row.label == row.path.parent.name for row in rows)


def test_two_tabs_see_the_same_and_a_press_in_one_does_not_undo_the_others(fields, chromium):
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    start(chromium, fields)
    label(chromium, "p")
    second = chromium.current_window_handle
    chromium.switch_to.window(first)
    label(chromium, "u")  # of the cell that it shows since before
    told = "Labelled Parasitized in another window; press again to change it."
    assert text(chromium, "said") == told
    assert set(labels_of(fields.session).values()) == {P}
    label(chromium, "z")
    assert text(chromium, "said") == "Nothing to take back."
    label(chromium, "u")
    assert set(labels_of(fields.session).values()) == {U}
    chromium.close()
    chromium.switch_to.window(second)
    wait(chromium, "labels[0] === 'Uninfected'")
    label(chromium, "z")  # its own press is no longer there
    assert set(labels_of(fields.session).values()) == {U}


def test_a_press_is_taken_back_skipped_or_no_cell_and_the_field_around_is_shown(fields, chromium):
    label(chromium, "xsp")
    assert list(labels_of(fields.session).values()) == ["no red cell", "", P]
    label(chromium, "z")
    assert list(labels_of(fields.session).values()) == ["no red cell", ""]
    assert run(chromium, "current") == 2
    assert not run(chromium, "find('around').checkVisibility()")
    press(chromium, "f")
    wait(chromium, "find('field').firstChild.naturalWidth === 900")
    assert text(chromium, "said") == "Taken back."
    buttons = "[...find('answers').children].map((one) => one.textContent)"
    assert run(chromium, buttons) == ["ParasitizedP", "UninfectedU", "No single red cellX", "SkipS",
                                      "Take backZ", "Field around itF"]  # fmt: skip
    assert text(chromium, "notes") == "a note"


def test_many_are_selected_with_the_mouse_or_the_keyboard_and_labelled_at_once(fields, chromium):
    press(chromium, "g")
    wait(chromium, "list.length === 40")
    tiles = chromium.find_elements("css selector", ".tile")
    ActionChains(chromium).click_and_hold(tiles[1]).move_to_element(tiles[2]).move_to_element(
        tiles[4]
    ).release().perform()
    assert text(chromium, "selected") in ("3 selected", "4 selected")
    count = run(chromium, "selected.size")
    label(chromium, "u")
    assert list(labels_of(fields.session).values()) == [U] * count
    label(chromium, ["z"])
    assert labels_of(fields.session) == {}
    chromium.execute_script("stand(0)")
    press(chromium, Keys.SPACE, Keys.ARROW_RIGHT, Keys.SPACE, Keys.END, Keys.SPACE)
    label(chromium, "p")
    labelled = "[...labels.keys()].filter((number) => labels[number] === 'Parasitized')"
    assert run(chromium, labelled) == [0, 1, 39]
    assert run(chromium, "tiles.get(1).ariaLabel") == "Cell 2, Parasitized"
    chromium.execute_script("find('filter').value = 'none'; filter(); find('all').click()")
    assert text(chromium, "selected") == "37 selected"
    label(chromium, "u")
    wait(chromium, "find('lines').textContent.includes('sensitivity')")
    assert run(chromium, "find('rows').rows.length") == 7  # all, two patients, four fields
    chromium.execute_script("find('filter').value = 'all'; filter(); stand(39)")
    press(chromium, Keys.ENTER)
    assert run(chromium, "[current, find('one').hidden]") == [39, False]


def test_a_hostile_name_is_text_and_the_table_is_read_back_as_boxes(
    make_cells, model, serve, chromium, tmp_path
):
    cells = [
        Prediction(Path(tmp_path / HOSTILE), one.label, 0.9, (0.9, 0.1), group="<b>7", box=one.box)
        for one in make_cells(fields=1, each=6)
    ]
    Image.new("RGB", (240, 80), "pink").save(tmp_path / HOSTILE)
    session = LabelSession(cells, model, tmp_path / "labels.csv", who="<i>", count=6)
    with serve(session, cells, [HOSTILE]) as server:
        start(chromium, server)
        assert text(chromium, "name") == f"{HOSTILE}, patient <b>7"
        assert run(chromium, "document.querySelectorAll('b, i, [src=x]').length") == 0
        label(chromium, "ppuxup")
        assert chromium.get_log("browser") == []
    annotations = read_annotations(session.table)
    annotations.assign([tmp_path / HOSTILE])
    assert len(annotations.find(tmp_path / HOSTILE, Image.new("RGB", (240, 80)))) == 5


def test_where_the_program_has_ended_or_cannot_write_the_page_says_so_and_shows_no_label(
    session, serve, tmp_path, chromium
):
    for number in range(4):
        Image.new("RGB", (240, 80), (200, 150, 150)).save(tmp_path / f"field{number}.png")
    with serve(session) as server:
        start(chromium, server)
        blocking = tmp_path / "file"
        blocking.touch()
        session.table = blocking / "labels.csv"
        label(chromium, "p")
        assert text(chromium, "error").startswith("Not saved: cannot write ")
        assert text(chromium, "progress").startswith("0 of 40 labelled")
        blocking.unlink()
        label(chromium, "p")
        assert not run(chromium, "find('error').checkVisibility()")
        chromium.execute_cdp_cmd("Network.enable", {})
        network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        for is_offline in (True, False):
            network["offline"] = is_offline
            chromium.execute_cdp_cmd("Network.emulateNetworkConditions", network)
            if is_offline:
                label(chromium, "p")
        assert text(chromium, "error").startswith("The program has ended. All labels up to here ")
        assert text(chromium, "progress").startswith("1 of 40 labelled")


def work_of(browser):
    """Seconds for which the page has had a core; how long it waits for one says nothing of it."""
    names = "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return sum(one["value"] for one in metrics if one["name"] in names)


def test_five_thousand_cells_at_once_never_hold_the_page_up(
    make_cells, model, serve, tmp_path, chromium
):
    for number in range(5):
        Image.new("RGB", (240, 2040), (200, 150, 150)).save(tmp_path / f"field{number}.png")
    cells = make_cells(fields=5, each=1000)
    session = LabelSession(cells, model, tmp_path / "labels.csv", who="Ana", count=5000)
    session.apply([Change(7, None, U)])
    (seven,) = labels_of(session)
    with serve(session) as server:
        start(chromium, server)
        chromium.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        work = [work_of(chromium)]
        press(chromium, "g")
        wait(chromium, "list.length === 5000 && tiles.size > 40")
        work.append(work_of(chromium))
        for place in (0.5, 1, 0):
            chromium.execute_script(f"scrollTo(0, {place} * document.body.scrollHeight)")
            wait(chromium, "new Promise((done) => requestAnimationFrame(() => done(true)))")
            work.append(work_of(chromium))
            assert run(chromium, "document.querySelectorAll('.tile').length") < 200
        chromium.execute_script("find('all').click()")
        work.append(work_of(chromium))
        label(chromium, "p")
        work.append(work_of(chromium))
        assert set(labels_of(session).values()) == {P}
        assert len(session.rows) == 5000
        label(chromium, "z")
        work.append(work_of(chromium))
        assert labels_of(session) == {seven: U}
        chromium.execute_cdp_cmd("Performance.disable", {})
    assert max(np.diff(work)) < 0.1


def test_the_page_is_one_for_all_screens_and_readers(fields, chromium):
    for width in (320, 1280):
        set_screen(chromium, width=width, scheme="dark")
        for _ in range(2):
            over = run(chromium, "document.body.scrollWidth - document.body.clientWidth")
            assert over <= 0
            press(chromium, "g")
    assert text(chromium, "said") == ""
    assert run(chromium, "find('said').getAttribute('aria-live')") == "polite"
    pytest.importorskip("axe_core_python")
    from chromium import violations

    for _ in range(2):
        assert violations(chromium) == []
        press(chromium, "g")
