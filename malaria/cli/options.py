"""options: the command line of run.py."""

import re
from argparse import ArgumentTypeError, BooleanOptionalAction
from pathlib import Path

from malaria.base.errors import UsageError
from malaria.cli.command import Parser, add_debug
from malaria.data.dataset import FOLDER, PATIENT
from malaria.saved.metadata import MAX_SIDE

DESCRIPTION = "Classify one picture, or all pictures of a folder, with a trained model."
EXAMPLES = """examples:
  python run.py --image=cell.png
  python run.py --model=models/ --image=cells/ --output=cells.csv --report=cells.html
  python run.py --model a.h5 b.h5 --image=labelled/ --evaluate

On stdout one line for each picture: path, label, probability of that label; separated by tabs where
it is not a terminal. On stderr the summary. Exit status: 0 done, 1 something could not be done,
2 wrong use, 130 interrupted.
"""
# The better one on patients that it never saw, see pretrained/MODEL_CARD.md.
PRETRAINED = Path(__file__).parent.parent / "pretrained" / "compact.h5"
DEFAULT_PLOT = "predictions.png"
OUTPUT_SUFFIXES = (".csv", ".json", ".jsonl")


def parse(arguments):
    """The options of run.py. Raises UsageError."""
    parser = Parser(prog="run.py", description=DESCRIPTION, epilog=EXAMPLES)
    add_input(parser.add_argument_group("what to classify, and with what"))
    add_decision(parser.add_argument_group("how to decide"))
    add_results(parser.add_argument_group("results"))
    add_evaluation(parser.add_argument_group("evaluation and explanation"))
    add_debug(parser)
    options = parser.parse_args(arguments)
    check_together(options)
    return options


def add_input(group):
    add = group.add_argument
    model_help = (
        "a .h5, its .json, or a folder: its newest pair; several with --evaluate "
        "(default: the one in pretrained/)"
    )
    add("--model", default=[PRETRAINED], nargs="+", metavar="PATH", help=model_help)
    add("--image", required=True, help="a picture, or a folder, searched with its sub-folders")
    add("--slice", type=interval, metavar="A,B", help="only the pictures A to B-1 of a folder")
    add("--resize", type=size, metavar="H,W", help="height and width, for a historic model")
    add("--labels", type=names, metavar="A,B", help="names of the labels, for a historic model")
    engine_help = "auto: LiteRT, and Keras where that cannot be (default: %(default)s)"
    add("--engine", choices=("auto", "litert", "keras"), default="auto", help=engine_help)


def add_decision(group):
    add = group.add_argument
    threshold_help = "from this probability on a cell is positive (default: the model's own)"
    add("--threshold", type=share, metavar="P", help=threshold_help)
    review_help = "label cells with a probability between these two 'review'"
    add("--review", type=shares, metavar="LOW,HIGH", help=review_help)
    tta_help = "average over all turns and flips of a picture (default: as the model says)"
    add("--tta", action=BooleanOptionalAction, help=tta_help)


def add_results(group):
    add = group.add_argument
    output_help = "also write all rows to a .csv, .json or .jsonl"
    add("--output", type=ending(*OUTPUT_SUFFIXES), metavar="FILE", help=output_help)
    add("--resume", action="store_true", help="go on with an interrupted --output")
    add("--report", type=ending(".html"), metavar="HTML", help="write a page with all pictures")
    plot_help = "save a grid of the first 64 pictures (without a name: predictions.png)"
    add("--plot", type=plot, nargs="?", const=DEFAULT_PLOT, metavar="PNG", help=plot_help)
    add("--count_only", action="store_true", help="print only how many pictures have each label")
    group_help = "table by patient (default), by folder, or by a regular expression on the path"
    add("--group_by", type=pattern, default=PATIENT, metavar="REGEX", help=group_help)


def add_evaluation(group):
    add = group.add_argument
    evaluate_help = "compare with the true labels, the names of the folder's sub-folders"
    add("--evaluate", action="store_true", help=evaluate_help)
    metrics_help = "where --evaluate writes its figures (default: %(default)s)"
    add("--metrics", type=ending(".json"), default="metrics.json", help=metrics_help)
    explain_help = "write to this folder where in each picture the network looked (Grad-CAM)"
    add("--explain", metavar="DIR", help=explain_help)


def check_together(options):
    """Raise UsageError for options that do not go together."""
    if len(options.model) > 1 and not options.evaluate:
        raise UsageError("--model: several models are compared with --evaluate; add it")
    for name in ("output", "report", "explain", "plot", "count_only", "review"):
        if len(options.model) > 1 and getattr(options, name):
            raise UsageError(f"--{name} goes with one --model; received {len(options.model)}")
    if options.resume and not options.output:
        raise UsageError("--resume goes on with an interrupted --output; add --output FILE")


def numbers(text, expected, kind):
    try:
        first, last = (kind(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"expected {expected}; received {text}") from None
    return first, last


def interval(text):
    first, last = numbers(text, "two numbers A,B", int)
    if not 0 <= first < last:
        raise ArgumentTypeError(f"expected A,B with 0 <= A < B; received {text}")
    return first, last


def size(text):
    height, width = numbers(text, "height,width in pixels", int)
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ArgumentTypeError(f"expected height,width from 1 to {MAX_SIDE}; received {text}")
    return height, width


def share(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"expected a number from 0 to 1; received {text}")
    return value


def shares(text):
    low, high = numbers(text, "two numbers LOW,HIGH", float)
    if not 0 <= low < high <= 1:
        raise ArgumentTypeError(f"expected 0 <= LOW < HIGH <= 1; received {text}")
    return low, high


def names(text):
    labels = [part.strip() for part in text.split(",")]
    if len(labels) < 2 or len(set(labels)) < len(labels) or "" in labels:
        raise ArgumentTypeError(f"expected two or more unlike names, A,B; received {text}")
    return labels


def ending(*suffixes):
    def path(text):
        if Path(text).suffix.lower() not in suffixes:
            expected = " or ".join(suffixes)
            raise ArgumentTypeError(f"expected a name ending in {expected}; received {text}")
        return Path(text)

    return path


def plot(text):
    # The first original took a word here, and any word meant yes.
    if text.lower() in ("true", "false"):
        return Path(DEFAULT_PLOT) if text.lower() == "true" else None
    return ending(".png")(text)


def pattern(text):
    if text in (PATIENT, FOLDER):
        return text
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(
            f"expected a regular expression: {error}; received {text}"
        ) from None
