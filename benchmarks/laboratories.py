#!/usr/bin/env python3
"""Several laboratories: lay out what to learn from and what to judge by, and judge a model.

    python benchmarks/laboratories.py prepare --cells=cell_images/ --labs=labs/ --fields=fields/ \
        --out=laboratories
    python train.py --config=configs/laboratories.yaml
    python benchmarks/laboratories.py judge --model=models/ --out=laboratories/ --labs=labs/

labs: a folder with train/<laboratory>/<label>/, choose/<laboratory>/<label>/ and
fields/<laboratory>/ with annotations.json. fields: another with train/<laboratory>/fields/ and
annotations.json, of which white cells, platelets, several cells and empty places are cut, and the
cells of draaslan. `prepare` makes links: of the NLM's cells those of
config.yaml's 36 validation patients are judged, of mpidb's two patients, of the images that are
no cells every third field; nothing of these is learnt. With --for-choice other patients are judged,
25 of the NLM's 82 and one of mpidb's, and those that are reported are left out of both: by these,
and by choose/, a recipe may be chosen. With --for-folds every cell is learnt from, for
`train.py --config=configs/laboratories.yaml --folds=5`, which sets patients aside itself.

`judge` prints a table: accuracy, sensitivity, specificity, their mean (balanced), AUC, sensitivity
at specificities of .97 and .99, calibration error, and the share that the guard marks; of fields
recall and precision.
"""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.annotations.cell_kinds import RED, kind_of
from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UsageError
from malaria.base.text import align
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import LABELS, PATIENT_PATTERN, scan_folder
from malaria.data.splits import split_samples
from malaria.evaluation.metrics import METRICS, compute_metrics, roc_curve, score
from malaria.fields.agreement import Agreement
from malaria.fields.field_detector import load_detector
from malaria.fields.judge_fields import judge_field
from malaria.inference.load_classifier import load_classifier
from malaria.inference.prediction import Prediction
from malaria.pictures.folders import find_images
from malaria.pictures.images import open_image
from malaria.settings.config import Config

# Of mpidb: judged and reported; judged where a recipe is chosen.
REPORTED, CHOSEN_BY = ("1307210661", "1704282807"), ("1405022890",)
NOT_CELLS = "NotRedCell"
SETS = ("nlm", "mpidb", "iml", "iml_masked")
STAGES = ("ring", "trophozoite", "schizont", "gametocyte")
HEAD = (
    *("set", "cells", "accuracy", "sens.", "spec.", "balanced", "AUC"),
    *("sens. at .97", "sens. at .99", "calibration", "marked"),
)


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("what", choices=("prepare", "judge"))
    parser.add_argument("--cells", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--labs", default="labs/", help="(default: %(default)s)")
    parser.add_argument("--fields", default="fields/", help="(default: %(default)s)")
    parser.add_argument("--out", default="laboratories/", help="(default: %(default)s)")
    parser.add_argument("--model", default=None, help="(default: the pretrained one)")
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument("--for-choice", action="store_true", help="judge by other patients")
    sides.add_argument("--for-folds", action="store_true", help="set nobody aside")
    add_common(parser)
    options = parser.parse_args(arguments)
    out = Path(options.out)
    if options.what == "judge":
        judge(load_classifier(options.model), out / "judge", Path(options.labs))
        return
    if out.exists():
        raise UsageError(f"{out} exists already: name another folder")
    purpose = "folds" if options.for_folds else "choice" if options.for_choice else "report"
    prepare(Path(options.cells), Path(options.labs), out, purpose)
    cut_all(Path(options.fields), out / "learn")


# ---- what to learn from and what to judge by


def prepare(cells, labs, out, purpose):
    """Link everything; purpose: "report", "choice" or "folds"."""
    learnt, judged = split_nlm(cells, purpose)
    for folder, samples in (("learn/nlm", learnt), ("judge/nlm", judged)):
        for sample in samples:
            link(sample.path, out / folder / LABELS[sample.label])
    for laboratory in sorted(path.name for path in (labs / "train").iterdir()):
        for path in find_images(labs / "train" / laboratory):
            place_picture(path, laboratory, out, purpose)
    for laboratory in sorted(path.name for path in (labs / "choose").iterdir()):
        for path in find_images(labs / "choose" / laboratory):
            link(path, out / "judge" / laboratory / path.parent.name)
            mask(path, out / "judge" / f"{laboratory}_masked" / path.parent.name)
    for path in find_images(labs / "fields"):
        link(path, out / "judge" / "fields" / path.parent.name)


def split_nlm(cells, purpose):
    """(the samples to learn from, those to judge by) of the NLM's cells."""
    samples = scan_folder(cells, LABELS, PATIENT_PATTERN)
    if purpose == "folds":
        return samples, []
    config = Config()
    known = {"by": "patient", "test_size": config.test_size}
    learnt, judged = split_samples(samples, seed=config.random_state, **known)
    if purpose == "choice":
        samples = [samples[index] for index in learnt]
        learnt, judged = split_samples(samples, seed=1, **known)
    return [samples[index] for index in learnt], [samples[index] for index in judged]


def place_picture(path, laboratory, out, purpose):
    """Link one image of train/ to the side that its patient or its field is on."""
    label, side = path.parent.name, "learn"
    if laboratory == "mpidb":
        judged = {"report": REPORTED, "choice": CHOSEN_BY, "folds": ()}[purpose]
        if path.name[:10] in judged:
            side = "judge"
        elif purpose == "choice" and path.name[:10] in REPORTED:
            return
    if label == NOT_CELLS:
        field = re.split(r"_(?:WBC|Platelets)", path.name)[0]
        side = "judge" if is_judged(field) else "learn"
        laboratory, label = "not_cells", laboratory
    link(path, out / side / laboratory / label)


def cut_all(fields, out):
    """Cut what the fields of all laboratories show, but for those that may be judged elsewhere."""
    random = np.random.RandomState(5)
    for laboratory in sorted(path.name for path in (fields / "train").iterdir()):
        # The fields of bccd are those of labs' bccd under other names.
        if laboratory == "bccd":
            continue
        folder = fields / "train" / laboratory
        for entry in json.loads((folder / "annotations.json").read_text()):
            path = folder / "fields" / Path(entry["image"]).name
            if not is_judged(path.stem):
                cut(path, entry, laboratory, out, random)


def cut(path, entry, laboratory, out, random):
    """The parts of one field, each as a file."""
    objects = entry["objects"]
    boxes = np.array([[one[key] for key in "xywh"] for one in objects], float).reshape(-1, 4)
    is_red = np.array([kind_of(one["label"], {}) in RED for one in objects], bool)
    if not is_red.any():
        return
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
    wide = np.median(np.sqrt(boxes[is_red, 2] * boxes[is_red, 3]))
    parts = []
    for box, one in zip(boxes, objects, strict=True):
        if one["label"] in ("leukocyte", "platelet"):
            parts.append(("not_cells/fields", box))
        elif laboratory == "draaslan" and random.rand() < 12 / is_red.sum():
            parts.append(("draaslan/Uninfected", box))
    parts += [("not_cells/several", box) for box in find_several(boxes, wide, picture.size, random)]
    if entry.get("complete"):
        empty = find_empty(boxes, wide, picture.size, random)
        parts += [("not_cells/none", box) for box in empty]
    for number, (folder, (left, top, width, height)) in enumerate(parts):
        area = np.round([left, top, left + width, top + height]).astype(int).tolist()
        if min(area) > 0 and area[2] < picture.width and area[3] < picture.height:
            (out / folder).mkdir(parents=True, exist_ok=True)
            picture.crop(area).save(out / folder / f"{laboratory}_{path.stem}_{number}.png")


def find_several(boxes, wide, size, random, count=4):
    """At most so many squares with several cells, 1.7 to 7 times as wide as one."""
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    found = []
    for _ in range(60):
        side = wide * np.exp(random.uniform(np.log(1.7), np.log(7)))
        start = random.uniform(0, 1, 2) * np.maximum(np.array(size) - side, 0)
        inside = ((middles > start) & (middles < start + side)).all(axis=1).sum()
        if len(found) < count and (inside >= 3 or (inside == 2 and side > 2.2 * wide)):
            found.append((*start, side, side))
    return found


def find_empty(boxes, wide, size, random, count=2):
    """At most so many squares without a cell."""
    found = []
    for _ in range(200):
        side = wide * random.uniform(0.7, 2)
        start = random.uniform(0, 1, 2) * np.maximum(np.array(size) - side, 0)
        low = np.maximum(boxes[:, :2], start)
        high = np.minimum(boxes[:, :2] + boxes[:, 2:], start + side)
        covered = np.prod(np.maximum(high - low, 0), axis=1).sum()
        if len(found) < count and covered < 0.04 * side**2:
            found.append((*start, side, side))
    return found


def is_judged(field):
    """Whether what is cut from this field is judged, by a number that is the same everywhere."""
    return sum(field.encode()) % 3 == 0


def link(path, folder):
    folder.mkdir(parents=True, exist_ok=True)
    os.symlink(path.resolve(), folder / path.name)


def mask(path, folder):
    """The cell that was cut at its box, on black."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    Image.fromarray(np.where(shape_of(pixels)[..., None], pixels, 0).astype(np.uint8)).save(
        folder / f"{path.stem}.png"
    )


def shape_of(pixels):
    """Which pixels are the cell in the middle: Otsu's threshold and a watershed."""
    from skimage.filters import threshold_otsu
    from skimage.measure import label
    from skimage.morphology import dilation, disk, h_maxima
    from skimage.segmentation import watershed

    density = -np.log(np.maximum(pixels[..., 1], 1) / 255)
    density = ndimage.gaussian_filter(density, 1)
    dense = ndimage.binary_fill_holes(density > threshold_otsu(density))
    distance = ndimage.distance_transform_edt(dense)
    regions = watershed(-distance, label(h_maxima(distance, 3)), mask=dense)
    rows, columns = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    middle = regions[np.hypot(rows, columns) < 0.5]
    middle = middle[middle > 0]
    if len(middle) == 0:
        return np.ones(dense.shape, bool)
    cell = dilation(regions == np.bincount(middle).argmax(), disk(1))
    # Where too little is left, the threshold went wrong.
    return ndimage.binary_fill_holes(cell) if cell.mean() > 0.25 else np.ones(dense.shape, bool)


# ---- what a model is worth


def judge(classifier, folder, labs):
    threshold = classifier.metadata.threshold
    answers = {name: classifier.classify(folder / name) for name in SETS}
    rows = [HEAD]
    for name, known in answers.items():
        values = measure(known, threshold)
        rows.append([name, f"{len(known):,}", *(f"{value:.4f}" for value in values)])
    marked = {name: marks(classifier, folder / name) for name in ("not_cells", "fields")}
    marked["photographs"] = marks(classifier, photographs())
    marked["plain and noise"] = marks(classifier, plain_and_noise())
    for name, (count, share) in marked.items():
        rows.append([name, f"{count:,}", *("-" for _ in HEAD[3:]), f"{share:.3f}"])
    print(f"{classifier.name}, threshold {threshold:g}")
    print(align(rows))
    rows = [("sensitivity by stage", *STAGES)]
    rows += [(name, *by_stage(answers[name], threshold)) for name in ("mpidb", "iml")]
    print(align(rows))
    rows = [("fields of", "fields", "red cells", "recall", "precision")]
    rows += [(path.name, *judge_fields(path)) for path in sorted((labs / "fields").iterdir())]
    print(align(rows))


def measure(predictions, threshold):
    """What HEAD names from accuracy on, of images in folders of their labels."""
    labels = np.array([LABELS.index(one.path.parent.name) for one in predictions])
    probabilities = np.array([one.probabilities for one in predictions])
    scored = score(labels, probabilities, positive=0, threshold=threshold)
    known = dict(zip(METRICS, compute_metrics(scored)[0], strict=True))
    sensitivity, specificity = known["sensitivity"], known["specificity"]
    false, true = roc_curve(labels, probabilities, 0)
    return [
        known["accuracy"], sensitivity, specificity, (sensitivity + specificity) / 2, known["auc"],
        true[false <= 0.03].max(), true[false <= 0.01].max(), known["calibration_error"],
        np.mean([one.unlike is not None for one in predictions]),
    ]  # fmt: skip


def by_stage(predictions, threshold):
    """The share found of the parasitized cells of each stage, as far as their names tell it."""
    sick = [one for one in predictions if one.path.parent.name == LABELS[0]]
    for stage in STAGES:
        found = [one.probabilities[0] >= threshold for one in sick if f"_{stage}" in one.path.name]
        yield f"{np.mean(found):.3f} of {len(found)}" if found else "-"


def marks(classifier, pictures):
    """(how many images, the share of them that is marked)."""
    predictions = classifier.classify(pictures)
    return len(predictions), np.mean([one.unlike is not None for one in predictions])


def photographs():
    """The photographs and drawings that scikit-image ships."""
    import skimage

    return Path(skimage.__file__).parent / "data"


def plain_and_noise():
    random = np.random.RandomState(7)
    plain = random.randint(0, 256, (100, 1, 1, 3)) * np.ones((1, 64, 64, 1), int)
    ends = np.array([0, 128, 255]).reshape(3, 1, 1, 1) * np.ones((1, 64, 64, 3), int)
    noise = random.randint(0, 256, (100, 64, 64, 3))
    return np.concatenate([plain, ends, noise]).astype(np.uint8)


def judge_fields(folder):
    """Counts, and recall and precision of whole red cells at an intersection over union of .5."""
    annotations, judged = read_annotations(folder / "annotations.json"), []
    paths = [*find_images(folder)]
    annotations.assign(paths)
    for path in filter(annotations.knows, paths):
        field = open_image(path)
        known, is_complete = annotations.read(path, field.size)
        lies = load_detector()(path, field)
        found = [Prediction(path, one.label, box=one.box) for one in lies] or [Prediction(path)]
        judged.append(judge_field(found, known, size=field.size, is_complete=is_complete))
    agreement = Agreement(judged, LABELS, LABELS[0])
    (right, true), (precise, found) = agreement.found, agreement.precise
    return f"{len(judged):,}", f"{true:,}", f"{right / true:.3f}", f"{precise / found:.3f}"


if __name__ == "__main__":
    sys.exit(run_script(main))
