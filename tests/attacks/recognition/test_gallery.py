"""Search against scikit-learn, and the promise that batching and faiss change nothing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances
from sklearn.neighbors import NearestNeighbors

from reid_audit.attacks.recognition import gallery
from reid_audit.attacks.recognition.gallery import Gallery, identity_templates, similarity

distances = st.sampled_from(["cosine", "euclidean"])


def vectors(count, dimension=16, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def test_similarity_is_scikit_learns():
    a, b = vectors(7), vectors(9, seed=1)
    np.testing.assert_allclose(similarity(a, b), cosine_similarity(a, b), atol=1e-6)
    np.testing.assert_allclose(similarity(a, b, "euclidean"), -euclidean_distances(a, b), atol=1e-5)


@given(distances, st.integers(1, 12), st.integers(0, 1000))
def test_search_finds_the_nearest(distance, k, seed):
    known, probes = vectors(60, seed=seed), vectors(5, seed=seed + 1)
    scores, indices = Gallery(known, distance).search(probes, k)
    reference = NearestNeighbors(n_neighbors=k, metric=distance).fit(known)
    np.testing.assert_array_equal(indices, reference.kneighbors(probes, return_distance=False))
    assert (np.diff(scores, axis=1) <= 0).all()


@given(distances, st.integers(1, 40))
def test_equally_similar_ones_come_in_the_order_of_the_gallery(distance, k):
    known = np.repeat(vectors(4), 10, axis=0)
    _, indices = Gallery(known, distance).search(vectors(3, seed=1), k)
    for row in indices:
        assert all(b > a for a, b in pairwise(row) if a // 10 == b // 10)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_blocks_change_nothing(monkeypatch, distance):
    known, probes = vectors(50), vectors(30, seed=1)
    whole = Gallery(known, distance)
    scores, found = whole.scores(probes), whole.search(probes, 5)
    monkeypatch.setattr(gallery, "BLOCK", 60)
    np.testing.assert_array_equal(whole.scores(probes), scores)
    for mine, other in zip(whole.search(probes, 5), found, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_faiss_changes_nothing(monkeypatch, distance):
    """Also where many of the gallery are one and the same face."""
    known = np.concatenate([vectors(3000), np.repeat(vectors(1, seed=5), 200, axis=0)])
    probes = np.concatenate([vectors(20, seed=1), known[-3:], known[:3]])
    expected = Gallery(known, distance).search(probes, 10)
    monkeypatch.setattr(gallery, "FAISS_FROM", 100)
    for mine, other in zip(Gallery(known, distance).search(probes, 10), expected, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_k_is_at_most_the_gallery():
    scores, indices = Gallery(vectors(3)).search(vectors(2), 10)
    assert scores.shape == indices.shape == (2, 3)


def test_a_persons_template_is_the_mean_direction():
    embeddings = np.array([[2, 0], [0, 5], [0, 1], [3, 4]], np.float32)
    means, names = identity_templates(embeddings, ["b", "b", "a", "a"])
    assert names.tolist() == ["a", "b"]
    np.testing.assert_allclose(means, [[0.3, 0.9], [0.5, 0.5]])
    plain, _ = identity_templates(embeddings, ["b", "b", "a", "a"], "euclidean")
    np.testing.assert_allclose(plain, [[1.5, 2.5], [1, 2.5]])
