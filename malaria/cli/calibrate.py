"""calibrate: what run.py --calibrate does."""

from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli.choose import open_classifier, open_labelled, save_as_pair
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.evaluation.calibration import calibrate, describe_calibration
from malaria.evaluation.result import Result
from malaria.inference.classifier import Classifier
from malaria.inference.predict import predict
from malaria.inference.suggest import suggest
from malaria.labelling.label_table import check_labels, is_label_table, read_labels
from malaria.labelling.random_half import find_random_half, to_result


def calibrate_model(options: Options, name: str) -> int:
    """Fit the model to the labelled cells in `name`, tell what it is worth, save it; return 0.

    Raises UserError for cells that nothing can be fitted to, a model without a Keras form, and what
    cannot be written.
    """
    assert options.save is not None, "the options were checked together"
    classifier = open_classifier(replace(options, threshold=None), options.model[0])
    load = _load_label_table if is_label_table(name) else _load_labelled
    result, unlike = load(options, classifier, name)
    rule = "youden" if options.threshold is None else options.threshold
    fitted = calibrate(result, rule, unlike=unlike)
    print(describe_calibration(fitted), flush=True)
    save_as_pair(replace(classifier, metadata=fitted.update(classifier.metadata)), options.save)
    return 0


def _load_labelled(options: Options, classifier: Classifier, name: str) -> tuple[Result, float]:
    """The answers for a folder or table of cells, and the share that the guard marks."""
    inputs = Inputs([name], option="--calibrate")
    labelled = open_labelled(options, classifier, inputs)
    labelled.add_all(predict(tqdm(inputs.paths(), unit=" images", disable=None), classifier))
    for note in [*inputs.notes, *labelled.notes, *suggest(classifier, labelled.known)]:
        log(printable(note))
    if labelled.contradictions:
        raise UserError(f"--calibrate: {labelled.describe_contradictions()}: remove the wrong ones")
    result = labelled.result
    return result, sum(labelled.unlike.values()) / len(labelled.known)


def _load_label_table(options: Options, classifier: Classifier, name: str) -> tuple[Result, float]:
    """The same for what --label wrote: of the cells that were drawn at random."""
    rows = [*read_labels(Path(name)).values()]
    check_labels(Path(name), rows, classifier.metadata.labels)
    paths = tqdm([row.image for row in rows], unit=" cells", disable=None)
    pairs = [*zip(rows, predict(paths, classifier), strict=True)]
    half = find_random_half(pairs, classifier.metadata.labels)
    unreadable = sum(cell.error is not None for _, cell in pairs)
    log(
        f"{len(half.places):,} of {len(rows):,} cells measure the model: random, labelled, "
        f"and red cells to it; each counts as many as it stands for; {unreadable:,} unreadable"
    )
    return to_result(pairs, half, classifier.metadata), half.unlike
