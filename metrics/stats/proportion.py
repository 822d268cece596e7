"""Intervals for the share of people, or of pictures, that an attack identifies.

A *hit* is a number in [0, 1]: 0 or 1, or the expected hit when scores tie (1/(ties+1)). The exact
intervals take fractional totals: the beta quantiles that define Clopper-Pearson exist for any real
number of hits, interpolate monotonely between the whole ones, and the expected total varies less
than the 0/1 draw of the ties would, so coverage is kept.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

from reid_audit.metrics.stats.estimate import Estimate

Side = Literal["two-sided", "upper", "lower"]
Endpoint = Literal["one-probe", "any-hit"]


def _tail(alpha: float, side: Side) -> float:
    """Error probability in each tail that the interval leaves open."""
    return alpha / 2 if side == "two-sided" else alpha


def _ends(hits: float, n: float, alpha: float, side: Side) -> tuple[float, float]:
    tail, low, high = _tail(alpha, side), 0.0, 1.0
    if hits > 0 and side != "upper":
        low = float(betaincinv(hits, n - hits + 1, tail))
    if hits < n and side != "lower":
        high = float(betaincinv(hits + 1, n - hits, 1 - tail))
    # The quantile routine loses its way for a vanishing fraction of a hit.
    return min(low, hits / n), max(high, hits / n)


def _method(name: str, side: Side) -> str:
    return name if side == "two-sided" else f"{name}-{side}"


def clopper_pearson(
    hits: float,
    n: int,
    *,
    alpha: float = 0.05,
    side: Side = "two-sided",
    n_identities: int | None = None,
) -> Estimate:
    """Exact binomial interval (Clopper and Pearson 1934).

    Args:
        hits: number of successes, possibly fractional (expected hits over ties).
        n: number of independent trials.
        side: "upper" leaves the low end at 0, "lower" the high end at 1.

    Raises:
        ValueError: hits outside [0, n].

    >>> e = clopper_pearson(93, 97)
    >>> round(e.low, 4), round(e.high, 4)
    (0.8978, 0.9887)
    >>> round(clopper_pearson(0, 97, side="upper").high, 4)
    0.0304
    """
    method = _method("clopper-pearson", side)
    if n == 0:
        return Estimate.unknown("no trials", n_identities=n_identities, method=method)
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials")
    low, high = _ends(hits, n, alpha, side)
    return Estimate(hits / n, low, high, n, n_identities, method, alpha)


def wilson(
    hits: float, n: int, *, alpha: float = 0.05, n_identities: int | None = None
) -> Estimate:
    """Score interval (Wilson 1927): two-sided, shorter than exact, right on average only.

    >>> e = wilson(93, 97)
    >>> round(e.low, 4), round(e.high, 4)
    (0.8987, 0.9838)
    """
    if n == 0:
        return Estimate.unknown("no trials", n_identities=n_identities, method="wilson")
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials")
    rate, z2 = hits / n, float(ndtri(1 - alpha / 2)) ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(rate, low, high, n, n_identities, "wilson", alpha)


def one_per_identity(
    identities: ArrayLike, *, seed: int, keys: Sequence[Any] | None = None
) -> NDArray[np.intp]:
    """Index of one probe of each identity, drawn at random, in sorted order of identity.

    The draw hashes the seed with each probe's key (its image id; its position when absent), so
    the same picture is drawn however the probes are ordered, sharded or resumed, and adding a
    person changes nobody else's draw.
    """
    labels = np.asarray(identities)
    names = range(len(labels)) if keys is None else keys
    priority = np.array(
        [
            int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
            for name in names
        ],
        dtype=np.uint64,
    )
    order = np.lexsort((priority, labels))
    _, first = np.unique(labels[order], return_index=True)
    return order[first]


def any_hit_per_identity(hits: ArrayLike, identities: ArrayLike) -> NDArray[np.float64]:
    """Probability that at least one probe of each identity hits, in sorted order of identity.

    Ties are taken as broken independently for each probe: 1 - prod(1 - hit).
    """
    _, owner = np.unique(np.asarray(identities), return_inverse=True)
    missed = np.ones(owner.max(initial=-1) + 1)
    np.multiply.at(missed, owner, 1 - np.asarray(hits, dtype=float))
    return 1 - missed


def by_identity(
    hits: ArrayLike,
    identities: ArrayLike,
    *,
    endpoint: Endpoint = "one-probe",
    seed: int = 0,
    keys: Sequence[Any] | None = None,
    alpha: float = 0.05,
    side: Side = "two-sided",
) -> Estimate:
    """Share of identities identified, one trial each, with an exact interval.

    Args:
        hits: (B,) hit of each probe in [0, 1].
        identities: (B,) label of the person in each probe.
        endpoint: "one-probe" scores one random probe of each person (what a leaked picture
            costs), "any-hit" whether any of the person's probes hits (what a leaked album costs).
        seed, keys: see `one_per_identity`.
    """
    labels, values = np.asarray(identities), np.asarray(hits, dtype=float)
    if endpoint == "one-probe":
        trials = values[one_per_identity(labels, seed=seed, keys=keys)]
    else:
        trials = any_hit_per_identity(values, labels)
    n = len(trials)
    # A sum of fractions can overshoot n by rounding.
    return clopper_pearson(min(math.fsum(trials), n), n, alpha=alpha, side=side, n_identities=n)


def by_image(
    hits: ArrayLike, identities: ArrayLike, *, alpha: float = 0.05, side: Side = "two-sided"
) -> Estimate:
    """Share of pictures identified, pictures of one person counted as a cluster.

    Clopper-Pearson at the effective sample size of Korn and Graubard (1998),
    n_eff = p(1-p)/V * (z / t_{c-1})^2, with V the between-cluster variance of the ratio mean and
    c the number of people; never more than the pictures, and the people alone when the pictures
    all agree (V says nothing then).

    Args:
        hits: (B,) hit of each picture in [0, 1].
        identities: (B,) label of the person in each picture.
    """
    values = np.asarray(hits, dtype=float)
    method = _method("korn-graubard", side)
    if values.size == 0:
        return Estimate.unknown("no pictures", method=method)
    _, owner, sizes = np.unique(np.asarray(identities), return_inverse=True, return_counts=True)
    n, clusters = len(values), len(sizes)
    rate = min(math.fsum(values) / n, 1.0)
    if clusters == 1 or rate in (0, 1):
        effective = float(clusters)
    else:
        residual = np.bincount(owner, weights=values - rate)
        variance = clusters / (clusters - 1) * np.sum(residual**2) / n**2
        tail = _tail(alpha, side)
        shrink = (ndtri(tail) / stdtrit(clusters - 1, tail)) ** 2
        effective = float(min(n, rate * (1 - rate) * shrink / max(variance, 1e-300)))
    low, high = _ends(rate * effective, effective, alpha, side)
    return Estimate(rate, low, high, n, clusters, method, alpha)
