"""Tests of malaria/pictures/cell_in_field.py, by way of images.py and what asks about paths."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.pictures import decode
from malaria.pictures.box import Box
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.images import UnreadableImageError, open_image
from malaria.pictures.remote_path import real_name
from malaria.pictures.same_file import file_number


@pytest.fixture
def field(tmp_path):
    """A field of 30 x 20 pixels, of which no two are alike."""
    pixels = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3) % 251
    path = tmp_path / "field.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def test_a_cell_is_cut_out_of_its_field(field):
    cell = np.asarray(open_image(CellInField(field, Box(4, 3, 10, 5))))
    np.testing.assert_array_equal(cell, np.asarray(Image.open(field))[3:8, 4:14])


@pytest.mark.parametrize("box", [Box(25, 0, 6, 5), Box(0, 18, 5, 3), Box(-1, 0, 5, 5)])
def test_a_box_beyond_its_field_is_no_image(field, box):
    with pytest.raises(UnreadableImageError, match="reaches beyond its field, which has 30 x 20"):
        open_image(CellInField(field, box))


def test_cells_of_one_field_are_two_images_and_one_cell_is_one_by_any_name(field, monkeypatch):
    one, other = CellInField(field, Box(0, 0, 5, 5)), CellInField(field, Box(0, 5, 5, 5))
    assert file_number(one) != file_number(other)
    assert real_name(one) != real_name(other)
    monkeypatch.chdir(field.parent)
    again = CellInField(Path("field.png"), Box(0, 0, 5, 5))
    assert (file_number(again), real_name(again)) == (file_number(one), real_name(one))


def test_threads_that_cut_cells_of_one_field_decode_it_once(field, tmp_path, monkeypatch):
    decoded, other = [], tmp_path / "other.png"
    other.write_bytes(field.read_bytes())
    open_file = decode._open_file
    monkeypatch.setattr(
        decode, "_open_file", lambda path, claim: decoded.append(path) or open_file(path, claim)
    )
    for path in (field, other):
        cells = [CellInField(path, Box(left, 0, 5, 5)) for left in range(20)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(open_image, cells))
    assert decoded == [field, other]


def test_cells_are_sorted_among_images_by_field_and_from_the_top_down():
    cells = [CellInField(Path("b"), Box(0, top, 5, 5)) for top in (20, 3)]
    assert sorted([Path("c"), *cells, Path("a"), Path("b")]) == [
        *(Path("a"), Path("b")),
        *(cells[1], cells[0]),
        Path("c"),
    ]
