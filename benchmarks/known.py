"""How much of a face is still known after an anonymisation, over all colours, by measurement.

The limit that the product computes (`metrics.leakage`) needs no picture, looks at one channel, and
takes what JPEG rounds off for white noise. Measured here on background people: a mode of luminance
or of an opponent colour is known where what is left of it explains more than half of its variance,
that is where signal exceeds noise. The root of the mean number over the three colours is the side
in pixels of a sharp picture that holds as many, as with effective resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reid_audit.attacks.linear.spectra import to_modes
from reid_audit.attacks.operators import Operator
from reid_audit.attacks.pictures import Picture, read_picture
from reid_audit.metrics.sampling import evenly

FACES = 400
SIDE = 160
"""Of the frame in the middle of LFW's pictures of 250 px, where the face is 94 px wide."""


def frames(manifest: Path) -> list[Picture]:
    """The middle of up to FACES background pictures of LFW's `manifest`."""
    table = pd.read_csv(manifest)
    paths = table.path[table.role == "background"].to_list()
    whole = (read_picture(manifest.parent / paths[i]) for i in evenly(len(paths), FACES))
    corners = ((picture, [(n - SIDE) // 2 for n in picture.shape[:2]]) for picture in whole)
    return [picture[y : y + SIDE, x : x + SIDE].copy() for picture, (y, x) in corners]


def known_side(operator: Operator, clear: Sequence[Picture]) -> float:
    """Pixels per side, of pictures of one size."""
    after = [operator(picture, np.random.default_rng(i)) for i, picture in enumerate(clear)]
    x, y = (np.stack([to_modes(p) for p in pictures]) for pictures in (clear, after))
    for modes in (x, y):
        modes[..., 0, 0] -= modes[..., 0, 0].mean(axis=0)
    spread = (x**2).mean(axis=0) * (y**2).mean(axis=0)
    explained = (x * y).mean(axis=0) ** 2 / np.maximum(spread, 1e-9)
    # By chance 1 / n of the variance is explained.
    known = np.count_nonzero(explained - 1 / len(clear) > 0.5)
    return float(np.sqrt(known / 3))
