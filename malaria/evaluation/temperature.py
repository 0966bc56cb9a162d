"""temperature: make probabilities as sure as they are right, by one number, the temperature.

Guo et al. 2017, "On calibration of modern neural networks": each logarithm of a probability is
divided by the temperature. Above 1 the answers become less sure; their order stays.
"""

import numpy as np

from malaria.evaluation.decisions import from_logits

# A probability is held between this and 1, as Keras clips it, before the logarithm.
CLIP = 1e-7
# No network that is worth calibrating needs another.
LOWEST, HIGHEST = 0.05, 20.0


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(n, number of labels) at this temperature, float32; each row adds up to 1."""
    if temperature == 1:
        return probabilities
    logarithms = np.log(probabilities.astype(np.float64).clip(CLIP))
    return from_logits(logarithms / temperature).astype(np.float32)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the lowest cross-entropy of the true labels, (n,), integers."""
    from scipy.optimize import minimize_scalar

    def cross_entropy(logarithm: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(logarithm)))
        true = scaled[np.arange(len(labels)), labels].astype(np.float64)
        return float(-np.log(true.clip(CLIP)).mean())

    bounds = np.log(LOWEST), np.log(HIGHEST)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))
