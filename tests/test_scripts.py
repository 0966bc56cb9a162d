"""The scripts, started as a user starts them, on a model really trained on drawn cells."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.synthetic import write_cells

TOP = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "keras2"


def run(script, *arguments, folder=TOP, **settings):
    command = [sys.executable, TOP / script, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **settings
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with drawn cells and a model trained on them by train.py."""
    place = tmp_path_factory.mktemp("a place with spaces")
    write_cells(place / "cells", 10, seed=4, patients=5)
    result = run(
        "train.py",
        f"--config={TOP / 'config.yaml'}",
        "--set=train_images=cells",
        "--set=image_size=[48, 48]",
        "--set=epochs=1",
        "--set=output_models=made/for it",
        "--set=plot_training_data=false",
        folder=place,
    )
    assert result.returncode == 0, result.stderr
    place.joinpath("train.out").write_text(result.stdout)
    place.joinpath("train.err").write_text(result.stderr)
    return place


@pytest.fixture(scope="module")
def classified(place):
    """run.py on all the cells, a broken picture and odd names among them."""
    folder = place / "to classify"
    shutil.copytree(place / "cells", folder)
    one = next((folder / "Uninfected").iterdir())
    (folder / "größe Zelle №1.PNG").write_bytes(one.read_bytes())
    (folder / "link.png").symlink_to(one)
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no picture")
    Image.open(one).convert("L").save(folder / "grey.png")
    Image.fromarray(np.asarray(Image.open(one).convert("L")).astype(np.uint16) * 257).save(
        folder / "sixteen bits.tif"
    )
    return folder, run("run.py", "--model=made/for it", f"--image={folder}", folder=place)


def rows_of(result):
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_training_tells_the_figures_and_where_the_model_is(place):
    said = place.joinpath("train.out").read_text()
    assert re.search(
        r"validation images: accuracy 0\.\d{4}, .*sensitivity .*specificity .*AUC", said
    )
    path = re.search(r"^model: (.*)$", said, re.MULTILINE)[1]
    assert (place / path).is_file()
    assert re.search(r"^epoch 1/1: loss ", place.joinpath("train.err").read_text(), re.MULTILINE)


def test_every_picture_of_a_folder_is_a_row_with_label_and_probability(classified):
    folder, result = classified
    rows = {row[0]: row[1:] for row in rows_of(result)}
    assert len(rows) == 20 + 5
    assert rows.pop(str(folder / "broken.jpg")) == ["unreadable", "not a picture of a known kind"]
    for label, probability in rows.values():
        assert label in ("Parasitized", "Uninfected")
        assert 0.5 <= float(probability) <= 1


def test_an_unreadable_picture_makes_the_exit_status_1_and_is_counted(classified):
    _, result = classified
    assert result.returncode == 1
    assert re.search(r"^25 images: Parasitized \d+ .*; 1 unreadable; .* images/s$", result.stderr)


def test_odd_names_links_grey_and_16_bit_pictures_are_classified(classified):
    folder, result = classified
    rows = {row[0]: row[1:] for row in rows_of(result)}
    linked = rows[str(folder / "link.png")]
    assert rows[str(folder / "größe Zelle №1.PNG")] == linked
    assert rows[str(folder / "link.png")][0] != "unreadable"
    assert rows[str(folder / "grey.png")] == rows[str(folder / "sixteen bits.tif")]


def test_a_single_picture_gives_the_row_it_has_in_its_folder(place, classified):
    _, whole = classified
    row = rows_of(whole)[-1]
    result = run("run.py", "--model=made/for it", f"--image={row[0]}", folder=place)
    assert result.returncode == 0
    [[path, label, probability]] = rows_of(result)
    assert (path, label) == (row[0], row[1])
    assert float(probability) == pytest.approx(float(row[2]), abs=1e-3)


def test_the_model_may_be_named_by_either_half(place):
    [weights] = (place / "made" / "for it").glob("*.h5")
    image = next((place / "cells" / "Uninfected").iterdir())
    by_half = [
        run("run.py", "--model", half, "--image", image).stdout
        for half in (weights, weights.with_suffix(".json"))
    ]
    assert by_half[0] == by_half[1] != ""


def test_a_slice_takes_those_pictures_of_the_listing(place, classified):
    folder, whole = classified
    result = run("run.py", "--model=made/for it", "--image", folder, "--slice=2,5", folder=place)
    assert [row[0] for row in rows_of(result)] == [row[0] for row in rows_of(whole)[2:5]]


def test_count_only_counts_what_the_rows_say(place, classified):
    folder, whole = classified
    result = run("run.py", "--model=made/for it", "--image", folder, "--count_only", folder=place)
    labels = [row[1] for row in rows_of(whole)]
    expected = [[name, str(labels.count(name))] for name in ("Parasitized", "Uninfected")]
    assert rows_of(result) == [*expected, ["unreadable", "1"]]


@pytest.mark.parametrize(
    ("argument", "made"),
    [
        ("--plot", "predictions.png"),
        ("--plot=grid one.png", "grid one.png"),
        ("--plot=False", None),
    ],
)
def test_plot_saves_a_grid_and_the_word_false_means_no(place, tmp_path, argument, made):
    image = place / "cells" / "Uninfected"
    model = place / "made" / "for it"
    result = run("run.py", "--model", model, "--image", image, argument, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ([made] if made else [])
    if made:
        with Image.open(tmp_path / made) as grid:
            assert grid.format == "PNG"


def test_labels_and_resize_are_for_historic_pairs(place):
    image = next((place / "cells" / "Uninfected").iterdir())
    pair = GOLDEN / "form_2019.h5"
    plain = run("run.py", "--model", pair, "--image", image)
    named = run("run.py", "--model", pair, "--image", image, "--labels=ill,well")
    assert plain.returncode == named.returncode == 0, named.stderr
    [[_, label, probability]] = rows_of(plain)
    [[_, name, same]] = rows_of(named)
    assert {"Parasitized": "ill", "Uninfected": "well"}[label] == name
    assert probability == same
    wrong = run("run.py", "--model", pair, "--image", image, "--resize=99,99")
    assert wrong.returncode == 2
    assert "--resize: the network takes 20,20" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        ([], 2, "the following arguments are required: --model, --image"),
        (["--image=cells"], 2, "required: --model"),
        (["--model=none", "--image=cells"], 1, "no model at none"),
        (["--model=cells", "--image=cells"], 1, "no model in cells"),
        (["--model=made/for it", "--image=gone.png"], 1, "no file or folder gone.png"),
        (["--model=made/for it", "--image=empty"], 1, "no pictures in empty"),
        (["--model=made/for it", "--image=cells", "--slice=3"], 2, "expected two numbers A,B"),
        (["--model=made/for it", "--image=cells", "--slice=5,2"], 2, "0 <= A < B"),
        (["--model=made/for it", "--image=cells", "--slice=90,99"], 1, "fewer than 91 pictures"),
        (["--model=made/for it", "--image=cells", "--plot=a.txt"], 2, "ending in .png"),
        (["--model=made/for it", "--image=cells", "--labels=a"], 2, "two or more unlike names"),
        (["--model=made/for it", "--image=cells", "--labels=a,b,c"], 2, "tells 2 labels apart"),
        (["--model=made/for it", "--image=cells", "--colour"], 2, "unrecognized arguments"),
    ],
)
def test_wrong_use_of_run_is_one_line(place, arguments, status, line):
    place.joinpath("empty").mkdir(exist_ok=True)
    result = run("run.py", *arguments, folder=place)
    assert result.returncode == status
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert line in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["--config=gone.yaml"], 2, "cannot read the config gone.yaml"),
        (["--set=train_images=nowhere"], 2, "train_images: no folder nowhere"),
        (["--set=model=vgg16", "--set=train_images=cells"], 2, "model: expected 'vgg'"),
        (["--set=train_images=cells", "--set=image_size=[20,20]"], 1, "at least 42 pixels"),
        (["--set=train_images=cells", "--set=train_size=99"], 2, "train_size: received 99"),
    ],
)
def test_wrong_use_of_train_is_one_line(place, arguments, status, line):
    result = run("train.py", f"--config={TOP / 'config.yaml'}", *arguments, folder=place)
    assert result.returncode == status
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
    assert line in result.stderr


def test_debug_shows_the_traceback(place):
    result = run("run.py", "--model=none", "--image=cells", "--debug", folder=place)
    assert "Traceback" in result.stderr


def test_check_trains_nothing(place, tmp_path):
    result = run(
        "train.py",
        f"--config={TOP / 'config.yaml'}",
        f"--set=train_images={place / 'cells'}",
        "--set=image_size=[48,48]",
        "--check",
        folder=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "estimated time:" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_is_no_error(place):
    command = f"'{sys.executable}' '{TOP / 'run.py'}' '--model=made/for it' --image=cells | head -1"
    result = subprocess.run(
        command, shell=True, cwd=place, capture_output=True, text=True, check=True
    )
    assert len(result.stdout.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert "Error" not in result.stderr


def test_names_that_are_no_utf8_are_printed_escaped(place, tmp_path):
    image = next((place / "cells" / "Uninfected").iterdir())
    shutil.copy(image, os.fsencode(tmp_path) + b"/a\xff\x1b[31m.png")
    model = place / "made" / "for it"
    result = run("run.py", "--model", model, "--image", tmp_path, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert r"a\udcff\x1b[31m.png" in result.stdout


@pytest.mark.parametrize("script", ["train.py", "run.py"])
def test_help_shows_examples(script):
    result = run(script, "--help")
    assert result.returncode == 0
    assert f"python {script}" in result.stdout
