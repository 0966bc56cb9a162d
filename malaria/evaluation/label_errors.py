"""label_errors: labels that networks which never saw the images contradict with confidence."""

import numpy as np


def find_label_errors(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
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
