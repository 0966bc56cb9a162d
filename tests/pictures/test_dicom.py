"""Tests of malaria/pictures/dicom.py: an image is as bright as its file says."""

import sys

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from malaria.pictures import dicom
from malaria.pictures.folders import find_images
from malaria.pictures.images import PixelFormat, UnreadableImageError, open_image, read_image

HEIGHT, WIDTH = 16, 16
SAME_SIZE = PixelFormat((HEIGHT, WIDTH))
GREY = np.arange(256, dtype=np.uint8).reshape(HEIGHT, WIDTH)
TWELVE = GREY.astype(np.uint16) * 16 + 15
RGB = np.stack([GREY, GREY[::-1], GREY.T], axis=2)
REAL = {"RescaleSlope": 1, "RescaleIntercept": -1024}
# Levels 1000 to 2000 of 0 to 4095.
WINDOW = {"WindowCenter": 1500.5, "WindowWidth": 1001}
EMPTY = {"WindowCenter": None, "WindowWidth": [], "RescaleSlope": None, "RescaleIntercept": None}
EMPTY |= {"VOILUTSequence": [], "ModalityLUTSequence": []}


def write(path, pixels, kind="MONOCHROME2", *, stored=None, **entries):
    """A DICOM file of the pixels, 8 or 16 bits, signed or not."""
    known = Dataset()
    known.file_meta = FileMetaDataset()
    known.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    known.file_meta.MediaStorageSOPClassUID = known.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    known.file_meta.MediaStorageSOPInstanceUID = known.SOPInstanceUID = "1.2.3"
    known.Rows, known.Columns = pixels.shape[:2]
    known.SamplesPerPixel, known.PhotometricInterpretation = (3 if pixels.ndim == 3 else 1), kind
    known.PlanarConfiguration = 0
    known.BitsAllocated = 8 * pixels.dtype.itemsize
    known.BitsStored = stored or known.BitsAllocated
    known.HighBit = known.BitsStored - 1
    known.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in entries.items():
        setattr(known, name, value)
    known.PixelData = pixels.tobytes()
    known.save_as(path, enforce_file_format=True)


def three(grey):
    return np.stack([grey] * 3, axis=2)


def windowed(levels, low, high):
    return three(np.rint((levels.astype(float) - low) / (high - low) * 255).clip(0, 255))


SHOWN = {
    "8 bits": (GREY, {}, three(GREY)),
    "MONOCHROME1": (GREY, {"kind": "MONOCHROME1"}, three(255 - GREY)),
    "12 bits stored": (TWELVE, {"stored": 12}, three(GREY)),
    "12 bits of 16 that are stored": (TWELVE, {}, three(GREY)),
    "signed": (TWELVE.astype(np.int16) - 2000, REAL, windowed(TWELVE, 15, 4095)),
    "a window": (TWELVE, {"stored": 12, **WINDOW}, windowed(TWELVE, 1000, 2000)),
    "a window, white is zero": (
        *(TWELVE, {"stored": 12, "kind": "MONOCHROME1", **WINDOW}),
        255 - windowed(TWELVE, 1000, 2000),
    ),
    "empty entries": (TWELVE, {"stored": 12, **EMPTY}, three(GREY)),
    "the first of two windows": (
        *(TWELVE, {"stored": 12, "WindowCenter": [1500.5, 9], "WindowWidth": [1001, 9]}),
        windowed(TWELVE, 1000, 2000),
    ),
    "a window of rescaled levels": (
        *(TWELVE, {"stored": 12, **REAL, "WindowCenter": 476.5, "WindowWidth": 1001}),
        windowed(TWELVE, 1000, 2000),
    ),
    "colours": (RGB, {"kind": "RGB"}, RGB),
    "colours of 16 bits": (RGB.astype(np.uint16) * 257, {"kind": "RGB"}, RGB),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_image_is_as_bright_as_its_file_says(tmp_path, name):
    pixels, entries, expected = SHOWN[name]
    write(tmp_path / "a.dcm", pixels, **entries)
    found = read_image(tmp_path / "a.dcm", SAME_SIZE)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_levels_of_no_known_range_are_stretched_and_that_is_told(tmp_path, capsys):
    dicom._log_once.cache_clear()
    write(tmp_path / "a.dcm", TWELVE.astype(np.int16))
    read_image(tmp_path / "a.dcm", SAME_SIZE)
    read_image(tmp_path / "a.dcm", SAME_SIZE)
    assert capsys.readouterr().err == (
        "DICOM images without a window are read from their darkest to their brightest pixel\n"
    )


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        *(("MR_small_RLE.dcm", 255), ("examples_palette.dcm", 255), ("SC_rgb_rle_16bit.dcm", 255)),
        *(("SC_ybr_full_422_uncompressed.dcm", 255), ("SC_rgb_small_odd_big_endian.dcm", 176)),
    ],
)
def test_the_forms_that_pydicom_ships_as_examples_are_read(name, peak):
    assert np.asarray(open_image(get_testdata_file(name))).max() == peak


@pytest.mark.parametrize("slope", [0, "1e400"])
def test_a_slope_that_leaves_nothing_of_an_image_is_refused(tmp_path, slope):
    write(tmp_path / "a.dcm", TWELVE, RescaleSlope=slope, RescaleIntercept=5)
    with pytest.raises(UnreadableImageError, match=r"RescaleSlope (0\.0|1e400): "):
        open_image(tmp_path / "a.dcm")


def test_compressed_and_plain_files_give_the_same_pixels():
    images = [open_image(get_testdata_file(f"MR_small{name}.dcm")) for name in ("", "_RLE")]
    np.testing.assert_array_equal(*map(np.asarray, images))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SC_rgb_rle_2frame.dcm", "a DICOM file of 2 frames: expected one image"),
        ("test-SR.dcm", "a DICOM file without an image"),
        ("rtdose_1frame.dcm", "32-bit pixels, whose range is not known: expected 8 or 16 bits"),
        ("image_dfl.dcm", "a deflated DICOM file: save it without that compression"),
        ("JPGExtended.dcm", "a DICOM image compressed as JPEG Extended (Process 2 and 4), damaged"),
        ("MR_truncated.dcm", "damaged: "),
    ],
)
def test_what_is_not_one_image_is_refused(name, reason):
    with pytest.raises(UnreadableImageError) as caught:
        open_image(get_testdata_file(name))
    assert str(caught.value).startswith(reason)
    assert str(caught.value).isprintable()


def test_a_header_that_asks_for_too_much_is_refused_before_anything_is_decoded(tmp_path):
    write(tmp_path / "a.dcm", GREY)
    known = pydicom.dcmread(tmp_path / "a.dcm")
    known.Rows = known.Columns = 40000
    known.save_as(tmp_path / "a.dcm")
    with pytest.raises(UnreadableImageError, match="40000 x 40000 pixels, more than the"):
        open_image(tmp_path / "a.dcm")


def test_a_folder_finds_them_by_their_ending_or_their_beginning(tmp_path):
    for name in ("a.DCM", "IM00001"):
        write(tmp_path / name, GREY)
    assert [path.name for path in find_images(tmp_path)] == ["IM00001", "a.DCM"]


def test_without_pydicom_it_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.dcm", GREY)
    dicom._pydicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom.pixels", None)
    with pytest.raises(UnreadableImageError, match=r"^a DICOM image: pip install pydicom$"):
        open_image(tmp_path / "a.dcm")
