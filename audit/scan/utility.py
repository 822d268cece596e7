"""What the anonymised pictures of one condition are still good for, measured on a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.engine import Local
from reid_audit.audit.evaluation.estimates import record
from reid_audit.audit.probes.condition import FACE, Group
from reid_audit.audit.probes.faces import Face, FaceFinder, Found
from reid_audit.audit.probes.material import cache_folder
from reid_audit.audit.probes.pairs import UPRIGHT
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.scan.condition import Audit
from reid_audit.audit.scan.geometry import Pair, geometry, pair
from reid_audit.audit.trials.perception import LPIPS, Perception
from reid_audit.metrics import stats
from reid_audit.metrics.sampling import evenly
from reid_audit.metrics.utility import landmark_shift, pose_change, ssim_outside, usefulness

AT_MOST = 64
"""Pictures of a condition: each is searched for faces."""
NEAR = 0.5
"""Distance in face widths from the face's middle within which a detection is this face."""
SIDE = 256
"""Pixels to which pictures are made smaller before LPIPS."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of N pictures: truth, face widths, degrees, SSIM and LPIPS, `(N,)` each, NaN
    where it could not be measured; and the faces' surfaces, None where they were not seen."""

    detected: NDArray[np.bool_]
    shift: NDArray[np.float64]
    pose: NDArray[np.float64]
    outside: NDArray[np.float64]
    perceived: NDArray[np.float64]
    people: NDArray[np.str_]
    surfaces: tuple[Pair | None, ...]


def utility(group: Group, audit: Audit) -> schema.Utility | None:
    """The utility axis of one condition; None without originals that lie as the pictures do."""
    rows = [
        row
        for row, (face, original) in enumerate(zip(group.faces, group.originals, strict=True))
        if original is not None and original.window == face.window and face.turn == UPRIGHT
    ]
    if not rows:
        return None
    kept = measure(group, [rows[int(pick)] for pick in evenly(len(rows), AT_MOST)], audit)
    alpha, seed = audit.config.alpha, audit.config.seed

    def mean(values: NDArray[np.float64], lacking: schema.Message) -> schema.Estimate:
        known = np.isfinite(values)
        if not known.any():
            return unknown(lacking)
        people = kept.people[known]
        return record(stats.mean_estimate(values[known], people, alpha=alpha, seed=seed))

    lost, nothing_outside = say("unknown.no-face"), say("unknown.no-outside")
    shape = geometry(kept.surfaces, kept.people, audit)
    why_not = shape if isinstance(shape, schema.Message) else None
    return schema.Utility(
        condition=group.id,
        pictures=len(kept.people),
        people=len(set(kept.people.tolist())),
        detected=record(stats.by_image(kept.detected, kept.people, alpha=alpha)),
        landmark_shift=mean(kept.shift, lost),
        pose_change=mean(kept.pose, lost),
        ssim_outside=mean(kept.outside, nothing_outside),
        lpips_outside=mean(
            kept.perceived,
            say("unknown.weights", weights=LPIPS)
            if audit.perception.lpips is None
            else nothing_outside,
        ),
        usefulness=mean(
            usefulness(kept.detected, kept.shift, kept.pose, kept.outside),
            say("unknown.not-measured"),
        ),
        geometry=None if isinstance(shape, schema.Message) else shape,
        geometry_reason=None if why_not is None else english(why_not),
        geometry_told=why_not,
    )


def measure(group: Group, rows: Sequence[int], audit: Audit) -> Kept:
    """What is kept of the probes at `rows`, which have originals in the same window."""
    config, facts = audit.config, audit.material.facts
    finder = FaceFinder(
        cache_folder(config, audit.store) / "faces",
        Local(config.workers),
        audit.perception.device,
        audit.material.smallest_face,
    )
    faces = [group.faces[row] for row in rows]
    files = {facts[face.item.path].sha256: face.item.path for face in faces}
    by_file = finder.find(files, audit.progress, f"finding faces in {group.title}")
    seen = [_same(face, by_file.get(facts[face.item.path].sha256)) for face in faces]
    detected = np.array([detection is not None for detection in seen])
    before = np.array([face.landmarks for face in faces], float)
    # Where nothing is found any more, what is not read below stays as it was.
    after = np.array(
        [face.landmarks if d is None else d.landmarks for face, d in zip(faces, seen, strict=True)]
    )
    widths = np.array([face.width for face in faces])
    outside, perceived = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    surfaces = []
    for place, row in enumerate(rows):
        (probe,), (clear,) = group.load([row]).pictures, group.load_originals([row])
        assert clear is not None, "asked for where there is one"
        x0, y0, x1, y1 = FACE.place(group.faces[row].local_landmarks, probe.shape).tolist()
        box = (x0, y0, x1, y1)
        outside[place] = ssim_outside(clear, probe, box)
        perceived[place] = _lpips_outside(clear, probe, box, audit.perception)
        surfaces.append(pair(clear, probe, group.faces[row], seen[place], audit.perception.mesh))
        audit.progress(f"what is kept by {group.title}", place + 1, len(rows))
    return Kept(
        detected,
        np.where(detected, landmark_shift(before, after, widths), np.nan),
        np.where(detected, pose_change(before, after), np.nan),
        outside,
        perceived,
        np.array([face.item.identity or face.key for face in faces]),
        tuple(surfaces),
    )


def _same(face: Face, faces: Found | None) -> Detection | None:
    """The detection that is this face: the one nearest to its middle, if it is near."""
    middle = face.landmarks.mean(axis=0)

    def away(detection: Detection) -> float:
        return float(np.linalg.norm(detection.landmarks.mean(axis=0) - middle))

    nearest = min(faces.detections if faces else (), key=away, default=None)
    return nearest if nearest is not None and away(nearest) <= NEAR * face.width else None


def _lpips_outside(
    clear: NDArray[np.uint8],
    probe: NDArray[np.uint8],
    box: Sequence[int],
    perception: Perception,
) -> float:
    """LPIPS of a picture that has the original's face in place of its own; NaN without weights."""
    if perception.lpips is None:
        return float("nan")
    from reid_audit.metrics.perceptual import lpips

    x0, y0, x1, y1 = box
    mended = probe.copy()
    mended[y0:y1, x0:x1] = clear[y0:y1, x0:x1]
    factor = min(1.0, SIDE / max(clear.shape[:2]))
    size = [max(64, round(side * factor)) for side in clear.shape[1::-1]]
    before, after = (
        np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)[None]
        for picture in (clear, mended)
    )
    return float(lpips(before, after, perception.lpips, device=perception.device)[0])
