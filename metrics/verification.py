"""Same person or not? Rates, likelihood ratios and linkability of pairwise scores.

`mated` (M,) and `nonmated` (N,) are comparison scores of same-person and of different-person
pairs, growing with similarity; -inf marks a failure to acquire and never matches.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from reid_audit.metrics.stats.resampling import PermutationTest

Floats = NDArray[np.float64]


def auroc(mated: ArrayLike, nonmated: ArrayLike) -> float:
    """Probability that a mated score exceeds a non-mated one, ties counted half (Mann-Whitney).

    NaN when either side is empty.

    >>> auroc([2, 3], [1, 2])
    0.875
    """
    high, low = _scores(mated), _scores(nonmated)
    if not (high.size and low.size):
        return float("nan")
    total = rankdata(np.r_[high, low])[: high.size].sum()
    return float((total - high.size * (high.size + 1) / 2) / (high.size * low.size))


@dataclass(frozen=True)
class Roc:
    """Operating points of "match at threshold or above", from the strictest to the laxest.

    Args:
        threshold: (T,) falling, first +inf.
        far: (T,) false-accept rate.
        tar: (T,) true-accept rate.
    """

    threshold: Floats
    far: Floats
    tar: Floats


def roc(mated: ArrayLike, nonmated: ArrayLike) -> Roc:
    """Receiver operating characteristic at every distinct finite score.

    Raises:
        ValueError: one side is empty.
    """
    high, low = _both(mated, nonmated)
    pooled = np.unique(np.r_[high, low])
    threshold = np.r_[np.inf, pooled[np.isfinite(pooled)][::-1]]
    far, tar = (
        np.asarray(1 - np.searchsorted(np.sort(side), threshold) / side.size)
        for side in (low, high)
    )
    return Roc(threshold, far, tar)


def tar_at_far(mated: ArrayLike, nonmated: ArrayLike, far: float) -> tuple[float, float]:
    """True-accept rate at the laxest threshold whose measured FAR is at most `far`.

    Returns:
        (tar, threshold); the threshold is +inf, and the rate 0, when no score is strict enough.

    >>> tar_at_far([0.9, 0.8, 0.2], [0.5, 0.3, 0.1, 0.0], 0.25)
    (0.6666666666666667, 0.5)
    """
    curve = roc(mated, nonmated)
    last = np.flatnonzero(curve.far <= far)[-1]
    return float(curve.tar[last]), float(curve.threshold[last])


def eer(mated: ArrayLike, nonmated: ArrayLike) -> float:
    """Equal error rate: where FAR meets 1 - TAR, between operating points by a straight line."""
    curve = roc(mated, nonmated)
    gap = curve.far - (1 - curve.tar)
    after = int(np.argmax(gap >= 0)) if (gap >= 0).any() else len(gap) - 1
    if after == 0 or gap[after] < 0:
        return float((curve.far[after] + 1 - curve.tar[after]) / 2)
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(curve.far[after - 1] + share * (curve.far[after] - curve.far[after - 1]))


def cllr(mated_log_lr: ArrayLike, nonmated_log_lr: ArrayLike) -> float:
    """Cost of log-likelihood-ratios in bits (Bruemmer and du Preez 2006).

    0 is perfect, 1 is what LR = 1 for every pair earns, more than 1 misleads.

    Args:
        mated_log_lr, nonmated_log_lr: natural logarithms of LR = p(score|same)/p(score|different).

    >>> round(cllr(np.log([2, 4]), np.log([0.5, 1])), 6)
    0.622963
    """
    same, different = _both(mated_log_lr, nonmated_log_lr)
    loss = np.logaddexp(0, -same).mean() + np.logaddexp(0, different).mean()
    return float(loss / (2 * np.log(2)))


Calibration = Callable[[ArrayLike], Floats]
"""Maps scores (B,) to natural-log likelihood ratios (B,)."""


def logistic_calibration(mated: ArrayLike, nonmated: ArrayLike) -> Calibration:
    """Affine map from score to log LR, fitted by logistic regression with both sides weighing 1/2.

    Fit on development identities. A light ridge (C = 1000 on standardised scores) keeps the slope
    finite where the two sides do not overlap. Non-finite scores carry no evidence: log LR 0.
    """
    high, low = (side[np.isfinite(side)] for side in _both(mated, nonmated))
    pooled = np.r_[high, low]
    centre, spread = pooled.mean(), pooled.std() or 1.0
    model = LogisticRegression(C=1000.0, class_weight="balanced")
    same = np.r_[np.ones(high.size), np.zeros(low.size)]
    model.fit(((pooled - centre) / spread)[:, None], same)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])

    def log_lr(scores: ArrayLike) -> Floats:
        x = np.asarray(scores, dtype=float)
        return np.where(np.isfinite(x), slope * (x - centre) / spread + offset, 0.0)

    return log_lr


def pav_calibration(mated: ArrayLike, nonmated: ArrayLike) -> Calibration:
    """Monotone map from score to log LR by pool-adjacent-violators (isotonic regression).

    One virtual pair of each kind beyond either end keeps every LR finite: N pairs cannot support
    an LR much above N. Non-finite scores carry no evidence: log LR 0.
    """
    high, low = (side[np.isfinite(side)] for side in _both(mated, nonmated))
    pooled = np.r_[high, low]
    reach = np.ptp(pooled) or 1.0
    ends = np.array([pooled.min() - reach, pooled.max() + reach])
    x = np.r_[high, low, ends, ends]
    same = np.r_[np.ones(high.size), np.zeros(low.size), 1, 1, 0, 0]
    weight = np.where(same == 1, 1 / (high.size + 2), 1 / (low.size + 2))
    model = IsotonicRegression().fit(x, same, sample_weight=weight)

    def log_lr(scores: ArrayLike) -> Floats:
        s = np.asarray(scores, dtype=float)
        posterior = np.interp(s, model.X_thresholds_, model.y_thresholds_)
        return np.where(np.isfinite(s), logit(posterior), 0.0)

    return log_lr


def local_linkability(lr: ArrayLike, omega: float = 1.0) -> Floats:
    """Linkability D of a score with likelihood ratio lr (Gomez-Barrero et al. 2018).

    0 where the score speaks against the same person, rising to 1.

    Args:
        omega: prior odds of same against different person.
    """
    odds = omega * np.asarray(lr, dtype=float)
    with np.errstate(invalid="ignore"):
        linkability = np.where(np.isinf(odds), 1.0, (odds - 1) / (odds + 1))
    return np.maximum(0.0, linkability)


def d_sys(
    mated: ArrayLike,
    nonmated: ArrayLike,
    *,
    omega: float = 1.0,
    bins: int = 100,
    permutations: int = 999,
    seed: int = 0,
) -> PermutationTest:
    """Global linkability D_sys with its permutation null (Gomez-Barrero et al. 2018).

    Densities are histograms over the pooled range, as in the authors' evaluation. With few pairs
    the estimate is far above 0 even for equal distributions (97 against 5000 pairs: about .22),
    so `observed` means nothing without `null_mean` and `p_value`.

    Raises:
        ValueError: one side is empty or a score is not finite.
    """
    high, low = _both(mated, nonmated)
    pooled = np.r_[high, low]
    if not np.isfinite(pooled).all():
        raise ValueError("D_sys needs finite scores: leave failures to acquire out and count them")
    edges = np.histogram_bin_edges(pooled, bins)
    same, total = np.histogram(high, edges)[0], np.histogram(pooled, edges)[0]

    def linkability(counts: NDArray[np.int64]) -> Floats:
        p, q = counts / high.size, (total - counts) / low.size
        with np.errstate(divide="ignore", invalid="ignore"):
            local = local_linkability(np.where(p > 0, p / q, 0.0), omega)
        return np.asarray((local * p).sum(axis=-1))

    # Shuffling labels leaves the pooled histogram as it is and redraws the mated share of it.
    rng = np.random.default_rng(seed)
    null = rng.multivariate_hypergeometric(total, high.size, size=permutations)
    return PermutationTest.of(float(linkability(same)), linkability(null))


def _scores(values: ArrayLike) -> Floats:
    scores = np.asarray(values, dtype=float)
    if np.isnan(scores).any():
        raise ValueError("a score is NaN: mark failures to acquire as -inf")
    return scores


def _both(mated: ArrayLike, nonmated: ArrayLike) -> tuple[Floats, Floats]:
    high, low = _scores(mated), _scores(nonmated)
    if not (high.size and low.size):
        raise ValueError(f"{high.size} mated and {low.size} non-mated scores: both are needed")
    return high, low
