"""Arithmetic on embeddings that several attacks share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows `(N, d)` scaled to length one; zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))


def per_person(
    embeddings: np.ndarray, identities: Sequence[str], people: Sequence[str]
) -> np.ndarray:
    """One unit template `(G, d)` per person: the direction of the mean of their unit embeddings.

    >>> per_person(np.array([[3., 0.], [0., 2.], [1., 0.]]), ["b", "a", "b"], ["a", "b"]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    column = {person: index for index, person in enumerate(people)}
    sums = np.zeros((len(people), embeddings.shape[1]), dtype=embeddings.dtype)
    np.add.at(sums, [column[person] for person in identities], unit(embeddings))
    return unit(sums)
