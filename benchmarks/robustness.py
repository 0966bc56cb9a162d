#!/usr/bin/env python3
"""How networks bear cells that look unlike those they learnt from: blurred, re-stained, and so on.

    python benchmarks/robustness.py --folds=models/folds_..._5/ --images=cell_images/ [--each 400]

Takes the networks of a cross-validation. Each judges cells of the patients it never saw, a random
choice of `--each` a fold, as they are and after each change; last, drawn cells, which none of them
learnt from. Prints accuracy, sensitivity, specificity, AUC and expected calibration error, all
folds together; lengths are of images 128 pixels high and wide. A change much like one that the
networks' augmentation makes has a star: bearing it says little of other laboratories.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.text import align
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import PATIENT_PATTERN, scan_folder
from malaria.data.drawing import draw_cell, draw_stain
from malaria.evaluation.metrics import METRICS, compute_metrics, score
from malaria.inference.load_classifier import load_classifier
from malaria.pictures.images import RESAMPLINGS, open_image
from malaria.settings.config import Augmentation

SIDE = 128
BATCH = 64
SHOWN = ("accuracy", "sensitivity", "specificity", "auc", "calibration_error")
DRAWN_PATIENTS = 20
# Augmentations, and how the names of the CHANGES begin that are like them.
LIKE = {
    "blur": ("blurred, 1",),
    "aspect_ratio": ("a third narrower",),
    "brightness": ("darker", "brighter"),
    "color_jitter": ("stained",),
    "background": ("unmasked",),
}


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--folds", required=True, help="what train.py --folds wrote")
    parser.add_argument("--images", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--each", type=int, default=400, help="of a fold (default: %(default)s)")
    add_common(parser)
    options = parser.parse_args(arguments)
    networks = sorted(Path(options.folds).glob("fold*.h5"))
    classifiers = [load_classifier(path) for path in networks]
    cells = [choose_cells(one, options.images, options.each) for one in classifiers]
    drawn = [draw_cells(one, options.each) for one in classifiers]
    learnt = learnt_changes(classifiers[0])
    rows = [["cells", *SHOWN]]
    for name, change in CHANGES.items():
        star = "*" if any(name.startswith(start) for start in learnt) else ""
        rows.append([name + star, *judge(classifiers, cells, change)])
    rows.append(["drawn by this program", *judge(classifiers, drawn, lambda image: image)])
    print(f"{sum(len(labels) for _, labels in cells):,} cells of {len(networks)} folds")
    print(align(rows))


def learnt_changes(classifier):
    """How the names of the changes begin that the augmentation of the training makes too."""
    settings = classifier.metadata.details["config"]["augmentation"]
    amounts = Augmentation(**settings).model_dump()  # takes the names of earlier versions too
    return [start for key, starts in LIKE.items() if amounts[key] for start in starts]


def choose_cells(classifier, images, count):
    """(images, labels) of patients that this network never saw."""
    details = json.loads(classifier.pair.architecture.read_text())["malaria"]
    unseen = set(details["split"]["validation_patients"])
    samples = scan_folder(images, classifier.metadata.labels, PATIENT_PATTERN)
    samples = [sample for sample in samples if sample.patient in unseen]
    picks = np.random.RandomState(0).permutation(len(samples))[:count]
    pictures = [open_image(samples[pick].path).resize((SIDE, SIDE)) for pick in picks]
    return pictures, np.array([samples[pick].label for pick in picks])


def draw_cells(classifier, count):
    """(images, labels) of drawn cells, half of them parasitized."""
    stains = [draw_stain(np.random.default_rng([9, n])) for n in range(DRAWN_PATIENTS)]
    positive = classifier.metadata.labels.index("Parasitized")
    labels = np.arange(count) % 2
    pictures = [
        Image.fromarray(
            draw_cell(
                np.random.default_rng([9, 1, number]),
                parasitized=label == positive,
                stain=stains[number // 2 % DRAWN_PATIENTS],
            )[0]
        ).resize((SIDE, SIDE))
        for number, label in enumerate(labels)
    ]
    return pictures, labels


def judge(classifiers, cells, change):
    """The SHOWN metrics of all networks on their cells after a change, as texts."""
    answers, truths = [], []
    for classifier, (pictures, labels) in zip(classifiers, cells, strict=True):
        metadata = classifier.metadata
        height, width = metadata.pixels.size
        arrays = [
            np.asarray(
                change(picture).resize((width, height), RESAMPLINGS[metadata.pixels.resampling])
            )
            for picture in pictures
        ]
        answers += [
            classifier.predict(np.stack(arrays[start : start + BATCH]))
            for start in range(0, len(arrays), BATCH)
        ]
        truths.append(labels)
    scored = score(
        np.concatenate(truths),
        np.concatenate(answers),
        positive=metadata.positive,
        threshold=metadata.threshold,
    )
    values = dict(zip(METRICS, compute_metrics(scored)[0], strict=True))
    return [f"{values[name]:.3f}" for name in SHOWN]


def scale(*factors):
    """Multiply each channel."""
    return lambda image: Image.fromarray(
        (np.asarray(image, np.float32) * factors).clip(0, 255).astype(np.uint8)
    )


def shrink(width, height):
    """The same cell smaller, in the middle of a black square."""

    def change(image):
        surround = Image.new("RGB", (SIDE, SIDE))
        surround.paste(image.resize((width, height)), ((SIDE - width) // 2, (SIDE - height) // 2))
        return surround

    return change


def coarsen(side):
    """As if photographed with so many pixels."""
    return lambda image: image.resize((side, side)).resize((SIDE, SIDE))


def compress(quality):
    def change(image):
        content = io.BytesIO()
        image.save(content, "JPEG", quality=quality)
        return Image.open(content).convert("RGB")

    return change


def unmask(image):
    """The black surround in the colour of an empty field, with its noise."""
    pixels = np.asarray(image).copy()
    surround = pixels.max(axis=2) <= 5
    noise = np.random.RandomState(0).normal(0, 3, (*surround.shape, 3))
    pixels[surround] = (np.array([222, 212, 206]) + noise).clip(0, 255).astype(np.uint8)[surround]
    return Image.fromarray(pixels)


CHANGES = {
    "as they are": lambda image: image,
    "blurred, 1 pixel": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "blurred, 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "blurred, 4 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "darker by 0.3": scale(0.7, 0.7, 0.7),
    "brighter by 0.2": scale(1.2, 1.2, 1.2),
    "stained bluer": scale(0.85, 1.0, 1.15),
    "stained redder": scale(1.15, 1.0, 0.85),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "of 32 x 32 pixels": coarsen(32),
    "at 3/4 of the size": shrink(96, 96),
    "at 1/2 of the size": shrink(64, 64),
    "a third narrower": shrink(86, 128),
    "JPEG, quality 20": compress(20),
    "unmasked": unmask,
}


if __name__ == "__main__":
    sys.exit(run_script(main))
