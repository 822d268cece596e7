"""A z-buffer for triangles of a few pixels each, without a loop over triangles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.people.curves import Array


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
    px, py = x[triangles], y[triangles]
    ax, ay = px[:, 1] - px[:, 0], py[:, 1] - py[:, 0]
    bx, by = px[:, 2] - px[:, 0], py[:, 2] - py[:, 0]
    area = ax * by - bx * ay
    left, right = _span(px, side)
    top, bottom = _span(py, side)
    shown = (np.abs(area) > 1e-7) & (right >= left) & (bottom >= top)
    if culled is not None:
        shown &= ~culled | (area < 0)
    t = np.flatnonzero(shown).astype(np.int32)

    # Every pixel of every bounding box, as one flat list.
    wide = (right - left)[t].astype(np.int32) + 1
    count = wide * ((bottom - top)[t].astype(np.int32) + 1)
    owner = np.repeat(np.arange(len(t), dtype=np.int32), count)
    step = np.arange(len(owner), dtype=np.int32) - (np.cumsum(count, dtype=np.int32) - count)[owner]
    down, across = np.divmod(step, wide[owner])

    # The weights of corners 1 and 2 are linear in the pixel: value at the box's corner + slopes.
    ox, oy = left[t] + 0.5 - px[t, 0], top[t] + 0.5 - py[t, 0]
    scale = 1 / area[t]
    slopes = np.stack([by[t], -bx[t], -ay[t], ax[t]], 1) * scale[:, None]
    start1 = slopes[:, 0] * ox + slopes[:, 1] * oy
    start2 = slopes[:, 2] * ox + slopes[:, 3] * oy
    across_f, down_f = across.astype(np.float32), down.astype(np.float32)
    w1 = start1[owner] + slopes[:, 0][owner] * across_f + slopes[:, 1][owner] * down_f
    w2 = start2[owner] + slopes[:, 2][owner] * across_f + slopes[:, 3][owner] * down_f
    inside = np.flatnonzero((w1 >= -1e-5) & (w2 >= -1e-5) & (w1 + w2 <= 1 + 1e-5))

    owner, w1, w2 = owner[inside], w1[inside], w2[inside]
    row = top[t].astype(np.int32)[owner] + down[inside]
    pixel = row * np.int32(side) + left[t].astype(np.int32)[owner] + across[inside]
    corner = depth[triangles[t]]
    z0 = corner[:, 0]
    z = z0[owner] + (corner[:, 1] - z0)[owner] * w1 + (corner[:, 2] - z0)[owner] * w2

    nearest = np.full(side * side, np.inf, np.float32)
    np.minimum.at(nearest, pixel, z)
    winner = np.full(side * side, -1, np.int32)
    front = np.flatnonzero(z == nearest[pixel]).astype(np.int32)
    winner[pixel[front]] = front
    seen = np.flatnonzero(winner >= 0).astype(np.int32)
    best = winner[seen]
    weights = np.stack([1 - w1[best] - w2[best], w1[best], w2[best]], 1)
    return Hits(seen, t[owner[best]], weights, z[best])


def _span(corners: Array, side: int) -> tuple[Array, Array]:
    """First and last pixel whose centre may lie inside triangles `(T, 3)`, along one axis."""
    a, b, c = corners.T
    low = np.ceil(np.minimum(np.minimum(a, b), c) - 0.5)
    high = np.floor(np.maximum(np.maximum(a, b), c) - 0.5)
    return np.maximum(low, 0), np.minimum(high, side - 1)
