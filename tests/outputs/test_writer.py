"""Tests of malaria/outputs/writer.py and formats.py."""

import csv
import io
import json
import os
from contextlib import closing, suppress
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.inference.prediction import Prediction
from malaria.outputs.writer import Writer

LABELS = ("Parasitized", "=Uninfected")
HEADER = ["path", "label", "probability", *(f"probability of {name}" for name in LABELS)]
HEADER += ["unlike", "note", "error"]
HOSTILE = ["=1+1.png", "-2.png", "+3.png", "@x.png", "a\nb.png", 'a",b.png', "\tc.png", "größe.png"]
PREDICTIONS = [
    *(Prediction(Path(name), LABELS[0], 0.75, (0.75, 0.25)) for name in HOSTILE),
    Prediction(Path("cells", "b.png"), LABELS[1], 0.6, (0.4, 0.6)),
    Prediction(Path(os.fsdecode(b"\xff.png")), error="=damaged\nhere"),
    Prediction(Path("d.png"), "review", 0.45, (0.45, 0.55)),
    Prediction(Path("e.png"), "unlike", 0.9, (0.9, 0.1), unlike="no cell"),
    Prediction(Path("f.png"), LABELS[0], 0.9, (0.9, 0.1), note="grey"),
]


def open_writer(path, resume=False, model="0123456789abcdef", source="cells"):
    return Writer(path, source=source, labels=LABELS, model=model, resume=resume)


def fill(path, predictions):
    writer = open_writer(path)
    for prediction in predictions:
        writer.add(prediction)
    return writer


def write(path):
    fill(path, PREDICTIONS).finish()


def interrupt(path, predictions):
    writer = fill(path, predictions)
    writer.close()
    return writer


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "B.CSV"])
def test_when_it_is_finished_the_file_is_all_that_is_there_and_told(tmp_path, name, capsys):
    write(tmp_path / "new folder" / name)
    assert names(tmp_path / "new folder") == [name]
    assert capsys.readouterr().err == f"saved {tmp_path}/new folder/{name}\n"


def test_json_and_its_lines_hold_each_row_as_it_was_predicted(tmp_path):
    for name in ("a.json", "a.jsonl"):
        write(tmp_path / name)
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows
    for row, made in zip(rows, PREDICTIONS, strict=True):
        known = made.probabilities and dict(zip(LABELS, made.probabilities, strict=True))
        assert row == {
            **{"path": str(made.path), "label": made.label, "probability": made.probability},
            **{"probabilities": known, "unlike": made.unlike},
            **{"note": made.note, "error": made.error},
        }


def test_in_csv_nothing_becomes_a_formula_and_what_is_no_text_is_escaped_in_utf_8(tmp_path):
    write(tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_bytes().decode("utf-8")
    assert content[0] == "\ufeff"  # by which Excel knows it
    header, *rows = csv.reader(io.StringIO(content[1:], newline=""))
    assert header == HEADER
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r\n"))]
    expected = [f"'{name}" if name[0] in "=+-@\t" else name for name in HOSTILE]
    assert [row[0] for row in rows[: len(HOSTILE)]] == expected
    assert [row[1:] for row in rows[: len(HOSTILE)]] == [
        ["Parasitized", "0.75", "0.75", "0.25", "", "", ""]
    ] * len(HOSTILE)
    assert rows[len(HOSTILE) :] == [
        ["cells/b.png", "'=Uninfected", "0.6", "0.4", "0.6", "", "", ""],
        ["\\udcff.png", "", "", "", "", "", "", "'=damaged\nhere"],
        ["d.png", "review", "0.45", "0.45", "0.55", "", "", ""],
        ["e.png", "unlike", "0.9", "0.9", "0.1", "no cell", "", ""],
        ["f.png", "Parasitized", "0.9", "0.9", "0.1", "", "grey", ""],
    ]


def test_an_interrupted_one_goes_on_where_it_was(tmp_path):
    interrupt(tmp_path / "a.jsonl", PREDICTIONS[:4])
    assert not (tmp_path / "a.jsonl").exists()
    second = open_writer(tmp_path / "a.jsonl", resume=True)
    assert list(second.earlier()) == PREDICTIONS[:4]
    for prediction in PREDICTIONS[4:]:
        second.add(prediction)
    second.finish()
    whole = (tmp_path / "a.jsonl").read_bytes()
    write(tmp_path / "b.jsonl")
    assert whole == (tmp_path / "b.jsonl").read_bytes()


def test_a_row_that_was_torn_anywhere_is_dropped_and_the_others_stay(tmp_path):
    path = tmp_path / "a.csv"
    writer = interrupt(path, PREDICTIONS[:3])
    whole = writer.partial.read_bytes()
    two = len(b"".join(whole.splitlines(keepends=True)[:2]))
    for cut in range(two, len(whole)):
        writer.partial.write_bytes(whole[:cut])
        again = open_writer(path, resume=True)
        assert list(again.earlier()) == PREDICTIONS[:2]
        again.add(PREDICTIONS[2])
        again.close()
        assert writer.partial.read_bytes() == whole


def test_after_an_interruption_it_begins_anew_only_if_it_is_told_to(tmp_path):
    writer = interrupt(tmp_path / "a.csv", PREDICTIONS[:1])
    before = writer.partial.read_bytes()
    with pytest.raises(UserError) as caught:
        open_writer(tmp_path / "a.csv")
    assert str(caught.value) == (
        f"{tmp_path}/a.csv was interrupted: go on with --resume, or delete {writer.partial}"
    )
    assert writer.partial.read_bytes() == before
    writer.partial.unlink()
    write(tmp_path / "a.csv")


@pytest.mark.parametrize("change", [{"model": "b" * 64}, {"source": "other"}])
def test_rows_of_two_models_or_of_two_folders_are_not_mixed(tmp_path, change):
    writer = interrupt(tmp_path / "a.csv", PREDICTIONS[:1])
    other = open_writer(tmp_path / "a.csv", resume=True, **change)
    assert list(other.earlier()) == []
    other.close()
    assert writer.partial.exists()


SOUND = {
    **{"path": "a.png", "label": LABELS[0], "probability": 0.75, "unlike": None, "error": None},
    **{"note": None},
    "probabilities": {LABELS[0]: 0.75, LABELS[1]: 0.25},
}


@pytest.mark.parametrize(
    "change",
    [
        *({"path": value} for value in ("", "a\0.png", "\ud800", 7, None, [])),
        *({"label": value} for value in ("Healthy", LABELS[1], 3, None, [])),
        *({"probability": value} for value in (0.7, None, "0.75", float("nan"))),
        *({"probabilities": value} for value in (None, {}, {LABELS[0]: 0.75}, [0.75, 0.25])),
        {"probabilities": {LABELS[1]: 0.75, LABELS[0]: 0.25}},
        *(
            {"probabilities": dict(zip(LABELS, values, strict=True))}
            for values in ((0.75, "x"), (0.75, 0.75), (0.75, float("nan")), (1.75, -0.75))
        ),
        *({key: value} for key in ("unlike", "note") for value in (5, True, ["x"])),
        *({"error": value} for value in ("damaged", 5)),
        {"label": None, "probability": None, "probabilities": None},
        *({"box": value} for value in (None, [1, 2, 3, 4])),
        {"more": 1},
        {"path": "a.png"},  # which has a row already
    ],
    ids=str,
)
def test_a_row_that_no_run_wrote_is_found_and_not_taken_over(tmp_path, change):
    writer = interrupt(tmp_path / "a.csv", PREDICTIONS[:1])
    with open(writer.partial, "a", encoding="ascii") as file:
        file.write(json.dumps(SOUND) + "\n")
    second = open_writer(tmp_path / "a.csv", resume=True)
    assert len(list(second.earlier())) == 2
    second.close()
    content = writer.partial.read_text() + json.dumps(SOUND | {"path": "b.png"} | change) + "\n"
    writer.partial.write_text(content)
    second = open_writer(tmp_path / "a.csv", resume=True)
    with pytest.raises(UserError, match=r"\.partial is damaged in line 3: delete it to begin anew"):
        list(second.earlier())
    second.close()
    assert writer.partial.read_text() == content


@pytest.mark.parametrize(
    "line",
    [
        *(b"x", b"\xff", b"[" * 9000, b"7" * 5000, b"null", b" " * 2_000_000),
        b"\xef\xbb\xbf" + json.dumps(SOUND).encode(),
        json.dumps(SOUND | {"path": "ä.png"}, ensure_ascii=False).encode(),
    ],
    ids=lambda line: str(line[:9]),
)
def test_a_line_that_is_no_row_is_found(tmp_path, line):
    writer = interrupt(tmp_path / "a.csv", PREDICTIONS[:1])
    writer.partial.write_bytes(line + b"\n")
    with (
        pytest.raises(UserError, match=r"\.partial is damaged( in line 1)?: delete it"),
        closing(open_writer(tmp_path / "a.csv", resume=True)) as second,
    ):
        list(second.earlier())
    assert writer.partial.read_bytes() == line + b"\n"


@pytest.mark.parametrize("kind", ["symbolic", "broken", "hard", "pipe"])
@pytest.mark.parametrize("name", ["partial", "lock"])
def test_what_somebody_put_at_a_name_of_ours_is_not_written_into(tmp_path, kind, name):
    writer = interrupt(tmp_path / "a.csv", PREDICTIONS[:1])
    place = writer.partial if name == "partial" else tmp_path / ".a.csv.lock"
    place.unlink(missing_ok=True)
    other = tmp_path / "other"
    if kind != "broken":
        other.write_bytes(b"not a row")
    if kind == "pipe":
        os.mkfifo(place)
    else:
        (os.link if kind == "hard" else os.symlink)(other, place)
    with pytest.raises(UserError, match=rf"cannot write {place}: it is a link, or no file"):
        open_writer(tmp_path / "a.csv", resume=True)
    assert not other.exists() if kind == "broken" else other.read_bytes() == b"not a row"
    assert os.path.lexists(place)


def test_a_link_to_the_folder_of_the_output_is_the_users(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    write(tmp_path / "out" / "a.csv")
    assert names(tmp_path / "disk") == ["a.csv"]


def test_no_row_waits_to_be_written(tmp_path):
    writer = open_writer(tmp_path / "a.csv")
    for number, prediction in enumerate(PREDICTIONS, start=1):
        writer.add(prediction)
        assert writer.partial.read_bytes().count(b"\n") == number
    writer.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", f"\ufeff{','.join(HEADER)}\r\n"), ("a.json", "[\n]\n"), ("a.jsonl", "")],
)
def test_without_a_row_nothing_is_left_to_go_on_with_and_the_file_is_valid(tmp_path, name, content):
    interrupt(tmp_path / name, [])
    assert names(tmp_path) == []
    writer = open_writer(tmp_path / name, resume=True)
    assert list(writer.earlier()) == []
    writer.finish()
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_bytes().decode() == content


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    writer = fill(path, PREDICTIONS[:1])
    assert path.read_text() == "old"
    writer.finish()
    assert len(json.loads(path.read_text())) == 1


@pytest.mark.parametrize("name", ["file/a.csv", "file/deeper/a.csv"])
def test_a_place_where_nothing_can_be_written_is_told(tmp_path, name):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot write .*a\.csv.*: (File exists|Not a directory)"):
        open_writer(tmp_path / name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(tmp_path):
    writer = open_writer(tmp_path / "a.csv")
    writer.close()
    writer.file = open("/dev/full", "w", buffering=1)  # noqa: SIM115  close() is what is tried
    for step in (lambda: writer.add(PREDICTIONS[0]), writer.close):
        with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
            step()
    with suppress(OSError):
        writer.file.close()


def test_a_picture_that_an_interrupted_run_wrote_is_not_written_again_however_it_is_spelled(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    interrupt(tmp_path / "a.csv", [Prediction(Path("in/a.png"), LABELS[0], 0.75, (0.75, 0.25))])
    second = open_writer(tmp_path / "a.csv", resume=True)
    [earlier] = second.earlier()
    for spelling in (tmp_path / "in" / "a.png", Path("in/../in/a.png")):
        paths = [spelling, Path("a.png")]
        assert list(second.without_written(paths)) == [Path("a.png")]
    second.add(earlier)
    second.finish()
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("rows", "paths", "missing"),
    [
        ("ab", "ab", ""),
        ("ab", "abcd", "cd"),
        ("ab", "bcad", "cd"),
        ("ab", "0abc", "0c"),
        ("ab", "aabc", "ac"),
    ],
    ids=["the same", "more", "in another order", "one more in front", "one twice"],
)
def test_what_has_no_row_yet_is_found_though_images_came_meanwhile(tmp_path, rows, paths, missing):
    known = (LABELS[0], 0.75, (0.75, 0.25))
    interrupt(tmp_path / "a.csv", [Prediction(Path(name), *known) for name in rows])
    second = open_writer(tmp_path / "a.csv", resume=True)
    assert [str(path) for path in second.without_written(map(Path, paths))] == list(missing)
    second.close()


def test_two_writers_of_one_file_are_refused_and_the_first_goes_on(tmp_path):
    first = fill(tmp_path / "a.csv", PREDICTIONS[:1])
    for resume in (False, True):
        with pytest.raises(UserError, match=rf"a\.csv is being written by process {os.getpid()} "):
            open_writer(tmp_path / "a.csv", resume=resume)
    first.finish()
    assert names(tmp_path) == ["a.csv"]
    write(tmp_path / "a.csv")
