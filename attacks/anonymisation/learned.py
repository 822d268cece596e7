"""A small network on top of the closed form: which family.

Its weights are plain numbers in `learned.json`, trained on background people alone by
`fitting/families.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

UNSURE = 0.5
"""Probability under which the answer is `unknown`."""
SPARED = 0.25
"""Probability from which a picture is kept for untouched: of development pictures 98 % that were,
while two in a thousand others more are missed."""


SMOOTH = ("gaussian", "box")
"""Families that are so alike where they are narrow that one of them is better named than none."""
COMMONER = 0.65
"""Log odds that Gaussians have over mean filters among the samples of the families, beyond those
among the samples of the network that knows these two alone."""


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
        return self.many(features)

    def many(self, features: np.ndarray) -> np.ndarray:
        """Outputs `(..., O)` for features `(..., F)`."""
        x = np.nan_to_num((features - self.mean) / self.scale).clip(-6, 6)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        weight, bias = self.layers[-1]
        return np.asarray(x @ weight + bias)


@cache
def _network(name: str) -> tuple[Network, tuple[str, ...]]:
    stored = json.loads(resources.files(__package__).joinpath("learned.json").read_text())[name]
    layers = tuple((np.array(w), np.array(b)) for w, b in stored["layers"])
    network = Network(np.array(stored["mean"]), np.array(stored["scale"]), layers)
    return network, tuple(stored["classes"])


def family_odds(features: np.ndarray, *excluded: str) -> dict[str, float]:
    """Probability of each family but the excluded ones."""
    network, classes = _network("family")
    logits = network(features)
    logits[[c in excluded for c in classes]] = -np.inf
    probability = np.exp(logits - logits.max())
    probability /= probability.sum()
    return {c: float(p) for c, p in zip(classes, probability, strict=True) if c not in excluded}


def smooth_odds(odds: dict[str, float], features: np.ndarray) -> dict[str, float]:
    """The probabilities of a Gaussian and a mean filter divided anew, as a network says that knows
    these two alone, through JPEG: it takes from narrow ones what tells them apart."""
    network, classes = _network("smooth")
    if not all(name in odds for name in classes):
        return odds
    logits = network(features) + COMMONER * (np.array(classes) == "gaussian")
    shares = np.exp(logits - logits.max())
    both = sum(odds[name] for name in classes) / shares.sum()
    return odds | {name: float(both * s) for name, s in zip(classes, shares, strict=True)}


def classify(odds: dict[str, float]) -> tuple[str, float]:
    """Most probable family, and its probability; `unknown` when nothing is probable, a blur of one
    kind or the other included. A picture that may well be untouched is not called anything else."""
    if odds.get("none", 0.0) >= SPARED:
        return "none", odds["none"]
    best = max(odds, key=odds.__getitem__)
    kindred = sum(odds.get(name, 0.0) for name in SMOOTH) if best in SMOOTH else odds[best]
    return (best if kindred >= UNSURE else "unknown"), odds[best]
