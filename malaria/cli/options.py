"""options: the command line of run.py; each option is declared once, as a field of Options."""
# ruff: noqa: RUF009  option() declares a field, as dataclasses.field() does

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.patterns import Pattern
from malaria.cli import values
from malaria.cli.command import make_parser, option
from malaria.cli.together import check_together
from malaria.inference.load_classifier import Engine
from malaria.inference.overrides import SCALES
from malaria.outputs.formats import FORMATS
from malaria.pictures.images import RESAMPLINGS
from malaria.saved.pair import default_pair

DESCRIPTION = "Classify one image, or all images of a folder, with a trained model."
EXAMPLES = """examples:
  python run.py --image=cell.png
  python run.py --model=models/ --image=cells/ --output=cells.csv --report=cells.html
  python run.py --model a.h5 b.h5 --image=labelled/ --evaluate

On stdout one line for each image: path, label, probability of that label, and of an image that is
no single cell the reason; separated by tabs where it is not a terminal. On stderr the summary.
Exit status: 0 done, 1 something could not be done, 2 wrong use, 130 interrupted.
"""


@dataclass(frozen=True)
class Options:
    """The command line of run.py, parsed."""

    model: list[Path] = option(
        "a .h5 with its .json, a folder: its newest pair, or what another program saved (see "
        "docs/models.md); several with --evaluate (default: the one in pretrained/)",
        group="what to classify, and with what",
        type=Path,
        default=[default_pair()],
        nargs="+",
        metavar="PATH",
    )
    image: list[str] = option(
        "images, folders (searched with their sub-folders), lists (@paths.txt, a .csv or .tsv "
        "with a column path), each here or at s3://, gs://, http:// or https://, or - for paths on "
        "stdin",
        default=[],
        nargs="+",
        metavar="PATH",
    )
    label: list[str] = option(
        "label cells of these fields, or images of single cells, in the browser, 200 of them, to "
        "labels.csv or --output; more options: python -m malaria label --help",
        default=[],
        nargs="+",
        metavar="PATH",
    )
    fields: bool = option(
        "the images are whole fields of a smear: find their red cells, classify each and count "
        "the parasitaemia"
    )
    boxes: Path | None = option(
        "with --fields: the cells' boxes from this file or folder, in place of finding them "
        "(COCO, GeoJSON, a table, YOLO, label masks); with --evaluate they judge what is found",
        type=Path,
        metavar="PATH",
    )
    detector: Path | None = option(
        "with --fields: finds the cells; a .h5 with its .json, or a folder (default: the one in "
        "pretrained/)",
        type=Path,
        metavar="PATH",
    )
    slice: tuple[int, int] | None = option(
        "only the images A to B-1 of a folder", type=values.interval, metavar="A,B"
    )
    calibrate: str | None = option(
        "fit the threshold (youden, or as --threshold says) and the temperature to the labelled "
        "cells of this folder or table, at least 50, and write the model to --save",
        metavar="FOLDER",
    )
    resize: tuple[int, int] | None = option(
        "height and width, for a model that does not say them", type=values.size, metavar="H,W"
    )
    labels: list[str] | None = option(
        "names of the labels, where the model does not say them; label 0 first",
        type=values.names,
        metavar="A,B",
    )
    positive: str | None = option(
        "the label that sensitivity is of (default: as the model says)", metavar="A"
    )
    channels: str | None = option(
        "the channels that the network reads, where the model does not say it",
        choices=("rgb", "bgr", "grey"),
    )
    scale: str | None = option(
        "what the network takes for grey levels: divided by 255, as they are, -1..1, or by "
        "ImageNet's means, where the model does not say it",
        choices=tuple(SCALES),
    )
    resampling: str | None = option(
        "how images are brought to the network's size, where the model does not say it: nearest, "
        "linear (bilinear without antialiasing, as cv2.resize and tf.image.resize), bilinear or "
        "bicubic (with antialiasing, as Pillow)",
        choices=tuple(RESAMPLINGS),
    )
    engine: Engine = option(
        "auto: LiteRT, and Keras where that cannot be (default: %(default)s)",
        choices=("auto", "litert", "keras"),
        default="auto",
    )
    cluster: str | None = option(
        "classify on all cores of a Ray cluster: auto (the one that runs here or that RAY_ADDRESS "
        "names, else one started here), local (started here) or its HOST:PORT; see docs/scaling.md",
        type=values.cluster,
        metavar="ADDRESS",
    )
    threshold: float | str | None = option(
        "from this probability on a cell is positive (default: the model's own); with --calibrate "
        "also youden, counting (few parasites in many cells) or sensitivity>=S",
        group="how to decide",
        type=values.threshold,
        metavar="P",
    )
    review: tuple[float, float] | None = option(
        "label cells with a probability between these two 'review'",
        type=values.two_probabilities,
        metavar="LOW,HIGH",
    )
    tta: bool | None = option(
        "average over all turns and flips of an image (default: as the model says)"
    )
    guard: bool | None = option(
        "label images that are no single cells 'unlike', with the reason (default: where the "
        "model can tell)"
    )
    output: Path | None = option(
        f"also write all rows to a {', '.join(FORMATS)}",
        group="results",
        type=values.ending(*FORMATS),
        metavar="FILE",
    )
    resume: bool = option("go on with an interrupted --output")
    report: Path | None = option(
        "write a page with all images", type=values.ending(".html"), metavar="HTML"
    )
    save: Path | None = option(
        "write the model as a pair, this .h5 with a .json and a .tflite beside it",
        type=values.ending(".h5"),
        metavar="H5",
    )
    cells: Path | None = option(
        "with --fields: write each cell to this folder, below the name of its label",
        type=Path,
        metavar="DIR",
    )
    red_cells: float | None = option(
        "with --fields: red cells per microlitre of the patient's blood, as 4.5e6, to tell the "
        "parasites per microlitre",
        type=values.red_cells,
        metavar="N",
    )
    white_cells: float | None = option(
        "with --fields, in place of --red_cells: white cells per microlitre (WHO: 8000), to tell "
        "the parasites per microlitre by the leukocytes that are found",
        type=values.white_cells,
        metavar="N",
    )
    plot: Path | None = option(
        f"save a grid of the first 64 images (without a name: {values.DEFAULT_PLOT})",
        type=values.plot,
        nargs="?",
        const=Path(values.DEFAULT_PLOT),
        metavar="PNG",
    )
    count_only: bool = option("print only how many images have each label")
    group_by: str | Pattern | None = option(
        "table by patient, by folder, or by a regular expression on the path (default: by patient, "
        "as the model was trained)",
        type=values.grouping,
        metavar="REGEX",
    )
    evaluate: bool = option(
        "compare with the true labels: the names of the sub-folders, or a table's column label; of "
        "--fields with the cells that --boxes tells",
        group="evaluation and explanation",
    )
    metrics: Path = option(
        "where --evaluate writes its metrics (default: %(default)s)",
        type=values.ending(".json"),
        default=Path("metrics.json"),
    )
    explain: Path | None = option(
        "write to this folder where in each image the network looked (Grad-CAM)",
        type=Path,
        metavar="DIR",
    )
    debug: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """The Options of a command line. Raises UsageError, also for those that exclude each other."""
    parser = make_parser(Options, "run.py", DESCRIPTION, EXAMPLES)
    options = Options(**vars(parser.parse_args(arguments)))
    check_together(options)
    return options
