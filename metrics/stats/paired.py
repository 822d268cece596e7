"""Two rates on the same people: how far apart they are, and whether that can be chance."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.risk import mcnemar_p


def paired_difference(after: ArrayLike, before: ArrayLike, *, alpha: float = 0.05) -> Estimate:
    """Mean of `after` less mean of `before` on the same people, in [-1, 1], two-sided.

    Tango's (1998) score interval. A bootstrap over identities shrinks to a point where no person
    changed sides; this interval says then how large a change is still possible.

    Args:
        after, before: (I,) hits in [0, 1] of the same identities in the same order.

    >>> same = paired_difference([1, 1, 0, 0], [1, 1, 0, 0])
    >>> same.value, round(same.high, 2)
    (0.0, 0.49)
    """
    a, b = np.asarray(after, dtype=float), np.asarray(before, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"after has {a.shape} identities and before {b.shape}")
    n, method = a.size, "tango"
    if n == 0:
        return Estimate.unknown("no person was probed in both", method=method)
    gained, lost = float(a @ (1 - b)), float(b @ (1 - a))
    value = (gained - lost) / n
    z = float(ndtri(1 - alpha / 2))

    def distance(difference: float) -> float:
        """Standard errors from the observed difference to a supposed one; falls as that grows."""
        linear = -gained - lost + (2 * n - gained + lost) * difference
        constant = -lost * difference * (1 - difference)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        only_lost = max((root - linear) / (4 * n), 0.0)
        variance = n * max(2 * only_lost + difference * (1 - difference), 1e-15)
        return (gained - lost - n * difference) / math.sqrt(variance)

    edge = 1 - 1e-9
    low = -1.0 if value <= -edge else brentq(lambda d: distance(d) - z, -edge, value)
    high = 1.0 if value >= edge else brentq(lambda d: distance(d) + z, value, edge)
    return Estimate(value, float(low), float(high), n, n, method, alpha)


def mcnemar_two_sided(after: ArrayLike, before: ArrayLike) -> float:
    """Exact two-sided McNemar test that the same people (I,) are hit equally often.

    >>> mcnemar_two_sided([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0])
    0.03125
    """
    return min(1.0, 2 * min(mcnemar_p(after, before), mcnemar_p(before, after)))
