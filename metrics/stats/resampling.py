"""Bootstrap over identities and permutation tests, vectorised over replicates and seeded.

The percentile bootstrap covers too little for a pass bound (benchmarks/tried.md, bounds), so bounds
on rates come from `metrics.stats.proportion`; here are differences, AUROC, Cllr and means of
per-image values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from reid_audit.metrics.stats.estimate import Estimate

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Takes weights (R, B) of B observations in R replicates, returns R values."""

_CHUNK = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True)
class PermutationTest:
    """An observed statistic against the values it takes when labels are shuffled."""

    observed: float
    null_mean: float
    null_high: float  # 95th percentile of the shuffled values
    p_value: float  # share of shuffles at least as large, the observed one counted in

    @classmethod
    def of(cls, observed: float, null: ArrayLike) -> Self:
        """Compare with shuffled values (P,); the p-value is never 0 (Phipson and Smyth 2010)."""
        values = np.asarray(null, dtype=float)
        # The same sum in another order differs in its last bits: those are equal values.
        as_large = np.count_nonzero(values >= observed - 1e-12 * max(1.0, abs(observed)))
        p_value = float(1 + as_large) / (1 + len(values))
        return cls(observed, float(values.mean()), float(np.quantile(values, 0.95)), p_value)


def bootstrap_weights(
    identities: ArrayLike, *, replicates: int = 2000, seed: int = 0
) -> Iterator[Floats]:
    """Weights (r, B) of resampled identities, in chunks that together make the replicates.

    Whole people are drawn with replacement; all pictures of a person share its weight.
    """
    _, owner = np.unique(np.asarray(identities), return_inverse=True)
    people = int(owner.max()) + 1
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(owner))
    for start in range(0, replicates, step):
        size = min(step, replicates - start)
        yield rng.multinomial(people, np.full(people, 1 / people), size=size)[:, owner].astype(
            float
        )


def bootstrap_interval(
    statistic: Statistic,
    identities: ArrayLike,
    *,
    alpha: float = 0.05,
    replicates: int = 2000,
    seed: int = 0,
    method: Literal["percentile", "bca"] = "percentile",
) -> Estimate:
    """Two-sided interval of any weighted statistic, whole identities resampled.

    Replicates in which the statistic is undefined (no mated person drawn, say) are left out.

    Args:
        statistic: see `Statistic`; `mean_statistic` and its like make them.
        identities: (B,) label of the person behind each observation.
        method: "bca" corrects bias and skewness (Efron 1987), at one more evaluation per person.

    >>> hits = np.array([1.0, 1, 0, 1])
    >>> bootstrap_interval(mean_statistic(hits), ["a", "a", "b", "c"]).value
    0.75
    """
    labels = np.asarray(identities)
    name = f"bootstrap-{method}"
    if labels.size == 0:
        return Estimate.unknown("no observations", method=name)
    people, owner = np.unique(labels, return_inverse=True)
    value = float(statistic(np.ones((1, len(labels))))[0])
    if not np.isfinite(value):
        return Estimate.unknown(
            "the statistic is undefined on these observations",
            n=len(labels),
            n_identities=len(people),
            method=name,
        )
    draws = np.concatenate(
        [statistic(w) for w in bootstrap_weights(labels, replicates=replicates, seed=seed)]
    )
    draws = draws[np.isfinite(draws)]
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca":
        left_out = np.concatenate(
            [
                statistic((owner != chunk[:, None]).astype(float))
                for chunk in np.array_split(
                    np.arange(len(people)), 1 + len(people) * len(owner) // _CHUNK
                )
            ]
        )
        levels = _bca_levels(levels, draws, value, left_out)
    low, high = np.quantile(draws, levels) if len(people) > 1 else (None, None)
    return Estimate(
        value,
        None if low is None else float(low),
        None if high is None else float(high),
        len(labels),
        len(people),
        name,
        alpha,
        None if low is not None else "one identity: no interval",
    )


def _bca_levels(levels: Floats, draws: Floats, value: float, left_out: Floats) -> Floats:
    """Percentile levels corrected for bias and acceleration (Efron 1987)."""
    below = np.mean(draws < value) + np.mean(draws == value) / 2
    deviation = np.nanmean(left_out) - left_out
    spread = np.nansum(deviation**2)
    if not 0 < below < 1 or spread == 0:
        return levels
    bias = ndtri(below)
    acceleration = np.nansum(deviation**3) / (6 * spread**1.5)
    shifted = bias + ndtri(levels)
    corrected: Floats = ndtr(bias + shifted / (1 - acceleration * shifted))
    return corrected


def mean_statistic(values: ArrayLike) -> Statistic:
    """Weighted mean of values (B,); pass `a - b` for a paired difference."""
    x = np.asarray(values, dtype=float)

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            means: Floats = weights @ x / weights.sum(axis=1)
        return means

    return statistic


def auroc_statistic(scores: ArrayLike, mated: ArrayLike) -> Statistic:
    """Weighted area under the ROC curve of scores (B,), ties counted half."""
    values, positive = np.asarray(scores, dtype=float), np.asarray(mated, dtype=bool)
    levels, rank = np.unique(values, return_inverse=True)
    # One column per distinct score: sums over ties become sums over columns.
    order = np.argsort(rank, kind="stable")
    starts = np.searchsorted(rank[order], np.arange(len(levels)))

    def statistic(weights: Floats) -> Floats:
        mass = np.add.reduceat(np.where(positive, weights, 0)[:, order], starts, axis=1)
        other = np.add.reduceat(np.where(positive, 0, weights)[:, order], starts, axis=1)
        below = np.cumsum(other, axis=1) - other / 2
        with np.errstate(invalid="ignore"):
            area: Floats = np.sum(mass * below, axis=1) / (mass.sum(axis=1) * other.sum(axis=1))
        return area

    return statistic


def cllr_statistic(log_lr: ArrayLike, mated: ArrayLike) -> Statistic:
    """Weighted Cllr (bits) of natural-log likelihood ratios (B,)."""
    llr, positive = np.asarray(log_lr, dtype=float), np.asarray(mated, dtype=bool)
    cost = np.logaddexp(0, np.where(positive, -llr, llr)) / np.log(2)

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            halves = [
                weights[:, side] @ cost[side] / weights[:, side].sum(axis=1)
                for side in (positive, ~positive)
            ]
        return np.asarray((halves[0] + halves[1]) / 2)

    return statistic


def mean_estimate(
    values: ArrayLike, identities: ArrayLike, *, alpha: float = 0.05, seed: int = 0
) -> Estimate:
    """Mean of a per-image measure (PSNR, SSIM, IDD ...) with an interval over identities.

    Pictures without a finite value are left out of the mean and counted in `reason`.
    """
    x, labels = np.asarray(values, dtype=float), np.asarray(identities)
    finite = np.isfinite(x)
    if not finite.any():
        return Estimate.unknown(
            f"none of {len(x)} pictures has a finite value", method="bootstrap-percentile"
        )
    estimate = bootstrap_interval(mean_statistic(x[finite]), labels[finite], alpha=alpha, seed=seed)
    if finite.all():
        return estimate
    missing = f"{np.count_nonzero(~finite)} of {len(x)} pictures have no finite value"
    reason = missing if estimate.reason is None else f"{missing}; {estimate.reason}"
    return Estimate(**{**estimate.to_dict(), "reason": reason})
