"""choose: what the options of run.py ask to be made of the predictions.

The libraries behind the rarer outputs take a second or more to import, so each is imported only
where it is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.data.dataset import FOLDER, PATIENT, make_grouper
from malaria.inference.classifier import Classifier
from malaria.outputs.output import Output
from malaria.outputs.table import Rows
from malaria.outputs.writer import Writer

if TYPE_CHECKING:
    from malaria.inference.evaluate import LabelledPredictions
    from malaria.inference.explain import Overlays


def choose_outputs(
    options: Options, classifier: Classifier, labelled: "LabelledPredictions | None"
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
    if options.report:
        from malaria.outputs.html_report import HtmlReport

        yield HtmlReport(options.report, classifier, labelled)


def open_labelled(
    options: Options, classifier: Classifier, inputs: Inputs
) -> "LabelledPredictions":
    """What --evaluate collects. Raises UserError if nothing tells the true labels."""
    from malaria.inference.evaluate import LabelledPredictions

    by_patient = make_grouper(PATIENT if options.group_by == FOLDER else options.group_by)
    if inputs.has_labels:
        return LabelledPredictions(
            classifier,
            label_of=inputs.label_of,
            group_of=lambda path: inputs.patient_of(path) or by_patient(path),
        )
    if inputs.folder is None:
        names = printable(", ".join(inputs.names))
        raise UserError(
            "--evaluate: expected one folder with sub-folders named as the labels, or a .csv with "
            f"the columns path and label; received {names}"
        )
    return LabelledPredictions.of_folder(classifier, inputs.folder, group_by=options.group_by)


def open_overlays(options: Options, classifier: Classifier, inputs: Inputs) -> "Overlays | None":
    """What --explain writes. Raises UsageError, UserError."""
    if options.explain is None:
        return None
    from malaria.inference.explain import Overlays

    return Overlays(options.explain, inputs.roots, classifier)


def open_writer(options: Options, classifier: Classifier, inputs: Inputs) -> Writer | None:
    """The file of --output. Raises UserError if it cannot be begun, or was interrupted."""
    if options.output is None:
        return None
    return Writer(
        options.output,
        source=inputs.identity,
        labels=classifier.metadata.labels,
        model=classifier.identity,
        resume=options.resume,
    )
