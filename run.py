#!/usr/bin/env python3
"""Classify one picture, or all pictures of a folder, with a trained model."""

import sys
from argparse import ArgumentTypeError
from itertools import islice
from pathlib import Path

from malaria.classify import classify
from malaria.command import Parser, add_debug, run_script
from malaria.errors import UserError, printable
from malaria.images import find_images
from malaria.inference import load_classifier
from malaria.passport import MAX_SIDE
from malaria.report import Summary, format_prediction

EXAMPLES = """examples:
  python run.py --model=models/ --image=cell.png
  python run.py --model=models/ --image=cells/ > predictions.tsv
  python run.py --model=models/ --image=cells/ --slice=0,100 --plot=grid.png

On stdout one line for each picture, tab-separated: path, label, probability of that label.
On stderr the summary. Exit status: 0 done, 1 something could not be done, 2 wrong use.
"""
# As many pictures fit a grid that a person can still look at.
PLOTTED = 64
DEFAULT_PLOT = "predictions.png"


def parse(arguments):
    parser = Parser(description=__doc__, epilog=EXAMPLES)
    add = parser.add_argument
    add("--model", required=True, help="a .h5, its .json, or a folder: its newest pair")
    add("--image", required=True, help="a picture, or a folder, searched with its sub-folders")
    add("--slice", type=interval, metavar="A,B", help="only the pictures A to B-1 of a folder")
    add("--resize", type=size, metavar="H,W", help="height and width, for a historic model")
    add("--labels", type=names, metavar="A,B", help="names of the labels, for a historic model")
    add("--count_only", action="store_true", help="print only how many pictures have each label")
    plot_help = f"save a grid of the first {PLOTTED} pictures (default name: {DEFAULT_PLOT})"
    add("--plot", type=picture, nargs="?", const=DEFAULT_PLOT, metavar="PNG", help=plot_help)
    add_debug(parser)
    return parser.parse_args(arguments)


def interval(text):
    first, last = two_numbers(text, "two numbers A,B")
    if not 0 <= first < last:
        raise ArgumentTypeError(f"expected A,B with 0 <= A < B; received {text}")
    return first, last


def size(text):
    height, width = two_numbers(text, "height,width in pixels")
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ArgumentTypeError(f"expected height,width from 1 to {MAX_SIDE}; received {text}")
    return height, width


def two_numbers(text, expected):
    try:
        first, last = (int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"expected {expected}; received {text}") from None
    return first, last


def names(text):
    labels = [part.strip() for part in text.split(",")]
    if len(labels) < 2 or len(set(labels)) < len(labels) or "" in labels:
        raise ArgumentTypeError(f"expected two or more unlike names, A,B; received {text}")
    return labels


def picture(text):
    # The first original took a word here, and any word meant yes.
    if text.lower() in ("true", "false"):
        return DEFAULT_PLOT if text.lower() == "true" else None
    if Path(text).suffix != ".png":
        raise ArgumentTypeError(f"expected a name ending in .png; received {text}")
    return text


def main(arguments):
    options = parse(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")
    paths = list_paths(Path(options.image), options.slice)
    classifier = load_classifier(options.model, labels=options.labels, size=options.resize)
    summary, plotted = Summary(classifier.passport.labels), []
    for prediction in classify(paths, classifier):
        summary.add(prediction)
        if not options.count_only:
            print(format_prediction(prediction))
        if options.plot and prediction.error is None and len(plotted) < PLOTTED:
            plotted.append(prediction)
    if summary.total == 0:
        raise UserError(f"--slice: there are fewer than {options.slice[0] + 1} pictures")
    if options.count_only:
        print(summary.format_counts())
    print(summary.describe(), file=sys.stderr)
    if plotted:
        save_grid(options.plot, plotted, classifier)
    return 1 if summary.unreadable else 0


def list_paths(image, interval):
    """An iterator over what --image names. Raises UserError at once if there is nothing."""
    if not image.exists():
        raise UserError(f"--image: no file or folder {printable(image)}")
    if not image.is_dir():
        return iter([image])
    if next(find_images(image), None) is None:
        kinds = ".png, .jpg, .jpeg, .bmp, .tif, .tiff or .webp"
        raise UserError(f"--image: no pictures in {printable(image)}: expected {kinds}")
    return islice(find_images(image), *(interval or (None,)))


def save_grid(path, predictions, classifier):
    from malaria.images import read_image
    from malaria.plots import plot_grid  # matplotlib takes a second to import

    images = [read_image(shown.path, classifier.passport.pixels) for shown in predictions]
    if classifier.passport.pixels.colour == "BGR":
        images = [image[:, :, ::-1] for image in images]
    titles = [f"{printable(shown.label)} {shown.probability:.3f}" for shown in predictions]
    plot_grid(Path(path), images, titles)
    print(f"saved {printable(path)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_script(main))
