"""Similarities against scikit-learn's, and one template for each person."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from reid_audit.attacks.recognition.similarity import identity_templates, similarity


def vectors(count, dimension=16, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def test_similarity_is_scikit_learns():
    a, b = vectors(7), vectors(9, seed=1)
    np.testing.assert_allclose(similarity(a, b), cosine_similarity(a, b), atol=1e-6)
    np.testing.assert_allclose(similarity(a, b, "euclidean"), -euclidean_distances(a, b), atol=1e-5)


def test_batches_change_nothing_and_a_face_without_direction_is_like_nobody():
    a, b = vectors(30), np.concatenate([vectors(9, seed=1), np.zeros((1, 16), np.float32)])
    whole = similarity(a, b)
    np.testing.assert_array_equal(
        np.concatenate([similarity(a[:7], b), similarity(a[7:], b)]), whole
    )
    assert (whole[:, -1] == 0).all()


def test_a_persons_template_is_the_mean_direction():
    embeddings = np.array([[2, 0], [0, 5], [0, 1], [3, 4]], np.float32)
    means, names = identity_templates(embeddings, ["b", "b", "a", "a"])
    assert names.tolist() == ["a", "b"]
    np.testing.assert_allclose(means, [[0.3, 0.9], [0.5, 0.5]])
    plain, _ = identity_templates(embeddings, ["b", "b", "a", "a"], "euclidean")
    np.testing.assert_allclose(plain, [[1.5, 2.5], [1, 2.5]])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_gallery_in_a_file_is_searched_part_by_part(tmp_path, monkeypatch, distance):
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(100, 16)).astype(np.float32)
    np.save(tmp_path / "gallery.npy", gallery)
    probes = rng.normal(size=(7, 16)).astype(np.float32)
    at_once = similarity(probes, gallery, distance)
    monkeypatch.setattr("reid_audit.attacks.recognition.similarity.BLOCK", 9)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    np.testing.assert_allclose(similarity(probes, mapped, distance), at_once, rtol=1e-6)
