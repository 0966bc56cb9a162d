"""look_alikes: images that are nearly the same: saved again with losses, resized, turned, flipped.

By a perceptual hash: the signs of the 16 x 16 lowest frequencies (DCT), without the mean, of the
image in 32 x 32 grey levels.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from PIL import Image

from malaria.base.machine import usable_cores
from malaria.base.text import printable
from malaria.data.labelled_images import LabelledImages
from malaria.data.pixel_store import Pixels
from malaria.data.reading import CHUNK

SIDE, FREQUENCIES = 32, 16
# Of 1,200 real cells that were turned or flipped and saved as JPEG of quality 50 to 95 all but one
# differ from themselves in no more of the 255 bits; of 27,000 different ones no two do.
MOST_BITS = 8
# Hashes that differ in so many bits are equal in one of so many parts; MIXED has some of all
# frequencies in each. Of more images with an equal part only these are compared.
PARTS, MOST_COMPARED = MOST_BITS + 1, 100
MIXED = np.random.RandomState(0).permutation(np.arange(1, FREQUENCIES**2))
# Standard deviation in grey levels; with less an image is a plain colour, like many others.
LEAST_CONTRAST = 3.0
# It takes a second or two for 10,000 images.
MOST_IMAGES = 100_000
NAMED = 5


def describe_look_alikes(images: LabelledImages, labels: Sequence[str]) -> Iterator[str]:
    """Lines for people: how many pairs look alike, on which sides they lie, and some of them."""
    if len(images.samples) > MOST_IMAGES:
        yield f"look-alikes: not searched for among more than {MOST_IMAGES:,} images"
        return
    pairs = find_look_alikes(images.pixels)
    sides = np.isin(np.arange(len(images.samples)), images.validation)
    crossing = sides[pairs[:, 0]] != sides[pairs[:, 1]]
    unlike = images.labels[pairs[:, 0]] != images.labels[pairs[:, 1]]
    if len(pairs):
        yield (
            f"look-alikes: {len(pairs)} pairs of images look alike (saved again, turned or flipped?"
            f"); {crossing.sum()} lie on both sides of the split, {unlike.sum()} under two labels"
        )
    names = ("training", "validation")
    for pair in pairs[np.argsort(~(crossing | unlike), kind="stable")][:NAMED].tolist():
        told = (
            f"{printable(images.samples[n].path)} ({printable(labels[images.labels[n]])}, "
            f"{names[int(sides[n])]})"
            for n in pair
        )
        yield f"  {' and '.join(told)}"


def find_look_alikes(pixels: Pixels) -> np.ndarray:
    """(n, 2) indices, the smaller first, of images whose hashes differ in at most MOST_BITS bits.

    The second may be turned by quarters and flipped. Of images of equal pixels the first counts.
    """
    spectra, contrast = _spectra(pixels)
    _, firsts = np.unique([str(sample.content) for sample in pixels.samples], return_index=True)
    known = np.sort(firsts[contrast[firsts] >= LEAST_CONTRAST])
    spectra = spectra[known]
    hashes = _Hashes(spectra)
    found = [hashes.pairs_with(_Hashes(turned)) for turned in _turned(spectra)]
    return known[np.unique(np.concatenate(found), axis=0)]


def _spectra(pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """(n, FREQUENCIES, FREQUENCIES) and the standard deviation, (n,), of all images."""
    angles = np.pi / SIDE * np.arange(FREQUENCIES)[:, None] * (np.arange(SIDE) + 0.5)
    cosines, count = np.cos(angles).astype(np.float32), len(pixels.samples)
    spectra = np.empty((count, FREQUENCIES, FREQUENCIES), np.float32)
    contrast = np.empty(count, np.float32)
    with ThreadPoolExecutor(usable_cores()) as threads:
        for start in range(0, count, CHUNK):
            part = slice(start, min(start + CHUNK, count))
            images = pixels.read(np.arange(part.start, part.stop))
            small = np.stack(list(threads.map(_shrink, images)))
            spectra[part] = cosines @ small @ cosines.T
            contrast[part] = small.std(axis=(1, 2))
    return spectra, contrast


def _shrink(image: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)


def _turned(spectra: np.ndarray) -> Iterator[np.ndarray]:
    """The spectra of the eight turns and flips; a flip changes the signs of the odd waves."""
    odd = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
    even = np.ones_like(odd)
    for rows, columns in product((even, odd), repeat=2):
        flipped = spectra * rows[:, None] * columns
        yield flipped
        yield flipped.transpose(0, 2, 1)


class _Hashes:
    """The hashes of spectra, to find near ones by."""

    def __init__(self, spectra: np.ndarray) -> None:
        bits = spectra.reshape(-1, FREQUENCIES**2)[:, MIXED] > 0
        self.packed = np.packbits(bits, axis=1)
        self.parts = [
            part @ (1 << np.arange(part.shape[1], dtype=np.int64))
            for part in np.array_split(bits, PARTS, axis=1)
        ]

    def pairs_with(self, others: "_Hashes") -> np.ndarray:
        """(n, 2): places of a hash here and, greater, of another that is near."""
        found = [np.empty((0, 2), np.int64)]
        for here, there in zip(self.parts, others.parts, strict=True):
            order = np.argsort(here)
            left, right = (np.searchsorted(here[order], there, side) for side in ("left", "right"))
            counts = np.minimum(right - left, MOST_COMPARED)
            second = np.repeat(np.arange(len(there)), counts)
            ranks = np.arange(len(second)) - np.repeat(np.cumsum(counts) - counts, counts)
            first = order[np.repeat(left, counts) + ranks]
            first, second = first[first < second], second[first < second]
            unlike = np.bitwise_count(self.packed[first] ^ others.packed[second]).sum(axis=1)
            found.append(np.stack([first, second], axis=1)[unlike <= MOST_BITS])
        return np.concatenate(found)
