"""Several pictures of one person looked up together: what an album or a film gives away.

What an attack gets wrong about two pictures is largely unlike, what they have in common is the
person. Whoever knows that pictures show one person adds up what each of them says of everybody in
the gallery (the sum rule of score fusion; Kittler et al. 1998).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.audit.trials.scoring import identification_rows

FEWEST = 2
"""Pictures of a person that there must be."""


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
