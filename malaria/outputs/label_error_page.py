"""label_error_page: suspected labels as a table for `exclude` and as a page to look at."""

import os
from collections.abc import Sequence
from pathlib import Path

from malaria.base.files import write_csv
from malaria.data.dataset import Sample
from malaria.evaluation.label_errors import find_label_errors
from malaria.evaluation.result import Result
from malaria.inference.prediction import Prediction
from malaria.outputs.html_report import Page

CSV, HTML = "label_errors.csv", "label_errors.html"
TITLE, MODEL = "Suspected labels", "networks of a cross-validation"
NOTE = (
    "Each cell was judged by a network that did not learn from it, nor from its patient where the "
    "split is by patient. That network finds another label likelier, and is as sure of it as it is "
    "of cells that bear that label. Label is what the network finds, true label what the folder "
    "says. Look at each; what you find wrong can be left out of training with the setting exclude."
)
HEADER = ("path", "patient", "label", "likelier", "probability of label", "probability of likelier")


def write_label_errors(
    folder: Path, samples: Sequence[Sample], result: Result, *, source: Path | str
) -> int:
    """Write label_errors.csv and label_errors.html into `folder`; return how many there are.

    result: out of fold, of these samples. source: the folder of the images, to which paths in the
    table are relative, as the setting `exclude` takes them.
    """
    suspected, likelier = find_label_errors(result.labels, result.probabilities)
    page = Page(folder / HTML, result.label_names, result.positive_label, 0.5, MODEL)
    rows = []
    for index, other in zip(suspected.tolist(), likelier.tolist(), strict=True):
        sample, row = samples[index], result.probabilities[index].tolist()
        path = Path(os.path.relpath(sample.path, source)).as_posix()
        names = [result.label_names[label] for label in (sample.label, other)]
        numbers = round(row[sample.label], 6), round(row[other], 6)
        rows.append((path, sample.patient, *names, *numbers))
        known = {"group": sample.patient, "true_label": names[0]}
        page.add(Prediction(sample.path, names[1], row[other], tuple(row), **known))
    write_csv(folder / CSV, HEADER, rows)
    page.write(title=f"{TITLE}: {len(rows):,}", note=NOTE)
    return len(rows)
