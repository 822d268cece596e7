"""Leaks in the pixels themselves: under transparency, and outside the anonymised regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from reid_audit.attacks.residue.base import Residue, Severity

Detector = Callable[[np.ndarray], Sequence[Sequence[float]]]
"""From a picture `(H, W, 3)` uint8 to face boxes x0, y0, x1, y1."""

_FLAT = 4.0
"""Standard deviation in grey levels up to which hidden pixels hold nothing."""
_COVERED = 0.3
"""Share of a face that must lie in an anonymised region for it not to be a missed one."""
_SMALL = 16


def alpha_residues(image: Image.Image) -> Iterator[Residue]:
    """Detail under transparent pixels: a viewer hides it, the file does not."""
    if image.mode not in ("RGBA", "LA", "RGBa", "La", "PA"):
        return
    rgba = np.asarray(image.convert("RGBA"))
    hidden = rgba[..., 3] < 128
    if hidden.sum() < _SMALL**2:
        return
    detail = float(rgba[..., :3][hidden].astype(np.float64).std(axis=0).max())
    if detail > _FLAT:
        yield Residue(
            "under-alpha",
            Severity.HIGH,
            f"{hidden.mean():.0%} of the pixels are transparent but keep their colours, which vary "
            f"by {detail:.0f} grey levels: making them opaque shows what was covered.",
        )


def missed_faces(
    picture: np.ndarray, regions: Sequence[Sequence[float]], detect: Detector
) -> Iterator[Residue]:
    """Faces found outside the anonymised regions."""
    faces = [face for face in detect(picture) if max(face[2] - face[0], face[3] - face[1]) > 0]
    missed = [face for face in faces if covered_share(face, regions) < _COVERED]
    if missed:
        side = max(round(face[2] - face[0]) for face in missed)
        count = "face is" if len(missed) == 1 else "faces are"
        yield Residue(
            "missed-face",
            Severity.HIGH,
            f"{len(missed)} {count} outside the anonymised regions, up to {side} pixels wide.",
        )


def context(picture: np.ndarray, regions: Sequence[Sequence[float]]) -> Iterator[Residue]:
    """How much of the picture was left as it was."""
    height, width = picture.shape[:2]
    share = 1.0 - covered_share((0, 0, width, height), regions)
    if share > 0:
        yield Residue(
            "context",
            Severity.INFO,
            f"{share:.0%} of the picture lies outside the anonymised regions, where hair, clothing "
            "and place remain.",
        )


def covered_share(box: Sequence[float], regions: Sequence[Sequence[float]]) -> float:
    """Share of a box that lies in the union of the regions, on the grid of whole pixels.

    >>> covered_share((0, 0, 10, 10), [(0, 0, 5, 10), (0, 0, 5, 5)])
    0.5
    """
    x0, y0, x1, y1 = (round(side) for side in box)
    if x1 <= x0 or y1 <= y0:
        return 0.0
    mask = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    for region in regions:
        left, top, right, bottom = (round(side) for side in region)
        mask[max(top - y0, 0) : max(bottom - y0, 0), max(left - x0, 0) : max(right - x0, 0)] = True
    return float(mask.mean())
