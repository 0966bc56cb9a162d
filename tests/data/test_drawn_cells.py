"""Tests of malaria/data/drawn_cells.py and drawing.py, and of the command that draws."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UsageError, UserError
from malaria.cli.command import run_script
from malaria.cli.draw import main
from malaria.data.drawing import draw_cell, draw_stain
from malaria.data.drawn_cells import LABELS, write_cells, write_fields
from malaria.data.strange_fields import write_strange_fields
from malaria.fields.field_detector import load_detector
from malaria.pictures.images import open_image

ROOT = Path(__file__).resolve().parents[2]


def draw(number, *, parasitized=True):
    rng = np.random.default_rng([7, number])
    return draw_cell(rng, parasitized=parasitized, stain=draw_stain(rng))


@pytest.fixture
def run(capfd):
    """A function that runs the command: (exit status, stdout, stderr)."""

    return lambda *arguments: (run_script(main, [*map(str, arguments)]), *capfd.readouterr())


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_cells(tmp_path / name, 3, seed=seed, patients=2)
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


# From 2 to 9 cells the patients in use become more too.
@pytest.mark.parametrize("patients", [2, 5])
def test_a_larger_count_extends_a_smaller_one(tmp_path, patients):
    write_cells(tmp_path / "small", 2, patients=patients)
    write_cells(tmp_path / "large", 9, patients=patients)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    assert (len(small), len(large)) == (4, 18)
    assert small.items() <= large.items()


def test_no_two_files_are_alike_and_every_patient_has_cells_of_both_labels(tmp_path):
    (tmp_path / LABELS[0]).mkdir()
    paths = write_cells(tmp_path, 7, patients=3)
    assert set(paths) == {path for path in tmp_path.rglob("*") if path.is_file()}
    assert len(set(contents(tmp_path).values())) == len(paths) == 14
    for label in LABELS:
        names = sorted(path.name for path in (tmp_path / label).iterdir())
        assert [re.match(r"C(\d+)P", name)[1] for name in names] == [*"1112233"]


def test_the_first_of_other_labels_is_the_parasitized_one(tmp_path):
    write_cells(tmp_path / "usual", 2)
    write_cells(tmp_path / "other", 2, labels=("sick", "well"))
    for usual, other in zip(LABELS, ("sick", "well"), strict=True):
        assert contents(tmp_path / "usual" / usual) == contents(tmp_path / "other" / other)


def test_files_are_rgb_of_60_to_200_pixels_with_black_corners_and_a_cell_that_fills_them(tmp_path):
    for path in write_cells(tmp_path, 30):
        image = Image.open(path)
        assert image.mode == "RGB"
        assert 60 <= min(image.size) <= max(image.size) <= 200
        pixels = np.asarray(image)
        assert not pixels[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        cell = pixels.any(axis=2)
        assert 0.4 < cell.mean() < 0.9
        assert image.getbbox() == pytest.approx((0, 0, *image.size), abs=6)


def test_the_mask_is_empty_for_an_uninfected_cell_only():
    for number in range(100):
        image, mask = draw(number, parasitized=False)
        assert (image.dtype, mask.dtype) == (np.uint8, bool)
        assert image.shape == (*mask.shape, 3)
        assert not mask.any()


@pytest.fixture(scope="module")
def hundred():
    """A hundred parasitized cells: [(image, mask, where the cell is but for the mask)]."""
    drawn = [draw(number) for number in range(100)]
    return [(image, mask, image.any(axis=2) & ~mask) for image, mask in drawn]


def test_the_mask_lies_in_the_cell_and_holds_what_is_dark_and_purple(hundred):
    for image, mask, rest in hundred:
        assert image.any(axis=2)[mask].all()
        assert 0.002 < mask.sum() / (mask.sum() + rest.sum()) < 0.4
        red, green, blue = image[mask].mean(axis=0) - image[rest].mean(axis=0)
        assert green < -10
        assert green < min(red, blue)  # purple is what lacks green
        # Specks are fainter than parasites.
        outside = image[rest][:, 1].astype(int)
        assert np.median(outside) - outside.min() < 55


def test_stains_differ_between_patients_more_than_between_cells_of_one_patient():
    def mean_colour(rng, stain):
        image, _ = draw_cell(rng, parasitized=False, stain=stain)
        return image[image.any(axis=2)].mean(axis=0)

    rng = np.random.default_rng(5)
    stains = [draw_stain(rng) for _ in range(20)]
    assert len({tuple(stain.cell) for stain in stains}) == 20
    colours = np.array([[mean_colour(rng, stain) for _ in range(4)] for stain in stains])
    within, between = colours.std(axis=1).mean(), colours.mean(axis=1).std(axis=0).mean()
    assert between > 2 * within


def test_folders_with_files_and_impossible_numbers_are_refused_at_once(tmp_path):
    kept = tmp_path / LABELS[1] / "mine.png"
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(UserError, match=r"Uninfected is not empty; name another folder"):
        write_cells(tmp_path, 1)
    for wrong in ({"count": 0}, {"count": 1, "patients": 0}, {"count": 1, "seed": -1}):
        with pytest.raises(UsageError, match="expected count and patients of at least 1, seed"):
            write_cells(tmp_path / "new", **wrong)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_a_folder_to_draw_into_may_be_a_link_and_that_of_a_label_may_not(tmp_path):
    for name in ("disk", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "cells").symlink_to("disk")
    write_fields(tmp_path / "cells", 1)
    assert len(contents(tmp_path / "disk")) == 1
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "Parasitized").symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="new/Parasitized: it is a link: delete it"):
        write_cells(tmp_path / "new", 1)
    assert contents(tmp_path / "other") == {}


def test_the_command_writes_what_the_function_writes_and_says_so_in_one_line(tmp_path, run):
    told = run("--out", tmp_path / "command", "--count", 3, "--seed", 2, "--patients", 2)
    assert told == (0, f"wrote 6 cells (patients: 2) into {tmp_path / 'command'}\n", "")
    write_cells(tmp_path / "function", 3, seed=2, patients=2)
    assert contents(tmp_path / "command") == contents(tmp_path / "function")


def test_the_earlier_command_counts_only_patients_who_have_cells_and_loads_no_tensorflow(tmp_path):
    code = (
        "import atexit, runpy, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); "
        "runpy.run_module('malaria.synthetic', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", code, "--out", tmp_path, "--count", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"wrote 2 cells (patients: 1) into {tmp_path}\nFalse\n"


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        *(("new", ("--count", *count), 2) for count in ((0,), ("many",), (1, "--sed", 1))),
        *((name, ("--count", 1), 1) for name in ("used", "file")),
    ],
)
def test_wrong_use_exits_with_2_a_folder_in_use_or_a_file_with_1(
    tmp_path, run, name, wrong, expected
):
    write_cells(tmp_path / "used", 1)
    (tmp_path / "file").touch()
    status, out, err = run("--out", tmp_path / name, *wrong)
    assert (status, out) == (expected, "")
    assert re.search(r"error: [^\n]+\n\Z", err)
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


def test_fields_are_drawn_alike_for_the_same_seed_and_their_cells_are_found(tmp_path):
    known = {"seed": 5, "patients": 2, "square": 60}
    one, other = (write_fields(tmp_path / name, n, **known) for name, n in (("a", 3), ("b", 1)))
    names = [f"C{n}P{n}thinF_synthetic_field_" for n in (1, 2, 1)]
    assert [path.name for path in one] == [f"{name}{n}.png" for n, name in enumerate(names, 1)]
    assert one[0].read_bytes() == other[0].read_bytes() != one[2].read_bytes()
    for path in one[:2]:
        assert 60 <= len(load_detector()(path, open_image(path))) <= 64
    with pytest.raises(UserError, match="is not empty"):
        write_fields(tmp_path / "a", 3)
    with pytest.raises(UsageError, match="Received: count 0"):
        write_fields(tmp_path / "c", 0)


def test_the_command_draws_fields(tmp_path, capsys):
    command = ["--out", str(tmp_path / "slides"), "--fields", "1"]
    main(command)
    assert capsys.readouterr().out == f"wrote 1 fields into {tmp_path / 'slides'}\n"
    with pytest.raises(UsageError):
        main([*command, "--count", "1"])


def test_strange_fields_come_with_the_truth_and_are_the_same_again(tmp_path):
    paths = write_strange_fields(tmp_path / "a", 2, seed=3)
    again = write_strange_fields(tmp_path / "b", 1, seed=3)
    assert paths[0].read_bytes() == again[0].read_bytes()
    annotations = read_annotations(tmp_path / "a" / "truth.csv")
    annotations.assign(paths)
    known, _ = annotations.read(paths[0], open_image(paths[0]).size)
    kinds = [one.kind for one in known]
    assert len(kinds) > 60
    assert 1 <= kinds.count("parasitized") <= 12
    with pytest.raises(UserError, match="is not empty; name another folder"):
        write_strange_fields(tmp_path / "a", 1)
