"""People without names: faces of originals gathered by a recogniser at a stated false-match rate.

Two faces in one picture are two people. Such pairs, and pairs of faces of people known to differ,
are impostors beyond doubt; the threshold is set on them. Faces are then joined by average linkage,
which keeps two faces of one picture apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.metrics.errors import InputError

FALSE_MATCH_RATE = 1e-3
"""Share of impostor pairs that may pass for one person."""
ENOUGH_AT = 1.0
"""False matches among the impostor pairs from which their number sets the threshold: with fewer
pairs the quantile asked for lies beyond the largest of them."""
PUBLISHED: Mapping[str, float] = MappingProxyType({"dlib": -0.6})
"""Similarity at which recognisers' makers call two faces one person: dlib's is a Euclidean distance
of .6 (`face_recognition_model_v1` in its documentation)."""
MOST_FACES = 10_000
"""All pairs of so many faces take 800 MB as a matrix, and some minutes to join."""
APART = 1e12
"""Stands for a distance that no threshold reaches, however many pairs it is averaged with."""


@dataclass(frozen=True, eq=False)
class Clustering:
    """Faces by the person they seem to show.

    labels: `(N,)` from 0, in the order in which people first appear.
    threshold: similarity from which faces count as one person's.
    impostor_pairs: pairs surely of two people; false_matches: those that reach the threshold.
    published: whether the threshold is the recogniser's own, for want of impostor pairs.
    """

    labels: NDArray[np.intp]
    threshold: float
    impostor_pairs: int
    false_matches: int
    published: bool


def pseudo_identities(
    embeddings: NDArray[np.float32],
    pictures: Sequence[str],
    recognizer: Recognizer,
    false_match_rate: float = FALSE_MATCH_RATE,
    strangers: NDArray[np.float32] | None = None,
) -> Clustering:
    """Cluster faces so that of pairs of two people at most `false_match_rate` would pass as one.

    Args:
        embeddings: `(N, D)` of the faces.
        pictures: `(N,)` the picture that shows each; faces of one are never joined.
        strangers: `(M, D)` faces of other people, one of each, as further impostors.

    Raises:
        InputError: too few impostor pairs for the rate, and no published threshold; or more faces
            than can be compared pair by pair.
    """
    count = len(embeddings)
    if count > MOST_FACES:
        raise InputError(
            f"--identities auto: {count:,} faces of originals are more than the {MOST_FACES:,} "
            "that are compared pair by pair; audit a part of the pictures at a time."
        )
    # In float64: a threshold next above a similarity is that similarity in float32.
    alike = recognizer.similarity(embeddings, embeddings).astype(np.float64)
    shown = np.unique(np.asarray(pictures), return_inverse=True)[1]
    together = shown[:, None] == shown
    upper = np.triu(np.ones((count, count), bool), 1)
    impostors = alike[together & upper]
    if strangers is not None and len(strangers) > 1:
        others = recognizer.similarity(strangers, strangers).astype(np.float64)
        impostors = np.concatenate([impostors, others[np.triu_indices(len(strangers), 1)]])
    published = len(impostors) * false_match_rate < ENOUGH_AT
    if not published:
        threshold = threshold_at(impostors, false_match_rate)
    elif recognizer.name in PUBLISHED:
        threshold = PUBLISHED[recognizer.name]
    else:
        raise InputError(
            f"--identities auto: {len(impostors):,} pairs of faces surely show two people (two in "
            f"one picture, or people of --background); a false-match rate of {false_match_rate:g} "
            f"takes {round(ENOUGH_AT / false_match_rate):,}, and {recognizer.name} has no "
            "published threshold: give --background with a folder for each person, or "
            "--recognizers dlib."
        )
    return Clustering(
        _clusters(alike, together, threshold),
        threshold,
        len(impostors),
        int((impostors >= threshold).sum()),
        published,
    )


def threshold_at(impostors: ArrayLike, false_match_rate: float) -> float:
    """The lowest similarity that at most `false_match_rate` of the impostor pairs `(P,)` reach.

    >>> round(threshold_at([0.1, 0.2, 0.3, 0.4], 0.25), 3)
    0.3
    """
    ordered = np.sort(np.asarray(impostors, np.float64))[::-1]
    allowed = int(false_match_rate * len(ordered) + 1e-9)
    return float(np.nextafter(ordered[min(allowed, len(ordered) - 1)], np.inf))


def _clusters(
    alike: NDArray[np.float64], together: NDArray[np.bool_], threshold: float
) -> NDArray[np.intp]:
    """Labels `(N,)` by average linkage of similarities `(N, N)`, none of it between faces that
    stand together."""
    if len(alike) < 2:
        return np.zeros(len(alike), np.intp)
    top = max(float(alike.max()), threshold)
    far = np.where(together, APART, top - alike)
    far = (far + far.T) / 2
    np.fill_diagonal(far, 0)
    tree = linkage(squareform(far, checks=False), "average")
    clusters = fcluster(tree, top - threshold, "distance")
    _, first, labels = np.unique(clusters, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[labels], np.intp)
