"""options: the command line of run.py."""

from argparse import BooleanOptionalAction, _ArgumentGroup
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UsageError
from malaria.base.patterns import Pattern
from malaria.cli import values
from malaria.cli.command import Parser, add_common, name_program
from malaria.inference.load_classifier import Engine
from malaria.inference.overrides import SCALES
from malaria.outputs.formats import FORMATS
from malaria.saved.pair import default_pair

DESCRIPTION = "Classify one picture, or all pictures of a folder, with a trained model."
EXAMPLES = """examples:
  python run.py --image=cell.png
  python run.py --model=models/ --image=cells/ --output=cells.csv --report=cells.html
  python run.py --model a.h5 b.h5 --image=labelled/ --evaluate

On stdout one line for each picture: path, label, probability of that label, and of a picture that
is no single cell the reason; separated by tabs where it is not a terminal. On stderr the summary.
Exit status: 0 done, 1 something could not be done, 2 wrong use, 130 interrupted.
"""


@dataclass(frozen=True)
class Options:
    """What the command line of run.py asks for; each field is the option of that name."""

    model: list[Path]
    image: list[str]
    calibrate: str | None
    slice: tuple[int, int] | None
    resize: tuple[int, int] | None
    labels: list[str] | None
    positive: str | None
    channels: str | None
    scale: str | None
    engine: Engine
    cluster: str | None
    fields: bool
    cells: Path | None
    threshold: float | str | None
    review: tuple[float, float] | None
    tta: bool | None
    guard: bool | None
    output: Path | None
    resume: bool
    report: Path | None
    plot: Path | None
    count_only: bool
    group_by: str | Pattern | None
    evaluate: bool
    metrics: Path
    explain: Path | None
    save: Path | None
    debug: bool


def parse(arguments: Sequence[str]) -> Options:
    """The Options of a command line. Raises UsageError."""
    options = Options(**vars(make_parser().parse_args(arguments)))
    _check_together(options)
    return options


def make_parser() -> Parser:
    """The parser of run.py."""
    parser = Parser(description=DESCRIPTION, **name_program("run.py", EXAMPLES))
    what = parser.add_argument_group("what to classify, and with what")
    _add_input(what)
    _add_reading(what)
    _add_decision(parser.add_argument_group("how to decide"))
    _add_results(parser.add_argument_group("results"))
    _add_evaluation(parser.add_argument_group("evaluation and explanation"))
    add_common(parser)
    return parser


def _add_input(group: _ArgumentGroup) -> None:
    add = group.add_argument
    model_help = (
        "a .h5 with its .json, a folder: its newest pair, or what another program saved (see "
        "docs/models.md); several with --evaluate (default: the one in pretrained/)"
    )
    default = [default_pair()]
    add("--model", type=Path, default=default, nargs="+", metavar="PATH", help=model_help)
    image_help = (
        "pictures, folders (searched with their sub-folders), lists (@paths.txt, a .csv with a "
        "column path), each here or at s3://, gs://, http:// or https://, or - for paths on stdin"
    )
    add("--image", default=[], nargs="+", metavar="PATH", help=image_help)
    fields_help = (
        "the pictures are whole fields of a smear: find their red cells, classify each and count "
        "the parasitaemia"
    )
    add("--fields", action="store_true", help=fields_help)
    slice_help = "only the pictures A to B-1 of a folder"
    add("--slice", type=values.interval, metavar="A,B", help=slice_help)
    calibrate_help = (
        "fit the threshold (youden, or as --threshold says) and the temperature to the labelled "
        "cells of this folder, at least 100, and write the model to --save"
    )
    add("--calibrate", metavar="FOLDER", help=calibrate_help)


def _add_reading(group: _ArgumentGroup) -> None:
    add = group.add_argument
    resize_help = "height and width, for a model that does not say them"
    add("--resize", type=values.size, metavar="H,W", help=resize_help)
    labels_help = "names of the labels, where the model does not say them; label 0 first"
    add("--labels", type=values.names, metavar="A,B", help=labels_help)
    positive_help = "the label that sensitivity is of (default: as the model says)"
    add("--positive", metavar="A", help=positive_help)
    channels_help = "the channels that the network reads, where the model does not say it"
    add("--channels", choices=("rgb", "bgr", "grey"), help=channels_help)
    scale_help = (
        "what the network takes for grey levels: divided by 255, as they are, -1..1, or by "
        "ImageNet's means, where the model does not say it"
    )
    add("--scale", choices=tuple(SCALES), help=scale_help)
    engine_help = "auto: LiteRT, and Keras where that cannot be (default: %(default)s)"
    add("--engine", choices=("auto", "litert", "keras"), default="auto", help=engine_help)
    cluster_help = (
        "classify on all cores of a Ray cluster: auto (the one that runs here or that RAY_ADDRESS "
        "names, else one started here), local (started here) or its HOST:PORT; see docs/scaling.md"
    )
    add("--cluster", type=values.cluster, metavar="ADDRESS", help=cluster_help)


def _add_decision(group: _ArgumentGroup) -> None:
    add = group.add_argument
    threshold_help = (
        "from this probability on a cell is positive (default: the model's own); with --calibrate "
        "also youden or sensitivity>=S"
    )
    add("--threshold", type=values.threshold, metavar="P", help=threshold_help)
    review_help = "label cells with a probability between these two 'review'"
    add("--review", type=values.two_probabilities, metavar="LOW,HIGH", help=review_help)
    tta_help = "average over all turns and flips of a picture (default: as the model says)"
    add("--tta", action=BooleanOptionalAction, help=tta_help)
    guard_help = (
        "label pictures that are no single cells 'unlike', with the reason (default: where the "
        "model can tell)"
    )
    add("--guard", action=BooleanOptionalAction, help=guard_help)


def _add_results(group: _ArgumentGroup) -> None:
    add = group.add_argument
    output_help = f"also write all rows to a {', '.join(FORMATS)}"
    add("--output", type=values.ending(*FORMATS), metavar="FILE", help=output_help)
    add("--resume", action="store_true", help="go on with an interrupted --output")
    report_help = "write a page with all pictures"
    add("--report", type=values.ending(".html"), metavar="HTML", help=report_help)
    save_help = "write the model as a pair, this .h5 with a .json and a .tflite beside it"
    add("--save", type=values.ending(".h5"), metavar="H5", help=save_help)
    cells_help = "with --fields: write each cell to this folder, below the name of its label"
    add("--cells", type=Path, metavar="DIR", help=cells_help)
    plot_help = f"save a grid of the first 64 pictures (without a name: {values.DEFAULT_PLOT})"
    default = Path(values.DEFAULT_PLOT)
    add("--plot", type=values.plot, nargs="?", const=default, metavar="PNG", help=plot_help)
    add("--count_only", action="store_true", help="print only how many pictures have each label")
    group_help = (
        "table by patient, by folder, or by a regular expression on the path (default: by patient, "
        "as the model was trained)"
    )
    add("--group_by", type=values.grouping, metavar="REGEX", help=group_help)


def _add_evaluation(group: _ArgumentGroup) -> None:
    add = group.add_argument
    evaluate_help = "compare with the true labels, the names of the folder's sub-folders"
    add("--evaluate", action="store_true", help=evaluate_help)
    metrics_help = "where --evaluate writes its metrics (default: %(default)s)"
    default = Path("metrics.json")
    add("--metrics", type=values.ending(".json"), default=default, help=metrics_help)
    explain_help = "write to this folder where in each picture the network looked (Grad-CAM)"
    add("--explain", type=Path, metavar="DIR", help=explain_help)


def _check_together(options: Options) -> None:
    """Raise UsageError for options that do not go together."""
    _check_calibration(options)
    if len(options.model) > 1 and not options.evaluate:
        raise UsageError("--model: several models are compared with --evaluate; add it")
    for name in ("output", "report", "explain", "plot", "count_only", "review", "save"):
        if len(options.model) > 1 and getattr(options, name):
            raise UsageError(f"--{name} goes with one --model; received {len(options.model)}")
    if options.cells and not options.fields:
        raise UsageError("--cells keeps the cells of --fields; add --fields")
    for name in ("evaluate", "explain", "plot"):
        if options.fields and getattr(options, name):
            raise UsageError(f"--{name} is for pictures of single cells; leave out --fields")
    if options.resume and not options.output:
        raise UsageError("--resume goes on with an interrupted --output; add --output FILE")
    _check_cluster(options)


def _check_cluster(options: Options) -> None:
    if options.cluster is None:
        return
    if options.engine == "keras":
        raise UsageError("--cluster: its workers answer with LiteRT; leave out --engine=keras")
    if options.explain:
        raise UsageError("--explain does not go with --cluster; leave one of them out")
    if len(options.model) > 1:
        raise UsageError(f"--cluster goes with one --model; received {len(options.model)}")


def _check_calibration(options: Options) -> None:
    if options.calibrate is None:
        if not options.image:
            raise UsageError("the following arguments are required: --image; see run.py --help")
        if isinstance(options.threshold, str):
            raise UsageError(
                f"--threshold: expected a number from 0 to 1; received {options.threshold}, which "
                "goes with --calibrate"
            )
        return
    if options.save is None:
        raise UsageError("--calibrate writes a new model; add --save FILE.h5")
    for name in (
        *("image", "evaluate", "fields", "output", "report", "explain", "plot", "review"),
        "cluster",
    ):
        if getattr(options, name):
            raise UsageError(f"--{name} does not go with --calibrate; leave it out")
    if len(options.model) > 1:
        raise UsageError(f"--calibrate goes with one --model; received {len(options.model)}")
