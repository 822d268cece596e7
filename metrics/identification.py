"""Who is it? Ranks, CMC, open-set rates and gallery size, from scores probe x identity.

Conventions. Scores (B, G) grow with similarity; each column is one gallery identity (reduce
several reference pictures with `identity_scores` first). `mate` (B,) is the column of the probe's
own identity, -1 where the gallery lacks it (a non-mated probe). A row without any finite score is
a failure to acquire: it misses at every rank, is counted, and is reported apart as `failed`, since
a face that one detector missed is not a private face.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.metrics.extrapolation import Pool, Strangers, hits_among
from reid_audit.metrics.stats.resampling import PermutationTest
from reid_audit.metrics.verification import auroc

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranks:
    """Where each probe's mate stands among G identities.

    Args:
        better: (B,) other identities that score strictly above the mate (0 if non-mated).
        ties: (B,) other identities that score exactly the same (0 if non-mated).
        mated: (B,) the gallery holds the probe's identity.
        failed: (B,) failure to acquire.
        gallery: number of identities G.
    """

    better: Ints
    ties: Ints
    mated: Bools
    failed: Bools
    gallery: int

    def hits(self, k: int = 1) -> Floats:
        """Probability (B,) that the mate is within the first k, ties broken at random.

        The mate takes any of the ties + 1 places from better + 1 on alike, so a tie for the first
        place scores 1/(ties+1): counting strict beaters would call all-zero embeddings 100 %
        identified, argmax 0 %. NaN where the probe has no mate, 0 where acquisition failed.
        """
        places = np.clip((k - self.better) / (self.ties + 1), 0, 1)
        return np.where(self.mated, np.where(self.failed, 0.0, places), np.nan)


def identity_scores(scores: ArrayLike, owner: ArrayLike) -> Floats:
    """Best score per identity (B, G) from scores per reference picture (B, M).

    Args:
        owner: (M,) identity index 0 .. G-1 of each reference picture, none left out.
    """
    values, column = _clean(scores), np.asarray(owner)
    order = np.argsort(column, kind="stable")
    starts = np.searchsorted(column[order], np.arange(column.max() + 1))
    return np.asarray(np.maximum.reduceat(values[:, order], starts, axis=1))


def rank(scores: ArrayLike, mate: ArrayLike) -> Ranks:
    """Rank the mate of every probe; a NaN score ranks last.

    Raises:
        ValueError: shapes disagree, or a mate lies outside the gallery.

    >>> rank([[0.9, 0.5, 0.9]], [0]).hits().tolist()
    [0.5]
    """
    values, mates = _clean(scores), _mates(scores, mate)
    mated = mates >= 0
    own = np.take_along_axis(values, np.maximum(mates, 0)[:, None], axis=1)
    better = np.where(mated, np.count_nonzero(values > own, axis=1), 0)
    ties = np.where(mated, np.count_nonzero(values == own, axis=1) - 1, 0)
    return Ranks(better, ties, mated, _failed(values), values.shape[1])


def cmc(ranks: Ranks, max_rank: int | None = None) -> Floats:
    """Cumulative match characteristic (K,): mean hit of the mated probes within rank 1 .. K.

    >>> cmc(rank([[0.1, 0.9], [0.8, 0.2]], [0, 0])).tolist()
    [0.5, 1.0]
    """
    if not ranks.mated.any():
        raise ValueError("a CMC needs at least one mated probe")
    depths = range(1, (max_rank or ranks.gallery) + 1)
    return np.array([ranks.hits(k)[ranks.mated].mean() for k in depths])


def top_scores(scores: ArrayLike) -> Floats:
    """Best score (B,) of each probe over the gallery, -inf where acquisition failed."""
    return np.asarray(_clean(scores).max(axis=1))


def ood_auroc(scores: ArrayLike, mate: ArrayLike) -> float:
    """Can the top score tell who is in the gallery? AUROC of mated against non-mated probes.

    .5 is chance. Failures to acquire rank last on both sides. NaN when one side is empty.
    """
    top, mated = top_scores(scores), _mates(scores, mate) >= 0
    return auroc(top[mated], top[~mated])


@dataclass(frozen=True)
class OpenSet:
    """Open-set identification at one threshold (ISO/IEC 19795-1).

    Args:
        threshold: a candidate is returned at this score or above.
        identified: (mated,) probability that the mate is within `k` and at the threshold.
        alarms: (non-mated,) a stranger is returned.
    """

    threshold: float
    identified: Floats
    alarms: Bools

    @property
    def fnir(self) -> float:
        """False-negative identification rate, 1 - DIR; NaN without mated probes."""
        return 1 - float(self.identified.mean()) if self.identified.size else float("nan")

    @property
    def fpir(self) -> float:
        """False-positive identification rate; NaN without non-mated probes."""
        return float(self.alarms.mean()) if self.alarms.size else float("nan")


def open_set(scores: ArrayLike, mate: ArrayLike, threshold: float, *, k: int = 1) -> OpenSet:
    """Open-set outcome of every probe; choose the threshold on development identities."""
    values, mates = _clean(scores), _mates(scores, mate)
    ranks = rank(values, mates)
    own = np.take_along_axis(values, np.maximum(mates, 0)[:, None], axis=1)[:, 0]
    identified = ranks.hits(k)[ranks.mated] * (own[ranks.mated] >= threshold)
    # A probe without scores has top -inf, which even a threshold of -inf must not call an alarm.
    alarms = (values.max(axis=1) >= threshold) & ~ranks.failed
    return OpenSet(threshold, identified, alarms[~ranks.mated])


def threshold_at_fpir(nonmated_top: ArrayLike, fpir: float) -> float:
    """Lowest threshold at which at most a share `fpir` of strangers is returned.

    Args:
        nonmated_top: (N,) top scores of non-mated (development) probes; see `top_scores`.
    """
    top = np.sort(np.asarray(nonmated_top, dtype=float))[::-1]
    if top.size == 0:
        raise ValueError("a threshold for an FPIR needs at least one non-mated probe")
    allowed = int(np.floor(fpir * top.size + 1e-9))
    return float("-inf") if allowed >= top.size else float(np.nextafter(top[allowed], np.inf))


def fpir_from_fmr(fmr: float, gallery: int) -> float:
    """FPIR = 1 - (1 - FMR)^N of a search among N identities that match independently.

    >>> round(fpir_from_fmr(0.001, 1000), 3)
    0.632
    """
    return float(-np.expm1(gallery * np.log1p(-fmr))) if fmr < 1 else 1.0


@dataclass(frozen=True)
class GalleryScaling:
    """Rank-1 hit of each mated probe at other gallery sizes.

    Args:
        sizes: (S,) gallery sizes.
        hits: (mated, S) probability of rank 1.
        extrapolated: (S,) True beyond the gallery measured: a model, not a measurement.
    """

    sizes: Ints
    hits: Floats
    extrapolated: Bools

    @property
    def rate(self) -> Floats:
        """Rank-1 rate (S,)."""
        return np.asarray(self.hits.mean(axis=0))


def scale_gallery(scores: ArrayLike, mate: ArrayLike, sizes: Iterable[int]) -> GalleryScaling:
    """Rank-1 identification had the gallery held another number of identities.

    Down to G' < G the answer is exact: the G' - 1 others are a random subset of the G - 1, so a
    probe with m better identities survives with C(G-1-m, G'-1)/C(G-1, G'-1). Up it is told by the
    tail of other people's scores: see `metrics.extrapolation`. (A line through log G, often drawn,
    goes below zero.)

    Raises:
        ValueError: sizes that are none, or larger ones with too few scores of others.
    """
    values, mates = _clean(scores), _mates(scores, mate)
    ranks = rank(values, mates)
    wanted = np.array(sorted(set(sizes)), dtype=np.intp)
    if wanted.size == 0 or wanted[0] < 1:
        raise ValueError("gallery sizes must be positive")
    extrapolated = wanted > ranks.gallery
    seen = ranks.mated & ~ranks.failed
    hits = np.zeros((len(values), len(wanted)))
    for column, size in enumerate(wanted[~extrapolated]):
        hits[seen, column] = _subset_hits(ranks.better[seen], ranks.ties[seen], ranks.gallery, size)
    if extrapolated.any() and seen.any():
        strangers = Strangers.of(values[seen], mates[seen])
        pool = Pool(strangers)
        tail = pool.tail()
        if tail is None:
            raise ValueError("too few scores of others to tell rank-1 in a larger gallery")
        hits[np.ix_(seen, extrapolated)] = hits_among(
            pool.z, wanted[extrapolated].tolist(), tail, ranks.better[seen], pool.others
        )
    return GalleryScaling(wanted, hits[ranks.mated], extrapolated)


def _subset_hits(better: Ints, ties: Ints, gallery: int, size: int) -> Floats:
    others = np.arange(gallery - 1)
    # survive[m]: none of m better identities is among the size - 1 drawn.
    survive = np.cumprod(
        np.r_[1.0, np.maximum(gallery - size - others, 0) / (gallery - 1 - others)]
    )
    # A tie puts the mate behind 0 .. ties of its equals with the same probability each.
    total = np.r_[0.0, np.cumsum(survive)]
    return np.asarray((total[better + ties + 1] - total[better]) / (ties + 1))


def label_permutation(
    scores: ArrayLike, mate: ArrayLike, *, permutations: int = 999, seed: int = 0
) -> PermutationTest:
    """Rank-1 rate against the rate when the names on the gallery are shuffled.

    Names move as whole identities among the identities that have probes, so several probes of one
    person stay together and a gallery that favours some faces favours them in the null too.
    """
    values, mates = _clean(scores), _mates(scores, mate)
    usable = mates >= 0
    if not usable.any():
        raise ValueError("a label permutation needs at least one mated probe")
    values, mates = values[usable], mates[usable]
    best = values == values.max(axis=1, keepdims=True)
    reward = best / best.sum(axis=1, keepdims=True) * ~_failed(values)[:, None]
    names, owner = np.unique(mates, return_inverse=True)
    # gain[i, j]: hits of identity i's probes if the gallery called column j by that name.
    gain = np.zeros((len(names), len(names)))
    np.add.at(gain, owner, reward[:, names])
    rng = np.random.default_rng(seed)
    rows = np.arange(len(names))
    null = [gain[rows, rng.permutation(len(names))].sum() for _ in range(permutations)]
    return PermutationTest.of(float(np.trace(gain)) / len(mates), np.array(null) / len(mates))


def _clean(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"scores must have shape (probes, identities), not {values.shape}")
    return np.where(np.isnan(values), -np.inf, values)


def _mates(scores: ArrayLike, mate: ArrayLike) -> Ints:
    shape, mates = np.shape(scores), np.asarray(mate, dtype=np.intp)
    if mates.shape != shape[:1] or (mates >= shape[1]).any() or (mates < -1).any():
        raise ValueError(f"mate must hold one column of {shape[1]}, or -1, for {shape[0]} probes")
    return mates


def _failed(values: Floats) -> Bools:
    return np.asarray(~np.isfinite(values).any(axis=1))
