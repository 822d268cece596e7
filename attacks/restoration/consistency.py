"""Is a restored picture one that the anonymiser would have turned into what was found?

What a restorer adds in the blur's null space can be right or invented, nobody can tell; what it
changes elsewhere contradicts the evidence. Back-projection x + W(y - Hx) takes that back, and the
residual y - Hx says how much is left: rounding alone leaves .29 grey levels.
"""

from __future__ import annotations

import math

import numpy as np

from reid_audit.attacks.forward import straightened
from reid_audit.attacks.interface import Picture
from reid_audit.attacks.linear.spectra import from_modes, to_modes
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.operators.base import rounded

SMALLEST = 8
"""Sides of a region in pixels under which nothing is restored."""


def backproject(
    picture: np.ndarray, window: Picture, region: np.ndarray, restorer: Restorer
) -> Picture:
    """The picture of greatest likelihood near `picture`: x + W(y - Hx) within the region.

    Args:
        picture: restored window `(H, W, 3)`, grey levels of any type.
        window: the anonymised one it was restored from, uint8.
        region: `(4,)` processed part x0, y0, x1, y1.

    Returns:
        `(H, W, 3)` uint8; outside the region as `window`.
    """
    out = window.copy()
    x0, y0, x1, y1 = (int(v) for v in region)
    height, width = y1 - y0, x1 - x0
    if min(height, width) < SMALLEST:
        return out
    inside = np.asarray(picture, np.float32)[y0:y1, x0:x1]
    again = _again(inside, restorer)
    if again is None:
        out[y0:y1, x0:x1] = rounded(inside)
        return out
    lacking = to_modes(window[y0:y1, x0:x1]) - again
    out[y0:y1, x0:x1] = from_modes(to_modes(inside) + restorer.filter(height, width) * lacking)
    return out


def residual(picture: np.ndarray, window: Picture, region: np.ndarray, restorer: Restorer) -> float:
    """Root mean square of y - Hx in grey levels over the region; NaN where the operator is random
    without a linear part, or the region too small."""
    x0, y0, x1, y1 = (int(v) for v in region)
    if min(y1 - y0, x1 - x0) < SMALLEST:
        return math.nan
    again = _again(np.asarray(picture, np.float32)[y0:y1, x0:x1], restorer)
    if again is None:
        return math.nan
    # The basis is orthonormal but for the edge samples, which count half.
    error = to_modes(window[y0:y1, x0:x1]) - again
    return float(np.sqrt((error**2).mean()))


def _again(picture: np.ndarray, restorer: Restorer) -> np.ndarray | None:
    """Modes `(3, H, W)` of the picture anonymised once more, before rounding where possible."""
    operator = restorer.forward.operator
    transfer = operator.transfer(*picture.shape[:2])
    if transfer is not None:
        return to_modes(picture) * transfer.astype(np.float32)
    if operator.random:
        return None
    seen = operator.apply(rounded(picture), np.random.default_rng(0))
    return to_modes(straightened(operator, seen))


def explained(window: Picture, region: np.ndarray, restorer: Restorer) -> tuple[Picture, Restorer]:
    """The window with its region turned back, where the anonymiser turned it, and the restorer of
    the setting that was drawn for this picture."""
    x0, y0, x1, y1 = (int(v) for v in region)
    if min(y1 - y0, x1 - x0) < SMALLEST:
        return window, restorer
    inside = straightened(restorer.forward.operator, window[y0:y1, x0:x1])
    straight = window.copy()
    straight[y0:y1, x0:x1] = inside
    return straight, restorer.likeliest(to_modes(inside))
