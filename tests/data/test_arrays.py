"""Tests of malaria/data/arrays.py and of the command that unpacks an .npz."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.cli.command import run_script
from malaria.cli.main import main
from malaria.data.arrays import write_images

DICE = np.random.default_rng(0)
IMAGES = DICE.integers(0, 256, (3, 8, 6, 3), dtype=np.uint8)
LABELS = np.array([[1], [0], [1]], np.uint8)


def write(path, **arrays):
    np.savez_compressed(path, **{"train_images": IMAGES, "train_labels": LABELS} | arrays)
    return path


@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0]], ids=["colour", "grey"])
def test_each_image_comes_into_the_folder_of_its_split_and_label(tmp_path, images, capsys):
    file = write(tmp_path / "a.npz", train_images=images, test_images=images, test_labels=[0, 1, 0])
    names = ["--labels", "sick,well"]
    assert run_script(main, ["unpack", str(file), "--out", str(tmp_path / "out"), *names]) == 0
    assert capsys.readouterr().out == f"wrote 6 images into {tmp_path / 'out'}\n"
    found = sorted(path.relative_to(tmp_path / "out") for path in tmp_path.rglob("*.png"))
    assert list(map(str, found)) == [
        *("test/sick/test_000000.png", "test/sick/test_000002.png", "test/well/test_000001.png"),
        *("train/sick/train_000001.png", "train/well/train_000000.png"),
        "train/well/train_000002.png",
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / found[3])), images[1])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"train_images": IMAGES.astype(np.float32)}, r"received images \(3, 8, 6, 3\), float32"),
        ({"train_images": IMAGES[..., :2]}, r"received images \(3, 8, 6, 2\), uint8"),
        ({"train_images": IMAGES[:2]}, "received 2 images and 3 labels"),
        (
            {"train_labels": np.ones((3, 4), np.uint8)},
            r"received labels \(3, 4\): several for each",
        ),
        ({"train_labels": np.array([[1], [-1], [0]])}, "received the labels -1 to 1"),
        ({"train_labels": np.array([0.5, 1, 1])}, r"received labels \(3,\), float64"),
        ({"train_labels": np.array([None] * 3)}, "received .object. "),
        ({"train_images": np.asfortranarray(IMAGES)}, "received .uint8. "),
    ],
)
def test_other_arrays_are_refused_and_nothing_is_left(tmp_path, arrays, reason):
    file = write(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=f"expected train_images .*; {reason}"):
        write_images(file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_what_is_no_npz_of_images_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    np.savez(tmp_path / "others.npz", x=IMAGES)
    for name, reason in (("text", "File is not a zip file"), ("others", "its arrays are x.npy")):
        with pytest.raises(UserError, match=reason):
            write_images(tmp_path / f"{name}.npz", tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out is there already: expected a new folder"):
        write_images(write(tmp_path / "a.npz"), tmp_path / "out")
    for names in (["a"], ["a", "../b"]):
        with pytest.raises(UserError, match="--labels: expected "):
            write_images(tmp_path / "a.npz", tmp_path / "new", names)


def test_a_header_that_promises_more_than_there_is_costs_nothing(tmp_path):
    file = tmp_path / "a.npz"
    header = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (%s)}"
    for shape, reason in ((b"3,20000,20000", "more than the"), (b"3,   80,   60", "too early")):
        content = (header % shape).ljust(79) + b"\n"
        with zipfile.ZipFile(write(file), "a") as archive:
            archive.writestr("val_images.npy", content)
            with archive.open("val_labels.npy", "w") as labels:
                np.save(labels, LABELS)
        with pytest.raises(UserError, match=reason):
            write_images(file, tmp_path / "out")
