"""How many people an audit needs, and what an audit of so many people can see."""

import math

from scipy.special import bdtr, betainc, betaincinv


def detectable_risk(n: int, *, hits: int = 0, alpha: float = 0.05) -> float:
    """Smallest risk that n identities with so many hits can exclude (one-sided exact bound).

    With no hits this is the "rule of three": about 3/n.

    >>> round(detectable_risk(50), 4)
    0.0582
    """
    return float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0


def identities_needed(risk: float, *, hits: int = 0, alpha: float = 0.05) -> int:
    """Fewest identities whose one-sided upper bound is below `risk` with so many hits.

    >>> [identities_needed(r) for r in (0.05, 0.01, 0.001)]
    [59, 299, 2995]
    >>> [identities_needed(r, hits=1) for r in (0.05, 0.01, 0.001)]
    [93, 473, 4742]
    """
    _check(risk)
    if hits == 0:
        return math.ceil(math.log(alpha) / math.log1p(-risk))
    low, high = hits, 2 * hits + 1
    while bdtr(hits, high, risk) > alpha:
        low, high = high, 2 * high
    while high - low > 1:  # bdtr falls as n grows, so bisection finds the first n
        middle = (low + high) // 2
        low, high = (middle, high) if bdtr(hits, middle, risk) > alpha else (low, middle)
    return high


def identities_to_show(
    gained: float, lost: float, *, alpha: float = 0.05, most: int = 100_000
) -> int | None:
    """Fewest identities at which the one-sided McNemar test shows that one rate exceeds another.

    Args:
        gained, lost: shares of people whom only the first, and only the second, identifies; taken
            to hold at every number of people.
        most: where the search ends.

    Returns None where the excess is not above zero, or too small for `most` people.

    >>> identities_to_show(0.25, 0.0), identities_to_show(0.1, 0.1)
    (18, None)
    """
    if gained <= lost:
        return None

    def shown(n: int) -> bool:
        return float(betainc(gained * n, lost * n + 1, 0.5)) <= alpha

    if not shown(most):
        return None
    low, high = 0, most
    while high - low > 1:  # at constant shares the tail falls as n grows
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def identities_for_power(
    true_risk: float, threshold: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Fewest identities with which a true risk is bounded below the threshold often enough.

    Args:
        true_risk: the share of people who really are identified.
        threshold: the declared rate that the one-sided upper bound must stay below.
        power: wanted probability that it does.

    Raises:
        ValueError: true_risk is not below the threshold.

    >>> identities_for_power(0.0, 0.05)
    59
    """
    _check(threshold)
    if not 0 <= true_risk < threshold:
        raise ValueError(f"a true risk of {true_risk} cannot be bounded below {threshold}")
    hits = 0
    # Among the n that forgive the same number of hits the smallest has the most power.
    while True:
        n = identities_needed(threshold, hits=hits, alpha=alpha)
        if bdtr(hits, n, true_risk) >= power:
            return n
        hits += 1


def _check(risk: float) -> None:
    if not 0 < risk < 1:
        raise ValueError(f"a risk must lie between 0 and 1, not {risk}")
