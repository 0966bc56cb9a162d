"""The commands, on a model really trained on drawn cells.

They run within this process, but for what only a process of its own shows: signals.
"""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from malaria.cli import run as classify
from malaria.cli import train
from malaria.cli.command import run_script
from malaria.data.drawn_cells import write_cells

TOP = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "networks" / "keras2"
MAIN = {"train.py": train.main, "run.py": classify.main}
RUN, TRAIN = ("run.py", "--model=made/for it"), ("train.py", f"--config={TOP / 'config.yaml'}")


def run(script, *arguments, folder=TOP):
    said = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, stream in said.items():
            patch.setattr(sys, name, stream)
        status = run_script(MAIN[script], [*map(str, arguments)])
    for stream in said.values():
        stream.seek(0)
    return SimpleNamespace(returncode=status, **{name: said[name].read() for name in said})


def succeed(*arguments, **known):
    result = run(*arguments, **known)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with drawn cells and a model trained on them by train.py."""
    place = tmp_path_factory.mktemp("a place with spaces")
    write_cells(place / "cells", 10, seed=4, patients=5)
    settings = ("train_images=cells", "image_size=[48, 48]", "epochs=1", "plot_training_data=false")
    changes = (f"--set={change}" for change in (*settings, "output_models=made/for it"))
    result = succeed(*TRAIN, *changes, folder=place)
    place.joinpath("train.out").write_text(result.stdout + result.stderr)
    return place


@pytest.fixture(scope="module")
def model(place):
    return place / "made" / "for it"


@pytest.fixture(scope="module")
def classified(place):
    """run.py on all the cells, a broken image and odd names among them."""
    folder = place / "to classify"
    shutil.copytree(place / "cells", folder)
    one = next((folder / "Uninfected").iterdir())
    (folder / "größe Zelle №1.PNG").write_bytes(one.read_bytes())
    (folder / "link.png").symlink_to(one)
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no image")
    return folder, run(*RUN, f"--image={folder}", folder=place)


def rows_of(result):
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_training_tells_the_metrics_and_where_the_model_is(place):
    said = place.joinpath("train.out").read_text()
    for metric in ("accuracy", "sensitivity", "AUC"):
        assert re.search(rf"^{metric} +\d\.\d{{4}} +\[", said, re.MULTILINE)
    assert "the positive label is Parasitized, predicted from a probability of 0.5 on" in said
    path = re.search(r"^model: (.*)$", said, re.MULTILINE)[1]
    assert (place / path).is_file()
    assert re.search(r"^epoch 1/1: loss ", said, re.MULTILINE)


def test_every_image_whatever_its_name_is_a_row_with_label_and_probability(classified):
    folder, result = classified
    rows = {row[0]: row[1:] for row in rows_of(result)}
    assert len(rows) == 20 + 2
    assert rows.pop(str(folder / "broken.jpg")) == ["unreadable", "not an image of a known kind"]
    for label, probability in rows.values():
        assert label in ("Parasitized", "Uninfected")
        assert 0.5 <= float(probability) <= 1
    linked = (folder / "link.png").resolve()
    assert rows[str(folder / "größe Zelle №1.PNG")] == rows[str(linked)]


def test_an_unreadable_picture_makes_the_exit_status_1_and_is_counted(classified):
    _, result = classified
    assert result.returncode == 1
    first, share, *groups, skipped, again = result.stderr.splitlines()
    assert skipped == "passed over, not images: 1 .txt"
    assert again == "named again, and counted once: 1 image"
    assert re.fullmatch(r"22 images: Parasitized \d+, .*; 1 unreadable; .* images/s", first)
    assert re.fullmatch(r"share of Parasitized .*: [\d.]+% \[[\d.]+%, [\d.]+%\]", share)
    assert [line.split()[0] for line in groups] == ["group", *"12345"]


def test_the_model_may_be_named_by_either_half_and_one_image_has_the_row_of_its_folder(
    model, classified
):
    [weights] = model.glob("*.h5")
    path, label, probability = rows_of(classified[1])[-1]
    for half in (weights, weights.with_suffix(".json")):
        [[name, same, near]] = rows_of(succeed("run.py", "--model", half, "--image", path))
        assert (name, same) == (path, label)
        assert float(near) == pytest.approx(float(probability), abs=1e-3)


def test_a_slice_takes_those_images_of_the_listing_and_count_only_counts_what_the_rows_say(
    place, classified
):
    folder, whole = classified
    sliced = run(*RUN, "--image", folder, "--slice=2,5", folder=place)
    assert [row[0] for row in rows_of(sliced)] == [row[0] for row in rows_of(whole)[2:5]]
    counted = run(*RUN, "--image", folder, "--count_only", folder=place)
    labels = [row[1] for row in rows_of(whole)]
    assert rows_of(counted) == [
        [name, str(labels.count(name))] for name in ("Parasitized", "Uninfected", "unreadable")
    ]


def test_plot_saves_a_grid_and_the_word_false_means_no(place, tmp_path):
    known = "run.py", f"--model={place}/made/for it", f"--image={place}/cells/Uninfected"
    for argument, made in (("--plot=False", None), ("--plot=a b.png", "a b.png")):
        succeed(*known, argument, folder=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ([made] if made else [])
    with Image.open(tmp_path / "a b.png") as grid:
        assert grid.format == "PNG"


def test_a_historic_pair_gets_a_tflite_and_takes_labels_and_resize(place, tmp_path, monkeypatch):
    image = next((place / "cells" / "Uninfected").iterdir())
    for suffix in (".h5", ".json"):
        shutil.copy(GOLDEN / f"form_2019{suffix}", tmp_path)
    pair = tmp_path / "form_2019.h5"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plain = succeed("run.py", "--model", pair, "--image", image)
    assert f"saved {tmp_path}/cache/malaria/" in plain.stderr
    named = succeed("run.py", "--model", pair, "--image", image, "--labels=ill,well")
    assert "saved" not in named.stderr
    [[_, label, probability]] = rows_of(plain)
    [[_, name, same]] = rows_of(named)
    assert {"Parasitized": "ill", "Uninfected": "well"}[label] == name
    assert float(probability) == pytest.approx(float(same), abs=1e-3)
    wrong = run("run.py", "--model", pair, "--image", image, "--resize=99,99")
    assert wrong.returncode == 2
    assert "--resize: the network takes 20,20" in wrong.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "status", "line"),
    [
        (RUN[:1], ["--model=none", "--image=cells"], 1, "no model at none"),
        (RUN[:1], ["--model=cells", "--image=cells"], 1, "no model in cells"),
        (RUN, ["--image=empty"], 1, "no images in empty"),
        (RUN, ["--image=cells", "--slice=90,99"], 1, "fewer than 91 images"),
        (RUN, ["--image=cells", "--labels=a,b,c"], 2, "tells 2 labels apart"),
        (RUN, ["--image=unsorted", "--evaluate"], 1, "expected sub-folders of"),
        (TRAIN, ["--config=gone.yaml"], 2, "cannot read the config gone.yaml"),
        (TRAIN, ["--set=train_images=nowhere"], 2, "train_images: no folder nowhere"),
        (TRAIN, ["--set=train_images=cells", "--set=image_size=[9,9]"], 2, "at least 42 pixels"),
        (TRAIN, ["--set=train_images=cells", "--set=train_size=99"], 2, "train_size: received 99"),
    ],
)
def test_wrong_use_is_one_line(place, script, arguments, status, line):
    place.joinpath("empty").mkdir(exist_ok=True)
    if not place.joinpath("unsorted").exists():
        shutil.copytree(place / "cells" / "Uninfected", place / "unsorted")
    result = run(*script, *arguments, folder=place)
    assert (result.returncode, result.stdout) == (status, "")
    assert re.fullmatch(rf"error: .*{re.escape(line)}.*\n", result.stderr)


def test_check_trains_nothing(place, tmp_path):
    changes = f"--set=train_images={place / 'cells'}", "--set=image_size=[48,48]"
    result = succeed(*TRAIN, *changes, "--check", folder=tmp_path)
    assert "estimated time:" in result.stdout
    assert list(tmp_path.iterdir()) == []


def write_kinds(cell, folder):
    folder.mkdir()
    with Image.open(cell) as image:
        colour = image.convert("RGB")
    kinds = {
        "rgb.png": colour,
        "grey.png": colour.convert("L"),
        "transparent.png": colour.convert("RGBA"),
        "palette.png": colour.convert("P"),
        "sixteen.png": Image.fromarray(np.asarray(colour.convert("L")).astype(np.uint16) * 257),
        **{f"a.{kind}": colour for kind in ("jpg", "bmp", "tif", "webp")},
    }
    kinds["transparent.png"].putalpha(colour.convert("L"))
    for name, picture in kinds.items():
        picture.save(folder / name)
    return folder


def test_both_engines_agree_on_every_kind_of_picture_and_a_lost_tflite_is_made_anew(
    model, place, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kinds = write_kinds(next((place / "cells" / "Parasitized").iterdir()), tmp_path / "kinds")
    [made] = model.glob("*.tflite")
    pair = tmp_path / made.with_suffix(".h5").name
    for suffix in (".h5", ".json"):
        shutil.copy(made.with_suffix(suffix), tmp_path)
    answers = {}
    for name in ("keras", "lite"):  # the first start finds no .tflite
        output = tmp_path / f"{name}.json"
        result = succeed("run.py", "--model", pair, "--image", kinds, "--output", output)
        assert (f"saved {tmp_path}/cache/malaria/" in result.stderr) is (name == "keras")
        rows = {Path(row["path"]).name: row for row in json.loads(output.read_text("utf-8"))}
        answers[name] = {name: [*row["probabilities"].values()] for name, row in rows.items()}
    assert len(answers["lite"]) == 9
    for name, probabilities in answers["keras"].items():
        # After one epoch all answers lie near each other: 1e-3 would let any pass.
        assert answers["lite"][name] == pytest.approx(probabilities, abs=1e-5)
    assert answers["lite"]["grey.png"] == answers["lite"]["sixteen.png"]
    assert answers["lite"]["grey.png"] != pytest.approx(answers["lite"]["rgb.png"], abs=1e-5)
    [kept] = (tmp_path / "cache" / "malaria").glob("*.tflite")
    # The converter names some parts anew each time.
    assert kept.stat().st_size == pytest.approx(made.stat().st_size, rel=1e-3)


def read_output(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_an_output_holds_every_image_whatever_its_name(model, place, tmp_path):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    cell = next((place / "cells" / "Uninfected").iterdir()).read_bytes()
    for name in (b"=1+1.png", b"-2.png", b"+3.png", b"@x.png", b"a\nb.png", b'c,"d.png',
                 b"\xff\x1b[31m.png"):  # fmt: skip
        Path(os.fsdecode(bytes(hostile) + b"/" + name)).write_bytes(cell)
    (hostile / "@broken.png").write_bytes(b"nothing")
    output = tmp_path / "rows.csv"
    result = run("run.py", "--model", model, "--image=.", "--output", output, folder=hostile)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 8
    assert f"saved {output}" in result.stderr
    rows = read_output(output)
    expected = {str(path.relative_to(hostile)) for path in hostile.iterdir()}
    expected = {f"'{name}" if name[0] in "=+-@" else name for name in expected}
    assert {row["path"] for row in rows} == {name.replace("\udcff", "\\udcff") for name in expected}
    assert r"\udcff\x1b[31m.png" in result.stdout
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "-", "@")]
    assert len(rows) == 8
    assert sum(bool(row["error"]) for row in rows) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile", output.name]


def interrupt(arguments, folder, how, *, after=1):
    """Start run.py, send it the signal `how` after so many rows; return its status and stderr."""
    with subprocess.Popen(
        [sys.executable, TOP / "run.py", *arguments],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while sum(path.read_bytes().count(b"\n") for path in folder.glob("a*.partial")) < after:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(how)
        said = process.stderr.read()
    return process.returncode, said


def test_an_interrupted_output_goes_on_and_no_row_is_lost_or_repeated(model, place, tmp_path):
    many = place / "many"  # images, which take seconds to classify
    many.mkdir()
    cells = sorted((place / "cells").glob("*/*.png"))
    for number in range(2000):
        os.link(cells[number % len(cells)], many / f"C{number % 7}P1_cell_{number}.png")
    arguments = [f"--model={model}", f"--image={many}", "--output=a.csv"]
    status, said = interrupt(arguments, tmp_path, signal.SIGINT)
    assert status == 130
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said
    [partial] = tmp_path.iterdir()
    after_first = partial.read_bytes()

    refused = run("run.py", *arguments, folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        f"error: a.csv was interrupted: go on with --resume, or delete {partial.name}\n"
    )
    assert partial.read_bytes() == after_first

    # A process killed while it wrote leaves half a row.
    partial.write_bytes(after_first[:-20])
    known = partial.read_bytes().count(b"\n")
    status, _ = interrupt([*arguments, "--resume"], tmp_path, signal.SIGKILL, after=known + 64)
    assert status == -signal.SIGKILL
    assert not (tmp_path / "a.csv").exists()

    result = succeed("run.py", *arguments, "--resume", folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    paths = [row["path"] for row in read_output(tmp_path / "a.csv")]
    assert len(paths) == 2000
    assert set(paths) == {str(path) for path in many.iterdir()}
    assert len(result.stdout.splitlines()) == 2000
    assert re.search(r"^2000 images: ", result.stderr, re.MULTILINE)


def test_an_output_that_cannot_begin_is_not_taken_for_interrupted(model, place, tmp_path):
    cells = place / "cells" / "Uninfected"
    arguments = [f"--model={model}", f"--image={cells}", "--output=a.csv"]
    assert run("run.py", *arguments, "--evaluate", folder=tmp_path).returncode == 1
    assert list(tmp_path.iterdir()) == []
    succeed("run.py", *arguments, folder=tmp_path)


def test_evaluate_and_report_tell_what_the_answers_are_worth(model, place, tmp_path):
    known = "run.py", "--model", model, "--image", place / "cells"
    result = succeed(*known, "--evaluate", "--report=a.html", folder=tmp_path)
    assert re.search(r"^sensitivity +[\d.]+ +\[", result.stderr, re.MULTILINE)
    assert len(result.stdout.splitlines()) == 20
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["images_by_label"] == {"Parasitized": 10, "Uninfected": 10}
    assert metrics["intervals"]["resampled"] == "patients"
    labels = [(Path(row[0]).parent.name, row[1]) for row in rows_of(result)]
    right = sum(truth == label for truth, label in labels)
    assert metrics["metrics"]["accuracy"]["value"] == pytest.approx(right / 20)
    assert (tmp_path / "a.html").read_text(encoding="utf-8").count("data:image/jpeg") == 20


def test_explain_writes_where_the_network_looked_beside_a_report(model, place, tmp_path):
    known = "run.py", "--model", model, "--image", place / "cells", "--slice=8,12"
    result = succeed(*known, "--explain=looked", "--report=a.html", folder=tmp_path)
    overlays = sorted(tmp_path.glob("looked/*/*.gradcam.png"))
    assert [path.parent.name for path in overlays] == ["Parasitized"] * 2 + ["Uninfected"] * 2
    assert len(result.stdout.splitlines()) == 4
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 8


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        (["--threshold=0"], [["Parasitized", "20"], ["Uninfected", "0"]]),
        (["--threshold=1"], [["Parasitized", "0"], ["Uninfected", "20"]]),
        (["--review=0,1"], [["Parasitized", "0"], ["Uninfected", "0"], ["review", "20"]]),
    ],
)
def test_thresholds_and_review_decide_what_a_cell_is_called(place, options, counts):
    result = succeed(*RUN, "--image=cells", "--count_only", *options, folder=place)
    assert rows_of(result) == counts


def test_a_regular_expression_groups_the_table(place):
    result = run(*RUN, "--image=cells", r"--group_by=/(Para|Unin)", folder=place)
    _, _, head, *rows = result.stderr.splitlines()
    assert head.split()[0] == "group"
    assert [row.split()[0] for row in rows] == ["Para", "Unin"]
    assert [sum(map(int, row.split()[1:3])) for row in rows] == [10, 10]
