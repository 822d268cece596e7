"""Same person, or not, from two pictures of one pile: linkability of its pictures to one another.

Every two pictures of the pile are a pair, mated where both show one person, but for two faces of
one picture. Intervals resample whole people: a pair of two people counts as often as both of them
were drawn, and a person drawn twice makes no pair with themselves. The null shuffles who is whom
and leaves every score where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.proportion import clopper_pearson
from reid_audit.metrics.stats.resampling import PermutationTest

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FARS: Mapping[str, float] = {"tar_far_01": 0.01, "tar_far_001": 0.001}
"""False-accept rates at which true-accept rates are stated, by the measure's name."""
MEASURES = ("auroc", *FARS, "eer", "d_sys")
RESOLVED = 10
"""Non-mated pairs that must lie beyond a false-accept rate for it to be stated."""
REPLICATES, SHUFFLES = 400, 199
_CHUNK = 4_000_000  # weights held at once: 32 MB


@dataclass(frozen=True, eq=False)
class Pairs:
    """All P pairs of a pile, by rising score.

    scores: `(P,)`. first, second: `(P,)` rows of the pile. owner: `(N,)` person of each row, 0 to
    I - 1.
    """

    scores: Floats
    first: Ints
    second: Ints
    owner: Ints

    @classmethod
    def of(cls, scores: ArrayLike, people: ArrayLike, pictures: ArrayLike) -> Pairs:
        """Pairs of N faces.

        Args:
            scores: `(N, N)` symmetric, finite, higher is more alike; the diagonal is not read.
            people: `(N,)` who each shows.
            pictures: `(N,)` in which picture each stands: faces of one picture make no pair.

        Raises:
            ValueError: a score is not finite.
        """
        matrix = np.asarray(scores, dtype=float)
        _, owner = np.unique(np.asarray(people), return_inverse=True)
        _, place = np.unique(np.asarray(pictures), return_inverse=True)
        first, second = np.triu_indices(len(owner), 1)
        apart = place[first] != place[second]
        first, second = first[apart], second[apart]
        values = matrix[first, second]
        if not np.isfinite(values).all():
            raise ValueError("linkability needs finite scores: leave failures to acquire out")
        order = np.argsort(values, kind="stable")
        return cls(values[order], first[order], second[order], owner)

    @property
    def mated(self) -> NDArray[np.bool_]:
        """`(P,)` whether both show one person."""
        return np.asarray(self.owner[self.first] == self.owner[self.second])

    @property
    def people(self) -> int:
        """How many people have a mated pair."""
        return len(np.unique(self.owner[self.first[self.mated]]))


def linkability(pairs: Pairs, *, alpha: float = 0.05, seed: int = 0) -> dict[str, Estimate]:
    """AUROC, TAR at FAR, EER and D_sys, with intervals over people.

    A true-accept rate of 0 or 1 leaves a bootstrap nothing to vary: its interval is Clopper and
    Pearson's over the people who have a pair.

    Returns:
        An estimate for each of `MEASURES`; without a value where a side is empty or a false-accept
        rate is finer than the pairs resolve.
    """
    mated = pairs.mated
    count, people = len(mated), int(pairs.owner.max(initial=-1)) + 1
    reason = None
    if not mated.any():
        reason = "nobody is shown by two pictures"
    elif mated.all():
        reason = "everybody is one person"
    if reason:
        return dict.fromkeys(MEASURES, Estimate.unknown(reason, n=count, n_identities=people))
    ones = mated[None].astype(float)
    observed = {name: float(value[0]) for name, value in _measure(pairs, ones, 1 - ones).items()}
    parts = [_measure(pairs, *weights) for weights in _resampled(pairs, seed)]
    estimates = {}
    for name, value in observed.items():
        far = FARS.get(name)
        if far is not None and far * (~mated).sum() < RESOLVED:
            told = f"{(~mated).sum()} pairs of two people do not resolve a false-accept rate of"
            estimates[name] = Estimate.unknown(f"{told} {far:g}", n=count, n_identities=people)
            continue
        draws = np.concatenate([part[name] for part in parts])
        draws = draws[np.isfinite(draws)]
        low, high = (float(q) for q in np.quantile(draws, [alpha / 2, 1 - alpha / 2]))
        method = "bootstrap-percentile"
        if far is not None and value in (0.0, 1.0):
            exact = clopper_pearson(value * pairs.people, pairs.people, alpha=alpha)
            assert exact.low is not None and exact.high is not None
            low, high, method = exact.low, exact.high, exact.method
        estimates[name] = Estimate(value, low, high, count, people, method, alpha)
    return estimates


def shuffled(pairs: Pairs, *, alpha: float = 0.05, seed: int = 0) -> dict[str, Estimate]:
    """The measures when who is whom is shuffled: their mean, and the range of most shuffles.

    D_sys of few pairs lies far above 0 by chance alone; this says how far.
    """
    if not pairs.mated.any() or pairs.mated.all():
        return dict.fromkeys(MEASURES, Estimate.unknown("nobody is shown by two pictures"))
    estimates = {}
    count, people = len(pairs.scores), int(pairs.owner.max()) + 1
    for name, draws in _shuffles(pairs, seed).items():
        if not draws.size:
            estimates[name] = Estimate.unknown(
                "no shuffle left a mated pair", n=count, n_identities=people
            )
            continue
        low, high = (float(q) for q in np.quantile(draws, [alpha / 2, 1 - alpha / 2]))
        mean = float(draws.mean())
        estimates[name] = Estimate(mean, low, high, count, people, "label permutation", alpha)
    return estimates


def shuffle_test(pairs: Pairs, *, seed: int = 0) -> PermutationTest:
    """Whether pairs of one person score higher than they do when who is whom is shuffled (AUROC).

    Raises:
        ValueError: there is no mated, or no other, pair.
    """
    ones = _both_sides(pairs)
    observed = float(_measure(pairs, ones, 1 - ones, ("auroc",))["auroc"][0])
    return PermutationTest.of(observed, _shuffles(pairs, seed, ("auroc",))["auroc"])


def _shuffles(pairs: Pairs, seed: int, names: tuple[str, ...] = MEASURES) -> dict[str, Floats]:
    """Each measure under shuffled names, where it is defined."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(pairs.scores))
    parts = []
    for start in range(0, SHUFFLES, step):
        size = min(step, SHUFFLES - start)
        owners = np.stack([rng.permutation(pairs.owner) for _ in range(size)])
        same = (owners[:, pairs.first] == owners[:, pairs.second]).astype(float)
        parts.append(_measure(pairs, same, 1 - same, names))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return {name: draws[np.isfinite(draws)] for name, draws in joined.items()}


@dataclass(frozen=True)
class Excess:
    """How much better one attack tells mated pairs than its control: the difference of AUROCs.

    p_value: one-sided, from the bootstrap's standard error over people.
    """

    estimate: Estimate
    p_value: float


def excess(pairs: Pairs, control: Pairs, *, alpha: float = 0.05, seed: int = 0) -> Excess:
    """AUROC of `pairs` less that of the same faces under a control, people drawn for both at once.

    Raises:
        ValueError: there is no mated, or no other, pair.
    """
    both = []
    for own in (pairs, control):
        ones = _both_sides(own)
        observed = _measure(own, ones, 1 - ones, ("auroc",))["auroc"]
        draws = [_measure(own, *w, ("auroc",))["auroc"] for w in _resampled(own, seed)]
        both.append(np.concatenate([observed, *draws]))
    difference = both[0] - both[1]
    value, draws_of = float(difference[0]), difference[1:]
    draws_of = draws_of[np.isfinite(draws_of)]
    low, high = (float(q) for q in np.quantile(draws_of, [alpha / 2, 1 - alpha / 2]))
    spread = float(draws_of.std())
    p_value = float(ndtr(-value / spread)) if spread > 0 else (0.0 if value > 0 else 1.0)
    people = int(pairs.owner.max()) + 1
    return Excess(
        Estimate(value, low, high, len(pairs.scores), people, "bootstrap-percentile", alpha),
        p_value,
    )


def rank_1_hits(scores: ArrayLike, people: ArrayLike, pictures: ArrayLike) -> Floats:
    """Whether each face's most similar face of another picture shows the same person.

    Ties for the first place count by the share of them that does.

    Args:
        scores, people, pictures: as of `Pairs.of`.

    Returns:
        `(N,)` in [0, 1]; NaN where no other picture shows the person.

    >>> same = np.ones((4, 4))
    >>> rank_1_hits(same, ["a", "a", "b", "c"], range(4)).tolist()[:2]
    [0.3333333333333333, 0.3333333333333333]
    """
    matrix = np.asarray(scores, dtype=float)
    who, where = np.asarray(people), np.asarray(pictures)
    apart = where[:, None] != where[None]
    same = (who[:, None] == who[None]) & apart
    top = np.max(np.where(apart, matrix, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    first = apart & (matrix == top)
    with np.errstate(invalid="ignore"):
        hits = (first & same).sum(axis=1) / first.sum(axis=1)
    return np.where(same.any(axis=1), hits, np.nan)


def rank_1_chance(people: ArrayLike, pictures: ArrayLike) -> float:
    """Mean of `rank_1_hits` of a blind guess, over the faces that have a mate; NaN without any."""
    hits = rank_1_hits(np.zeros((len(np.asarray(people)),) * 2), people, pictures)
    return float(np.nanmean(hits)) if np.isfinite(hits).any() else float("nan")


def _both_sides(pairs: Pairs) -> Floats:
    """Weights `(1, P)`: 1 for mated pairs, of which there must be some, as of others."""
    if not pairs.mated.any() or pairs.mated.all():
        raise ValueError("mated and non-mated pairs are both needed")
    return pairs.mated[None].astype(float)


def _resampled(pairs: Pairs, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Weights `(R, P)` of mated and of other pairs, people drawn with replacement."""
    count = int(pairs.owner.max()) + 1
    first, second = pairs.owner[pairs.first], pairs.owner[pairs.second]
    mated = first == second
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(pairs.scores))
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=size).astype(float)
        weights = drawn[:, first]
        yield np.where(mated, weights, 0.0), np.where(mated, 0.0, weights * drawn[:, second])


def _measure(
    pairs: Pairs, mated: Floats, other: Floats, names: tuple[str, ...] = MEASURES
) -> dict[str, Floats]:
    """Each measure `(R,)` under weights `(R, P)` of pairs by rising score; NaN without a side."""
    ends = np.flatnonzero(np.diff(pairs.scores, append=np.inf) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Shares of each side at or below every distinct score.
        below = [np.cumsum(side, axis=1)[:, ends] for side in (mated, other)]
        below = [side / side[:, -1:] for side in below]
    # Accepted at the threshold of every distinct score, from the strictest, which accepts nobody.
    tar, far = (
        np.pad(np.pad(1 - side[:, :-1], ((0, 0), (1, 0)), constant_values=1.0), ((0, 0), (0, 1)))[
            :, ::-1
        ]
        for side in below
    )
    measures = {}
    if "auroc" in names:
        measures["auroc"] = np.sum(np.diff(far) * (tar[:, 1:] + tar[:, :-1]) / 2, axis=1)
    for name, target in FARS.items():
        if name in names:
            last = (far <= target + 1e-12).sum(axis=1) - 1
            measures[name] = np.take_along_axis(tar, np.maximum(last, 0)[:, None], axis=1)[:, 0]
            measures[name][~np.isfinite(far[:, -1] + tar[:, -1])] = np.nan
    if "eer" in names:
        measures["eer"] = _eer(far, tar)
    if "d_sys" in names:
        bins = int(np.clip(pairs.mated.sum() // 10, 10, 100))  # as the authors' evaluation has it
        edges = np.histogram_bin_edges(pairs.scores[ends], bins)
        places = np.searchsorted(pairs.scores[ends], edges[1:-1], side="left")
        p, q = (
            np.diff(np.pad(side, ((0, 0), (1, 0)))[:, np.r_[0, places, len(ends)]], axis=1)
            for side in below
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            local = np.maximum(np.where(p > 0, (p - q) / (p + q), 0.0), 0.0)
        measures["d_sys"] = np.sum(local * p, axis=1)
    return {name: measures[name] for name in names}


def _eer(far: Floats, tar: Floats) -> Floats:
    gap = far - (1 - tar)
    after = np.argmax(gap >= 0, axis=1)  # gap starts at -1 and ends at 1
    rows = np.arange(len(gap))
    before = np.maximum(after - 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = -gap[rows, before] / (gap[rows, after] - gap[rows, before])
    rate = far[rows, before] + share * (far[rows, after] - far[rows, before])
    return np.where(np.isfinite(gap[:, -1]), rate, np.nan)
