"""decisions: a network's outputs -> calibrated probabilities -> labels (no TensorFlow)."""

import numpy as np

# A probability is held between this and 1, as Keras clips it, before its logarithm is taken.
CLIP = 1e-7
# The temperatures that are searched; no network that is worth calibrating needs another.
LOWEST, HIGHEST = 0.05, 20.0


def label_probabilities(outputs: np.ndarray) -> np.ndarray:
    """A network's outputs as (n, number of labels), each row adding up to 1, in label order.

    One column is the sigmoid of two labels, the probability of the second; more are a softmax.
    """
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs


def from_output(outputs: np.ndarray, form: str) -> np.ndarray:
    """The probabilities in a network's outputs (n, k), which are of one of three forms.

    "probabilities": as they are. "logits": before the last sigmoid or softmax. "scores": of a
    sigmoid for each label, divided by their sum; NaN where all are 0.
    """
    if form == "logits":
        return from_logits(outputs)
    if form == "scores" and outputs.shape[1] > 1:
        sums = outputs.sum(axis=1, keepdims=True)
        return np.divide(outputs, sums, out=np.full_like(outputs, np.nan), where=sums > 0)
    return outputs


def from_logits(logits: np.ndarray) -> np.ndarray:
    """The sigmoid of (n, 1) or the softmax of (n, k)."""
    if logits.shape[1] == 1:
        # Of the exponential that cannot overflow.
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def decide(
    probabilities: np.ndarray, *, positive: int, threshold: float | np.ndarray
) -> np.ndarray:
    """The label of each row of (n, number of labels), as (n,) integers.

    Of two labels the one with index `positive`, if its probability is at least `threshold` (one, or
    (n,)), else the other; of more the likeliest.
    """
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    return np.where(probabilities[:, positive] >= threshold, positive, 1 - positive)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n, number of labels) of the logits divided by `temperature`, float32.

    Guo et al. 2017, "On calibration of modern neural networks". Above 1 the answers become less
    confident; their order stays.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(probabilities.astype(np.float64).clip(CLIP))
    return from_logits(logits / temperature).astype(np.float32)


def fit_temperature(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """The temperature with the lowest cross-entropy of the true labels, (n,), integers.

    Of m images of a label (m + 1) / (m + k) count as it, and 1 / (m + k) as each other of the k
    labels (Platt 1999): labels that are told apart without a mistake leave room for one. weights:
    how often each image counts, (n,); None: once.
    """
    from scipy.optimize import minimize_scalar

    count = probabilities.shape[1]
    alike = np.bincount(labels, minlength=count)[labels, None]
    targets = (alike * np.eye(count)[labels] + 1) / (alike + count)

    def cross_entropy(logarithm: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(logarithm))).astype(np.float64)
        losses = -(targets * np.log(scaled.clip(CLIP))).sum(axis=1)
        return float(np.average(losses, weights=weights))

    bounds = np.log(LOWEST), np.log(HIGHEST)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))
