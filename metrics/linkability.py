"""Same person, or not, from two pictures of one pile: linkability of its pictures to one another.

Every two pictures of the pile are a pair, mated where both show one person, but for two faces of
one picture. Intervals resample whole people: a pair of two people counts as often as both of them
were drawn, and a person drawn twice makes no pair with themselves. The null shuffles who is whom
and leaves every score where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.proportion import clopper_pearson
from reid_audit.metrics.stats.resampling import PermutationTest

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Counts = NDArray[np.int32]

FARS: Mapping[str, float] = {"tar_far_01": 0.01, "tar_far_001": 0.001}
"""False-accept rates at which true-accept rates are stated, by the measure's name."""
MEASURES = ("auroc", *FARS, "eer", "d_sys")
RESOLVED = 10
"""Non-mated pairs that must lie beyond a false-accept rate for it to be stated."""
REPLICATES, SHUFFLES = 400, 199
_CHUNK = 1_000_000  # weights held at once: 4 MB, about what a processor has at hand


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
    ones = mated[None].astype(np.int32)
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
        same = (owners[:, pairs.first] == owners[:, pairs.second]).astype(np.int32)
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


def _both_sides(pairs: Pairs) -> Counts:
    """Weights `(1, P)`: 1 for mated pairs, of which there must be some, as of others."""
    if not pairs.mated.any() or pairs.mated.all():
        raise ValueError("mated and non-mated pairs are both needed")
    return pairs.mated[None].astype(np.int32)


def _resampled(pairs: Pairs, seed: int) -> Iterator[tuple[Counts, Counts]]:
    """Weights `(R, P)` of mated and of other pairs: how often each is made of people who are drawn
    with replacement."""
    count = int(pairs.owner.max()) + 1
    first, second = pairs.owner[pairs.first], pairs.owner[pairs.second]
    mated = first == second
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(pairs.scores))
    for start in range(0, REPLICATES, step):
        size = min(step, REPLICATES - start)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.int32)
        weights = drawn[:, first]
        yield weights * mated, weights * drawn[:, second] * ~mated


def _measure(
    pairs: Pairs, mated: Counts, other: Counts, names: tuple[str, ...] = MEASURES
) -> dict[str, Floats]:
    """Each measure `(R,)` under weights `(R, P)` of pairs by rising score; NaN without a side."""
    curve = _Curve.of(pairs, mated, other)
    measures = {}
    if "auroc" in names:
        measures["auroc"] = curve.auroc()
    for name in FARS.keys() & set(names):
        measures[name] = curve.tar_at(FARS[name])
    if "eer" in names:
        measures["eer"] = curve.eer()
    if "d_sys" in names:
        bins = int(np.clip(pairs.mated.sum() // 10, 10, 100))  # as the authors' evaluation has it
        measures["d_sys"] = curve.d_sys(bins)
    return {name: np.where(curve.defined, measures[name], np.nan) for name in names}


@dataclass(frozen=True, eq=False)
class _Curve:
    """What is rejected at each of E thresholds just above a distinct score, by rising score.

    distinct: `(E,)`. mated, other: `(R, E)` weights of pairs at or below each. Only sums over all
    pairs take the time of all pairs: rates are looked up where they are asked for.
    """

    distinct: Floats
    mated: Counts
    other: Counts

    @classmethod
    def of(cls, pairs: Pairs, mated: Counts, other: Counts) -> _Curve:
        ends = np.flatnonzero(np.diff(pairs.scores, append=np.inf) > 0)
        below = [np.cumsum(side, axis=1, dtype=np.int32) for side in (mated, other)]
        if len(ends) < len(pairs.scores):
            below = [side[:, ends] for side in below]
        return cls(pairs.scores[ends], *below)

    @property
    def defined(self) -> NDArray[np.bool_]:
        """`(R,)` whether there are pairs of both sides."""
        return np.asarray((self.mated[:, -1] > 0) & (self.other[:, -1] > 0))

    def rejected(self, thresholds: Ints) -> tuple[Floats, Floats]:
        """Shares `(R, K)` of mated and of other pairs that are rejected at `thresholds` `(R, K)`:
        0 rejects nobody, E everybody."""
        rows = np.arange(len(self.mated))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            mated, other = (
                np.where(thresholds > 0, side[rows, thresholds - 1], 0.0) / side[:, -1:]
                for side in (self.mated, self.other)
            )
        return mated, other

    def first(self, reached: Callable[[Ints], NDArray[np.bool_]]) -> Ints:
        """`(R, 1)` lowest threshold at which something holds `(R, 1)` that holds from there on."""
        low = np.zeros((len(self.mated), 1), dtype=np.intp)
        high = np.full_like(low, len(self.distinct))
        while (low < high).any():
            middle = (low + high) // 2
            holds = reached(middle) | (low == high)
            low, high = np.where(holds, low, middle + 1), np.where(holds, middle, high)
        return low

    def auroc(self) -> Floats:
        """Share of mated pairs above others, ties counted by half."""
        moves = (self.mated[:, 1:] != self.mated[:, :-1]).any(axis=0)
        shown = np.r_[0, 1 + np.flatnonzero(moves)]  # the scores of mated pairs, and the first
        own, under = (side[:, shown].astype(float) for side in (self.mated, self.other))
        own = np.diff(own, axis=1, prepend=0)
        under[:, 1:] += self.other[:, shown[1:] - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = 2.0 * self.mated[:, -1] * self.other[:, -1].astype(float)
            return np.asarray(np.einsum("rs,rs->r", own, under) / whole)

    def tar_at(self, far: float) -> Floats:
        """Share of mated pairs accepted at the most lax threshold of at most this false-accept
        rate."""
        place = self.first(lambda at: 1 - self.rejected(at)[1] <= far + 1e-12)
        return np.asarray(1 - self.rejected(place)[0][:, 0])

    def eer(self) -> Floats:
        """Rate at which as many mated pairs are rejected as others accepted, between the two
        thresholds where it lies."""

        def rates(at: Ints) -> tuple[Floats, Floats]:
            mated, other = self.rejected(at)
            return 1 - other, 1 - other - mated

        # From lax to strict: the gap falls from 1 to -1.
        after = np.maximum(self.first(lambda at: rates(at)[1] < 0) - 1, 0)
        far, gap = rates(after)
        stricter_far, stricter_gap = rates(np.minimum(after + 1, len(self.distinct)))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = -stricter_gap / (gap - stricter_gap)
        return np.asarray((stricter_far + share * (far - stricter_far))[:, 0])

    def d_sys(self, bins: int) -> Floats:
        """ISO/IEC 24745's measure, over a histogram of so many bins."""
        edges = np.histogram_bin_edges(self.distinct, bins)
        places = np.searchsorted(self.distinct, edges[1:-1], side="left")
        at = np.r_[0, places, len(self.distinct)]
        p, q = (
            np.diff(side, axis=1)
            for side in self.rejected(np.broadcast_to(at, (len(self.mated), len(at))))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            local = np.maximum(np.where(p > 0, (p - q) / (p + q), 0.0), 0.0)
        return np.asarray(np.sum(local * p, axis=1))
