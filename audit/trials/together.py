"""Several pictures of one person looked up together: what an album or a film gives away.

What an attack gets wrong about two pictures is largely unlike, what they have in common is the
person. Whoever knows that pictures show one person adds up what each of them says of everybody in
the gallery (the sum rule of score fusion; Kittler et al. 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.audit.trials.scoring import identification_rows

FEWEST = 2
"""Pictures of a person that there must be."""
MOST = 16_000_000
"""Scores that are kept of one attack and kind: 64 MB."""


def rows_to_keep(
    studied: Sequence[int], identities: Sequence[str | None], people: Sequence[str]
) -> tuple[int, ...]:
    """The studied probes of people of the gallery `people` with several of them; whole people, as
    many as `MOST` scores hold.

    >>> rows_to_keep([0, 1, 2, 4], ["a", "b", "a", "c", "d"], ["a", "b", "d"])
    (0, 2)
    """
    enrolled, room = frozenset(people), MOST // max(1, len(people))
    counts = Counter(who for row in studied if (who := identities[row]) in enrolled)
    chosen = set()
    for who, count in sorted(counts.items(), key=lambda item: str(item[0])):
        if FEWEST <= count <= room:
            chosen.add(who)
            room -= count
    return tuple(row for row in studied if identities[row] in chosen)


def together(scores: NDArray[np.float32], mates: NDArray[np.intp]) -> pd.DataFrame:
    """One trial for every person of the gallery with several pictures.

    Args:
        scores: `(N, G)`, of an attack's probes against everybody; higher is more alike. Each
            probe's count in deviations from its own mean, so that none outweighs the others.
        mates: `(N,)`, the column of each probe's own person, -1 for none.

    Returns:
        The columns of `identification_rows` and `pictures`, a row for each person; empty where
        nobody has several pictures.

    >>> told = together(np.array([[2, 1, 0], [0, 1, 0.9]], np.float32), np.array([0, 0]))
    >>> int(told.pictures[0]), int(told.better[0])
    (2, 1)
    """
    people, counts = np.unique(mates[mates >= 0], return_counts=True)
    several = counts >= FEWEST
    if not several.any():
        return pd.DataFrame()
    spread = scores.std(axis=1, keepdims=True)
    said = (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    means = np.stack([said[mates == person].mean(axis=0) for person in people[several]])
    return identification_rows(means, people[several]).assign(pictures=counts[several])
