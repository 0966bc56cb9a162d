"""Tests of malaria/outputs/html_*.py without a browser: what the page says, and that it is tame."""

import base64
import hashlib
import io
import json
import os
import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from malaria.evaluation.parasitaemia import Accuracy
from malaria.inference.prediction import Prediction
from malaria.outputs.html_parts import FOLDER, histogram, link_to, polyline, thumbnail
from malaria.outputs.html_report import HtmlReport, Page

LABELS = ("Parasitized", "Uninfected")
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "</script><script>alert(1)</script>.png",
    '"><b>',
    "' onclick='alert(1)",
    "<!--",
    "]]>&amp;{{ 7 * 7 }}",
    "javascript:alert(1)",
]
EVALUATION = {
    "metrics": [
        {"name": "sensitivity", "value": 0.95, "low": 0.93, "high": 0.97},
        {"name": "loss", "value": 0.1234, "low": None, "high": None},
        {"name": "AUC", "value": float("nan"), "low": None, "high": None},
    ],
    "confusion": [[30, 10], [0, 0]],
    "roc": {"false": np.array([0, 0, 1.0]), "true": np.array([0, 0.9, 1.0])},
    "reliability": [
        {"predicted": 0.1, "observed": 0.2, "count": 7},
        {"predicted": 0.9, "observed": None, "count": 0},
    ],
    "report": "precision <b>",
}


class Reader(HTMLParser):
    """What a page consists of: tags, attributes, and text outside of scripts, - for dashes."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text, self.inside = [], [], []
        self.raw = {"style": "", "data": "", "script": ""}
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside.append("data" if dict(attributes).get("id") == "data" else tag)

    def handle_endtag(self, tag):
        self.inside.append(None)

    def handle_data(self, data):
        place = self.inside[-1] if self.inside else None
        if place in self.raw:
            self.raw[place] += data
        elif data.strip():
            self.text.append(" ".join(data.split()).replace("\u2013", "-"))

    @property
    def cells(self):
        return json.loads(self.raw["data"])["cells"]

    def attributes_of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def make_page(folder, **settings):
    known = {"labels": LABELS, "positive_label": LABELS[0], "threshold": 0.5}
    return Page(folder / "report.html", **known | {"model_name": "model_1"} | settings)


def write_picture(path, colour=(200, 30, 40), size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "PNG")
    return path


def cell(path, positive, label=None, **known):
    label = label or LABELS[0 if positive >= 0.5 else 1]
    both = (positive, 1 - positive)
    return Prediction(path, label, max(both), both, **known)


def read(page, **settings):
    page.write(**settings)
    return Reader(page.path.read_text(encoding="utf-8"))


@pytest.fixture
def page(tmp_path):
    """Three positive, five negative, one left to a person, one unreadable; patients C2 and C10."""
    page = make_page(tmp_path)
    for number, positive in enumerate([0.9, 0.8, 0.5, 0.49, 0.3, 0.2, 0.1, 0.0]):
        path = write_picture(tmp_path / f"C{number}.png")
        group = "C10" if number < 4 else "C2"
        page.add(cell(path, positive, group=group, true_label=LABELS[0]))
    page.add(cell(path, 0.45, "review", group="C2", true_label=LABELS[0]))
    page.add(Prediction(tmp_path / "bad.png", error="not an image of a known kind"))
    return page


def test_the_head_says_what_was_asked_of_what_and_the_foot_with_what_and_what_it_is_not(
    page, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", SimpleNamespace(__version__="9.8"))
    text = read(page).text
    assert "Not a medical device." in " ".join(text)
    versions = r"Written with Python 3\.\d+\.\d+, LiteRT 9\.8, .*Pillow \d"
    assert re.search(versions, " ".join(text))
    assert "Report on 10 images" in text
    assert "model_1" in text
    assert "Parasitized from a probability of 0.5 on" in text
    [written] = [line for line in text if line.endswith(" UTC")]
    written = datetime.strptime(written, "%Y-%m-%d %H:%M UTC").replace(tzinfo=timezone.utc)
    assert abs((datetime.now(timezone.utc) - written).total_seconds()) < 120


def test_all_are_counted_and_the_share_leaves_out_doubtful_and_unreadable_images(page):
    text = read(page).text
    assert "37.5%" in text
    # Wilson's interval of 3 of 8.
    assert any("13.7-69.4% (Wilson): 3 of 8 images" in line for line in text)
    for row in (
        "Parasitized 3 30.0%",
        "Uninfected 5 50.0%",
        "review 1 10.0%",
        "Unreadable 1 10.0%",
    ):
        assert row in " ".join(text)


def test_a_doubtful_picture_is_no_mistake(page):
    read_page = read(page)
    assert read(page).cells == read_page.cells  # written again
    assert any(line.startswith("5 mistakes among 8 images") for line in read_page.text)
    assert [row["wrong"] for row in read_page.cells] == [False] * 3 + [True] * 5 + [False] * 2


def test_groups_are_sorted_as_people_count_and_no_group_is_named(page):
    text = " ".join(read(page).text)
    table = text[text.index("By patient or folder") : text.index("Images The thumbnails")]
    for row in ("C2 5 0 4 1 0 4 0.0% 0.0-49.0%", "C10 4 3 1 0 0 1 75.0% 30.1-95.4%"):
        assert row in table
    assert "not known 1 0 0 0 1 0 - 0.0-100.0%" in table
    assert table.index(" C2 ") < table.index(" C10 ") < table.index(" not known ")


def test_without_groups_truth_or_evaluation_their_parts_are_left_out(tmp_path):
    page = make_page(tmp_path)
    assert "Report on 0 images" in read(page).text
    page.add(cell(write_picture(tmp_path / "a.png"), 0.9))
    text = " ".join(read(page).text)
    for part in ("By patient", "true label", "mistake", "ROC", "Reliability", "Confusion"):
        assert part not in text


def test_the_figures_and_curves_of_an_evaluation_are_shown(page):
    read_page = read(page, evaluation=EVALUATION)
    lines = [line["points"] for line in read_page.attributes_of("polyline")]
    assert lines == ["0.0,240.0 0.0,24.0 240.0,0.0", "24.0,192.0"]
    text = " ".join(read_page.text)
    for part in (
        "predicted 0.100, observed 0.200, images: 7",
        "sensitivity 0.9500 0.9300 - 0.9700",
        "loss 0.1234 -",
        "AUC - -",
        "Row: true label; column: predicted label",
        "Parasitized 30 75.0% 10 25.0%",
        "Uninfected 0 - 0 -",
        "precision <b>",
    ):
        assert part in text


def test_the_histogram_has_a_bar_for_each_part_that_is_not_empty(page):
    bars = [line for line in read(page).attributes_of("rect") if line["class"] == "bar"]
    assert len(bars) == 8
    assert {float(bar["height"]) for bar in bars} == {114.0, 228.0}


def test_three_labels_have_no_threshold(tmp_path):
    page = make_page(tmp_path, labels=["a", "b", "c"], positive_label="b", threshold=0.4)
    path = write_picture(tmp_path / "a.png")
    page.add(Prediction(path, "b", 0.6, (0.1, 0.6, 0.3), true_label="c"))
    read_page = read(page)
    assert "hreshold" not in " ".join(read_page.text)
    assert read_page.cells[0]["positive"] == 0.6


def test_a_part_of_the_histogram_holds_its_lower_end():
    places = {0.0: 0, 0.0499: 0, 0.05: 1, 0.5: 10, 0.4999: 9, 1.0: 19}
    for probability, place in places.items():
        assert histogram([probability, None]) == [int(number == place) for number in range(20)]


def test_equal_neighbours_of_a_curve_are_drawn_once_and_what_is_no_number_never():
    nan = float("nan")
    assert polyline([0, 0.0001, 0.5, nan, 1], [0, 0, 1, 1, 1], 10) == "0.0,10.0 5.0,0.0 10.0,0.0"
    assert polyline([0, 1], [nan, nan], 10) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_stays_text_wherever_it_stands(tmp_path, name):
    attacked, usual = (read_named(tmp_path, text) for text in (name, "usual"))
    names_only = [[(tag, sorted(of)) for tag, of in page.tags] for page in (attacked, usual)]
    assert names_only[0] == names_only[1]
    assert attacked.raw["script"] == usual.raw["script"]
    assert attacked.cells[0]["name"] == str(tmp_path / name)
    assert attacked.cells[1]["error"] == name
    assert name in attacked.text


def read_named(folder, name):
    """A report where `name` stands in every place that a stranger can fill."""
    page = make_page(folder, labels=[name, "other"], positive_label=name, model_name=f"{name} .h5")
    path = write_picture(folder / name)
    page.add(Prediction(path, name, 0.9, (0.9, 0.1), group=name, true_label=name))
    page.add(Prediction(path, error=name, group=name, true_label="other"))
    metrics = [{"name": name, "value": 1.0, "low": None, "high": None}]
    return read(page, evaluation=EVALUATION | {"report": name, "metrics": metrics})


def test_the_data_for_the_script_has_no_character_that_could_end_it(tmp_path):
    page = make_page(tmp_path)
    page.add(Prediction(tmp_path / "</script>&\u2028\u2029'<!--.png", error="<&>"))
    data = read(page).raw["data"]
    assert not set(data) & set("<>&'\u2028\u2029")
    assert data.isascii()


def test_the_policy_allows_exactly_the_one_style_and_the_one_script(page):
    read_page = read(page)
    [policy] = [line["content"] for line in read_page.attributes_of("meta") if "http-equiv" in line]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": sha256(read_page.raw["style"]),
        "script-src": sha256(read_page.raw["script"]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def sha256(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_in_the_file_is_styled_or_run_inline_or_fetched(page):
    read_page = read(page, evaluation=EVALUATION)
    for tag, attributes in read_page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert not set(attributes) & {"src", "action", "srcset", "xlink:href"}, tag
    assert read_page.attributes_of("link") == [{"rel": "icon", "href": "data:,"}]
    ours = read_page.raw["style"] + read_page.raw["script"]
    assert not re.findall(r"https?://|@import|url\(", ours)


def test_nothing_but_our_own_style_and_script_goes_unescaped_into_the_page_and_no_html_later():
    # Of both pages, in the order in which their parts stand.
    parts = ("html_macros", "html_head", "html_report", "field_report")
    page = "".join((FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in parts)
    assert {path.stem for path in FOLDER.glob("*.html")} == set(parts)
    assert re.findall(r"\{\{ (\w+)\|safe \}\}", page) == ["style", "script", "script"]
    assert page.count("|safe") == 3
    for suffix in ("css", "js"):
        text = (FOLDER / f"html_report.{suffix}").read_text(encoding="utf-8")
        assert not re.findall(r"\{\{|\{%|\{#|</(?:style|script)", text)
        page += text
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", page)


def test_undecodable_bytes_of_a_name_are_shown_escaped_and_its_link_leads_to_the_file(tmp_path):
    path = write_picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/cells/cell\xff #?%.png")))
    page = make_page(tmp_path)
    page.add(cell(path, 0.9, group=os.fsdecode(b"\xff"), true_label=LABELS[0]))
    [row] = read(page).cells
    assert row["name"].endswith("cell\\udcff #?%.png")
    assert row["link"] == "./cells/cell%FF%20%23%3F%25.png"
    assert os.path.samefile(os.fsencode(tmp_path) + b"/" + unquote_to_bytes(row["link"]), path)
    assert link_to(Path("cells/a.png"), Path("out/today")) == "./../../cells/a.png"


@pytest.mark.parametrize(
    ("size", "shown", "colour"),
    [
        ((640, 320), (64, 32), (255, 0, 0)),
        ((30, 90), (21, 64), (0, 0, 255)),
        ((20, 10), (20, 10), (120, 200, 40)),
        ((5000, 1), (64, 1), (200, 30, 40)),
    ],
)
def test_a_thumbnail_keeps_shape_and_colour_and_is_never_enlarged(tmp_path, size, shown, colour):
    image = decode(thumbnail(write_picture(tmp_path / "a.png", colour, size)))
    assert image.size == shown
    assert np.abs(np.asarray(image, int) - colour).max() < 8


def decode(address):
    kind, content = address.split(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def test_what_is_gone_or_unreadable_has_the_reason_and_no_probability_is_no_number(tmp_path):
    page = make_page(tmp_path)
    page.add(cell(tmp_path / "gone.png", 0.9))
    page.add(Prediction(tmp_path / "bad.png", error="damaged: \x1b[31m"))
    page.add(cell(write_picture(tmp_path / "a.png"), float("nan")))
    gone, bad, odd = read(page).cells
    assert odd["positive"] is None
    assert (gone["label"], gone["image"], gone["error"]) == ("Parasitized", None, "no such file")
    assert (bad["label"], bad["image"], bad["error"]) == (None, None, "damaged: \\x1b[31m")


@pytest.mark.parametrize("confusion", [[], [[1, 2]]])
def test_a_matrix_of_another_size_than_the_labels_leaves_the_old_report(page, tmp_path, confusion):
    page.path.write_text("old")
    with pytest.raises(ValueError, match="zip"):
        page.write(evaluation=EVALUATION | {"confusion": confusion})
    assert page.path.read_text() == "old"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ink", ["text", "soft", "accent", "positive", "wrong"])
@pytest.mark.parametrize("ground", ["page", "panel", "tile"])
def test_every_ink_can_be_read_on_every_ground(mode, ink, ground):
    style = (FOLDER / "html_report.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[mode == "dark"]
    colours = dict(re.findall(r"--(\w+): #([0-9a-f]+)", block))
    lighter, darker = sorted((luminance(colours[name]) for name in (ink, ground)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG 2.2, 1.4.3, level AA


def luminance(colour):
    """Relative luminance, 0..1, as WCAG 2.2 defines it."""
    colour = "".join(2 * digit for digit in colour) if len(colour) == 3 else colour
    shares = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_the_report_of_a_run_has_every_image_whatever_its_name(
    folder, labelled, classifier, predict_all, feed, tmp_path
):
    path = folder / "Uninfected" / os.fsdecode(b"\xff.png")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(path)
    predictions = predict_all()
    for prediction in predictions:
        labelled.add(prediction)
    for evaluated in (None, labelled):
        feed(HtmlReport(tmp_path / "a.html", classifier, evaluated), predictions)
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert all(name in page for name in ("no label.png", "broken.png", "\\udcff.png"))
        assert ("sensitivity" in page) is (evaluated is labelled)


def test_the_report_of_a_run_has_the_groups_the_true_labels_and_the_overlays(
    classifier, predict_all, feed, tmp_path
):
    overlay = tmp_path / "overlay.png"
    Image.new("RGB", (20, 9), "red").save(overlay)
    found = [one if one.error else replace(one, overlay=overlay) for one in predict_all()]
    feed(HtmlReport(tmp_path / "a.html", classifier), found)
    cells = Reader((tmp_path / "a.html").read_text(encoding="utf-8")).cells
    known = {(cell["group"], cell["truth"]) for cell in cells}
    patients = {(patient, label) for patient in "12" for label in LABELS}
    assert known == patients | {(None, None), (None, "Uninfected")}
    for cell in cells:
        assert (cell["overlay"] is None) is (cell["error"] is not None)
        assert cell["error"] or decode(cell["overlay"]).size == (20, 9)


def test_the_page_says_what_a_call_is_worth_where_the_model_has_its_record(page):
    assert not any("truly are" in line for line in read(page).text)
    known = Accuracy(0.9, 100, 0.75, 100)
    [said] = [line for line in read(page, accuracy=known).text if "truly are" in line]
    # Of 3 in 8 called (.375 + .75 - 1) / (.9 + .75 - 1) are; .9 and .75 by 100 cells: .892, .745.
    start = (
        "Corrected for what the model gets wrong, 19.2% are Parasitized; by the model's record, "
    )
    assert said.startswith(f"{start}of 100 cells called Parasitized about 45 truly are if 19.2% of")
