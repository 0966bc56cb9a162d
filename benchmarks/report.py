#!/usr/bin/env python3
"""How large the HTML report gets, and how soon a browser has it ready.

    python benchmarks/report.py [--images FOLDER] [--count N] [--rounds R]

Prints the file's size, the seconds that writing it takes (thumbnails included; classifying not),
and, in headless Chromium, medians of some rounds, each in a new browser: until the page is drawn
and answers, until the last thumbnail is there too, until a filter is done, until the order is
changed. Without --images it draws 500
cells and shows them again until there are N.
"""

import statistics
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import LABELS
from malaria.data.drawn_cells import write_cells
from malaria.inference.prediction import Prediction
from malaria.outputs.html_report import Page
from malaria.pictures.folders import find_images
from tests.chromium import open_browser

# The page's script runs before its load event; two frames later all that is visible is drawn.
READY = """
const done = arguments[0];
const drawn = () => requestAnimationFrame(() => done(performance.now()));
const ready = () => requestAnimationFrame(drawn);
if (document.readyState === "complete") ready(); else addEventListener("load", ready);
"""
COMPLETE = """
const [count, done] = arguments, grid = document.getElementById("grid");
const look = () => requestAnimationFrame(
    grid.childElementCount === count ? () => done(performance.now()) : look);
look();
"""
CHANGE = """
const [name, value, done] = arguments, started = performance.now();
const field = document.getElementById("choose").elements[name];
field.value = value;
field.dispatchEvent(new Event("input", { bubbles: true }));
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
"""


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", help="folder of images (default: drawn)")
    parser.add_argument("--count", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if not options.images:
            write_cells(Path(folder) / "cells", 250)
        images = find_images(Path(options.images or Path(folder) / "cells"))
        report = Path(folder) / "report.html"
        write_report(report, islice(cycle(images), options.count))
        steps = {
            "ready": (READY,),
            "complete": (COMPLETE, options.count),
            "filtered": (CHANGE, "label", f"={LABELS[0]}"),
            "ordered": (CHANGE, "order", "low"),
        }
        measure(report, options.rounds, steps)


def write_report(path, images):
    """A report on these images, evaluated, with made-up probabilities and 30 patients."""
    random = np.random.default_rng(0)
    page = Page(path, labels=LABELS, positive_label=LABELS[0], threshold=0.5, model_name="model")
    started = time.perf_counter()
    for number, image in enumerate(images):
        positive = float(random.beta(0.3, 0.3))
        label = LABELS[0] if positive >= 0.5 else LABELS[1]
        known = {"group": f"C{number % 30}", "true_label": LABELS[number % 2]}
        both = (positive, 1 - positive)
        page.add(Prediction(image, label, max(both), both, **known))
    page.write()
    seconds = time.perf_counter() - started
    print(f"{len(page.rows)} images: {path.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s to write")


def measure(report, rounds, steps):
    """Print the medians of some openings, each with its range.

    steps: {what: script and its arguments}, run in turn; each script gives milliseconds.
    """
    profiles = [report.with_name(f"profile{number}") for number in range(rounds)]
    results = [open_once(report, profile, steps) for profile in profiles]
    for what in results[0]:
        seconds = [result[what] / 1000 for result in results]
        median = statistics.median(seconds)
        print(f"{what}: {median:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


def open_once(report, profile, steps):
    """{what: milliseconds} of one opening in a new browser."""
    browser = open_browser(profile)
    try:
        browser.get(report.as_uri())
        return {what: browser.execute_async_script(*step) for what, step in steps.items()}
    finally:
        browser.quit()


if __name__ == "__main__":
    sys.exit(run_script(main))
