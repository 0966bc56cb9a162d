"""Tests of malaria/evaluation/label_order.py."""

import numpy as np
import pytest

from malaria.evaluation.label_order import clear_order

RANDOM = np.random.default_rng(0)


def answer(labels, order, share):
    """One-hot answers for outputs in `order`, a share of them right and the others random."""
    count = len(order)
    outputs = np.argsort(order)[labels]
    is_noise = RANDOM.random(len(labels)) >= share
    outputs = np.where(is_noise, RANDOM.integers(0, count, len(labels)), outputs)
    return np.eye(count)[outputs] * 0.5 + 0.5 / count


@pytest.mark.parametrize("order", [[1, 0], [1, 2, 0], [0, 3, 2, 1]])
def test_the_order_of_the_outputs_is_found(order):
    labels = np.repeat(np.arange(len(order)), 30)
    assert clear_order(labels, answer(labels, order, 0.8)) == order


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_present_order_and_noise_leave_it(count):
    labels = np.repeat(np.arange(count), 20)
    assert clear_order(labels, answer(labels, np.arange(count), 0.8)) is None
    assert clear_order(labels, answer(labels, np.arange(count), 0.0)) is None


def test_two_swapped_labels_are_seen_wherever_the_threshold_is():
    labels = np.repeat([0, 1], 30)
    positive = 0.01 + 0.01 * RANDOM.random(60) - 0.01 * labels
    assert clear_order(labels, np.stack([1 - positive, positive], axis=1)) == [1, 0]


def test_labels_without_images_keep_their_places():
    labels = np.repeat([0, 1], 30)
    probabilities = np.eye(5)[1 - labels]
    assert clear_order(labels, probabilities) == [1, 0, 2, 3, 4]
