"""find_cells: find the red cells in a field, a photograph of a smear, and cut them out.

Threshold of the optical density, then a watershed of the distance to the background, which
separates cells that touch (Vincent and Soille 1991; scikit-image). Lengths are pixels of the
resized field, unless a name says field.
"""

from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from malaria.pictures.box import Box

# The longer side that a field is worked on at. Where its cells then have less than LEAST_RADIUS it
# is worked on again, larger, up to LARGEST_SIDE.
SIDE, LEAST_RADIUS, LARGEST_SIDE = 1000, 9, 2400
# The radius of a cell, in shorter sides of the field, is no less than this.
LEAST_SHARE = 0.02
# The area of a cell, in typical areas: from and up to.
SMALLEST, LARGEST = 0.35, 2.2
# The least of a cell that the border cuts.
WHOLE = 0.75
# A gap within cells of less than this, in typical areas, is the central pallor of one.
PALLOR = 0.5
# A line between two cells that touch is lighter by this share of the background,
LINE = 0.07
# and by this share of the way from a cell's median light to the background's.
LIGHTER = 0.2
# Where between the background's density and Otsu's threshold a cell begins: its pale rim belongs
# to it.
RIM = 0.85


def find_cells(field: Image.Image) -> list[Box]:
    """The boxes of the red cells in a field, RGB, from its top down; [] where there are none.

    Cells that the border cuts by more than a quarter are left out, as are platelets and clumps.
    """
    boxes, radius = _find(field, SIDE)
    if 0 < radius < LEAST_RADIUS and max(field.size) > SIDE:
        side = min(LARGEST_SIDE, max(field.size), int(SIDE * 1.5 * LEAST_RADIUS / radius))
        boxes, _ = _find(field, side)
    return sorted(boxes, key=lambda box: (box.top, box.left))


def cut(field: Image.Image, box: Box) -> Image.Image:
    """The image of one cell."""
    return field.crop((box.left, box.top, box.left + box.width, box.top + box.height))


def _find(field: Image.Image, side: int) -> tuple[list[Box], float]:
    """(boxes in the field, the radius of a typical cell at this side; 0 where there is none)."""
    scale = max(1.0, max(field.size) / side)
    size = round(field.width / scale), round(field.height / scale)
    small = field if scale == 1 else field.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    green = ndimage.gaussian_filter(np.asarray(small)[..., 1].astype(np.float32), 1)
    light = _background(green)
    cells = ndimage.binary_opening(_is_dense(green, light), iterations=2)
    radius = _typical_radius(cells)
    if radius == 0:
        return [], 0.0
    regions = _part(_fill_pallor(cells, radius), green / light, radius)
    return [_scale(box, scale, field.size) for box in _choose(regions, radius)], radius


def _background(green: np.ndarray) -> np.ndarray:
    """The light of the empty slide at each place, grey levels: smooth, and never black."""
    step = max(1, min(green.shape) // 12)
    light = np.empty([len(range(0, length, step)) for length in green.shape])
    for row, column in np.ndindex(light.shape):
        top, left = row * step, column * step
        light[row, column] = np.quantile(green[top : top + 2 * step, left : left + 2 * step], 0.95)
    # Where cells cover everything there is no slide to be seen.
    light = ndimage.gaussian_filter(np.maximum(light, 0.8 * np.quantile(green, 0.98)), 1.5)
    zoom = [length / count for length, count in zip(green.shape, light.shape, strict=True)]
    large = ndimage.zoom(light, zoom, order=1)[: green.shape[0], : green.shape[1]]
    return np.maximum(large, 1).astype(np.float32)


def _is_dense(green: np.ndarray, light: np.ndarray) -> np.ndarray:
    """True at pixels that are denser than the slide, (height, width), bool."""
    density = np.clip(np.log(light / np.maximum(green, 1)), -0.2, 1.5)
    some = density.ravel()[::4]
    if np.ptp(some) < 1e-3:
        return np.zeros(green.shape, bool)
    threshold = _threshold(some)
    slide = np.median(some[some < threshold])
    return density > slide + RIM * (threshold - slide)


def _threshold(density: np.ndarray) -> float:
    """Otsu's; where that parts the nuclei of white cells from all else, Otsu's of the rest."""
    from skimage.filters import threshold_otsu

    threshold = float(threshold_otsu(density))
    rest = density[density <= threshold]
    if len(rest) < 0.7 * len(density) or np.ptp(rest) < 1e-3:
        return threshold
    lower = float(threshold_otsu(rest))
    red, slide = rest[rest > lower], rest[rest <= lower]
    # Two humps, the second of which has a size.
    apart = (red.mean() - slide.mean()) / (red.std() + slide.std() + 1e-6)
    return lower if len(red) > 0.08 * len(rest) and apart > 1.6 else threshold


def _typical_radius(cells: np.ndarray) -> float:
    """Of the cells that stand alone; where there are too few, by the middles of the clumps."""
    from skimage.feature import peak_local_max
    from skimage.measure import label, regionprops

    least = LEAST_SHARE * min(cells.shape)
    filled = ndimage.binary_fill_holes(cells)
    alone = [
        region.equivalent_diameter_area / 2
        for region in regionprops(label(filled))
        if region.area > np.pi * least**2 and _is_round(region, cells.shape)
    ]
    if len(alone) >= 3:
        return float(np.median(alone))
    distance = ndimage.distance_transform_edt(filled)
    known = {"min_distance": max(1, int(least)), "threshold_abs": least, "exclude_border": False}
    middles = peak_local_max(distance, **known)
    # A clump's inner circles are a little smaller than its cells.
    return 1.1 * float(np.median(distance[tuple(middles.T)])) if len(middles) else 0.0


def _is_round(region: Any, shape: tuple[int, ...]) -> bool:
    """True for a region that is one whole cell by its shape."""
    top, left, bottom, right = region.bbox
    height, width = bottom - top, right - left
    is_inside = top > 0 and left > 0 and bottom < shape[0] and right < shape[1]
    is_square = 0.7 < height / width < 1.43
    # A disc fills pi / 4 of its box.
    return is_inside and is_square and 0.66 < region.extent < 0.9 and region.solidity > 0.9


def _fill_pallor(cells: np.ndarray, radius: float) -> np.ndarray:
    """The cells without the gaps of their pale middles, and without what is thinner than a cell."""
    from skimage.morphology import disk

    gaps, _ = ndimage.label(~cells)
    is_small = np.bincount(gaps.ravel()) < PALLOR * np.pi * radius**2
    is_small[0] = False
    shape = disk(max(1, int(0.2 * radius)))
    return np.asarray(ndimage.binary_opening(cells | is_small[gaps], structure=shape))


def _part(cells: np.ndarray, light: np.ndarray, radius: float) -> np.ndarray:
    """A number for each cell at its pixels, 0 elsewhere. light: as a share of the background."""
    from skimage.feature import peak_local_max
    from skimage.morphology import disk, white_tophat
    from skimage.segmentation import watershed

    lines = white_tophat(light, disk(max(2, int(0.12 * radius)))) > LINE
    # Between the dots of a parasite it is no lighter than in the rest of the cell.
    typical = np.median(light[cells]) if cells.any() else 1.0
    lines &= light > typical + LIGHTER * (1 - typical)
    # The border is no edge of a cell.
    padded = np.pad(cells & ~lines, 1, mode="edge")
    distance = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    distance = ndimage.gaussian_filter(distance, max(1, 0.12 * radius))
    clumps, _ = ndimage.label(cells)
    middles = peak_local_max(
        distance,
        min_distance=max(3, int(0.5 * radius)),
        threshold_abs=0.45 * radius,
        labels=clumps,
        exclude_border=False,
    )
    markers = np.zeros(cells.shape, np.int32)
    markers[tuple(middles.T)] = np.arange(1, len(middles) + 1)
    return np.asarray(watershed(-distance, markers, mask=cells))


def _choose(regions: np.ndarray, radius: float) -> list[tuple[slice, slice]]:
    """The rows and columns of the regions that have the size of a cell."""
    areas = np.bincount(regions.ravel())[1:] / (np.pi * radius**2)
    chosen = []
    for area, place in zip(areas, ndimage.find_objects(regions), strict=True):
        if place is not None:
            ends = zip(place, regions.shape, strict=True)
            is_cut = any(part.start == 0 or part.stop == length for part, length in ends)
            if (WHOLE if is_cut else SMALLEST) < area < LARGEST:
                chosen.append(place)
    return chosen


def _scale(place: tuple[slice, slice], scale: float, size: tuple[int, int]) -> Box:
    """The box in the field, (width, height) `size`, of rows and columns of the resized one."""
    rows, columns = place
    left, top = int(columns.start * scale), int(rows.start * scale)
    right, bottom = round(columns.stop * scale), round(rows.stop * scale)
    return Box(left, top, min(size[0], right) - left, min(size[1], bottom) - top)
