#!/usr/bin/env python3
"""What labels of one's own are worth: 200 cells of a labelled set, drawn as --label draws them.

    python benchmarks/labelling.py --cells=choose/iml --draws=20

Every cell of the set is classified once. In each draw 200 of them get their own label; by their
random half the share of positive cells of all is corrected, as the page of --label does it, and
compared with the true share: before, by what the model says of itself, and after. --share thins the
positive cells to that share, as of a smear.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.text import align
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import scan_folder
from malaria.evaluation.known_accuracy import known_accuracy
from malaria.evaluation.parasitaemia import Accuracy, corrected_share, interval
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.labelling.choose_cells import choose_cells
from malaria.labelling.label_table import LabelRow
from malaria.labelling.random_half import find_random_half, to_result
from malaria.saved.pair import default_pair


def main(arguments):
    """Classify, draw, and print what the intervals hold."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", metavar="DIR", required=True)
    parser.add_argument("--model", metavar="PATH", default=str(default_pair()))
    parser.add_argument("--draws", metavar="N", type=int, default=20)
    parser.add_argument("--count", metavar="N", type=int, default=200)
    parser.add_argument("--share", metavar="S", type=float)
    add_common(parser)
    options = parser.parse_args(arguments)
    model = load_classifier(Path(options.model)).for_counting()
    samples = thin(scan_folder(options.cells, model.metadata.labels, r"^(.+?)_"), model, options)
    cells = [*predict([one.path for one in samples], model)]
    labels = {str(one.path): model.metadata.labels[one.label] for one in samples}
    decided = [one for one in cells if one.label in model.metadata.labels]
    called = sum(one.label == model.metadata.positive_label for one in decided)
    right = [labels[str(one.path)] == model.metadata.positive_label for one in decided]
    print(f"{len(cells):,} cells, {len(decided):,} decided, called {called / len(decided):.2%}")
    report(called, len(decided), float(np.mean(right)), known_accuracy(model.metadata), "before")
    rows, held = [["draw", "random", "sens.", "spec.", "corrected", "low", "high"]], 0
    for seed in range(options.draws):
        accuracy, count = measure(cells, labels, model, options.count, seed)
        low, high = interval(called, len(decided), accuracy)
        share = corrected_share(called, len(decided), accuracy)
        held += low <= np.mean(right) <= high
        numbers = accuracy.sensitivity, accuracy.specificity, share, low, high
        rows.append([str(seed), str(count), *(f"{number:.4f}" for number in numbers)])
    print(align(rows))
    print(f"true {np.mean(right):.2%}: in {held} of {options.draws} intervals")


def thin(samples, model, options):
    """The samples with fewer positive ones, drawn with a fixed seed, if a share is asked for."""
    if options.share is None:
        return samples
    positive = [one for one in samples if one.label == model.metadata.positive]
    others = [one for one in samples if one.label != model.metadata.positive]
    count = round(options.share * len(others) / (1 - options.share))
    chosen = np.random.RandomState(0).permutation(len(positive))[:count]
    return others + [positive[place] for place in chosen]


def measure(cells, labels, model, count, seed):
    """The Accuracy by the random half of `count` cells, and how many these are."""
    pairs = []
    for one in choose_cells(cells, model, count=count, seed=seed):
        known = one.cell.path, None, labels[str(one.cell.path)], one.cell.group, "", ""
        more = {"called": one.cell.label, "probability": None, "stands_for": one.stands_for}
        pairs.append((LabelRow(*known, why=one.why, **more), one.cell))
    half = find_random_half(pairs, model.metadata.labels)
    result = to_result(pairs, half, model.metadata)
    positive = result.positive
    return (
        half.sampling.accuracy(result.labels == positive, result.predicted == positive),
        len(half.places),
    )


def report(called, count, true, accuracy, when):
    """Print the share by a model's own accuracy."""
    if not isinstance(accuracy, Accuracy):
        print(f"{when}: not corrected: {accuracy}; true {true:.2%}")
        return
    share, (low, high) = corrected_share(called, count, accuracy), interval(called, count, accuracy)
    print(
        f"{when}: sensitivity {accuracy.sensitivity:.3f}, specificity {accuracy.specificity:.3f}, "
        f"corrected {share:.2%} [{low:.2%}, {high:.2%}]; true {true:.2%}"
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
