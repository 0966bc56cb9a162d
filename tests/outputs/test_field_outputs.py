"""What becomes of the cells of fields: tables, images, files and a page."""

import csv
import io
import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.fields.headline import LISTED
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.outputs import field_report
from malaria.outputs.field_boxes import CELLS
from malaria.outputs.field_pictures import CellFiles, shrink_field
from malaria.outputs.field_report import FieldReport, FieldTable
from malaria.outputs.writer import Writer
from malaria.pictures.box import Box
from malaria.pictures.images import PixelFormat
from malaria.pictures.places import Places
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")


@pytest.fixture
def classifier():
    """Of sensitivity .9 (100 cells) and specificity .97 (200)."""
    metadata = Metadata(LABELS, "Parasitized", PixelFormat((8, 8)))
    known = metadata.to_entries() | {"validation": {"confusion": [[90, 10], [6, 194]]}}
    return Classifier(replace(metadata, details=known), network=None)


@pytest.fixture
def stranger():
    """A classifier that does not say what it gets wrong."""
    return Classifier(Metadata(LABELS, "Parasitized", PixelFormat((8, 8))), network=None)


def cell(path, label, place=0, group=None):
    known = {"group": group, "unlike": "no cell" if label == UNLIKE else None}
    both = (0.05, 0.95) if label == "Uninfected" else (0.95, 0.05)
    return Prediction(Path(path), label, 0.95, both, box=Box(10 * place, 5, 20, 20), **known)


def cells_of(path, *, sick, well, group=None, **others):
    labels = ["Parasitized"] * sick + ["Uninfected"] * well
    labels += [label for label, count in others.items() for _ in range(count)]
    return [cell(path, label, place, group) for place, label in enumerate(labels)]


def some_fields():
    return [
        *cells_of("s/p1_a.png", sick=1, well=9, group="1"),
        *cells_of("s/p1_b.png", sick=2, well=8, group="1"),
        *cells_of("s/p2_a.png", sick=0, well=5, group="2"),
        Prediction(Path("s/p2_b.png"), error="damaged", group="2"),
    ]


@pytest.mark.parametrize("name", ["out.csv", "out.json", "out.jsonl"])
def test_the_table_has_each_patient_first_then_each_field_and_all(classifier, feed, tmp_path, name):
    feed(FieldTable(classifier, tmp_path / name), some_fields())
    path = tmp_path / name.replace("out", "out_fields")
    rows = rows_in(path) if name.endswith(".csv") else json.loads(path.read_text())
    found = [(row["level"], row["name"] or None, str(row["red cells"])) for row in rows]
    fields = {"s/p1_a.png": "10", "s/p1_b.png": "10", "s/p2_a.png": "5", "s/p2_b.png": "0"}
    assert found == [
        *(("patient", "1", "20"), ("patient", "2", "5")),
        *(("field", *one) for one in fields.items()),
        ("all", None, "25"),
    ]
    first, second, *_, empty, every = rows
    shares = [float(row["parasitaemia"]) for row in (first, second, every)]
    assert shares == [0.15, 0, 0.12]
    assert float(every["corrected"]) == pytest.approx((0.12 - 0.03) / 0.87)
    assert [str(row["fields"]) for row in (first, second, every)] == ["2", "2", "4"]
    assert empty["error"] == "damaged"
    assert empty["corrected"] in ("", None)


def printed(output, predictions, feed, capsys):
    feed(output, predictions)
    return capsys.readouterr().err.splitlines()


def test_the_table_for_people_has_patients_first_and_at_most_so_many_fields(stranger, feed, capsys):
    many = [one for n in range(LISTED + 5) for one in cells_of(f"f{n}.png", sick=0, well=2)]
    lines = printed(FieldTable(stranger, None), [*some_fields(), *many], feed, capsys)
    head = next(place for place, line in enumerate(lines) if line.startswith("patient or field"))
    assert lines[head].endswith("called share [95 % interval]")
    assert re.match(r"patient 1 +20 +3 +15\.0% \[5\.2%, 36\.0%\]$", lines[head + 1])
    assert any(re.match(r"s/p2_b\.png +- +- +damaged$", line) for line in lines)
    assert lines[-2].startswith("all 39 fields ")
    assert lines[-1] == "and 9 more fields"


def test_the_share_of_all_is_told_first_with_its_interval_and_what_it_leaves_out(
    classifier, stranger, feed, capsys
):
    fields = [one for n in range(9) for one in cells_of(f"{n}.png", sick=20, well=80)]
    warning, corrected, *lines = printed(FieldTable(classifier, None), fields, feed, capsys)
    assert "(20% of the cells are called Parasitized; more than 10% is rare in" in warning
    assert re.match(
        r"19\.5% Parasitized, corrected \[95 % interval 1\d\.\d%, 2\d\.\d%\]$", corrected
    )
    assert lines[0] == "180 of 900 red cells (20.0%) are called Parasitized"
    assert "sensitivity 90.0% and specificity 97.0%" in lines[1]
    assert lines[3].startswith("not corrected for: cells that were not found")
    assert re.search(r"are alike \(design effect 1\.0\)$", lines[2])
    _, called, _, why, *_ = printed(FieldTable(stranger, None), fields, feed, capsys)
    assert called == "20.0% Parasitized, called [95 % interval 17.5%, 22.7%]"
    assert why.startswith("not corrected for what the model gets wrong")
    assert why.endswith(
        "the model does not say its sensitivity and specificity; --calibrate measures them"
    )


def test_with_another_threshold_or_with_review_nothing_is_corrected(classifier, feed, capsys):
    for model, why in (
        (classifier.with_threshold(0.4), "were measured with another threshold"),
        (classifier.with_threshold(review=(0.4, 0.6)), "--review leaves cells undecided"),
    ):
        table = FieldTable(model, None)
        first, _, said, *_ = printed(table, cells_of("a.png", sick=2, well=8), feed, capsys)
        assert "Parasitized, called [95 % interval" in first
        assert why in said


def test_a_strange_laboratory_is_told_before_any_share(stranger, feed, tmp_path, capsys):
    cells = [
        replace(one, probabilities=(0.6, 0.4) if number % 2 else one.probabilities)
        for number, one in enumerate(cells_of(tmp_path / "a.png", sick=60, well=40))
    ]
    # Too few to show it by themselves.
    cells += cells_of(tmp_path / "b.png", sick=0, well=2)
    report = FieldReport(stranger, tmp_path / "o.csv", tmp_path / "r.html")
    first, second, *lines = printed(report, cells, feed, capsys)
    warning = "measured elsewhere: this figure may be several times too high; label 200 cells"
    own, inherited, of_all = (row["warning"] for row in rows_in(tmp_path / "o_fields.csv"))
    assert own == first.replace("49%", "50%").replace("59%", "60%")
    assert inherited == of_all == first
    assert first.startswith(f"{warning} and run --calibrate (49% of the cells are doubtful")
    assert second.startswith("58.8% Parasitized")
    assert re.match(r"all 2 fields +102 +60 +measured elsewhere: 58\.8% \[", lines[-3])
    page = (tmp_path / "r.html").read_text()
    assert 0 < page.index(warning) < page.index("58.8%")
    columns = list(rows_in(tmp_path / "o_fields.csv")[0])
    assert columns.index("warning") < columns.index("parasitaemia")


def test_cells_that_the_network_calls_positive_and_the_guard_doubts_are_counted_apart(
    classifier, feed, tmp_path, capsys
):
    cells = cells_of(tmp_path / "a.png", sick=0, well=90, unlike=3)
    first, *_ = printed(FieldReport(classifier, None, tmp_path / "r.html"), cells, feed, capsys)
    assert re.match(
        r"none seen in 90 cells: at most \d\.\d% Parasitized; 3 more are doubted$", first
    )
    assert (
        "Called Parasitized but doubted, and not counted: 3." in (tmp_path / "r.html").read_text()
    )


def test_parasites_per_microlitre_are_told_where_red_cells_are(classifier, feed, tmp_path, capsys):
    cells = cells_of("a.png", sick=20, well=80)
    table = FieldTable(classifier, tmp_path / "o.json", red_cells=4e6)
    lines = printed(table, cells, feed, capsys)
    row = json.loads((tmp_path / "o_fields.json").read_text())[-1]
    assert row["per microlitre"] == round(row["corrected"] * 4e6)
    assert row["per microlitre, high"] == round(row["high"] * 4e6)
    assert any(line.startswith(f"{row['per microlitre']:,} [") for line in lines)


def test_of_few_leukocytes_it_is_told_that_they_are_too_few(classifier, feed, capsys):
    cells = cells_of("a.png", sick=20, well=80)
    lines = printed(FieldTable(classifier, None, white_cells=8e3), cells, feed, capsys)
    assert "parasites per microlitre cannot be told: no leukocyte was found" in lines
    cells += [replace(cells[0], label="leukocyte", probabilities=None)] * 150
    lines = printed(FieldTable(classifier, None, white_cells=8e3), cells, feed, capsys)
    [line] = [line for line in lines if "per microlitre" in line]
    assert line.endswith("8,000 leukocytes; 150 were found, too few: count 200 or more")
    cells += cells[-50:]
    assert "too few" not in printed(
        FieldTable(classifier, None, white_cells=8e3), cells, feed, capsys
    )


def test_a_large_field_is_made_smaller_for_the_page():
    for size, shown in (((3000, 1500), (1000, 500)), ((9, 2), (9, 2))):
        assert Image.open(io.BytesIO(shrink_field(Image.new("RGB", size)))).size == shown


def test_cells_are_written_below_their_labels_and_in_the_folders_of_their_fields(
    tmp_path, draw_field, feed
):
    field, boxes = draw_field()
    predictions = []
    for path in (tmp_path / "slides" / folder / "a.png" for folder in ("one", "two")):
        path.parent.mkdir(parents=True)
        field.save(path)
        for label, (*place, _) in zip((*LABELS, UNLIKE), boxes, strict=False):
            predictions.append(Prediction(path, label, 0.9, box=Box(*place)))
    predictions.append(Prediction(tmp_path / "slides" / "three.png", error="damaged"))
    feed(CellFiles(tmp_path / "cells", Places([tmp_path / "slides"]), LABELS), predictions)
    left, top, width, height, _ = boxes[0]
    written = sorted((tmp_path / "cells").rglob("*.png"))
    assert len(written) == 6
    first = tmp_path / "cells" / "Parasitized" / "one" / f"a_{left}_{top}_{width}_{height}.png"
    assert first in written
    expected = field.crop((left, top, left + width, top + height))
    with Image.open(first) as picture:
        assert (np.asarray(picture) == np.asarray(expected)).all()


def test_fields_of_one_name_share_no_cells_and_no_name_of_their_cells(tmp_path, draw_field, feed):
    field, boxes = draw_field()
    paths = [tmp_path / name for name in ("ward1/a.png", "ward2/a.png", "ward2/a.tif")]
    predictions = []
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        field.save(path)
        for label, (*place, _) in zip(LABELS, boxes, strict=False):
            predictions.append(Prediction(path, label, 0.9, box=Box(*place)))
    places = Places([tmp_path / "ward1", tmp_path / "ward2"])
    for resume in (False, True):
        feed(CellFiles(tmp_path / "cells", places, LABELS, resume=resume), predictions)
    written = sorted(path.relative_to(tmp_path / "cells") for path in tmp_path.rglob("cells/*/*/*"))
    assert len(written) == len(predictions)
    assert {path.parts[:2] for path in written} == {
        (label, ward) for label in LABELS for ward in ("ward1", "ward2")
    }
    # A pattern on the file's name, as the setting patient_pattern is, tells them apart too.
    fields = {re.fullmatch(r"(a.*?)(_\d+){4}\.png", path.name)[1] for path in written}
    assert len(fields) == 3


def test_cells_are_written_through_no_link_that_lies_in_their_folder(tmp_path, draw_field, feed):
    field, [(*place, _), *_] = draw_field()
    field.save(tmp_path / "a.png")
    for name in ("disk", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "cells").symlink_to("disk")
    one = Prediction(tmp_path / "a.png", LABELS[0], 0.9, box=Box(*place))
    feed(CellFiles(tmp_path / "cells", Places([]), LABELS), [one])
    assert len(list((tmp_path / "disk").rglob("*.png"))) == 1
    (tmp_path / "cells" / LABELS[1]).symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match=rf"{LABELS[1]}: it is a link: delete it"):
        feed(
            CellFiles(tmp_path / "cells", Places([]), LABELS, resume=True),
            [replace(one, label=LABELS[1])],
        )
    assert not list((tmp_path / "other").iterdir())


def test_a_folder_that_holds_cells_already_or_is_among_the_fields_is_refused(tmp_path):
    (tmp_path / "cells" / "Parasitized").mkdir(parents=True)
    CellFiles(tmp_path / "cells", Places([]), LABELS)
    (tmp_path / "cells" / "Parasitized" / "a.png").touch()
    CellFiles(tmp_path / "cells", Places([]), LABELS, resume=True)
    with pytest.raises(UserError, match="holds images: name another folder"):
        CellFiles(tmp_path / "cells", Places([]), LABELS)
    with pytest.raises(UsageError, match="expected a folder outside of"):
        CellFiles(tmp_path / "slides" / "cells", Places([tmp_path / "slides"]), LABELS)


@pytest.fixture
def report(classifier, tmp_path, draw_field, feed):
    """The page of two fields, of which one has a hostile name, and of one without cells."""
    predictions = []
    for number, name in enumerate(("a.png", "<img src=x onerror=alert(1)>.png")):
        field, boxes = draw_field(rows=6, columns=6, seed=number)
        field.save(tmp_path / name)
        predictions += [
            Prediction(tmp_path / name, LABELS[0], 1 - n / 100, box=Box(*place), group="<b>7")
            for n, (*place, _) in enumerate(boxes)
        ]
    predictions.append(Prediction(tmp_path / "b.png", error="no <i>cells</i>"))
    feed(FieldReport(classifier, None, tmp_path / "r.html"), predictions)
    return (tmp_path / "r.html").read_text()


def test_the_page_shows_each_field_its_cells_to_look_at_and_the_tables(report):
    assert "Report on 3 fields" in report
    assert report.count('<figure class="whole-field"') == 2
    assert report.count("<li data-kind") == 2 * 36 <= 2 * CELLS
    assert "100.0%" in report
    assert "sensitivity 90.0% and specificity 97.0%" in report
    assert "of 100 cells called Parasitized about" in report
    assert "2 fields</th>" in report


def test_nothing_of_a_stranger_becomes_html_and_nothing_is_loaded(report):
    assert "onerror" not in re.sub(r"&lt;img src=x onerror=alert\(1\)&gt;", "", report)
    assert "&lt;b&gt;7" in report
    assert "no &lt;i&gt;cells&lt;/i&gt;" in report
    assert report.count("<script") == 1
    assert not re.search(r"(src|href)=\"(?!data:|#)", report)


def test_a_field_that_is_gone_by_then_has_its_row_and_the_reason(classifier, tmp_path, feed):
    report = FieldReport(classifier, None, tmp_path / "r.html")
    feed(report, cells_of(tmp_path / "gone.png", sick=1, well=1))
    assert "gone.png: no such file" in (tmp_path / "r.html").read_text()


def test_the_page_says_which_fields_it_does_not_show_and_why(
    classifier, tmp_path, feed, monkeypatch
):
    def page_of(*predictions):
        feed(FieldReport(classifier, None, tmp_path / "r.html"), predictions)
        return re.findall(r"<p[^>]*>([^<]* shown?\b[^<]*)</p>", (tmp_path / "r.html").read_text())

    monkeypatch.setattr(field_report, "SHOWN", 2)
    cells = [cell(tmp_path / f"{n}.png", LABELS[0]) for n in range(3)]
    empty = [Prediction(Path(f"{n}.png"), error="no red cells") for n in range(4, 6)]
    assert page_of(*cells[:2]) == []
    assert page_of(*empty) == ["2 fields have no cells to show: the table says why."]
    assert page_of(empty[0], *cells) == [
        "Only the first 2 fields with cells are shown. "
        "1 field has no cells to show: the table says why."
    ]


def open_writer(folder, resume=False):
    known = {"source": "s", "labels": LABELS, "model": "m", "fields": True}
    return Writer(folder / "o.csv", resume=resume, **known)


def rows_in(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_an_interrupted_field_is_begun_anew(tmp_path):
    whole, broken = cells_of("a.png", sick=1, well=2), cells_of("b.png", sick=2, well=2)
    first = open_writer(tmp_path)
    for one in [*whole, *broken[:2]]:
        first.add(one)
    first.close()
    second = open_writer(tmp_path, resume=True)
    assert list(second.earlier()) == whole
    fields = [Path("a.png"), Path("b.png")]
    assert list(second.without_written(fields)) == fields[1:]
    for one in [*whole, *broken]:
        second.add(one)
    second.finish()
    assert [(row["path"], row["left"]) for row in rows_in(tmp_path / "o.csv")] == [
        *(("a.png", str(10 * n)) for n in range(3)),
        *(("b.png", str(10 * n)) for n in range(4)),
    ]


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, -4], [0.5] * 4, 7])
def test_a_box_that_is_none_is_found_when_a_run_goes_on(tmp_path, box):
    first = open_writer(tmp_path)
    first.add(cell("a.png", "Parasitized"))
    first.add(cell("b.png", "Parasitized"))
    first.close()
    first_row, second_row = map(json.loads, first.partial.read_text().splitlines())
    rows = (first_row | {"box": box}, second_row)
    first.partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (
        closing(open_writer(tmp_path, resume=True)) as second,
        pytest.raises(UserError, match="damaged in line 1"),
    ):
        list(second.earlier())


def test_a_first_field_without_cells_leaves_the_columns_of_boxes(tmp_path):
    writer = open_writer(tmp_path)
    writer.add(Prediction(Path("empty.png"), error="no red cells found in this field"))
    writer.add(cell("a.png", "Parasitized"))
    writer.finish()
    first, second = rows_in(tmp_path / "o.csv")
    assert (first["left"], first["error"]) == ("", "no red cells found in this field")
    assert [second[name] for name in ("left", "top", "width", "height")] == ["0", "5", "20", "20"]


@pytest.mark.parametrize("label", ["../x", "..", "a/b", "a\\b", "", "\0"])
def test_a_strangers_label_leads_no_cell_out_of_the_folder(tmp_path, label):
    with pytest.raises(UserError, match="cannot be a folder's name"):
        CellFiles(tmp_path / "cells", Places([]), ["Uninfected", label])
