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


ALIKE = 1e-4
"""Distance from the mean of unit embeddings below which faces do not differ: rounding is less."""


def centred(embeddings: np.ndarray) -> np.ndarray:
    """Directions `(N, d)` of embeddings from the mean of their pile; zero where they do not differ.

    Anonymised faces of one tool look alike to a recogniser, and what they share says nothing about
    who they are. An attacker who holds a pile of them needs nothing else to take it away.

    >>> centred(np.array([[3.0, 4.0], [4.0, 3.0]])).round(3).tolist()
    [[-0.707, 0.707], [0.707, -0.707]]
    """
    directions = unit(np.asarray(embeddings, np.float64))
    apart = directions - directions.mean(axis=0)
    apart[np.linalg.norm(apart, axis=1) < ALIKE] = 0.0
    return unit(apart)
