"""Grid patches, and the one triangle soup they are joined into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.people.curves import Array


class Part(IntEnum):
    """What a point of a person's surface belongs to."""

    FACE = 0  # the whole head's skin
    EAR = 1
    NECK = 2
    HAIR = 3
    CURTAIN = 4  # hair that hangs free of the skull
    CLOTH = 5
    FRAME = 6


SKIN = (Part.FACE, Part.EAR, Part.NECK)
STRANDS = (Part.HAIR, Part.CURTAIN)


@dataclass(frozen=True)
class Patch:
    """A grid of points `(R, C)`; `angle` runs round the head, `along` down a strand of hair."""

    part: Part
    position: Array  # (R, C, 3)
    normal: Array  # (R, C, 3), towards the outside
    angle: Array
    along: Array
    openness: Array  # 1 in the open, less in folds
    closed: bool  # seen from outside only
    keep: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Mesh:
    """V points and T triangles of a whole person; lengths in cm, angles in radians."""

    position: Array  # (V, 3)
    normal: Array  # (V, 3)
    angle: Array  # (V,)
    along: Array
    openness: Array
    part: NDArray[np.int8]  # (V,)
    triangles: NDArray[np.int32]  # (T, 3)
    culled: NDArray[np.bool_]  # (T,) back faces that cannot be seen


def patch(
    part: Part,
    x: Array,
    y: Array,
    z: Array,
    *,
    angle: Array | None = None,
    along: Array | None = None,
    openness: Array | None = None,
    normal: Array | None = None,
    closed: bool = True,
    keep: NDArray[np.bool_] | None = None,
) -> Patch:
    """A patch from coordinate grids `(R, C)`; rows run downwards, columns anticlockwise."""
    position = np.stack([x, y, z], -1).astype(np.float32)
    flat = np.zeros(position.shape[:2], np.float32)
    return Patch(
        part=part,
        position=position,
        normal=grid_normals(position) if normal is None else normal.astype(np.float32),
        angle=flat if angle is None else angle.astype(np.float32),
        along=position[..., 1] if along is None else along.astype(np.float32),
        openness=flat + 1 if openness is None else openness.astype(np.float32),
        closed=closed,
        keep=keep,
    )


def grid_normals(position: Array) -> Array:
    """Unit normals `(R, C, 3)` of a grid of points."""
    return unit(np.cross(np.gradient(position, axis=0), np.gradient(position, axis=1)))


def unit(vectors: Array) -> Array:
    """Vectors scaled to length 1 along the last axis; zero stays zero."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    scaled: Array = vectors / (length + 1e-9)
    return scaled


def join(patches: Sequence[Patch]) -> Mesh:
    """All patches as one mesh: each cell of a grid becomes two triangles, less those whose corners
    a patch does not keep."""
    triangles, culled, start = [], [], 0
    for p in patches:
        rows, columns = p.angle.shape
        corner = np.arange((rows - 1) * columns, dtype=np.int32).reshape(-1, columns)[:, :-1]
        a = corner.ravel()
        b = a + columns
        faces = np.concatenate([np.stack([a, b, a + 1], 1), np.stack([a + 1, b, b + 1], 1)])
        if p.keep is not None:
            faces = faces[p.keep.ravel()[faces].all(1)]
        triangles.append(faces + np.int32(start))
        culled.append(np.full(len(faces), p.closed))
        start += rows * columns
    return Mesh(
        position=np.concatenate([p.position.reshape(-1, 3) for p in patches]),
        normal=np.concatenate([p.normal.reshape(-1, 3) for p in patches]),
        angle=np.concatenate([p.angle.ravel() for p in patches]),
        along=np.concatenate([p.along.ravel() for p in patches]),
        openness=np.concatenate([p.openness.ravel() for p in patches]),
        part=np.concatenate([np.full(p.angle.size, p.part, np.int8) for p in patches]),
        triangles=np.concatenate(triangles),
        culled=np.concatenate(culled),
    )
