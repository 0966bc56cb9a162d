"""comparison: several models on the same labelled pictures, side by side."""

from pathlib import Path

from malaria.base.errors import UserError, printable
from malaria.cli.command import say
from malaria.inference.classifier import load_classifier
from malaria.inference.predict import classify
from malaria.outputs.results import Truth, prepare_next_start, write_json
from malaria.outputs.terminal import Summary
from malaria.saved.metadata import find_pair


def compare_models(options, list_paths):
    """Evaluate every model of options.model; print one table and the differences to the first.

    list_paths: gives the pictures anew for each model. Returns the exit status. Raises UserError.
    """
    from malaria.evaluation import format as findings
    from malaria.evaluation import result as evaluation

    _check_names(options.model)
    assessments, rates, unreadable = {}, {}, 0
    for path in options.model:
        name, truth, summary = _classify_all(path, options, list_paths())
        assessments[name] = truth.assessment
        rates[name] = summary.images_per_second
        unreadable = max(unreadable, summary.unreadable)
    comparisons = evaluation.compare_with_first(assessments)
    print(findings.describe_comparison(assessments, comparisons, rates))
    content = {name: findings.to_json(one) for name, one in assessments.items()}
    write_json(options.metrics, content)
    return 1 if unreadable else 0


def _check_names(models):
    names = [find_pair(path).weights.stem for path in models]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"--model: {printable(twice[0])} is named twice; rename one of the pairs")


def _classify_all(path, options, paths):
    """(name of the model, the Truth filled with its answers, the Summary)."""
    classifier = load_classifier(
        path, engine=options.engine, labels=options.labels, size=options.resize
    ).deciding(threshold=options.threshold, tta=options.tta)
    say(f"classifying with {printable(classifier.name)}")
    truth = Truth(classifier, Path(options.image), options.metrics, group_by=options.group_by)
    summary = Summary(classifier.answers, classifier.passport.positive_label)
    summary.start()
    for prediction in classify(paths, classifier):
        summary.add(prediction)
        truth.add(prediction, group=None)
    prepare_next_start(classifier)
    return classifier.name, truth, summary
