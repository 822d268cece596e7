"""A z-buffer for triangles of a few pixels each, without a loop over triangles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.people.curves import Array


class Hits(NamedTuple):
    """What is seen: per covered pixel (flat index), triangle, corner weights `(N, 3)`, depth."""

    pixel: NDArray[np.int32]
    triangle: NDArray[np.int32]
    weights: Array
    depth: Array


def rasterise(
    x: Array,
    y: Array,
    depth: Array,
    triangles: NDArray[np.int32],
    side: int,
    culled: NDArray[np.bool_] | None = None,
) -> Hits:
    """Nearest triangle under every pixel centre of a square picture.

    `x`, `y`, `depth` are `(V,)`, in pixels and in any unit that grows away from the viewer;
    triangles marked in `culled` are dropped where they turn their back.
    """
    a, b, c = triangles.T
    area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
    shown = np.abs(area) > 1e-7
    if culled is not None:
        shown &= ~culled | (area < 0)
    kept = np.flatnonzero(shown).astype(np.int32)
    left, right = _span(x, triangles[kept], side)
    top, bottom = _span(y, triangles[kept], side)
    hit = np.flatnonzero((right >= left) & (bottom >= top))
    left, right, top, bottom, t = left[hit], right[hit], top[hit], bottom[hit], kept[hit]
    a, b, c = triangles[t].T
    ax, ay, bx, by = x[b] - x[a], y[b] - y[a], x[c] - x[a], y[c] - y[a]

    # Every pixel of every bounding box, as one flat list.
    wide = right - left + 1
    count = wide * (bottom - top + 1)
    owner = np.repeat(np.arange(len(t), dtype=np.int32), count)
    step = np.arange(len(owner), dtype=np.int32) - (np.cumsum(count, dtype=np.int32) - count)[owner]
    down, across = np.divmod(step, wide[owner])

    # The weights of corners 1 and 2 are linear in the pixel: value at the box's corner + slopes.
    ox = left.astype(np.float32) + np.float32(0.5) - x[a]
    oy = top.astype(np.float32) + np.float32(0.5) - y[a]
    across_f, down_f = across.astype(np.float32), down.astype(np.float32)

    def weight(right_slope: Array, down_slope: Array) -> Array:
        p, q = right_slope / area[t], down_slope / area[t]
        value: Array = (p * ox + q * oy)[owner] + p[owner] * across_f + q[owner] * down_f
        return value

    w1, w2 = weight(by, -bx), weight(-ay, ax)
    inside = np.flatnonzero((w1 >= -1e-5) & (w2 >= -1e-5) & (w1 + w2 <= 1 + 1e-5))

    owner, w1, w2 = owner[inside], w1[inside], w2[inside]
    pixel = (top[owner] + down[inside]) * np.int32(side) + left[owner] + across[inside]
    z0 = depth[a]
    z = z0[owner] + (depth[b] - z0)[owner] * w1 + (depth[c] - z0)[owner] * w2

    nearest = np.full(side * side, np.inf, np.float32)
    np.minimum.at(nearest, pixel, z)
    winner = np.full(side * side, -1, np.int32)
    front = np.flatnonzero(z == nearest[pixel]).astype(np.int32)
    winner[pixel[front]] = front
    seen = np.flatnonzero(winner >= 0).astype(np.int32)
    best = winner[seen]
    weights = np.stack([1 - w1[best] - w2[best], w1[best], w2[best]], 1)
    return Hits(seen, t[owner[best]], weights, z[best])


def _span(
    at: Array, triangles: NDArray[np.int32], side: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last pixel whose centre may lie inside each triangle, along one axis."""
    a, b, c = (at[corner] for corner in triangles.T)
    low = np.ceil(np.minimum(np.minimum(a, b), c) - 0.5)
    high = np.floor(np.maximum(np.maximum(a, b), c) - 0.5)
    # Clipped on both sides, so that nothing far outside overflows an integer.
    first, last = np.clip(low, 0, side), np.clip(high, -1, side - 1)
    return first.astype(np.int32), last.astype(np.int32)
