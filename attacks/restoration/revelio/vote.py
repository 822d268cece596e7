"""Who a probe shows, when it was restored N times: each round names its nearest reference face, the
person named most often is retrieved, and the shortest distance settles a tie (Revelio, 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Tally:
    """Votes on B probes among G people in R rounds.

    scores: `(B, G)` float32, one ranking per probe: people in the order of votes, then of their
        best similarity; its values are those similarities in falling order, so that the highest is
        minus the lowest distance and can tell strangers.
    votes: `(B, G)` rounds that named each person. best: `(B, G)` highest similarity in any round.
    round: `(B,)` the round in which the retrieved person came nearest.
    """

    scores: np.ndarray
    votes: np.ndarray
    best: np.ndarray
    round: np.ndarray

    @property
    def retrieved(self) -> np.ndarray:
        """`(B,)` column of the person that won."""
        return _order(self.votes, self.best)[:, 0]


def tally(similarity: np.ndarray) -> Tally:
    """Count the votes of `similarity (B, R, G)`, higher is nearer.

    >>> rounds = [[.9, .1, .2], [.3, .5, .4], [.3, .6, .4]]  # one near miss, two for the second
    >>> found = tally(np.array([rounds]))
    >>> found.votes.tolist(), found.retrieved.tolist(), found.scores.astype(float).round(1).tolist()
    ([[1, 2, 0]], [1], [[0.6, 0.9, 0.4]])
    """
    people = similarity.shape[2]
    named = similarity.argmax(axis=2)
    votes = (named[:, :, None] == np.arange(people)).sum(axis=1)
    best = similarity.max(axis=1)
    order = _order(votes, best)
    scores = np.empty(best.shape, np.float32)
    np.put_along_axis(scores, order, -np.sort(-best, axis=1).astype(np.float32), axis=1)
    winner = order[:, 0]
    own = np.take_along_axis(similarity, winner[:, None, None], axis=2)[:, :, 0]
    return Tally(scores, votes, best, own.argmax(axis=1))


def _order(votes: np.ndarray, best: np.ndarray) -> np.ndarray:
    """People `(B, G)` by votes, then by similarity, then by name."""
    return np.lexsort((-best, -votes), axis=1)


def by_person(
    similarity: np.ndarray, identities: Sequence[str], people: Sequence[str]
) -> np.ndarray:
    """Similarity to the nearest picture of each person: `(..., pictures)` -> `(..., people)`.

    >>> by_person(np.array([.1, .7, .5]), ["b", "a", "b"], ["a", "b"]).tolist()
    [0.7, 0.5]
    """
    column = {person: index for index, person in enumerate(people)}
    order = np.argsort([column[person] for person in identities], kind="stable")
    starts = np.searchsorted([column[identities[row]] for row in order], np.arange(len(people)))
    return np.maximum.reduceat(similarity[..., order], starts, axis=-1)
