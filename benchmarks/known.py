"""How much of a face is still known after an anonymisation, over all colours, by measurement.

    python -m benchmarks.known ../shared/data/lfw.csv "gaussian:sigma=12|jpeg:q=75" pixelate:b=16

The limit that the product computes (`metrics.leakage`) needs no picture, looks at one channel, and
takes what JPEG rounds off for white noise. Measured here on background people: a mode of luminance
or of an opponent colour is known where what is left of it explains more than half of its variance,
that is where signal exceeds noise. The root of the mean number over the three colours is the side
in pixels of a sharp picture that holds as many, as with effective resolution.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reid_audit.attacks.linear.spectra import to_modes
from reid_audit.attacks.operators import Operator, parse
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


def known_sides(operator: Operator, clear: Sequence[Picture]) -> np.ndarray:
    """Pixels per side `(3,)` of luminance, red-blue and green-magenta, of pictures of one size."""
    after = [operator(picture, np.random.default_rng(i)) for i, picture in enumerate(clear)]
    x, y = (np.stack([to_modes(p) for p in pictures]) for pictures in (clear, after))
    for modes in (x, y):
        modes[..., 0, 0] -= modes[..., 0, 0].mean(axis=0)
    spread = (x**2).mean(axis=0) * (y**2).mean(axis=0)
    explained = (x * y).mean(axis=0) ** 2 / np.maximum(spread, 1e-9)
    # By chance 1 / n of the variance is explained.
    known = np.count_nonzero(explained - 1 / len(clear) > 0.5, axis=(1, 2))
    return np.asarray(np.sqrt(known))


def known_side(operator: Operator, clear: Sequence[Picture]) -> float:
    """Pixels per side over all colours."""
    return float(np.sqrt((known_sides(operator, clear) ** 2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("methods", nargs="+")
    options = parser.parse_args()
    clear = frames(options.manifest)
    for method in options.methods:
        sides = ", ".join(f"{side:.1f}" for side in known_sides(parse(method), clear))
        print(f"{method}: {sides} pixels a side of luminance and two opponent colours")


if __name__ == "__main__":
    main()
