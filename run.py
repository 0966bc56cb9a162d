#!/usr/bin/env python3
"""Classify one picture, or all pictures of a folder, with a trained model."""

import sys
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from malaria.base.errors import UserError, printable
from malaria.cli.command import run_script, say
from malaria.cli.compare import compare_models
from malaria.cli.options import parse
from malaria.data.dataset import make_grouper
from malaria.data.images import KINDS, find_images
from malaria.inference.classifier import load_classifier
from malaria.inference.predict import classify
from malaria.outputs.results import Explanations, Grid, Report, Rows, Truth, prepare_next_start
from malaria.outputs.terminal import Summary
from malaria.outputs.writers import Journal

# From so many pictures on a GPU repays the seconds that TensorFlow takes to start.
MANY = 2000


def main(arguments):
    options = parse(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")
    image = Path(options.image)
    if len(options.model) > 1:
        return compare_models(options, lambda: list_paths(image, options.slice))
    first = list(islice(list_paths(image, options.slice), MANY))
    classifier = load_classifier(
        options.model[0],
        engine=options.engine,
        many=len(first) == MANY,
        labels=options.labels,
        size=options.resize,
    ).deciding(threshold=options.threshold, review=options.review, tta=options.tta)
    summary = Summary(classifier.answers, classifier.passport.positive_label)
    results, explanations = choose_results(options, image, classifier)
    journal = open_journal(options, classifier)
    group_of = make_grouper(options.group_by)
    try:
        predictions = predict(list_paths(image, options.slice), classifier, journal, summary)
        if explanations:
            predictions = explanations.explain(predictions)
        for prediction in predictions:
            group = group_of(prediction.path)
            summary.add(prediction, group)
            for result in results:
                result.add(prediction, group)
    finally:
        if journal:
            journal.close()
    finish(options, summary, results, journal, classifier)
    return 1 if summary.unreadable else 0


def list_paths(image, interval):
    """An iterator over what --image names. Raises UserError at once if there is nothing."""
    if not image.exists():
        raise UserError(f"--image: no file or folder {printable(image)}")
    if not image.is_dir():
        return iter([image])
    if next(find_images(image), None) is None:
        raise UserError(f"--image: no pictures in {printable(image)}: expected {KINDS}")
    paths = islice(find_images(image), *(interval or (None,)))
    first = next(paths, None)
    if first is None:
        raise UserError(f"--slice: there are fewer than {interval[0] + 1} pictures")
    return chain([first], paths)


def open_journal(options, classifier):
    if options.output is None:
        return None
    return Journal(
        options.output,
        source=options.image,
        labels=classifier.passport.labels,
        model=classifier.identity,
        resume=options.resume,
    )


def choose_results(options, image, classifier):
    """(what is to be made of the predictions, the Explanations or None)."""
    explanations = options.explain and Explanations(Path(options.explain), image, classifier)
    truth = None
    if options.evaluate:
        truth = Truth(classifier, image, options.metrics, group_by=options.group_by)
    wanted = [
        None if options.count_only else Rows(classifier),
        options.plot and Grid(options.plot),
        truth,
        options.report and Report(options.report, classifier, truth, explanations),
    ]
    return [result for result in wanted if result], explanations


def predict(paths, classifier, journal, summary):
    """Yield the predictions of an interrupted run, if it is resumed, then the new ones."""
    done = set()
    for prediction in journal.earlier() if journal else ():
        done.add(str(prediction.path))
        yield prediction
    if done:
        paths = (path for path in paths if str(path) not in done)
    summary.start()
    for prediction in classify(tqdm(paths, unit=" images", disable=no_bar()), classifier):
        if journal:
            journal.add(prediction)
        yield prediction


def no_bar():
    """What tqdm's `disable` wants: rows on the same terminal would break the bar."""
    return True if sys.stdout.isatty() else None


def finish(options, summary, results, journal, classifier):
    for result in results:
        result.finish()
    if options.count_only:
        print(summary.format_counts(), flush=True)
    say(summary.describe())
    if journal:
        journal.finish()
        say(f"saved {printable(options.output)}")
    prepare_next_start(classifier)


if __name__ == "__main__":
    sys.exit(run_script(main))
