"""decisions: from what a network puts out to probabilities and labels (no TensorFlow)."""

import numpy as np


def label_probabilities(outputs: np.ndarray) -> np.ndarray:
    """A network's outputs as (n, number of labels), each row adding up to 1, in label order.

    One column is the sigmoid of two labels, the probability of the second; more are a softmax.
    """
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs


def from_logits(outputs: np.ndarray) -> np.ndarray:
    """The sums of a last layer without activation as a sigmoid (n, 1) or a softmax (n, k)."""
    if outputs.shape[1] == 1:
        # Of the exponential that cannot overflow.
        small = np.exp(-np.abs(outputs))
        return np.where(outputs >= 0, 1 / (1 + small), small / (1 + small))
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def decide(
    probabilities: np.ndarray, *, positive: int, threshold: float | np.ndarray
) -> np.ndarray:
    """The label of each row of (n, number of labels), as (n,) integers.

    Of two labels the positive one, if its probability is at least `threshold`, else the other;
    of more the likeliest. positive: its place among the labels. threshold: one, or (n,).
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    return np.where(probabilities[:, positive] >= threshold, positive, 1 - positive)
