"""Whether a probe shows anybody of the gallery at all: the lowest distance against a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid_audit.metrics.verification import roc


@dataclass(frozen=True)
class Threshold:
    """A probe belongs to the gallery when its highest similarity reaches `similarity`.

    true_accepts, false_accepts: shares of development people inside and outside the gallery that
        do; n: people they were measured on.
    """

    similarity: float
    true_accepts: float
    false_accepts: float
    n: int

    def accepts(self, similarity: np.ndarray) -> np.ndarray:
        """Whether each of `(B,)` highest similarities is near enough."""
        return similarity >= self.similarity


def choose_threshold(inside: np.ndarray, outside: np.ndarray) -> Threshold:
    """The operating point with the largest TPR - FPR (Youden 1950) on development people.

    Args:
        inside: `(N,)` highest similarity of each to a gallery with pictures of them.
        outside: `(N,)` the same to one without.

    >>> choose_threshold(np.array([.9, .8, .7, .3]), np.array([.5, .2, .1]))
    Threshold(similarity=0.7, true_accepts=0.75, false_accepts=0.0, n=4)
    """
    curve = roc(inside, outside)
    place = int(np.argmax(curve.tar - curve.far))
    return Threshold(
        float(curve.threshold[place]),
        float(curve.tar[place]),
        float(curve.far[place]),
        len(inside),
    )
