"""Small networks on top of the closed form: which family, and how far the closed form is off.

Their weights are plain numbers in `learned.json`, trained on background people alone by
`training.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

UNSURE = 0.5
"""Probability under which the answer is `unknown`."""


@dataclass(frozen=True)
class Network:
    """Standardised inputs through ReLU layers; missing inputs (NaN) count as average.

    layers: weight `(in, out)` and bias `(out,)` of each.
    """

    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Outputs `(O,)` for features `(F,)`."""
        x = np.nan_to_num((features - self.mean) / self.scale).clip(-6, 6)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self.layers[-1]
        return x @ weight + bias


@cache
def _networks() -> tuple[Network, tuple[str, ...], Network, float]:
    stored = json.loads(resources.files(__package__).joinpath("learned.json").read_text())

    def network(part: dict[str, list]) -> Network:
        layers = tuple((np.array(w), np.array(b)) for w, b in part["layers"])
        return Network(np.array(part["mean"]), np.array(part["scale"]), layers)

    family, correction = stored["family"], stored["correction"]
    return network(family), tuple(family["classes"]), network(correction), correction["sd"]


def classify(features: np.ndarray) -> tuple[str, float]:
    """Most probable family and its probability; `unknown` when nothing is probable."""
    network, classes, _, _ = _networks()
    logits = network(features)
    probability = np.exp(logits - logits.max())
    probability /= probability.sum()
    best = int(np.argmax(probability))
    confidence = float(probability[best])
    return (classes[best] if confidence >= UNSURE else "unknown"), confidence


def correct_half(half: float, features: np.ndarray) -> tuple[float, float]:
    """Half width of a Gaussian kernel after the learned correction, and its standard deviation.

    The network predicts log((true + 1) / (fitted + 1)).
    """
    _, _, network, sd = _networks()
    corrected = (half + 1) * float(np.exp(np.clip(network(features)[0], -0.3, 0.3))) - 1
    return max(corrected, 0.0), sd * (corrected + 1)
