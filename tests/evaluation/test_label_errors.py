"""Tests of malaria/evaluation/label_errors.py."""

import numpy as np

from malaria.evaluation.label_errors import find_label_errors


def two(*probabilities):
    return np.array([[p, 1 - p] for p in probabilities])


def test_a_contradicted_label_is_suspected_and_a_doubtful_one_is_not():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    probabilities = two(0.9, 0.95, 0.02, 0.45, 0.1, 0.05, 0.97, 0.4)
    suspected, likelier = find_label_errors(labels, probabilities)
    assert suspected.tolist() == [2, 6]
    assert likelier.tolist() == [1, 0]


def test_the_least_probable_label_comes_first():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    suspected, _ = find_label_errors(labels, two(0.2, 0.9, 0.01, 0.1, 0.95, 0.4, 0.3, 0.2))
    assert suspected.tolist() == [2, 3, 0]


def test_of_several_other_labels_the_likeliest_is_named():
    labels = np.array([0, 0, 1, 1, 2, 2])
    rows = [[0.8, 0.1, 0.1], [0.05, 0.35, 0.6], [0.1, 0.8, 0.1]]
    rows += [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]]
    suspected, likelier = find_label_errors(labels, np.array(rows))
    assert (suspected.tolist(), likelier.tolist()) == ([1, 3, 5], [2, 0, 1])


def test_a_label_that_the_network_finds_likeliest_is_never_suspected():
    labels = np.array([0, 0, 1, 1, 2, 2])
    rows = [[0.60, 0.35, 0.05], [0.2, 0.4, 0.4], [0.3, 0.34, 0.36], [0.3, 0.34, 0.36]]
    rows += [[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]]
    suspected, _ = find_label_errors(labels, np.array(rows))
    assert 0 not in suspected
