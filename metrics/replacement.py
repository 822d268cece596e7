"""How far replaced faces lie from the ones they replaced, and how near to one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reid_audit.metrics.stats import bootstrap_interval, by_image, mean_statistic
from reid_audit.metrics.stats.estimate import Estimate

Floats = NDArray[np.float64]
RATES = (0.001, 0.01, 0.1)
"""False-match rates of the threshold; the smallest that the pairs of strangers resolve is taken."""
RESOLVED = 10


@dataclass(frozen=True, eq=False)
class Distances:
    """Outputs against their originals, with what strangers' originals have between one another.

    false_match_rate: at which the threshold was set on pairs of two people's originals.
    kept: share of outputs that match their own original there.
    own, strangers: mean similarity of an output and its original, and of two people's originals.
    shared: share of two people's outputs that match one another.
    largest: share of all outputs in the largest set that match one another, also by way of others.
    """

    false_match_rate: float
    kept: Estimate
    own: Estimate
    strangers: float
    shared: Estimate
    largest: float


def distances(
    own: ArrayLike,
    originals: ArrayLike,
    outputs: ArrayLike,
    people: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Distances:
    """Where replaced faces went.

    Args:
        own: `(N,)` similarity of each output with its original.
        originals, outputs: `(N, N)` similarities among the originals and among the outputs.
        people: `(N,)` who the originals show.

    Raises:
        ValueError: all originals show one person.
    """
    who, before, after = np.asarray(people), np.asarray(originals), np.asarray(outputs)
    alone = np.asarray(own, dtype=float)
    upper = np.triu(who[:, None] != who[None], 1)
    impostors = np.sort(before[upper])[::-1]
    if not impostors.size:
        raise ValueError("distances need originals of two people or more")
    rate = next((r for r in RATES if r * impostors.size >= RESOLVED), RATES[-1])
    threshold = np.nextafter(impostors[min(int(rate * impostors.size), impostors.size - 1)], np.inf)
    matches = after >= threshold
    apart = who[:, None] != who[None]
    with np.errstate(invalid="ignore"):
        shares = np.where(apart.any(axis=1), (matches & apart).sum(axis=1) / apart.sum(axis=1), 0)
    graph = coo_array(matches | np.eye(len(who), dtype=bool))
    sizes = np.bincount(connected_components(graph, directed=False)[1])
    return Distances(
        rate,
        by_image(alone >= threshold, who, alpha=alpha),
        bootstrap_interval(mean_statistic(alone), who, alpha=alpha, seed=seed),
        float(impostors.mean()),
        bootstrap_interval(mean_statistic(shares), who, alpha=alpha, seed=seed),
        float(sizes.max() / len(who)),
    )


def first_hits(scores: ArrayLike, right: ArrayLike, allowed: ArrayLike | None = None) -> Floats:
    """Whether the first of the candidates is a right one; a tie counts by its share of right ones.

    Args:
        scores: `(N, M)` of N probes and M candidates. right: `(N, M)` who may be named.
        allowed: `(N, M)` candidates that are looked among; all by default.

    Returns:
        `(N,)` in [0, 1]; NaN for a probe without a right candidate.

    >>> first_hits([[0.9, 0.9, 0.1]], [[True, False, False]]).tolist()
    [0.5]
    """
    values, good = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    among = np.ones_like(good) if allowed is None else np.asarray(allowed, dtype=bool)
    top = np.max(np.where(among, values, -np.inf), axis=1, keepdims=True)
    first = among & (values == top)
    hits = (first & good).sum(axis=1) / np.maximum(first.sum(axis=1), 1)
    return np.where((good & among).any(axis=1), hits, np.nan)
