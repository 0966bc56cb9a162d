"""Tests of malaria/saved/recognise.py, and of what find_pair makes of folders with such files."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.saved.pair import find_pair
from malaria.saved.recognise import MAX_BYTES

FOREIGN = Path(__file__).parents[1] / "networks" / "foreign"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 296017312\n" % 1
LFS = "a Git LFS pointer to 296,017,312 bytes, not the file itself: run git lfs pull"


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return content.getvalue()


def refuse(path, message):
    with pytest.raises(UserError) as caught:
        find_pair(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "a.tflite", "a.json", "a.onnx", "a"])
def test_a_pointer_of_git_lfs_is_told_with_the_size_of_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(POINTER)
    refuse(tmp_path / name, LFS)


def test_a_pointer_that_windows_wrote_as_text_is_told_too(tmp_path):
    text = POINTER.decode().replace("\n", "\r\n")
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.h5").write_bytes(text.encode(encoding))
        refuse(tmp_path / "a.h5", LFS)


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_pointer_within_a_saved_model_is_told_too(tmp_path, part):
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", part):
        (tmp_path / name).write_bytes(POINTER if name == part else b"graph")
    with pytest.raises(UserError, match=f"{part}: a Git LFS pointer"):
        find_pair(tmp_path)


@pytest.mark.parametrize("half", ["a.h5", "a.json"])
def test_a_pointer_in_either_half_of_a_pair_is_told(tmp_path, half):
    for name in ("a.h5", "a.json"):
        (tmp_path / name).write_bytes(POINTER if name == half else b"\0weights")
    with pytest.raises(UserError, match=f"{half}: a Git LFS pointer"):
        find_pair(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"https://drive.google.com/file/x\n", "the address of a file, not the file itself"),
        (b"\n <!DOCTYPE html><html>", "a web page, as a failed download leaves it"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error>", "a web page"),
        (b"", "empty: copy or download it again"),
        (b"404: Not Found\n", "text, and no .h5: '404: Not Found': download it again"),
        (b'{"class_name": "Sequential"}', "JSON, and no .h5"),
        (b'{"format": "layers-model", "modelTopology": {}}', "a TensorFlow.js model"),
        (b"/annex/objects/SHA256E-s5--1.h5\n", "run git annex get"),
        (b"\x80\x04\x95", "a pickle, which could run code, and is never opened"),
        (zipped("archive/data.pkl"), "a PyTorch model, which is not read"),
        (zipped("keras_model.h5", "labels.txt"), "an archive: unpack it"),
        (b"\x1f\x8b\x08", "an archive: unpack it"),
    ],
)
def test_what_lies_in_place_of_a_model_is_named_with_what_to_do(tmp_path, content, message):
    (tmp_path / "a.h5").write_bytes(content)
    refuse(tmp_path / "a.h5", message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((f"a{end}", "a PyTorch model, which is not read") for end in (".pth", ".PT", ".pth.tar")),
        ("a.onnx", "convert it to .tflite, with onnx2tf for example"),
        *((f"a{end}", "never opened") for end in (".pkl", ".joblib")),
        ("a.safetensors", "weights without a network"),
        ("a.mlmodel", "a Core ML model"),
        ("a.pb", "a TensorFlow graph, which could run code"),
        *((name, "a checkpoint, which holds") for name in ("a.ckpt", "a.ckpt.index", "checkpoint")),
        ("a.data-00000-of-00001", "a checkpoint, which holds"),
        ("a.npz", "numbers without a network"),
        ("a.zip", "an archive: unpack it"),
        ("a.xml", "a model of another program"),
        ("a.txt", "is no model: expected a .h5 with its .json"),
    ],
)
def test_a_model_of_another_program_is_named_by_its_ending(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"anything")
    refuse(tmp_path / name, message)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["model.json", "group1-shard1of1.bin"], "model.json: a TensorFlow.js model"),
        (["config.json", "model.safetensors", "README.md"], "weights without a network"),
        (["config.json", "metadata.json", "model.weights.h5"], "is an unpacked .keras"),
        (
            ["a.keras", "b.tflite"],
            "holds several models and no pair: name one of a.keras, b.tflite",
        ),
        (["Manifest.json"], "a Core ML model, which is not read"),
        (["readme.txt"], "expected a .h5 with a .json of the same name"),
    ],
)
def test_a_folder_without_a_pair_tells_what_is_in_it(tmp_path, names, message):
    folder = tmp_path / ("a.mlpackage" if names == ["Manifest.json"] else "models")
    folder.mkdir()
    for name in names:
        content = b'{"modelTopology": {}}' if name == "model.json" else b"{}"
        (folder / name).write_bytes(content)
    refuse(folder, message)


def test_the_only_model_of_a_folder_is_taken(tmp_path):
    path = shutil.copy(FOREIGN / "keras3_whole.h5", tmp_path / "keras_model.h5")
    (tmp_path / "labels.txt").write_text("0 a\n1 b\n")
    assert find_pair(tmp_path).weights == path


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("keras3.keras", "a.h5", "keras"),
        ("keras3_whole.h5", "a.keras", "h5"),
        ("lone.tflite", "a.bin", "tflite"),
        ("keras3.keras", "download", "keras"),
    ],
)
def test_the_content_says_the_kind_whatever_the_name(tmp_path, source, name, kind):
    shutil.copy(FOREIGN / source, tmp_path / name)
    assert find_pair(tmp_path / name).kind == kind


@pytest.mark.parametrize("part", ["a.h5", "saved/variables/variables.data-00000-of-00001"])
@pytest.mark.parametrize("kind", ["fifo", "device", "giant"])
def test_a_pipe_a_device_or_a_giant_is_never_read(tmp_path, part, kind):
    path = tmp_path / part
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"graph")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(UserError, match=r"not a regular file|more than the 4,294,967,296 allowed"):
        find_pair(path if part == "a.h5" else tmp_path / "saved")


def test_a_link_to_nothing_and_a_file_of_dvc_tell_where_the_model_is(tmp_path):
    (tmp_path / "a.h5").symlink_to("../.git/annex/objects/x")
    (tmp_path / "b.h5.dvc").touch()
    refuse(tmp_path / "a.h5", "a link to ../.git/annex/objects/x, where nothing is: run git annex")
    refuse(tmp_path / "b.h5", "b.h5.dvc is: run dvc pull")
