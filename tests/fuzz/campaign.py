#!/usr/bin/env python3
"""Broken and hostile input by the thousand: what is read is right or refused, and nothing falls.

    python tests/fuzz/campaign.py --target images --cases 100000
    python tests/fuzz/campaign.py --cases 20000              every target, some hours

Each case changes bytes, numbers or words of something valid. The promises: it is taken, or refused
with one line (UserError); it takes at most 8 seconds, of which a network has 5 to answer; all cases
together take at most 1 GB more than the program itself. A case that breaks one is told with its
number, which --first repeats.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pydicom
import tifffile
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UserError
from malaria.base.files import write_csv
from malaria.base.machine import peak_memory
from malaria.cli.options import parse
from malaria.data.arrays import write_images
from malaria.data.listing import Listing
from malaria.data.tables import is_table
from malaria.data.training_tables import scan_table
from malaria.data.unpack import unpack
from malaria.evaluation.known_accuracy import known_accuracy
from malaria.evaluation.parasitaemia import corrected_share, interval
from malaria.fields.field_detector import load_detector
from malaria.fields.strangeness import strangeness
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import are_probabilities
from malaria.inference.prediction import Prediction
from malaria.labelling.label_table import COLUMNS, read_labels, write_labels
from malaria.outputs.writer import Writer
from malaria.pictures.box import Box
from malaria.pictures.decode import FORMATS
from malaria.pictures.heic import heic_formats
from malaria.pictures.images import PixelFormat, read_image
from malaria.saved.label_files import find_labels
from malaria.saved.pair import Pair, default_pair
from malaria.settings.config import Config
from malaria.settings.config_file import read_config
from malaria.training.slurm import FORMS
from malaria.training.workers import find_workers

SECONDS = 8.0
BYTES = 1_000_000_000
PRETRAINED = default_pair()
FOREIGN = Path(__file__).parents[1] / "networks" / "foreign"
NASTY = [
    *(0, -1, 1, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**400, 0.5, 1e308),
    *(float("nan"), float("inf"), None, True, "", "x" * 5000, "\x1b[2J\n", "../..", [], {}, [[[]]]),
]
NASTY_YAML = [
    *('"\\0"', '"a\\ud800b"', "9" * 6000, "0x" + "f" * 9000, "1:" * 9000 + "1", "[0, no, 1.0]"),
    *("2024-01-01", "!!set {a, b}", "[null, a]", "[" * 2000, "x" * 300, "{folder: 1}", "yes"),
]


def mutate_bytes(dice, content):
    """The content with some bytes changed, cut off, doubled or taken out."""
    content = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        if not content:
            return b""
        place = dice.randrange(len(content))
        kind = dice.randrange(5)
        if kind == 0:
            content[place] = dice.randrange(256)
        elif kind == 1:
            content[place : place + 4] = dice.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
        elif kind == 2:
            del content[place:]
        elif kind == 3:
            del content[place : place + dice.randint(1, 64)]
        else:
            content[place:place] = content[place : place + dice.randint(1, 64)]
    return bytes(content)


def mutate_json(dice, node):
    """A copy of plain values with one of them, anywhere, replaced, removed or doubled."""
    node = copy.deepcopy(node)
    places = list(_places(node))
    for _ in range(dice.randint(1, 3)):
        parent, key = dice.choice(places)
        if isinstance(parent, dict) and dice.random() < 0.2:
            parent.pop(key, None)
        elif isinstance(parent, list) and dice.random() < 0.2 and key < len(parent):
            parent.append(parent[key])
        elif isinstance(parent, dict) or key < len(parent):
            parent[key] = dice.choice(NASTY)
    return node


def _places(node):
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in list(pairs):
        yield node, key
        if isinstance(child, (dict, list)):
            yield from _places(child)


def image(dice):
    """The bytes of a valid image of any kind."""
    side = dice.randint(1, 40)
    levels = np.random.RandomState(dice.randrange(2**31)).randint(0, 256, (side, side, 3))
    mode = dice.choice(["L", "RGB", "RGBA", "P", "I;16"])
    kind = dice.choice([*FORMATS, *heic_formats(), "DICOM"])
    if kind == "DICOM":
        return dicom(dice, levels.astype(np.uint16 if mode == "I;16" else np.uint8))
    image = Image.fromarray(levels.astype(np.uint8))
    if mode == "I;16" and kind in ("PNG", "TIFF"):
        image = Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
    elif mode in ("L", "RGB") or kind != "JPEG":
        image = image.convert("RGB" if mode == "I;16" else mode)
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def dicom(dice, levels):
    """The bytes of a DICOM file of an image, in grey or in colour."""
    known = pydicom.dataset.Dataset()
    known.file_meta = pydicom.dataset.FileMetaDataset()
    known.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    known.file_meta.MediaStorageSOPClassUID = known.SOPClassUID = "1.2.3"
    known.file_meta.MediaStorageSOPInstanceUID = known.SOPInstanceUID = "1.2.3"
    known.Rows, known.Columns = levels.shape[:2]
    kinds = {"RGB": 3, "MONOCHROME1": 1, "MONOCHROME2": 1}
    known.PhotometricInterpretation = dice.choice([*kinds])
    known.SamplesPerPixel = kinds[known.PhotometricInterpretation]
    known.BitsAllocated = known.BitsStored = 8 * levels.dtype.itemsize
    known.HighBit, known.PixelRepresentation = known.BitsStored - 1, dice.choice([0, 1])
    known.PlanarConfiguration, known.NumberOfFrames = 0, 1
    if dice.random() < 0.5:
        known.WindowCenter, known.WindowWidth = dice.randint(-99, 999), dice.randint(1, 999)
        known.RescaleSlope, known.RescaleIntercept = dice.choice([1, 0.5]), dice.choice([0, -99])
    known.PixelData = np.ascontiguousarray(levels[..., : known.SamplesPerPixel]).tobytes()
    content = io.BytesIO()
    known.save_as(content, enforce_file_format=True)
    return content.getvalue()


def tiff(dice):
    """The bytes of a TIFF of channels or of samples beside the colours, told in some way."""
    count, dtype = dice.randint(1, 5), dice.choice([np.uint8, np.uint16])
    planes = np.random.RandomState(dice.randrange(2**31)).randint(0, 256, (count, 20, 17))
    names = [dice.choice(["red", "Green", "b", "DAPI", "", "\x1b[31m", 'a"b']) for _ in planes]
    known = {"axes": "CYX", "Labels": names} if dice.random() < 0.5 else {"axes": "CYX"}
    kind = dice.choice([{"imagej": True}, {"ome": True}, {}])
    if kind == {"ome": True} and "Labels" in known:
        known = {"axes": "CYX", "Channel": {"Name": names}}
    content = io.BytesIO()
    tifffile.imwrite(
        content, planes.astype(dtype), photometric="minisblack", metadata=known, **kind
    )
    return content.getvalue()


def try_image(dice, place):
    path = place / f"a{dice.choice(['.png', '.tif', '.jpg', '.webp', '.gif', '.bmp'])}"
    valid = tiff(dice) if dice.random() < 0.2 else image(dice)
    path.write_bytes(mutate_bytes(dice, valid) if dice.random() < 0.9 else valid)
    pixels = read_image(path, PixelFormat((16, 16)))
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8


def try_config(dice, place):
    path = place / "config.yaml"
    if dice.random() < 0.5:
        valid = Path(__file__).parents[2] / "config.yaml"
        path.write_bytes(mutate_bytes(dice, valid.read_bytes()))
    else:
        keys = [*Config.model_fields, "nonsense", '"\\0"']
        value = dice.choice([*map(repr, NASTY), *NASTY_YAML])
        path.write_text(f"{dice.choice(keys)}: {value}\n")
    overrides = [f"{dice.choice([*Config.model_fields])}={dice.choice(NASTY_YAML)}"]
    read_config(path, overrides[: dice.randrange(2)], with_data=dice.random() < 0.5)


def try_workers(dice, place):
    """What names other machines: options, TF_CONFIG, Slurm's variables, an address of Ray."""
    parts = ["a:1", "b:2", "[::1]:3", "a:0", "b:99999", "c", "n[1-2]", "n[1-999999999]", "2(x2)"]
    parts += ["", "[[[", "1e400", "0", "1", "2", "9" * 5000, "ray://a:1", "a..b:1", "٣", "\x1b"]
    texts = [",".join(dice.choices(parts, k=dice.randint(1, 3))) for _ in range(5)]
    valid = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    environment = {
        "TF_CONFIG": dice.choice([*texts, json.dumps(mutate_json(dice, valid)), "[" * 100_000]),
        **dict(zip(FORMS, texts, strict=False)),
    }
    chosen = [name for name in environment if dice.random() < 0.8]
    with patch.dict(os.environ, {name: environment[name] for name in chosen}):
        if dice.random() < 0.3:
            parse(["--image=a", f"--cluster={texts[0]}"])
        find_workers(dice.choice([None, None, texts[0]]), dice.choice([None, 0, 1, 10**30]))


def try_metadata(dice, place):
    """A pair whose metadata was changed, but for the name of the .tflite, which answers."""
    network, metadata = _pretrained()
    named = {"tflite_sha256": metadata.pop("tflite_sha256")}
    _write_pair(place, network | {"malaria": mutate_json(dice, metadata) | named})
    _classify(place / "a.h5")
    # What it says of its accuracy corrects a share to a share, or not at all.
    known = load_classifier(place / "a.h5").metadata
    accuracy = known_accuracy(known)
    for found in () if isinstance(accuracy, str) else (0, 3, 100):
        low, high = interval(found, 100, accuracy)
        assert 0 <= low <= corrected_share(found, 100, accuracy) <= 1
        assert low <= high <= 1
    strangeness(100, 50, 0, known)


def try_architecture(dice, place):
    _write_pair(place, mutate_json(dice, _pretrained()[0]))
    _classify(place / "a.h5", engine="keras")


def try_weights(dice, place):
    _write_pair(place, _pretrained()[0])
    (place / "a.h5").write_bytes(mutate_bytes(dice, PRETRAINED.read_bytes()))
    _classify(place / "a.h5", engine="keras")


def try_tflite(dice, place):
    content = bytearray(PRETRAINED.with_suffix(".tflite").read_bytes())
    if dice.random() < 0.3:
        content = mutate_bytes(dice, content)
    else:  # what describes the network, and not only its weights, stands at both ends
        for _ in range(dice.randint(1, 6)):
            place_ = dice.choice([dice.randrange(2000), -1 - dice.randrange(30_000)])
            content[place_] = dice.randrange(256)
    (place / "a.tflite").write_bytes(content)
    _classify(place / "a.tflite")


def try_detector(dice, place):
    """A detector whose metadata or network was changed, and what it finds in noise."""
    folder, pretrained = Path(tempfile.mkdtemp(dir=place)), PRETRAINED.with_name("detector.h5")
    known = json.loads(pretrained.with_suffix(".json").read_text())
    content = bytearray(pretrained.with_suffix(".tflite").read_bytes())
    if dice.random() < 0.5:
        for _ in range(dice.randint(1, 6)):
            place_ = dice.choice([dice.randrange(2000), -1 - dice.randrange(30_000)])
            content[place_] = dice.randrange(256)
        known["malaria"]["tflite_sha256"] = hashlib.sha256(content).hexdigest()
    else:
        known["malaria"] = mutate_json(dice, known["malaria"])
    (folder / "a.json").write_text(json.dumps(known))
    (folder / "a.tflite").write_bytes(content)
    shutil.copy(pretrained, folder / "a.h5")
    levels = np.random.RandomState(dice.randrange(2**31)).randint(0, 256, (90, 120, 3))
    field = Image.fromarray(levels.astype(np.uint8)).resize((240, 180))
    for found in load_detector(folder / "a.h5")("a.png", field):
        assert 0 <= found.box.left < found.box.left + found.box.width <= 240
        assert 0 <= found.box.top < found.box.top + found.box.height <= 180


def try_keras(dice, place):
    """A small .keras with a changed byte, architecture or way of packing."""
    path, contents = place / "a.keras", _contents_of(FOREIGN / "keras3.keras")
    if dice.random() < 0.3:
        changed = mutate_json(dice, json.loads(contents["config.json"]))
        contents["config.json"] = json.dumps(changed).encode()
    packing = dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    if dice.random() < 0.7:
        path.write_bytes(mutate_bytes(dice, path.read_bytes()))
    _classify(path, engine="keras")


def _contents_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def try_saved_model(dice, place):
    """A small SavedModel of which one file was changed."""
    folder = place / "saved"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FOREIGN / "keras2_saved_model", folder)
    path = dice.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    path.write_bytes(mutate_bytes(dice, path.read_bytes()))
    _classify(folder, engine="keras")


def try_names(dice, place):
    """Files of other kinds under the names of models, beside others, and names of labels."""
    starts = [b"\0", b"{", b"<", b"\x89HDF\r\n\x1a\n", b"PK\3\4", b"\0\0\0\0TFL3", b"\x80\4"]
    starts += [b"version https://git-lfs.github.com/spec/v1\nsize 9\n", b"https://a.b/c"]
    folder = Path(tempfile.mkdtemp(dir=place))
    name = "a" + dice.choice([".h5", ".keras", ".tflite", ".json", ".onnx", ".pth", ".pkl", ""])
    (folder / name).write_bytes(mutate_bytes(dice, dice.choice(starts) + dice.randbytes(40)))
    if dice.random() < 0.3:
        (folder / "a.json").write_text(json.dumps(dice.choice(NASTY)))
    valid = {"labels.txt": b"0 a\n1 b", "labels.json": b'{"a": 0, "b": 1}'}
    labels = dice.choice(list(valid))
    (folder / labels).write_bytes(mutate_bytes(dice, valid[labels]))
    found = find_labels(Pair(*[folder / name] * 3, "h5"), 2)
    assert all(label.isprintable() for label in found or ())
    _classify(dice.choice([folder, folder / name]), engine="keras")


def _classify(path, **options):
    """Load and ask; whatever it then says is a probability, or an error instead."""
    with contextlib.redirect_stderr(io.StringIO()):
        [one] = load_classifier(path, **options).classify(np.zeros((30, 30, 3), np.uint8))
    assert (one.error is None) == all(0 <= value <= 1 for value in one.probabilities or [2])


def _pretrained():
    """(what Keras wrote into the .json, our metadata)."""
    content = json.loads(PRETRAINED.with_suffix(".json").read_text())
    metadata = content.pop("malaria")
    return content, metadata


def _write_pair(place, content):
    for suffix in (".h5", ".tflite"):
        shutil.copy(PRETRAINED.with_suffix(suffix), place / f"a{suffix}")
    (place / "a.json").write_text(json.dumps(content))


def try_list(dice, place):
    path = place / dice.choice(["a.csv", "a.tsv", "a.txt"])
    valid = 'path,label,patient\na.png,Parasitized,1\n"b,c.png",Uninfected,2\n\'=d.png,x,\n' * 3
    for old, new in ((",", dice.choice(",;\t|")), ("\n", dice.choice(["\n", "\r\n", "\r"]))):
        valid = valid.replace(old, new)
    encoding = dice.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    first = dice.choice(["", "sep=;\n", '"sep=,"\n'])
    path.write_bytes(mutate_bytes(dice, (first + valid).encode(encoding)))
    list(Listing(path))
    if is_table(path):
        scan_table(path, ["Parasitized", "Uninfected"], "^C")


def try_journal(dice, place):
    """The rows of an interrupted run, whole, torn or changed by somebody."""
    for left in place.glob("a.csv*"):
        left.unlink()
    fields, labels = dice.random() < 0.5, ("Parasitized", "Uninfected")
    known = {"source": "s", "labels": labels, "model": "m", "fields": fields}
    box = Box(1, 2, 30, 40) if fields else None
    with contextlib.closing(Writer(place / "a.csv", resume=False, **known)) as writer:
        for name in "abc":
            writer.add(Prediction(Path(name), labels[0], 0.75, (0.75, 0.25), box=box))
        writer.add(Prediction(Path("d"), error="damaged"))
    content = writer.partial.read_bytes()
    if dice.random() < 0.5:
        rows = mutate_json(dice, [json.loads(line) for line in content.splitlines()])
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    else:
        content = mutate_bytes(dice, content)
    writer.partial.write_bytes(content)
    with contextlib.closing(Writer(place / "a.csv", resume=True, **known)) as writer:
        for one in writer.earlier():
            assert one.label in (*labels, "review", "unlike", None)
            assert (one.error is None) == are_probabilities(one.probabilities or [2])
        list(writer.without_written(map(Path, "abcde")))
        with contextlib.redirect_stderr(io.StringIO()):
            writer.finish()


def try_archive(dice, place):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in ("cells/Parasitized/a.png", "cells/Uninfected/b.png"):
            file.writestr(name, image(dice))
    path = place / "a.zip"
    changed = content.getvalue()
    path.write_bytes(mutate_bytes(dice, changed) if dice.random() < 0.9 else changed)
    unpack(path, place / f"unpacked{dice.randrange(10**9)}", sha256=None)


def try_arrays(dice, place):
    """An .npz of images, of which numbers in a header or bytes were changed."""
    count, side = dice.randint(1, 4), dice.randint(1, 30)
    arrays = {"train_images": np.zeros((count, side, side), dice.choice(["u1", "u1", "f4"]))}
    arrays["train_labels"] = np.array([dice.choice([0, 1, 2]) for _ in range(count)])
    path = place / "a.npz"
    np.savez_compressed(path, **arrays)
    if dice.random() < 0.8:
        path.write_bytes(mutate_bytes(dice, path.read_bytes()))
    write_images(path, place / f"arrays{dice.randrange(10**9)}")


def try_annotations(dice, place):
    """Boxes of cells in every format, with values, words or bytes changed."""
    folder = Path(tempfile.mkdtemp(dir=place))
    box, corners = [5, 6, 20, 15.5], [[5, 6], [25, 6], [25, 21.5], [5, 21.5], [5, 6]]
    cell = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [corners]}}
    cell["properties"] = {"classification": {"name": "rbc"}, "image": "a.png"}
    size, thing = {"width": 60, "height": 50}, dict(zip("xywh", box, strict=True))
    thing["label"] = "rbc"
    every = {
        "coco.json": {
            "images": [{"id": 1, "file_name": "a.png", **size}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": box}],
            "categories": [{"id": 1, "name": "ring"}],
        },
        "list.json": [{"image": "a.png", **size, "complete": True, "objects": [thing]}],
        "a.geojson": {"type": "FeatureCollection", "features": [cell, cell]},
        "a.csv": b"path,left,top,width,height,label\na.png,5,6,20,15,ring\n" * 2,
        "a.txt": b"0 .5 .5 .2 .1\n1 .1 .1 .2 .2 .9\n0 .1 .1 .2 .1 .2 .3\n",
        **{f"a_masks{ending}": b"" for ending in (".png", ".tif", ".npy")},
    }
    path = folder / dice.choice(list(every))
    content = every[path.name]
    if "_masks" in path.name:
        content = _mask(dice, path.suffix)
    elif path.suffix == ".txt":
        names = mutate_bytes(dice, b"ring\nrbc\n") if dice.random() < 0.2 else b"ring\nrbc\n"
        (folder / "classes.txt").write_bytes(names)
    if isinstance(content, bytes):
        content = mutate_bytes(dice, content) if dice.random() < 0.8 else content
    else:
        changed = json.dumps(mutate_json(dice, content) if dice.random() < 0.7 else content)
        content = mutate_bytes(dice, changed.encode()) if dice.random() < 0.3 else changed.encode()
    path.write_bytes(content)
    annotations = read_annotations(folder if path.suffix == ".txt" else path)
    annotations.assign([folder / "a.png", folder / "b.png"])
    for found in annotations.find(folder / "a.png", Image.new("RGB", (60, 50))):
        assert 0 <= found.left < found.left + found.width <= 60
        assert 0 <= found.top < found.top + found.height <= 50


def _mask(dice, ending):
    """The bytes of a label mask of 60 x 50 pixels."""
    levels = np.random.RandomState(dice.randrange(2**31)).randint(0, 4, (5, 6))
    mask = levels.repeat(10, 0).repeat(10, 1).astype(dice.choice([np.uint8, np.uint16]))
    content = io.BytesIO()
    if ending == ".png":
        Image.fromarray(mask).save(content, "PNG")
    elif ending == ".tif":
        tifffile.imwrite(content, mask)
    else:
        np.save(content, mask)
    return content.getvalue()


def try_labels(dice, place):
    """labels.csv with values or bytes changed; what is taken is written back as it was read."""
    path = place / "labels.csv"
    row = ["a.png", 5, 6, 9, 9, "P", "7", "Ana", "now", "random", "U", 0.5, 2]
    rows = [[f"{number}.png", *row[1:]] for number in range(3)]
    dice.choice(rows)[dice.randrange(len(row))] = dice.choice([*NASTY, "=1", "s3://a/b", "doubt"])
    write_csv(path, COLUMNS, rows)
    if dice.random() < 0.3:
        path.write_bytes(mutate_bytes(dice, path.read_bytes()))
    found = read_labels(path)
    write_labels(path, found.values())
    assert read_labels(path) == found


def try_options(dice, place):
    words = ["--image", "--model", "--slice", "--resize", "--labels", "--threshold", "--review"]
    words += ["--output", "--report", "--plot", "--group_by", "--metrics", "--scale", "--channels"]
    values = [str(value) for value in NASTY] + ["a,b", "1,2", "0.5", "a.csv", "(", "(a+)+", "-1..1"]
    arguments = ["--image=a"]
    arguments += [f"{dice.choice(words)}={dice.choice(values)}" for _ in range(dice.randint(1, 4))]
    parse(arguments)


TARGETS = {
    "images": try_image,
    "configs": try_config,
    "workers": try_workers,
    "metadata": try_metadata,
    "architectures": try_architecture,
    "weights": try_weights,
    "tflite": try_tflite,
    "detectors": try_detector,
    "keras": try_keras,
    "saved_model": try_saved_model,
    "names": try_names,
    "lists": try_list,
    "journals": try_journal,
    "archives": try_archive,
    "arrays": try_arrays,
    "annotations": try_annotations,
    "labels": try_labels,
    "options": try_options,
}


def run(target, first, cases):
    """Try the cases of one target; return a line that tells what came of them."""
    if target in ("keras", "saved_model"):
        import malaria.networks.load_model  # noqa: F401  the first case may be refused before it
    taken, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _try(target, first, place)  # what is imported and kept once does not count
        before = peak_memory()
        for case in range(first, first + cases):
            started = time.perf_counter()
            taken += _try(target, case, place)
            slowest = max(slowest, time.perf_counter() - started)
            more = peak_memory() - before
            if slowest > SECONDS or more > BYTES:
                sys.exit(f"{target}, case {case}: {slowest:.1f} s, {more / 1e6:.0f} MB more")
    told = f"{target}: {cases} cases, {taken} taken, {cases - taken} refused in one line, slowest "
    return f"{told}{slowest:.2f} s, {more / 1e6:.0f} MB more"


def _try(target, case, place):
    """Whether the case was taken; ends the program if it is neither taken nor refused."""
    try:
        TARGETS[target](random.Random(f"{target} {case}"), place)
    except UserError as error:
        first, *others = str(error).split("\n")
        if not first or any(not line.startswith("  ") for line in others):
            sys.exit(f"{target}, case {case}: refused in lines that are not ours: {error!r}")
        return False
    except Exception as error:
        sys.exit(f"{target}, case {case}: {type(error).__name__}: {error}")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", choices=TARGETS, nargs="+", default=list(TARGETS))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for target in options.target:
            print(run(target, options.first, options.cases), flush=True)


if __name__ == "__main__":
    main()
