"""run: classify one image, or all images of a folder, with a trained model."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from tqdm import tqdm

from malaria.base import threads  # noqa: F401
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli import choose
from malaria.cli.compare import compare_models
from malaria.cli.groups import Groups
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options, parse
from malaria.inference.classifier import Classifier
from malaria.inference.grey import describe_notes
from malaria.inference.load_classifier import keep_tflite
from malaria.inference.predict import Rate, annotate
from malaria.inference.prediction import Prediction
from malaria.outputs.summary import Summary
from malaria.outputs.writer import Writer
from malaria.pictures.remote_path import AnyPath

# From this many images on, a GPU repays the seconds that TensorFlow takes to start.
MANY = 2000


def main(arguments: Sequence[str]) -> int:
    """Classify as the command line says; return 0, or 1 if something could not be done."""
    if any(one.partition("=")[0] == "--label" for one in arguments):
        from malaria.cli.label import main as label_main

        return label_main(arguments, script="run.py")
    options = parse(arguments)
    choose.check_outputs(options)
    if options.calibrate is not None:
        from malaria.cli.calibrate import calibrate_model

        return calibrate_model(options, options.calibrate)
    inputs = Inputs(options.image, options.slice, of_fields=options.fields)
    if len(options.model) > 1:
        return compare_models(options, inputs)
    paths = inputs.paths()
    first = list(islice(paths, MANY))
    classifier = choose.open_classifier(options, options.model[0], many=len(first) == MANY)
    if options.save:
        choose.save_as_pair(classifier, options.save)
    failures = classify(options, classifier, inputs, chain(first, paths))
    keep_tflite(classifier)
    return 1 if failures else 0


def classify(
    options: Options, classifier: Classifier, inputs: Inputs, paths: Iterable[AnyPath]
) -> int:
    """Give each prediction to all that was asked for; return how many images failed somewhere."""
    paths = list(paths) if options.boxes else paths
    boxes = choose.open_boxes(options, classifier, paths)
    compares = options.evaluate and not options.fields
    labelled = choose.open_labelled(options, classifier, inputs) if compares else None
    overlays = None
    if options.explain:
        from malaria.inference.explain import Overlays

        overlays = Overlays(options.explain, choose.find_places(inputs), classifier)
    writer, rate = choose.open_writer(options, classifier, inputs), Rate()
    thing = "cell" if options.fields else "image"
    groups = Groups(options, classifier, inputs)
    summary = Summary(classifier, rate, counts_only=options.count_only, thing=thing)
    outputs = [*choose.choose_outputs(options, classifier, inputs, labelled, boxes), summary]
    outputs += [writer] if writer else []
    noted: Counter[str | None] = Counter()
    try:
        with choose.open_predictor(options, classifier, boxes) as ask:
            predictions = annotate(
                predict_all(paths, ask, writer, rate, " fields" if options.fields else " images"),
                group_of=groups.find,
                label_of=labelled.label_of if labelled else lambda path: None,
            )
            for prediction in overlays.explain(predictions) if overlays else predictions:
                noted[prediction.note] += prediction.error is None
                for output in outputs:
                    output.add(prediction)
            notes = [*inputs.notes, *groups.notes]
            notes += boxes.notes if boxes else []
            notes += labelled.notes if labelled else describe_notes(noted, thing)
            for output in outputs:
                output.notes = notes
                output.finish()
    finally:
        for output in outputs:
            output.close()
    if labelled and classifier.metadata.assumed:
        from malaria.inference.suggest import suggest

        for line in suggest(classifier, labelled.known):
            log(printable(line))
    if overlays is None:
        return summary.unreadable
    return summary.unreadable + overlays.missing


def predict_all(
    paths: Iterable[AnyPath], ask: choose.Predictor, writer: Writer | None, rate: Rate, unit: str
) -> Iterator[Prediction]:
    """The predictions of an interrupted run, if it is resumed, then the new ones, from `ask`."""
    if writer:
        paths = writer.without_written(paths)
        yield from writer.earlier()
    # Rows on the same terminal would break the bar.
    hidden = True if sys.stdout.isatty() else None
    bar = tqdm(paths, unit=unit, disable=hidden)
    yield from rate.measure(ask(bar))
