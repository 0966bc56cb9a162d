"""choose: the model, the predictor and the outputs that the options of run.py ask for.

What takes a second or more to import is imported only where it is asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from malaria.base.files import check_writable
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli.groups import Groups, find_places
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.inference.classifier import Classifier
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.outputs.formats import ending_of
from malaria.outputs.output import Output
from malaria.outputs.table import Rows
from malaria.outputs.writer import Writer
from malaria.pictures.remote_path import AnyPath, real_name
from malaria.saved.pair import Pair, check_free

if TYPE_CHECKING:
    from malaria.annotations.annotations import Annotations
    from malaria.fields.found import Find
    from malaria.inference.labelled_predictions import LabelledPredictions

Predictor = Callable[[Iterable[AnyPath]], Iterator[Prediction]]


def open_classifier(options: Options, path: Path, *, many: bool = False) -> Classifier:
    """The model at `path`, read and decided as the options say. Raises UserError, UsageError."""
    classifier = load_classifier(
        path,
        engine="litert" if options.cluster else options.engine,
        many=many,
        labels=options.labels,
        positive=options.positive,
        size=options.resize,
        channels=options.channels,
        scale=options.scale,
        resampling=options.resampling,
    )
    threshold = options.threshold if isinstance(options.threshold, float) else None
    classifier = classifier.with_threshold(
        threshold, review=options.review, tta=options.tta, guard=options.guard
    )
    if not options.fields or threshold is not None or options.review is not None:
        return classifier
    counting, before = classifier.for_counting(), classifier.metadata.threshold
    if (used := counting.metadata.threshold) != before:
        log(f"threshold {used:.2f}, for few parasites among many cells; of images it is {before:g}")
    return counting


def open_boxes(
    options: Options, classifier: Classifier, paths: Iterable[AnyPath]
) -> "Annotations | None":
    """What --boxes tells of the fields at these paths. Raises UserError."""
    if options.boxes is None:
        return None
    from malaria.annotations.cell_kinds import own_kinds
    from malaria.annotations.read_annotations import read_annotations

    known = classifier.metadata
    annotations = read_annotations(options.boxes, own_kinds(known.labels, known.positive_label))
    annotations.assign(paths)
    return annotations


@contextmanager
def open_predictor(
    options: Options, classifier: Classifier, boxes: "Annotations | None" = None
) -> Iterator[Predictor]:
    """The predict function for images or fields: local, or on a cluster joined for the block.

    boxes: of the cells, unless they are to judge those that are found.
    """
    if options.cluster is not None:
        from malaria.cluster.connect import connected
        from malaria.cluster.predict_on_cluster import predict_on_cluster

        with connected(options.cluster):
            find = _choose_find(options, boxes) if options.fields else None
            yield partial(predict_on_cluster, classifier=classifier, find=find)
    elif options.fields:
        from malaria.fields.predict_fields import predict_fields

        yield partial(predict_fields, model=classifier, find=_choose_find(options, boxes))
    else:
        yield partial(predict, model=classifier)


def _choose_find(options: Options, boxes: "Annotations | None") -> "Find":
    """The boxes of others, unless they are to judge a detector, else a detector."""
    from malaria.fields.field_detector import load_detector
    from malaria.fields.found import Found

    if boxes is None or options.evaluate:
        return load_detector(options.detector)
    return lambda path, field: [Found(box) for box in boxes.find(path, field)]


def check_outputs(options: Options) -> None:
    """Raise UserError if one of the files that are asked for could not be written in the end.

    Those of --save may not be there: a model is never overwritten.
    """
    if options.save:
        check_free(Pair.at(options.save.parent, options.save.stem))
    metrics = options.metrics if options.evaluate else None
    cells = options.cells / "cell.png" if options.cells else None
    outputs = (options.output, options.plot, options.report, options.save, metrics, cells)
    for path in filter(None, outputs):
        check_writable(path)


def choose_outputs(
    options: Options,
    classifier: Classifier,
    inputs: Inputs,
    labelled: "LabelledPredictions | None",
    boxes: "Annotations | None",
) -> Iterator[Output]:
    """The outputs that show the predictions, in the order in which they are finished."""
    if not options.count_only:
        yield Rows(classifier.metadata.labels, classifier.metadata.positive_label)
    if options.plot:
        from malaria.outputs.grid import Grid

        yield Grid(options.plot)
    if labelled:
        from malaria.outputs.metrics_file import MetricsFile

        yield MetricsFile(options.metrics, labelled)
    if options.fields:
        yield from _choose_for_fields(options, classifier, inputs, boxes)
    elif options.report:
        from malaria.outputs.html_report import HtmlReport

        yield HtmlReport(options.report, classifier, labelled)


def _choose_for_fields(
    options: Options, classifier: Classifier, inputs: Inputs, boxes: "Annotations | None"
) -> Iterator[Output]:
    from malaria.outputs.field_pictures import CellFiles
    from malaria.outputs.field_report import FieldReport, FieldTable

    known = {"red_cells": options.red_cells, "white_cells": options.white_cells}
    if options.report:
        yield FieldReport(classifier, options.output, options.report, **known)
    else:
        yield FieldTable(classifier, options.output, **known)
    if options.output and ending_of(options.output) == ".geojson":
        from malaria.outputs.qupath_files import QuPathFiles

        yield QuPathFiles(options.output, classifier.metadata.labels)
    if options.cells:
        labels = classifier.metadata.labels
        yield CellFiles(options.cells, find_places(inputs), labels, resume=options.resume)
    if boxes and options.evaluate:
        from malaria.outputs.judged_fields import JudgedFields

        places = find_places(inputs)
        yield JudgedFields(options.metrics, classifier, boxes, places, resume=options.resume)


def open_labelled(
    options: Options, classifier: Classifier, inputs: Inputs
) -> "LabelledPredictions":
    """The collector of --evaluate. Raises UserError if there are no true labels."""
    from malaria.inference.labelled_predictions import LabelledPredictions

    # In a folder of labels the sub-folders are no groups.
    group_of = Groups(options, classifier, inputs, by_folder=False).find
    known = classifier.metadata
    inputs.check_labels(known.labels, are_assumed="labels" in known.assumed)
    return LabelledPredictions(classifier, label_of=inputs.label_of, group_of=group_of)


def open_writer(options: Options, classifier: Classifier, inputs: Inputs) -> Writer | None:
    """The file of --output. Raises UserError if it cannot be begun, or was interrupted."""
    if options.output is None:
        return None
    return Writer(
        options.output,
        source=inputs.identity + " as fields" * options.fields + _origin_of_boxes(options),
        labels=classifier.metadata.labels,
        model=classifier.identity,
        resume=options.resume,
        fields=options.fields,
    )


def _origin_of_boxes(options: Options) -> str:
    is_given = options.boxes is not None and not options.evaluate
    return f" with {real_name(options.boxes)}" if options.boxes and is_given else ""


def save_as_pair(classifier: Classifier, path: Path) -> None:
    """Write the model as a pair with all that is known of it. Raises UserError."""
    from malaria.networks.save import save_pair

    entries = classifier.metadata.details | classifier.metadata.to_entries()
    pair = save_pair(classifier.load_keras(), path.parent, path.stem, entries)
    log(f"saved {printable(pair.weights)}, its .json and its .tflite")
