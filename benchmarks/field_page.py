#!/usr/bin/env python3
"""How large the page of --fields gets, and how soon a browser has it open.

    python benchmarks/field_page.py [--count N] [--rounds R]

Draws N fields of 12 megapixels, four photographs again and again, with 192 cells each: a tenth
of them positive, a tenth in doubt. Prints the seconds that writing the page takes (decoding the
photographs included; finding and classifying the cells not), the memory at its most, the file's
size and, in headless Chromium, medians of some rounds, each in a new browser: until the page is
drawn and answers, until a jump to the last cell is drawn, until another order is.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.report import READY, measure
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import LABELS
from malaria.data.drawing import draw_stain
from malaria.data.drawn_cells import draw_field
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.field_report import FieldReport
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

ROWS, COLUMNS, SQUARE = 12, 16, 250  # 4,000 x 3,000 pixels
PHOTOGRAPHS = 4
JUMP = """
const done = arguments[0], started = performance.now(), cell = all(".seen a").at(-1);
cell.focus();
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
"""
ORDER = """
const done = arguments[0], started = performance.now();
form.order.value = "probable";
form.order.dispatchEvent(new Event("input", { bubbles: true }));
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
"""
STEPS = {"open": (READY,), "jumped": (JUMP,), "ordered": (ORDER,)}


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="fields (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "fields.html"
        write_report(page, options.count)
        measure(page, options.rounds, STEPS)


def write_report(page, fields):
    """The page of so many fields of ten patients."""
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(PHOTOGRAPHS):
        field, boxes = draw_field(rng, draw_stain(rng), rows=ROWS, columns=COLUMNS, square=SQUARE)
        drawn.append((page.with_name(f"{number}.jpg"), boxes))
        field.save(drawn[-1][0], quality=92)
    model = Classifier(Metadata(LABELS, LABELS[0], PixelFormat((8, 8))), network=None)
    report, started = FieldReport(model, None, page), time.perf_counter()
    for number in range(fields):
        photograph, boxes = drawn[number % PHOTOGRAPHS]
        path = page.with_name(f"field{number}.jpg")
        path.hardlink_to(photograph)
        for place, box in enumerate(boxes):
            positive = (0.99, 0.6)[place % 2] if place % 5 == 0 else 0.01
            label, both = LABELS[positive < 0.5], (positive, 1 - positive)
            known = {"group": f"{number % 10}", "box": box}
            report.add(Prediction(path, label, max(both), both, **known))
    report.finish()
    report.close()
    seconds, size = time.perf_counter() - started, page.stat().st_size / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{fields} fields: {seconds:.1f} s to write, {most:.0f} MB of memory, {size:.1f} MB")


if __name__ == "__main__":
    sys.exit(run_script(main))
