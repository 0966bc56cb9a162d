"""label_order: the order of a network's outputs, found on labelled images.

Everywhere: labels (n,), integers; probabilities (n, number of labels), in the order of the outputs.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from malaria.evaluation.bootstrap import mcnemar

# An order is clear if the present one would do so badly by chance once in so many cases, for each
# pair of labels that could be swapped.
CHANCE = 0.01


def best_order(labels: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """The label that each output stands for, so that most images are right."""
    count = probabilities.shape[1]
    confusion = np.zeros((count, count))
    np.add.at(confusion, (_called(labels, probabilities), labels), 1)
    # Of orders with equally many right the one that is nearest to the present.
    order = linear_sum_assignment(confusion + np.eye(count) / (count + 1), maximize=True)[1]
    return [int(label) for label in order]


def clear_order(labels: np.ndarray, probabilities: np.ndarray) -> list[int] | None:
    """The same if it is clearly not the present one, else None."""
    count, called = probabilities.shape[1], _called(labels, probabilities)
    order = best_order(labels, probabilities)
    is_right, would_be = called == labels, np.array(order)[called] == labels
    p_value = mcnemar(int(np.sum(would_be & ~is_right)), int(np.sum(is_right & ~would_be)))
    return order if p_value < CHANCE / (count * (count - 1) / 2) else None


def _called(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The output that speaks of each image, (n,).

    Of two as many images as have the second label, for the threshold may be anywhere.
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    places = np.argsort(np.argsort(probabilities[:, 1], kind="stable"))
    called: np.ndarray = (places >= np.sum(labels == 0)).astype(int)
    return called
