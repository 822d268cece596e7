"""Rank-1 in a gallery larger than the one that was searched, from how other people score.

A probe is named among N people when none of the N - 1 others scores above its mate, which happens
with probability (1 - p)^(N - 1), p being the chance that one of them does. For large N only the
uppermost scores of other people matter. Probes differ in where these begin and how far they spread:
both are told from each probe's own highest scores, the spread drawn towards that of all probes as
far as few scores cannot tell it (empirical Bayes). In these units the scores of all probes are
pooled, and a generalised Pareto distribution is fitted to them (Pickands 1975; probability-weighted
moments, Hosking and Wallis 1987). benchmarks/gallery.md shows how near that comes.

The people added are taken to be like those of the gallery. Real ones may hold relatives and
look-alikes that a small gallery lacks, so that the truth may lie lower.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.proportion import clopper_pearson
from reid_audit.metrics.stats.resampling import bootstrap_weights

Floats = NDArray[np.float64]
Scores = NDArray[np.float32]
KEPT = 64
"""Highest scores of other people that are kept of each probe."""
TAIL, LEAST = 0.01, 20
"""Share of a probe's scores of other people that its tail holds, and how many at least."""
FEWEST = 50
"""Scores of all probes that it takes at least."""
BEYOND = 100
"""How many times as many people as there are scores of others are spoken of at most."""
REPLICATES = 300
METHOD = "generalised Pareto tail, extrapolated"


@dataclass(frozen=True, eq=False)
class Strangers:
    """How B probes score against others than their mate, in deviations from each probe's own mean.

    own: `(B,)` the mate's score; NaN of a probe without a mate or without scores.
    top: `(B, K)` the highest scores of others, highest first; NaN likewise.
    others: how many others there are.
    """

    own: Scores
    top: Scores
    others: int

    @classmethod
    def of(cls, scores: ArrayLike, mate: ArrayLike, keep: int = KEPT) -> Strangers:
        """From scores `(B, G)` that grow with similarity and the mates' columns `(B,)`, -1 for
        none."""
        values, mates = np.asarray(scores, dtype=float), np.asarray(mate, dtype=np.intp)
        others = values.shape[1] - 1
        keep = min(keep, others)
        own = np.full(len(values), np.nan)
        top = np.full((len(values), keep), np.nan)
        for row in np.flatnonzero((mates >= 0) & np.isfinite(values).all(axis=1)):
            rest = np.delete(values[row], mates[row])
            spread = rest.std() if others else 0.0
            if spread > 0:
                own[row] = (values[row, mates[row]] - rest.mean()) / spread
                highest = np.partition(rest, others - keep)[others - keep :]
                top[row] = (np.sort(highest)[::-1] - rest.mean()) / spread
        return cls(own.astype(np.float32), top.astype(np.float32), others)

    @property
    def scored(self) -> int:
        """Scores of others, of all probes."""
        return int(np.isfinite(self.own).sum()) * self.others

    def select(self, rows: NDArray[np.intp]) -> Strangers:
        """Some of the probes."""
        return Strangers(self.own[rows], self.top[rows], self.others)


@dataclass(frozen=True)
class Tail:
    """Chance that another person scores above z, in units of a probe's own tail (`Pool.z`):
    `share` at `start`, beyond it a generalised Pareto distribution."""

    start: float
    share: float
    shape: float
    scale: float

    def above(self, z: Floats) -> Floats:
        """The chance for `z (B,)` at or beyond `start`."""
        if self.scale <= 0:
            return np.zeros_like(z)
        beyond = (z - self.start) / self.scale
        reduced = 1 + self.shape * beyond
        if abs(self.shape) < 1e-6:
            return np.asarray(self.share * np.exp(-beyond))
        inside = reduced > 0
        return np.where(
            inside, self.share * np.where(inside, reduced, 1.0) ** (-1 / self.shape), 0.0
        )


class Pool:
    """The uppermost scores of others, of all probes together, fitted with weights on probes.

    z: `(B,)` the mate's score above the start of each probe's own tail, in its spreads; negative
        below it, NaN of a probe without scores.
    others: how many others each probe was compared with.
    """

    def __init__(self, strangers: Strangers) -> None:
        seen = np.flatnonzero(np.isfinite(strangers.own))
        self.others, self.probes, self.seen = strangers.others, len(strangers.own), seen
        kept = min(max(round(TAIL * self.others), LEAST), strangers.top.shape[1])
        top = strangers.top[seen].astype(np.float64)
        start, unit = _starts_and_spreads(top, kept)
        self.z = np.full(self.probes, np.nan)
        self.z[seen] = (strangers.own[seen] - start) / unit
        pooled = (top - start[:, None]) / unit[:, None]
        rows, columns = np.nonzero(pooled > 0)
        values = pooled[rows, columns]
        order = np.argsort(-values, kind="stable")
        self.values, self.owner = values[order], seen[rows[order]]

    def tail(self, weights: Floats | None = None) -> Tail | None:
        """The tail under weights `(B,)` on probes; None with fewer than `FEWEST` scores."""
        weight = np.ones(self.probes) if weights is None else weights
        total = float(weight[self.seen].sum()) * self.others
        each = weight[self.owner]
        reached = np.cumsum(each)
        count = int(np.searchsorted(reached, TAIL * total, side="right"))
        count = min(max(count, FEWEST), len(self.values))
        if count < FEWEST or reached[count - 1] <= 0:
            return None
        start = float(self.values[count - 1])
        excess, used, heavier = self.values[:count] - start, each[:count], reached[:count]
        mass = float(heavier[-1])
        mean = float(used @ excess) / mass
        # Mean of each excess times the share of scores above it, its own half included.
        moment = float(used @ (excess * (heavier - used / 2))) / mass**2
        slack = mean - 2 * moment
        if mean <= 0 or slack <= 0:
            return Tail(start, mass / total, 0.0, max(mean, 0.0))
        shape = 2 - mean / slack
        return Tail(start, mass / total, shape, mean * (1 - shape))


def _starts_and_spreads(top: Floats, kept: int) -> tuple[Floats, Floats]:
    """Where each probe's tail begins and how far it spreads, `(B,)` each, from its highest scores
    `(B, K)`: the lowest of the first `kept`, and the mean of the others' excess over it, drawn
    towards that of all probes by the share of its variance that chance explains. An exponential
    tail, the same for all, would show a variance of spread^2 / (kept - 1)."""
    if kept < 2 or not len(top):
        return np.zeros(len(top)), np.ones(len(top))
    start = top[:, kept - 1]
    excess = (top[:, : kept - 1] - start[:, None]).mean(axis=1)
    mean, variance = float(excess.mean()), float(excess.var())
    own = max(0.0, 1 - mean**2 / (kept - 1) / variance) if variance > 0 else 0.0
    spread = own * excess + (1 - own) * mean
    return start, np.where(spread > 0, spread, 1.0)


def hits_among(
    z: Floats, sizes: Sequence[int], tail: Tail, better: ArrayLike, others: int
) -> Floats:
    """Probability `(B, S)` that each probe's mate stands first among so many people.

    Args:
        z: `(B,)` of the mates, as `Pool.z`.
        better: `(B,)` of so many `others` that scored above the mate, which says all of a probe
            whose mate lies below the tail.
    """
    counted = np.asarray(better, dtype=float) / max(others, 1)
    inside = z >= tail.start
    chance = np.where(
        inside,
        tail.above(np.where(inside, z, tail.start)),
        np.maximum(counted, tail.share),
    )
    survive = np.log1p(-np.clip(chance, 0.0, 1 - 1e-15))
    none_above = np.exp(survive[:, None] * (np.asarray(sizes, dtype=float)[None] - 1))
    return np.where(np.isfinite(z)[:, None], none_above, 0.0)


def larger_galleries(
    strangers: Strangers,
    better: ArrayLike,
    identities: ArrayLike,
    drawn: ArrayLike,
    sizes: Iterable[int],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> dict[int, Estimate]:
    """Rank-1 by person had the gallery held so many people, by size.

    The interval holds what people were drawn (Clopper-Pearson) and how the tail would have come out
    on other probes (people resampled, the tail fitted anew), whichever is wider.

    Args:
        strangers, better: of mated probes `(B,)`; one that failed has NaN and misses.
        identities: `(B,)` who is shown.
        drawn: the rows that count, one a person; all of them say how strangers score.
        sizes: numbers of people, each larger than the gallery searched.
    """
    wanted = list(sizes)
    rows, people = np.asarray(drawn, dtype=np.intp), np.asarray(identities)
    count, beat = len(rows), np.asarray(better)
    pool = Pool(strangers)
    tail = pool.tail()

    def unknown(reason: str) -> Estimate:
        return Estimate.unknown(reason, n=count, n_identities=count, method=METHOD)

    if tail is None:
        return dict.fromkeys(wanted, unknown("too few scores of other people to tell their tail"))
    told = [size for size in wanted if size <= BEYOND * strangers.scored]
    chosen = pool.z[rows], told
    value = hits_among(*chosen, tail, beat[rows], pool.others).mean(axis=0)
    draws = []
    for chunk in bootstrap_weights(people, replicates=REPLICATES, seed=seed):
        for weights in chunk:
            again, own = pool.tail(weights), weights[rows]
            if again is not None and own.sum() > 0:
                hits = hits_among(*chosen, again, beat[rows], pool.others)
                draws.append(own @ hits / own.sum())
    low, high = np.quantile(np.array(draws), [alpha / 2, 1 - alpha / 2], axis=0)
    estimates = dict.fromkeys(
        wanted,
        unknown(f"more than {BEYOND} times as many people as there are scores of others"),
    )
    for place, size in enumerate(told):
        exact = clopper_pearson(float(value[place]) * count, count, alpha=alpha)
        estimates[size] = Estimate(
            float(value[place]),
            float(min(low[place], exact.low if exact.low is not None else 0.0)),
            float(max(high[place], exact.high if exact.high is not None else 1.0)),
            count,
            count,
            METHOD,
            alpha,
        )
    return estimates
