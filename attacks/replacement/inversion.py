"""From the identity of a replaced face back to the one it replaced, learnt from pairs.

The attacker has the tool, or some of its outputs with their originals, and so holds pairs of other
people. What a tool does to identities in a recogniser's space is often one map for everybody: one
that moves each as far away as it can negates them, and a linear map learnt from pairs finds that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import RidgeCV

from reid_audit.attacks.vectors import centred, unit

Floats = NDArray[np.floating]
MAPS = ("bare", "negation", "ridge", "nearest")
"""What stands for the original's identity: the output's own; its opposite about the mean of all
outputs; a linear map of it; the originals of the pairs whose outputs are most like it."""
PENALTIES = (0.1, 1.0, 10.0, 100.0)
NEAREST = 5
FOLDS = 5
ALIKE = 0.5
"""Cosine about the mean from which two unnamed originals are held out together."""


def guesses(outputs: Floats, originals: Floats, people: NDArray[np.intp]) -> dict[str, Floats]:
    """What each of `MAPS` takes the originals' identities to be, learnt from other people's pairs.

    Args:
        outputs, originals: embeddings `(N, d)` of replaced faces and of the faces that they
            replaced, by one recogniser.
        people: `(N,)` who each original shows; nobody is answered for by their own pairs.

    Returns:
        Directions `(N, d)` to compare with `centred(originals)`.
    """
    seen, true = centred(outputs), centred(originals)
    mapped, nearest = np.zeros_like(true), np.zeros_like(true)
    for asked, known in folds(people):
        ridge = RidgeCV(alphas=PENALTIES).fit(seen[known], true[known])
        mapped[asked] = ridge.predict(seen[asked])
        alike = seen[asked] @ seen[known].T
        few = min(NEAREST, len(known))
        places = np.argpartition(-alike, few - 1, axis=1)[:, :few]
        weights = np.maximum(np.take_along_axis(alike, places, axis=1), 1e-6)
        nearest[asked] = np.einsum("nk,nkd->nd", weights, true[known][places])
    return {"bare": seen, "negation": -seen, "ridge": unit(mapped), "nearest": unit(nearest)}


def folds(
    people: NDArray[Any], most: int = FOLDS
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows that are asked about and rows to learn from, of different people, so that every row is
    asked about once: in `most` parts, or fewer where there are fewer people."""
    _, owner = np.unique(people, return_inverse=True)
    count = min(most, int(owner.max(initial=0)) + 1)
    for number in range(count):
        asked = np.flatnonzero(owner % count == number)
        known = np.flatnonzero(owner % count != number)
        if len(known):
            yield asked, known


def grouped(originals: Floats) -> NDArray[np.intp]:
    """A number `(N,)` for each of those who seem to be shown: originals that are alike, also by way
    of others, have one. It only decides who is held out together, so rather too few are told
    apart."""
    directions = centred(originals)
    rows, columns = np.nonzero(directions @ directions.T >= ALIKE)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), (len(directions),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)
