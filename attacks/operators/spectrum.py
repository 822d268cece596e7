"""DCT-I: the basis in which blur with reflected borders is diagonal.

A picture mirrored without repeating its edge row ("reflect", OpenCV's REFLECT_101) has period
2(N-1); its Fourier modes are the DCT-I cosines cos(pi k n / (N-1)), k = 0..N-1. A symmetric kernel
multiplies mode k by its own cosine series at that frequency.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def kernel_response(kernel: np.ndarray, size: int) -> np.ndarray:
    """Eigenvalues `(size,)` of a symmetric odd 1-D kernel on a reflected line of `size` samples.

    >>> kernel_response(np.array([0.25, 0.5, 0.25]), 3).round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    half = len(kernel) // 2
    if size == 1:
        return np.array([kernel.sum()])
    frequency = np.pi * np.arange(size) / (size - 1)
    return np.asarray(np.cos(frequency[:, None] * np.arange(-half, half + 1)) @ kernel)


@lru_cache(maxsize=64)
def basis(size: int) -> np.ndarray:
    """Orthonormalising DCT-I matrix `(size, size)`: rows are modes, in the weighted inner product
    that counts the two edge samples half. `basis @ x` analyses, `x = inverse_basis @ c`."""
    return _matrices(size)[0]


@lru_cache(maxsize=64)
def inverse_basis(size: int) -> np.ndarray:
    """Inverse of `basis`: columns are the modes as cosines."""
    return _matrices(size)[1]


def _matrices(size: int) -> tuple[np.ndarray, np.ndarray]:
    if size == 1:
        return np.ones((1, 1)), np.ones((1, 1))
    n = np.arange(size)
    cosines = np.cos(np.pi * np.outer(n, n) / (size - 1))  # symmetric
    edge = np.where((n == 0) | (n == size - 1), 0.5, 1.0)
    # Norm of mode k in the edge-weighted product is (N-1) for the first and last, else (N-1)/2.
    norm = np.sqrt(np.where((n == 0) | (n == size - 1), size - 1, (size - 1) / 2))
    forward = cosines * edge[None, :] / norm[:, None]
    inverse = cosines / norm[None, :]
    return forward, inverse


def analyse(picture: np.ndarray) -> np.ndarray:
    """DCT-I coefficients `(..., H, W)` of planes `(..., H, W)`, scaled so that white noise of
    variance v has variance close to v in every mode."""
    height, width = picture.shape[-2:]
    return np.asarray(basis(height) @ picture @ basis(width).T)


def synthesise(coefficients: np.ndarray) -> np.ndarray:
    """Inverse of `analyse`.

    >>> x = np.arange(12.0).reshape(3, 4)
    >>> bool(np.allclose(synthesise(analyse(x)), x))
    True
    """
    height, width = coefficients.shape[-2:]
    return np.asarray(inverse_basis(height) @ coefficients @ inverse_basis(width).T)
