"""Risk beyond a control, several attacks at once, and risk in bits."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainc, ndtri, xlogy

from reid_audit.metrics.stats.estimate import Estimate

Floats = NDArray[np.float64]


def excess_over(attack: Estimate, control: float) -> Estimate:
    """Excess risk R = (a - c)/(1 - c) over a control that is known exactly, such as chance 1/G.

    A monotone change of scale, so the interval stays as exact as the attack's own.
    """
    return attack.map(
        lambda rate: (rate - control) / (1 - control), f"{attack.method}, constant control"
    )


def excess_risk(
    hits: float, n: int, control_hits: float, control_n: int, *, alpha: float = 0.05
) -> Estimate:
    """Excess risk R = (a - c)/(1 - c) against a control on other people, one-sided low bound.

    R is 1 minus a risk ratio, that of the misses (1 - a)/(1 - c); its upper bound is the score
    interval of Miettinen and Nurminen (1985), so the low bound of R covers 1 - alpha.

    Args:
        hits, n: identities identified and tried under attack.
        control_hits, control_n: the same under the control, on independent identities.
    """
    method = "miettinen-nurminen-lower"
    if n == 0 or control_n == 0:
        return Estimate.unknown("no identities in attack or control", method=method)
    if control_hits >= control_n:
        return Estimate.unknown(
            "the control identifies everybody: no excess is defined",
            n=n,
            n_identities=n + control_n,
            method=method,
        )
    value = (hits / n - control_hits / control_n) / (1 - control_hits / control_n)
    ratio = _score_ratio_upper(n - hits, n, control_n - control_hits, control_n, alpha)
    return Estimate(value, min(value, 1 - ratio), 1.0, n, n + control_n, method, alpha)


def _score_ratio_upper(x1: float, n1: int, x0: float, n0: int, alpha: float) -> float:
    """One-sided upper limit of the ratio p1/p0 (Miettinen and Nurminen 1985)."""
    z = float(ndtri(1 - alpha))
    total = n1 + n0

    def distance(ratio: float) -> float:
        # p0 that is most likely when p1 = ratio * p0: root of a quadratic, always below 1/ratio.
        b = n1 * ratio + x1 + n0 + x0 * ratio
        root = math.sqrt(max(b * b - 4 * total * ratio * (x1 + x0), 0.0))
        p0 = 2 * (x1 + x0) / (b + root)
        p1 = min(ratio * p0, 1.0)
        variance = p1 * (1 - p1) / n1 + ratio**2 * p0 * (1 - p0) / n0
        scale = math.sqrt(max(variance, 1e-300) * total / (total - 1))
        return (x1 / n1 - ratio * x0 / n0) / scale + z

    return _crossing(distance, (x1 / n1) / (x0 / n0))


def paired_excess_risk(attack: ArrayLike, control: ArrayLike, *, alpha: float = 0.05) -> Estimate:
    """Excess risk R = (a - c)/(1 - c) where attack and control met the same people.

    The low bound is 1 minus the upper score limit of the paired ratio of misses (Nam and
    Blackwelder 2002), one-sided. That limit is asymptotic, so with few people (3 of 3 against 0
    of 3) it claims too much: the bound is positive only where the exact McNemar test also rejects.

    Args:
        attack, control: (I,) hits of the same identities in the same order, one value each.
    """
    a, c = np.asarray(attack, dtype=float), np.asarray(control, dtype=float)
    if a.shape != c.shape:
        raise ValueError(f"attack has {a.shape} identities and control {c.shape}")
    n, method = a.size, "nam-blackwelder-mcnemar-lower"
    if n == 0:
        return Estimate.unknown("no identities", method=method)
    if c.mean() >= 1:
        return Estimate.unknown(
            "the control identifies everybody: no excess is defined",
            n=n,
            n_identities=n,
            method=method,
        )
    value = float((a.mean() - c.mean()) / (1 - c.mean()))
    low = min(value, 1 - _paired_ratio_upper(1 - a, 1 - c, alpha))
    if mcnemar_p(a, c) > alpha:
        low = min(low, 0.0)
    return Estimate(value, low, 1.0, n, n, method, alpha)


def _paired_ratio_upper(events: Floats, base: Floats, alpha: float) -> float:
    """One-sided upper limit of p1/p0 on pairs (I,) (Nam and Blackwelder 2002)."""
    z, n = float(ndtri(1 - alpha)), len(events)
    p1, p0 = float(events.mean()), float(base.mean())
    first, second = float(np.mean(events * (1 - base))), float(np.mean(base * (1 - events)))
    either = p1 + second

    def distance(ratio: float) -> float:
        # Most likely discordant shares under p1 = ratio * p0.
        root = math.sqrt((p1 - ratio**2 * p0) ** 2 + 4 * ratio**2 * first * second)
        only_first = (ratio**2 * (p0 + 2 * first) - p1 + root) / (2 * ratio * (ratio + 1))
        only_second = ratio * only_first - (ratio - 1) * either
        variance = max(ratio * (only_first + only_second), 1e-300)
        return math.sqrt(n) * (p1 - ratio * p0) / math.sqrt(variance) + z

    return _crossing(distance, p1 / p0)


def _crossing(distance: Callable[[float], float], start: float) -> float:
    """Where a falling function of the ratio, positive just above `start`, reaches 0."""
    low = max(start, 1e-9)
    high = max(1.0, 2 * low)
    while distance(high) > 0 and high < 1e9:
        low, high = high, 2 * high
    return float(brentq(distance, low, high)) if distance(low) > 0 > distance(high) else low


def mcnemar_p(attack: ArrayLike, control: ArrayLike) -> float:
    """Exact one-sided McNemar test that the attack hits more of the same people (I,).

    Discordant pairs may be expected, hence fractional, counts; the binomial tail is then the
    incomplete beta function that it equals at whole ones.

    >>> mcnemar_p([1, 1, 1], [0, 0, 0])
    0.125
    """
    a, c = np.asarray(attack, dtype=float), np.asarray(control, dtype=float)
    gained, lost = float(a @ (1 - c)), float(c @ (1 - a))
    return float(betainc(gained, lost + 1, 0.5)) if gained > 0 else 1.0


def chance_p(hits: float, n: int, chance: float) -> float:
    """Exact one-sided binomial test that n identities are hit more often than by chance.

    Hits may be fractional, as in `metrics.stats.proportion`.

    >>> round(chance_p(3, 10, 0.1), 4)
    0.0702
    """
    return float(betainc(hits, n - hits + 1, chance)) if hits > 0 else 1.0


def retained_identifiability(
    attack: ArrayLike,
    control: ArrayLike,
    ceiling: ArrayLike,
    *,
    alpha: float = 0.05,
    replicates: int = 4000,
    seed: int = 0,
) -> Estimate:
    """Share (a - c)/(ceiling - c) of the clear pictures' identifiability that is still there.

    Two-sided percentile bootstrap over identities.

    Args:
        attack, control, ceiling: (I,) hits of the same identities in the same order.
    """
    arrays = [np.asarray(x, dtype=float) for x in (attack, control, ceiling)]
    n, method = arrays[0].size, "bootstrap-percentile"
    if len({x.shape for x in arrays}) != 1:
        raise ValueError("attack, control and ceiling must hold the same identities")
    if n == 0 or arrays[2].mean() <= arrays[1].mean():
        return Estimate.unknown(
            "the clear ceiling does not exceed the control", n=n, n_identities=n, method=method
        )
    a, c, top = _resampled_rates(arrays, replicates, seed)
    above = top > c
    draws = (a[above] - c[above]) / (top[above] - c[above])
    mean_a, mean_c, mean_top = (float(x.mean()) for x in arrays)
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    value = (mean_a - mean_c) / (mean_top - mean_c)
    return Estimate(value, float(low), float(high), n, n, method, alpha)


def _resampled_rates(arrays: Sequence[Floats], replicates: int, seed: int) -> list[Floats]:
    """Mean hit of each array over identities drawn with replacement, ties drawn anew."""
    rng = np.random.default_rng(seed)
    n = arrays[0].size
    drawn = rng.integers(n, size=(replicates, n))
    return [
        np.mean(rng.random((replicates, n), dtype=np.float32) < hits[drawn], axis=1)
        for hits in arrays
    ]


def holm(p_values: ArrayLike) -> Floats:
    """Holm's (1979) adjusted p-values: family-wise error stays below alpha.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def holm_levels(p_values: ArrayLike, alpha: float = 0.05) -> Floats:
    """Error level at which to compute each attack's bound so that its sign agrees with Holm.

    The j-th smallest p-value is met at alpha/(m - j + 1); from the first that fails, the level no
    longer rises. Whether a bound at its level exceeds 0 is then valid for the whole family.

    >>> holm_levels([0.001, 0.04, 0.03], 0.06).tolist()
    [0.02, 0.06, 0.03]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(len(p), 0, -1)
    failed = np.flatnonzero(p[order] > steps)
    if failed.size:
        steps[failed[0] :] = steps[failed[0]]
    levels = np.empty_like(p)
    levels[order] = steps
    return levels


def bits(accuracy: Estimate, prior: float) -> Estimate:
    """Identifying information log2(accuracy / prior) an attack adds to the best blind guess.

    Args:
        accuracy: rank-1 rate with its interval.
        prior: rank-1 rate of the best blind guess, 1/G or more.

    >>> bits(Estimate(0.5, 0.25, 1.0, 8, 8, "clopper-pearson"), 1 / 64).value
    5.0
    """
    return accuracy.map(
        lambda rate: math.log2(rate / prior) if rate > 0 else -math.inf,
        f"log2 of {accuracy.method}",
    )


def information_bits(true_posterior: ArrayLike, gallery: int) -> float:
    """Lower bound log2 G + mean log2 q(true | scores) on the information per probe, in bits.

    Args:
        true_posterior: (B,) probability a calibrated attacker gives to the right identity.
        gallery: number of equally likely identities G.
    """
    q = np.asarray(true_posterior, dtype=float)
    with np.errstate(divide="ignore"):
        return float(np.log2(gallery) + np.mean(np.log2(q)))


def fano_bits(accuracy: float, gallery: int) -> float:
    """Fano's lower bound on the information per probe, in bits: loose, but needs only rank-1.

    >>> fano_bits(1.0, 1024)
    10.0
    """
    error = 1 - accuracy
    entropy = -(xlogy(error, error) + xlogy(accuracy, accuracy)) / math.log(2)
    spread = error * math.log2(gallery - 1) if gallery > 1 else 0.0
    return max(0.0, math.log2(gallery) - float(entropy) - spread)
