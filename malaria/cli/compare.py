"""compare: several models on the same labelled images, side by side."""

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cli.choose import open_classifier, open_labelled
from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.inference.load_classifier import keep_tflite
from malaria.inference.predict import Rate, predict
from malaria.saved.pair import find_pair


def compare_models(options: Options, inputs: Inputs) -> int:
    """Evaluate every model of --model; print one table and the differences to the first.

    Returns the exit status: 1 if an image could not be read. Raises UserError.
    """
    from malaria.evaluation.format import describe_comparison, to_json
    from malaria.evaluation.result import compare_with_first
    from malaria.inference.suggest import suggest
    from malaria.outputs.metrics_file import save_metrics

    names = [find_pair(path).weights.stem for path in options.model]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--model: {printable(name)} is named twice; rename one of the pairs")
    paths = list(inputs.paths())
    results, rates, more, unreadable = {}, {}, {}, 0
    told = list(inputs.notes)
    for path in options.model:
        classifier, rate = open_classifier(options, path), Rate()
        name = classifier.name
        log(f"classifying with {printable(name)}")
        labelled = open_labelled(options, classifier, inputs)
        labelled.add_all(rate.measure(predict(paths, classifier)))
        results[name], rates[name], notes = labelled.result, rate.per_second, labelled.notes
        more[name] = labelled.to_entries() | {"notes": inputs.notes + notes}
        told += [f"{name}: {line}" for line in (*notes, *suggest(classifier, labelled.known))]
        unreadable = max(unreadable, labelled.unreadable)
        keep_tflite(classifier)
    for line in told:
        log(printable(line))
    print(describe_comparison(results, compare_with_first(results), rates))
    save_metrics(options.metrics, {name: to_json(results[name], **more[name]) for name in results})
    return 1 if unreadable else 0
