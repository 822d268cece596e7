"""How alike are two sets of pictures, as distributions of features (FID, KID and their like).

The features (N, D) are the caller's: Inception pool3 makes these the FID and KID, a recogniser's
embeddings a Frechet and kernel distance between face populations. Name which.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, svdvals

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, mean (D,) and a factor (R, D) of the scatter matrix of features seen so far.

    The scatter is factor^T factor, kept as a triangular QR factor: never squared, so nothing is
    lost where it is nearly singular, as it always is with fewer pictures than dimensions.
    """

    n: int
    mean: Floats
    factor: Floats

    @classmethod
    def of(cls, features: ArrayLike) -> Self:
        """Moments of features (N, D)."""
        x = _features(features)
        mean = x.mean(axis=0)
        return cls(len(x), mean, _triangle(x - mean))

    def merge(self, other: Self) -> Self:
        """Moments of both sets together (Chan et al. 1979), for features that come in parts."""
        n = self.n + other.n
        gap = other.mean - self.mean
        between = np.sqrt(self.n * other.n / n) * gap
        factor = _triangle(np.vstack([self.factor, other.factor, between]))
        return type(self)(n, self.mean + gap * (other.n / n), factor)

    @property
    def covariance(self) -> Floats:
        """Unbiased covariance (D, D)."""
        return np.asarray(self.factor.T @ self.factor / (self.n - 1))


def frechet_distance(x: ArrayLike | Moments, y: ArrayLike | Moments) -> float:
    """Frechet distance between Gaussians fitted to two feature sets (Heusel et al. 2017).

    |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)). With S = F^T F the last trace is the
    nuclear norm of F_x F_y^T, so no matrix root is taken and singular covariances are no trouble.

    Args:
        x, y: features (N, D), N >= 2, or their `Moments`. Biased upwards: see `small_sample`.

    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    a, b = (side if isinstance(side, Moments) else Moments.of(side) for side in (x, y))
    if min(a.n, b.n) < 2:
        raise ValueError(f"a Frechet distance needs two pictures a side, not {a.n} and {b.n}")
    fa, fb = a.factor / np.sqrt(a.n - 1), b.factor / np.sqrt(b.n - 1)
    traces = np.sum(fa**2) + np.sum(fb**2) - 2 * svdvals(fa @ fb.T).sum()
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + traces))


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Unbiased squared MMD with the kernel (x.y/D + 1)^3 (Binkowski et al. 2018).

    Unbiased at any sample size, hence sometimes negative. All pairs are used, not subsets.

    Args:
        x, y: features (N, D), N >= 2.
    """
    a, b = _features(x), _features(y)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a kernel distance needs two pictures a side, not {len(a)} and {len(b)}")

    def kernel(u: Floats, v: Floats) -> Floats:
        return np.asarray((u @ v.T / u.shape[1] + 1) ** 3)

    def among(u: Floats) -> float:
        k, n = kernel(u, u), len(u)
        return float((k.sum() - np.trace(k)) / (n * (n - 1)))

    return among(a) + among(b) - 2 * float(kernel(a, b).mean())


def small_sample(n: int, dimension: int) -> bool:
    """Whether a Frechet distance is mostly bias: fewer than ten pictures per dimension.

    Two halves of one population score well above 0 then (2048-d, 97 pictures: about 105). Below
    `dimension` pictures the covariance is singular outright. Print a kernel distance beside it.
    """
    return n < 10 * dimension


def _features(features: ArrayLike) -> Floats:
    x = np.asarray(features, dtype=float)
    if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
        raise ValueError(f"features must be finite, of shape (N, D) and not empty, not {x.shape}")
    return x


def _triangle(rows: Floats) -> Floats:
    """R of QR: R^T R = rows^T rows, in at most D rows."""
    return np.asarray(qr(rows, mode="r", check_finite=False)[0][: rows.shape[1]])
