"""What became of the faces' geometry in one condition, by dense landmarks before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.detect import Detection
from reid_audit.attacks.recognition.face_mesh import WHEEL, FaceMesh, MeshFinder
from reid_audit.audit.evaluation.estimates import record
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.scan.condition import Audit
from reid_audit.metrics import stats
from reid_audit.metrics.geometry import MEASURES, expression, gaze, head_turn, mesh_distance
from reid_audit.metrics.utility import yaw_pitch_roll

Picture = NDArray[np.uint8]
Pair = tuple[FaceMesh, FaceMesh]
"""A face's surface in the original, and in the picture."""
PARTS = ("points", "eyes", "irises")


def pair(
    clear: Picture, probe: Picture, face: Face, seen: Detection | None, finder: MeshFinder | None
) -> Pair | None:
    """Both surfaces of a face, each looked for where the face was detected; None where either is
    not seen, or nobody looks."""
    if finder is None or seen is None:
        return None
    before = finder.find(clear, face.local_landmarks)
    after = finder.find(probe, seen.landmarks - np.array(face.window[:2], np.float32))
    return None if before is None or after is None else (before, after)


def geometry(
    pairs: Sequence[Pair | None], people: NDArray[np.str_], audit: Audit
) -> schema.Geometry | schema.Message:
    """Mean absolute changes of the faces that show `people (N,)`, or why there are none."""
    if audit.perception.mesh is None:
        return say("unknown.extra", wheel=WHEEL)
    rows = [row for row, both in enumerate(pairs) if both is not None]
    if not rows:
        return say("unknown.no-face")
    before, after = zip(*(both for both in pairs if both is not None), strict=True)
    changes = _changes(_stacked(before), _stacked(after))
    alpha, seed = audit.config.alpha, audit.config.seed
    figures = {
        name: record(stats.mean_estimate(np.abs(change), people[rows], alpha=alpha, seed=seed))
        for name, change in changes.items()
    }
    return schema.Geometry(pictures=len(rows), **figures)


def _stacked(meshes: Sequence[FaceMesh]) -> FaceMesh:
    """N surfaces as one, a first axis the longer."""
    return FaceMesh(*(np.stack([getattr(mesh, part) for mesh in meshes]) for part in PARTS))


def _changes(before: FaceMesh, after: FaceMesh) -> dict[str, NDArray[np.float64]]:
    """Each figure of `schema.Geometry`, `(N,)`."""
    turns = yaw_pitch_roll(head_turn(before.points, after.points))
    lengths = expression(after.points, after.eyes) - expression(before.points, before.eyes)
    apart = gaze(after.eyes, after.irises) - gaze(before.eyes, before.irises)
    return {
        "landmark_distance": mesh_distance(before.points, after.points),
        **dict(zip(("yaw", "pitch", "roll"), turns.T, strict=True)),
        **dict(zip(MEASURES, lengths.T, strict=True)),
        "gaze": np.linalg.norm(apart, axis=1),
    }
