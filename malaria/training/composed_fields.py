"""composed_fields: fields put together at random of cut cells, with the boxes of all that is there.

Light that passes two cells is weakened by both: where they overlap their optical densities add up,
as on a slide. Lengths are pixels.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from malaria.fields.detect import PLATELET, RED, WHITE
from malaria.training.annotated_fields import AnnotatedField

# Cut cells are kept at this side; in a composed field they are about as large.
SIDE = 48
# Of the objects of a field: at most so many white cells, platelets and parasitized cells.
MOST_WHITE, MOST_PLATELETS, MOST_PARASITIZED = 0.04, 0.08, 0.3
# How large they are, in diameters of a red cell.
SIZES = {WHITE: (1.2, 2.6), PLATELET: (0.2, 0.5)}


class View(NamedTuple):
    """A part of a field, resized.

    image: (side, side, 3), uint8, RGB. boxes: (n, 4), float32, left, top, width and height. kinds:
    (n,), RED, WHITE or PLATELET. is_sure: (n,), bool; others are neither to be found nor to be
    left.
    """

    image: np.ndarray
    boxes: np.ndarray
    kinds: np.ndarray
    is_sure: np.ndarray


class Bank(NamedTuple):
    """Optical densities of cut cells, each (n, SIDE, SIDE, 3), float32; 0 where the cell is not."""

    uninfected: np.ndarray
    parasitized: np.ndarray
    white: np.ndarray
    platelets: np.ndarray


def densities_of(cells: np.ndarray) -> np.ndarray:
    """The optical densities of cells, (n, SIDE, SIDE, 3), uint8, on black or cut at their box."""
    found = np.empty(cells.shape, np.float32)
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    round_mask = np.clip((1.05 - np.hypot(rows, columns)) / 0.15, 0, 1)[..., None]
    for place, cell in enumerate(cells):
        is_cell = cell.max(axis=-1) > 12
        on_black = is_cell.mean() < 0.97
        light = np.percentile(cell[is_cell], 98, axis=0) if is_cell.any() else np.full(3, 255.0)
        # On black there is no slide, which is a little lighter than a cell where it is thinnest.
        light = light * 1.15 if on_black else light
        density = np.log(np.maximum(light, 1) / np.maximum(cell, 4)).clip(0, 3)
        mask = ndimage.binary_erosion(is_cell, iterations=2)[..., None] if on_black else round_mask
        found[place] = density * mask
    return found


def compose(bank: Bank, rng: np.random.Generator, side: int, diameter: float) -> View:
    """A square field of red cells of about this diameter, and what else lies on a slide."""
    share = rng.uniform(0, MOST_PARASITIZED) * (rng.random() < 0.7)
    middles = _scatter(rng, side, diameter, kept_apart=rng.uniform(0.5, 1.1))
    density = np.zeros((side, side, 3), np.float32)
    boxes, kinds = [], []
    for middle in middles:
        kind, item, size = _choose(bank, rng, diameter, share)
        height, width = np.maximum(4, size * np.exp(rng.normal(0, 0.06) * np.array([1, -1])))
        left, top = middle - np.array([width, height]) / 2
        _lay(density, item, round(left), round(top), round(width), round(height))
        boxes.append((left, top, width, height))
        kinds.append(kind)
    _soil(density, rng, diameter)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    image = develop(density, rng)
    return View(image, found, np.array(kinds, np.int64), np.ones(len(kinds), bool))


def develop(density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph of these optical densities: another stain, uneven light, blur and noise."""
    side = len(density)
    density = change_stain(density, rng)
    light = rng.uniform(0.6, 1) * (1 - 0.15 * rng.random(3) ** 2)
    ramp = np.add.outer(*(np.linspace(-0.5, 0.5, side) * rng.normal(0, 0.12) for _ in "xy"))
    image = light * np.exp(-density) * (1 + ramp[..., None])
    return finish(image, rng)


def change_stain(density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Optical densities mixed between the channels, weaker or stronger."""
    mixing = np.eye(3) + rng.normal(0, 0.15, (3, 3))
    gain = np.exp(rng.uniform(-0.6, 0.5))
    return np.asarray((gain * density @ mixing.T).clip(0, 4), np.float32)


def finish(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur, noise and, at times, the round view of an eyepiece; 0..1 to uint8."""
    side = len(image)
    if rng.random() < 0.5:
        image = ndimage.gaussian_filter(image, (*(rng.uniform(0.3, 1.2),) * 2, 0))
    if rng.random() < 0.1:
        rows, columns = np.mgrid[:side, :side]
        middle, radius = rng.uniform(0, side, 2), side * rng.uniform(0.5, 1.2)
        edge = np.hypot(rows - middle[0], columns - middle[1]) - radius
        image = image * np.clip(0.5 - edge / rng.uniform(1, 8), 0, 1)[..., None]
    image = image + rng.normal(0, 0.03 * rng.random() ** 2, image.shape)
    return np.asarray((image * 255).clip(0, 255).round(), np.uint8)


def _scatter(rng: np.random.Generator, side: int, diameter: float, kept_apart: float) -> np.ndarray:
    """Middles, (n, 2), x and y, at random but not nearer than `kept_apart` diameters."""
    cover = rng.uniform(0.05, 1.0)
    wanted = max(1, round(cover * (side + diameter) ** 2 / (0.785 * diameter**2)))
    found = np.empty((0, 2))
    for middle in rng.uniform(-diameter / 2, side + diameter / 2, (4 * wanted, 2)):
        if len(found) == wanted:
            break
        distances = np.hypot(*(found - middle).T)
        if len(found) == 0 or distances.min() > kept_apart * diameter:
            found = np.vstack([found, middle])
    return found


def _choose(
    bank: Bank, rng: np.random.Generator, diameter: float, share: float
) -> tuple[int, np.ndarray, float]:
    """(kind, optical densities, size) of one object; share: of red cells that are parasitized."""
    chance = rng.random()
    for kind, items, most in (
        (WHITE, bank.white, MOST_WHITE),
        (PLATELET, bank.platelets, MOST_PLATELETS),
    ):
        if len(items) and chance < most:
            return kind, _pick(items, rng), diameter * rng.uniform(*SIZES[kind])
        chance -= most
    size = diameter * np.exp(rng.normal(0, 0.1))
    if len(bank.parasitized) and rng.random() < share:
        # Of P. vivax and P. ovale they are enlarged and pale.
        return RED, _pick(bank.parasitized, rng) * rng.uniform(0.5, 1), size * rng.uniform(1, 1.5)
    return RED, _pick(bank.uninfected, rng) * rng.uniform(0.6, 1.2), size


def _pick(items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    item = np.rot90(items[rng.integers(len(items))], int(rng.integers(4)))
    return item[:, ::-1] if rng.random() < 0.5 else item


def _lay(
    density: np.ndarray, item: np.ndarray, left: int, top: int, width: int, height: int
) -> None:
    """Add the item's optical densities at this place, which may be partly outside."""
    layers = [
        Image.fromarray(np.ascontiguousarray(item[..., one])).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for one in range(3)
    ]
    small = np.stack([np.asarray(layer) for layer in layers], axis=-1)
    rows = slice(max(top, 0), min(top + height, len(density)))
    columns = slice(max(left, 0), min(left + width, len(density)))
    if rows.start < rows.stop and columns.start < columns.stop:
        density[rows, columns] += small[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


def _soil(density: np.ndarray, rng: np.random.Generator, diameter: float) -> None:
    """Grains of stain and dirt, smaller than cells, at times."""
    side = len(density)
    rows, columns = np.mgrid[:side, :side]
    for _ in range(rng.integers(0, 12) if rng.random() < 0.5 else 0):
        middle, radius = rng.uniform(0, side, 2), diameter * rng.uniform(0.02, 0.12)
        grain = np.exp(-((np.hypot(rows - middle[0], columns - middle[1]) / radius) ** 2))
        density += grain[..., None] * rng.uniform(0.2, 1.5, 3).astype(np.float32)


def look(
    field: AnnotatedField,
    rng: np.random.Generator,
    side: int,
    diameter: float,
    *,
    is_changed: bool,
) -> View:
    """A square part of a real field, resized so that its red cells have this diameter.

    is_changed: turned and in other colours too. What lies beyond the field is plain.
    """
    wide = side * field.diameter / diameter
    ends = np.array(field.image.shape[1::-1])
    start = rng.uniform(np.minimum(0, ends - wide), np.maximum(0, ends - wide) + 1e-6)
    scale = side / wide
    boxes = field.boxes.copy()
    boxes[:, :2] -= start
    image = _cut(field.image, start, wide, side, rng)
    view = View(image, boxes * np.float32(scale), field.kinds, field.is_sure)
    if not is_changed:
        return view
    view = _turn(view, rng)
    if rng.random() < 0.7:
        density = -np.log(np.maximum(view.image, 3) / 255)
        light = np.exp(-change_stain(density, rng)) * rng.uniform(0.8, 1.2)
        view = view._replace(image=finish(light, rng))
    return view


def _cut(
    image: np.ndarray, start: np.ndarray, wide: float, side: int, rng: np.random.Generator
) -> np.ndarray:
    """The square from `start`, x and y, of this width, resized to `side`."""
    ends = np.minimum(image.shape[1::-1], start + wide)
    area, scale = (*np.maximum(0, start), *ends), side / wide
    size = [max(1, round((area[axis + 2] - area[axis]) * scale)) for axis in (0, 1)]
    whole = Image.fromarray(image)
    part = whole.resize(size, Image.Resampling.BILINEAR, box=area, reducing_gap=2)
    # As the slide, or like no slide at all.
    plain = (
        np.percentile(np.asarray(part), 90, axis=(0, 1))
        if rng.random() < 0.5
        else rng.uniform(0, 256, 3)
    )
    canvas = Image.new("RGB", (side, side), tuple(plain.astype(int).tolist()))
    canvas.paste(part, tuple(round(max(0, -one) * scale) for one in start))
    return np.asarray(canvas)


def bank_of(cells: Mapping[str, np.ndarray], fields: Sequence[AnnotatedField]) -> Bank:
    """The Bank of cut cells, {"uninfected" and "parasitized": (n, SIDE, SIDE, 3), uint8}.

    White cells and platelets are those of the fields.
    """
    cut: dict[int, list[np.ndarray]] = {WHITE: [], PLATELET: []}
    for field in fields:
        for box, kind, is_sure in zip(field.boxes, field.kinds, field.is_sure, strict=True):
            if is_sure and kind != RED:
                left, top, width, height = box.tolist()
                area = left, top, left + width, top + height
                part = Image.fromarray(field.image).resize((SIDE, SIDE), box=area)
                cut[kind].append(np.asarray(part))
    none = np.empty((0, SIDE, SIDE, 3), np.uint8)
    others = [np.stack(cut[kind]) if cut[kind] else none for kind in (WHITE, PLATELET)]
    return Bank(*map(densities_of, (cells["uninfected"], cells["parasitized"], *others)))


def _turn(view: View, rng: np.random.Generator) -> View:
    """The same seen from another side: quarter turns and flips."""
    image, boxes, side = view.image, view.boxes, len(view.image)
    for _ in range(rng.integers(4)):
        image = np.rot90(image)
        left, top, width, height = boxes.T
        boxes = np.stack([top, side - left - width, height, width], axis=1)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        left, top, width, height = boxes.T
        boxes = np.stack([side - left - width, top, width, height], axis=1)
    return view._replace(image=np.ascontiguousarray(image), boxes=boxes)
