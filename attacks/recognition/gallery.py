"""Exact search in a gallery of face embeddings; every result is independent of batching."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Distance = Literal["cosine", "euclidean"]
Embeddings = NDArray[np.float32]

# Scores held at once while searching; bounds memory.
BLOCK = 2**25
# From this many gallery embeddings on faiss proposes candidates.
FAISS_FROM = 100_000
# Candidates proposed beyond k, and how far float32 scores of unit vectors may be off.
SPARE = 32
TOLERANCE = 1e-4


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
    return _similarity(*_prepared(a, b, distance=distance), distance)


def _prepared(*embeddings: Embeddings, distance: Distance) -> list[NDArray[np.float64]]:
    """In float64, and of unit length where the cosine is asked for."""
    exact = [np.asarray(e, np.float64) for e in embeddings]
    return [unit(e) for e in exact] if distance == "cosine" else exact


def _similarity(a: NDArray, b: NDArray, distance: Distance) -> Embeddings:
    product = a @ b.T
    if distance == "cosine":
        return product.astype(np.float32)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * product
    return -np.sqrt(np.maximum(squared, 0)).astype(np.float32)


def unit(vectors: NDArray) -> NDArray:
    """Rows scaled to length one; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def identity_templates(
    embeddings: Embeddings, identities: Sequence[str], distance: Distance = "cosine"
) -> tuple[Embeddings, NDArray[np.str_]]:
    """One embedding per person: the mean of all of theirs, of unit length first under cosine.

    Returns:
        `(I, D)` templates and the `(I,)` identities, sorted.
    """
    names, members = np.unique(np.asarray(identities), return_inverse=True)
    (vectors,) = _prepared(embeddings, distance=distance)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, members, vectors)
    means = sums / np.bincount(members, minlength=len(names))[:, None]
    return means.astype(np.float32), names


@dataclass(frozen=True, eq=False)
class Gallery:
    """Embeddings of known people.

    Attributes:
        embeddings: `(G, D)`.
        distance: how two embeddings are compared.
    """

    embeddings: Embeddings
    distance: Distance = "cosine"

    def scores(self, probes: Embeddings) -> Embeddings:
        """`(P, G)` similarities of `(P, D)` probes to the whole gallery."""
        result = np.empty((len(probes), len(self.embeddings)), np.float32)
        for rows, block in self._blocks(probes):
            result[rows] = block
        return result

    def search(self, probes: Embeddings, k: int = 1) -> tuple[Embeddings, NDArray[np.int64]]:
        """The k most similar of the gallery; of equally similar ones the earlier come first.

        Args:
            probes: `(P, D)`.
            k: at most the size of the gallery.

        Returns:
            `(P, k)` similarities, descending, and `(P, k)` positions in the gallery.
        """
        k = min(k, len(self.embeddings))
        indices = np.empty((len(probes), k), np.int64)
        scores = np.empty((len(probes), k), np.float32)
        if len(self.embeddings) >= FAISS_FROM:
            settled = self._search_candidates(probes, k, scores, indices)
        else:
            settled = np.zeros(len(probes), bool)
        open_probes = np.flatnonzero(~settled)
        for rows, block in self._blocks(probes[open_probes]):
            for row, line in zip(open_probes[rows], block, strict=True):
                indices[row] = top(line, k)
                scores[row] = line[indices[row]]
        return scores, indices

    def _blocks(self, probes: Embeddings) -> Iterator[tuple[slice, Embeddings]]:
        """Rows of the score matrix, as many at a time as memory allows."""
        exact_probes, exact_gallery = _prepared(probes, self.embeddings, distance=self.distance)
        step = max(1, BLOCK // max(1, len(exact_gallery)))
        for start in range(0, len(exact_probes), step):
            rows = slice(start, start + step)
            yield rows, _similarity(exact_probes[rows], exact_gallery, self.distance)

    def _search_candidates(
        self, probes: Embeddings, k: int, scores: Embeddings, indices: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Fill in what faiss settles beyond doubt; returns which probes those are.

        faiss works in float32, so its candidates are scored again. A probe stays open when the
        last candidate is so near the k-th that one not proposed might belong before it.
        """
        import faiss  # only large galleries pay for loading it

        exact_probes, exact_gallery = _prepared(probes, self.embeddings, distance=self.distance)
        index = (faiss.IndexFlatIP if self.distance == "cosine" else faiss.IndexFlatL2)(
            exact_gallery.shape[1]
        )
        index.add(exact_gallery.astype(np.float32))
        _, proposed = index.search(exact_probes.astype(np.float32), k + SPARE)
        slack = TOLERANCE * max(1.0, float((exact_gallery**2).sum(1).max()))
        settled = np.zeros(len(probes), bool)
        for row, candidates in enumerate(np.sort(proposed, axis=1)):
            line = _similarity(
                exact_probes[row : row + 1], exact_gallery[candidates], self.distance
            )[0]
            best = top(line, k)
            indices[row], scores[row] = candidates[best], line[best]
            settled[row] = line.min() < line[best[-1]] - slack
        return settled


def top(scores: NDArray, k: int) -> NDArray[np.int64]:
    """Positions of the k highest of `(N,)` scores, descending, the earlier first among equals."""
    limit = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= limit)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
