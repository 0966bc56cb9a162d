"""calibrate: what run.py --calibrate does."""

from dataclasses import replace

from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli.choose import open_classifier, open_labelled, save_as_pair
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.evaluation.calibration import calibrate, describe_calibration
from malaria.inference.predict import predict
from malaria.inference.suggest import suggest


def calibrate_model(options: Options, name: str) -> int:
    """Fit the model to the labelled cells in `name`, tell what it is worth, save it; return 0.

    Raises UserError for cells that nothing can be fitted to, a model without a Keras form, and what
    cannot be written.
    """
    assert options.save is not None, "the options were checked together"
    inputs = Inputs([name])
    classifier = open_classifier(replace(options, threshold=None), options.model[0])
    labelled = open_labelled(options, classifier, inputs)
    labelled.add_all(predict(tqdm(inputs.paths(), unit=" images", disable=None), classifier))
    rule = "youden" if options.threshold is None else options.threshold
    for note in [*inputs.notes, *labelled.notes, *suggest(classifier, labelled.known)]:
        log(printable(note))
    if labelled.contradictions:
        raise UserError(f"--calibrate: {labelled.describe_contradictions()}: remove the wrong ones")
    result = labelled.result
    unlike = sum(labelled.unlike.values()) / len(labelled.known)
    fitted = calibrate(result, rule, unlike=unlike)
    print(describe_calibration(fitted), flush=True)
    save_as_pair(replace(classifier, metadata=fitted.update(classifier.metadata)), options.save)
    return 0
