"""suspects: images whose label the networks that never saw them contradict with confidence."""

from pathlib import Path

import numpy as np

from malaria.base.files import write_csv
from malaria.inference.predict import Prediction
from malaria.outputs.html_report import Page

CSV, HTML = "suspects.csv", "suspects.html"
TITLE = "Suspected labels"
NOTE = (
    "Each cell was judged by a network that did not learn from it, nor from its patient where the "
    "split is by patient, and finds another label likelier, as sure as of cells that bear that "
    "label. Label is what the network finds, "
    "true label what the folder says. Look at each; what you find wrong can be left out of "
    "training with the setting exclude."
)
HEADER = ("path", "patient", "label", "likelier", "probability of label", "probability of likelier")


def find_suspects(labels, probabilities):
    """(indices, likelier labels) of suspected labels, the least probable label first.

    labels: (n,), integers; probabilities: (n, number of labels), out of fold. Of the labels that
    are as probable for an image as, on average, for the images that bear them, the likeliest is
    taken; an image is suspected if that is another than its own (Northcutt et al. 2021, "confident
    learning").
    """
    each = range(probabilities.shape[1])
    confident = np.array([probabilities[labels == label, label].mean() for label in each])
    sure = np.where(probabilities >= confident, probabilities, -1.0)
    likelier = sure.argmax(axis=1)
    suspected = np.flatnonzero((sure.max(axis=1) > 0) & (likelier != labels))
    given = probabilities[suspected, labels[suspected]]
    suspected = suspected[np.argsort(given, kind="stable")]
    return suspected, likelier[suspected]


def write_suspects(folder, samples, probabilities, *, source, names, positive):
    """Write suspects.csv and suspects.html into `folder`; return how many there are.

    samples: what the rows of `probabilities` are about. source: the folder the images are in;
    paths in the table are relative to it, as the setting `exclude` takes them.
    """
    labels = np.array([sample.label for sample in samples])
    suspected, likelier = find_suspects(labels, probabilities)
    rows = []
    page = Page(
        Path(folder) / HTML,
        labels=names,
        positive_label=positive,
        threshold=0.5,
        model_name="networks of a cross-validation",
    )
    for index, other in zip(suspected, likelier, strict=True):
        sample, row = samples[index], probabilities[index]
        given, doubt = row[sample.label].item(), row[other].item()
        path = Path(sample.path).relative_to(source).as_posix()
        known = (names[sample.label], names[other], round(given, 6), round(doubt, 6))
        rows.append((path, sample.patient or "", *known))
        prediction = Prediction(sample.path, names[other], doubt, tuple(row.tolist()))
        page.add(prediction, group=sample.patient, truth=names[sample.label], overlay=None)
    write_csv(Path(folder) / CSV, HEADER, rows)
    page.write(title=f"{TITLE}: {len(rows):,}", note=NOTE)
    return len(rows)
