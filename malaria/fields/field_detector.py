"""field_detector: a trained detector, opened from its pair, and what it finds in a field."""

from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from malaria.annotations.annotation_records import Rectangle, clip
from malaria.base.errors import UserError
from malaria.base.machine import usable_cores, worker_count
from malaria.base.streams import stderr_kept_back
from malaria.base.text import printable
from malaria.fields.detect import (
    MULTIPLE,
    PLATELET,
    RED,
    STRIDE,
    TILE,
    WHITE,
    Objects,
    detect,
)
from malaria.fields.found import Found, cut
from malaria.fields.scale import find_diameter
from malaria.inference.litert import one_line_errors
from malaria.inference.prediction import AT_BORDER, CLUMP, LEUKOCYTE, PLATELETS
from malaria.inference.trial import try_once
from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath
from malaria.saved import tflite
from malaria.saved.metadata import DETECTION, KEY
from malaria.saved.pair import Pair, default_pair, find_pair, read_architecture

# The pretrained one.
NAME = "detector.h5"
LABELS = {WHITE: LEUKOCYTE, PLATELET: PLATELETS}
# Of its maps: three kinds, width and height.
CHANNELS = 5
# A red cell with less of its box in the field is cut by the border.
WHOLE = 0.75
# One with more black in its box is cut by the round view of an eyepiece, if others have less than
# LITTLE. Black is what has less than this share of a cell's brightness; seen in SIDE pixels.
CUT, LITTLE, BLACK, SIDE = 0.15, 0.05, 0.2, 24
# Something red that is as large as more typical cells than this was not parted.
LARGEST = 3.5


class FieldDetector:
    """A Find by a .tflite; several threads may call it."""

    def __init__(self, path: Path, threshold: float) -> None:
        self.network, self.threshold = _AnySize(path), threshold

    def __call__(self, path: AnyPath, field: Image.Image) -> list[Found]:
        """All that is found in a field, RGB or grey, from its top down; [] without red cells."""
        diameter = find_diameter(field, self.network)
        if diameter is None:
            return []
        found = detect(field, diameter, self.network, self.threshold)
        return sorted(_describe(found, field), key=lambda one: (one.box.top, one.box.left))


@lru_cache(maxsize=2)
def load_detector(path: Path | str | None = None) -> FieldDetector:
    """The detector that `path` means, as of find_pair; None: the pretrained one.

    Raises UserError for what is no detector, is damaged or does not belong together.
    """
    pair = find_pair(default_pair().with_name(NAME) if path is None else path)
    entries = read_architecture(pair).get(KEY) if pair.kind == "pair" else None
    if not isinstance(entries, dict) or entries.get("task") != DETECTION:
        raise UserError(
            f"{printable(pair.weights)} is no detector: expected what train.py makes with model: "
            "detector"
        )
    threshold = entries.get("threshold")
    if not isinstance(threshold, float) or not 0 < threshold < 1:
        raise UserError(f"{printable(pair.architecture)}: its threshold is damaged")
    _check_tflite(pair, entries)
    detector = FieldDetector(pair.tflite, threshold)
    detector.network(np.zeros((1, 3 * MULTIPLE, 4 * MULTIPLE, 3), np.float32))
    return detector


def _check_tflite(pair: Pair, entries: dict[str, object]) -> None:
    digest = entries.get("tflite_sha256")
    if not pair.tflite.is_file() or tflite.sha256_of(pair.tflite) != digest:
        raise UserError(
            f"{printable(pair.tflite)}: expected the one whose SHA-256 is in "
            f"{printable(pair.architecture.name)}"
        )
    if not tflite.is_pretrained(pair):
        try_once(pair.tflite, side=TILE)


def _describe(found: Objects, field: Image.Image) -> list[Found]:
    is_red = found.kinds == RED
    typical = float(np.median(found.sides[is_red])) if is_red.any() else 0.0
    described: list[Found] = []
    whole: list[Found] = []
    for box, kind, probability, side in zip(*found, found.sides, strict=True):
        clipped, share = _clip(box, field.size)
        if clipped is not None:
            label = LABELS.get(int(kind)) or (CLUMP if side**2 > LARGEST * typical**2 else None)
            label = AT_BORDER if label is None and share < WHOLE else label
            one = Found(clipped, label, float(probability))
            (whole if label is None else described).append(one)
    for one, is_cut in zip(whole, _are_cut(field, whole), strict=True):
        described.append(one._replace(label=AT_BORDER) if is_cut else one)
    return described


def _are_cut(field: Image.Image, cells: list[Found]) -> list[bool]:
    """Which of the red cells the black around a round view cuts."""
    if not cells:
        return []
    greys = (cut(field, one.box).convert("L").resize((SIDE, SIDE)) for one in cells)
    levels = np.stack([np.asarray(grey).ravel() for grey in greys])
    shares = (levels < BLACK * np.median(levels.mean(axis=1))).mean(axis=1)
    # Where all lie on black it is no sign of a view.
    return ((shares > CUT) & (np.median(shares) < LITTLE)).tolist()


def _clip(box: np.ndarray, size: tuple[int, int]) -> tuple[Box | None, float]:
    """(the part of the box in the field, None for nothing; its share of the box)."""
    inside, _ = clip(Rectangle(*box.tolist()), (1, 1), size)
    area = inside.width * inside.height if inside else 0
    return inside, area / max(1e-6, float(box[2] * box[3]))


class _AnySize:
    """A .tflite that takes one image of any size; an Ask. Each thread has an interpreter."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """content: of the file, where that lies on another machine."""
        self.path, self.content = path, content
        self.cores = max(1, usable_cores() // worker_count())
        with one_line_errors(path):
            self._idle = deque([self._open()])

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels as the bytes of its file."""
        return _AnySize, (self.path, self.content or self.path.read_bytes())

    def _open(self) -> "_Sized":
        from ai_edge_litert.interpreter import Interpreter

        with stderr_kept_back():
            path = None if self.content else str(self.path)
            known = {"model_path": path, "model_content": self.content}
            return _Sized(Interpreter(**known, num_threads=self.cores))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with one_line_errors(self.path):
            try:
                one = self._idle.pop()
            except IndexError:
                one = self._open()
            maps = one(images)
        self._idle.append(one)
        expected = (1, *(side // STRIDE for side in images.shape[1:3]), CHANNELS)
        if maps.shape != expected or not np.isfinite(maps).all():
            of_what = "" if maps.shape != expected else ", not all of them numbers"
            raise UserError(
                f"{printable(self.path)}: expected the maps {expected} of a detector; received "
                f"{maps.shape}{of_what}"
            )
        return maps


class _Sized:
    """An interpreter, which is told the size of its image where that is another."""

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter
        self.shape: tuple[int, ...] = ()
        [self.start], [self.end] = interpreter.get_input_details(), interpreter.get_output_details()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if images.shape != self.shape:
            self.interpreter.resize_tensor_input(self.start["index"], images.shape)
            with stderr_kept_back():
                self.interpreter.allocate_tensors()
            self.shape = images.shape
        self.interpreter.set_tensor(self.start["index"], images)
        self.interpreter.invoke()
        return np.asarray(self.interpreter.get_tensor(self.end["index"]))
