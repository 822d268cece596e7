"""Every anonymising operator on real faces: what it is, what it costs, what it leaves.

    python benchmarks/operators.py ../shared/data [--sheet SHEET.png]

Face boxes of LFW's deep-funneled pictures (fixed: faces stand in the middle) are processed as a
tool would. PSNR is that of the box against the clear one. `--sheet` draws one picture under every
operator, for looking at; it shows a real person and is not for publishing.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from PIL import Image

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.operators.leakage import limit

BOX = (75, 60, 175, 190)
FACE_WIDTH = 94.0
SPECS = (
    "none",
    "gaussian:k=37",
    "cv-gaussian:k=37",
    "pillow-gaussian:r=6",
    "ffmpeg-gaussian:sigma=6",
    "box:k=21",
    "pillow-box:r=10",
    "ffmpeg-box:r=10",
    "median:k=21",
    "motion:k=31,angle=30",
    "pixelate:b=10",
    "pixelate:b=10,mode=bilinear",
    "pixelate:b=10,mode=nearest",
    "pixelate:b=10,mode=point",
    "downscale:f=10",
    "solid",
    "solid:shape=ellipse",
    "solid:shape=eyes",
    "gaussian:k=37|ellipse:soft=0.3",
    "egoblur",
    "imagenet",
    "deface-blur",
    "deface-mosaic:size=10",
    "deface-solid",
    "noise:sigma=25.5",
    "dp-pix:b=10",
    "dp-snow:p=0.5",
    "rotate:deg=15",
    "permute:b=10",
    "jpeg:q=10",
    "webp:q=10",
    "gaussian:sigma=3..9",
    "downscale:f=5|jpeg:q=40|noise:sigma=8",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with lfw/")
    parser.add_argument("--faces", type=int, default=40)
    parser.add_argument("--sheet", type=Path, help="PNG to draw one face under every operator")
    options = parser.parse_args()
    folders = sorted((options.data / "lfw").iterdir())[:: max(1, 4000 // options.faces)]
    pictures = [np.array(Image.open(min(f.glob("*.jpg"))).convert("RGB")) for f in folders]
    x0, y0, x1, y1 = BOX
    tiles = []
    print("| operator | family | nature | ms a picture | PSNR dB | ER |\n|---|---|---|---|---|---|")
    for spec in SPECS:
        operator = parse(spec)
        start = time.perf_counter()
        results = [
            apply_to_box(operator, picture, BOX, np.random.default_rng(index))
            for index, picture in enumerate(pictures)
        ]
        cost = (time.perf_counter() - start) / len(pictures) * 1000
        error = np.mean(
            [
                (after[y0:y1, x0:x1].astype(float) - before[y0:y1, x0:x1]) ** 2
                for after, before in zip(results, pictures, strict=True)
            ]
        )
        psnr = f"{10 * math.log10(255**2 / error):.1f}" if error else "exact"
        side = limit(operator, FACE_WIDTH).effective_resolution
        name = spec.replace("|", "\\|")
        print(
            f"| {name} | {operator.family} | {operator.nature} | {cost:.1f} | {psnr} | {side:.1f} |"
        )
        tiles.append(results[0])
    if options.sheet:
        columns = 8
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
        Image.fromarray(np.vstack(rows)).save(options.sheet)


if __name__ == "__main__":
    main()
