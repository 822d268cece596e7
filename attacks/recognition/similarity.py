"""How alike face embeddings are, and one embedding for each person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.vectors import unit

Distance = Literal["cosine", "euclidean"]
Embeddings = NDArray[np.float32]
BLOCK = 16384
"""Embeddings of a gallery that are made exact together: a million need no second copy, and may lie
in a file (`numpy.memmap`)."""


def similarity(a: Embeddings, b: Embeddings, distance: Distance = "cosine") -> Embeddings:
    """How alike faces are, higher is more alike: cosine, or minus the Euclidean distance.

    Args:
        a: `(A, D)` embeddings.
        b: `(B, D)` embeddings.

    Returns:
        `(A, B)` float32, computed in float64 so that batching changes nothing.

    >>> similarity(np.eye(2), np.array([[3.0, 4.0]])).ravel().tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    left = _prepared(a, distance)
    alike = np.empty((len(a), len(b)), np.float32)
    for start in range(0, len(b), BLOCK):
        part = slice(start, start + BLOCK)
        right = _prepared(b[part], distance)
        product = left @ right.T
        if distance == "euclidean":
            squared = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * product
            product = -np.sqrt(np.maximum(squared, 0))
        alike[:, part] = product
    return alike


def _prepared(embeddings: Embeddings, distance: Distance) -> NDArray[np.float64]:
    """In float64, and of unit length where the cosine is asked for."""
    exact = np.asarray(embeddings, np.float64)
    return unit(exact) if distance == "cosine" else exact


def identity_templates(
    embeddings: Embeddings, identities: Sequence[str], distance: Distance = "cosine"
) -> tuple[Embeddings, NDArray[np.str_]]:
    """One embedding per person: the mean of all of theirs, of unit length first under cosine.

    Returns:
        `(I, D)` templates and the `(I,)` identities, sorted.
    """
    names, members = np.unique(np.asarray(identities), return_inverse=True)
    vectors = _prepared(embeddings, distance)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, members, vectors)
    means = sums / np.bincount(members, minlength=len(names))[:, None]
    return means.astype(np.float32), names
