"""Curves of one attack for the report: open-set errors and identity distances."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.audit.results.schema import Curve
from reid_audit.metrics.fidelity import idd
from reid_audit.metrics.identification import Ranks

Floats = NDArray[np.floating]
FEWEST_STRANGERS = 10
"""Probes of people outside the gallery below which an open-set curve is a few steps of noise."""
BINS = 45
DIGITS = 5


def det_curve(attack: pd.DataFrame) -> Curve | None:
    """Open-set detection error trade-off (ISO/IEC 19795-1), threshold by threshold.

    x: share of strangers' probes for which somebody is named (FPIR); y: share of known people's
    probes whose own person is not named first and above the threshold (FNIR).

    Args:
        attack: trials with columns mated, failed, better, ties, gallery, top_score, mate_score,
            identity; probes of unknown identity count for neither side.

    Returns:
        None with fewer than `FEWEST_STRANGERS` probes of strangers, or none of known people.
    """
    mated = attack[attack.mated]
    strangers = attack[~attack.mated & attack.identity.notna()]
    if mated.empty or len(strangers) < FEWEST_STRANGERS:
        return None
    ranks = Ranks(
        mated.better.to_numpy(),
        mated.ties.to_numpy(),
        mated.mated.to_numpy(),
        mated.failed.to_numpy(),
        int(mated.gallery.iloc[0]),
    )
    hit, own = ranks.hits(1), mated.mate_score.to_numpy(float)
    alarm = np.where(strangers.failed, -np.inf, strangers.top_score).astype(float)
    thresholds = np.unique(alarm)[::-1]
    fpir = [float(np.mean(alarm >= level)) for level in thresholds]
    fnir = [1 - float(np.mean(hit * (own >= level))) for level in thresholds]
    return Curve(x=[round(x, DIGITS) for x in fpir], y=[round(y, DIGITS) for y in fnir])


def idd_curves(restored: Floats, originals: Floats, people: list[str]) -> dict[str, Curve]:
    """Histograms of the angle between what was found and the clear faces, as densities over
    radians: `idd_mated` against the same picture's original, `idd_nonmated` against other people's.

    Args:
        restored, originals: embeddings `(N, d)` of the same probes after the attack and before the
            anonymisation.
        people: who each of them shows.
    """
    names = np.asarray(people, dtype=object)
    # Every probe against those a few places on: some thousand pairs, each probe as often.
    steps = range(1, 1 + min(len(names) - 1, max(1, 4000 // max(len(names), 1))))
    places = np.arange(len(names))
    pairs = np.concatenate(
        [np.stack([places, (places + step) % len(names)], axis=1) for step in steps]
        or [np.zeros((0, 2), np.intp)]
    )
    pairs = pairs[names[pairs[:, 0]] != names[pairs[:, 1]]]
    curves = {"idd_mated": _histogram(idd(restored, originals))}
    if len(pairs):
        apart = idd(restored[pairs[:, 0]], originals[pairs[:, 1]])
        curves["idd_nonmated"] = _histogram(apart)
    return curves


def _histogram(angles: Floats) -> Curve:
    density, edges = np.histogram(angles, bins=BINS, range=(0, math.pi), density=True)
    centres = (edges[:-1] + edges[1:]) / 2
    used = np.flatnonzero(density)
    shown = slice(max(used[0] - 1, 0), used[-1] + 2)
    return Curve(
        x=[round(float(x), DIGITS) for x in centres[shown]],
        y=[round(float(y), DIGITS) for y in density[shown]],
    )
