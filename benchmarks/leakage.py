"""Does Wiener restoration of held-out faces reach the PSNR that the closed form predicts?

    python benchmarks/leakage.py ../shared/data

Faces are split by person into two halves; each half is restored with the mean spectrum of the
other, and the predictions made from that spectrum, too. London at 256 px (faces 150 px wide) and
LFW at native size (middle 160 px, faces 94 px wide). The shipped prior's prediction stands beside.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.leakage import curve, limit
from reid_audit.attacks.operators.spectrum import analyse, synthesise
from reid_audit.metrics.leakage import leakage, local_contrast, rounding_noise

LINEAR = (
    "gaussian:k=21",
    "gaussian:k=37",
    "gaussian:k=61",
    "gaussian:k=81",
    "gaussian:k=121",
    "gaussian:k=161",
    "gaussian:sigma=7.8",
    "gaussian:kx=21,ky=81",
    "cv-gaussian:k=37",
    "cv-gaussian:k=81",
    "box:k=17",
    "box:k=37",
    "box:k=65",
    "motion:k=31",
    "motion:k=31,angle=90",
    "noise:sigma=25.5",
)
NEARLY_LINEAR = (
    "pillow-gaussian:r=12.5",
    "ffmpeg-gaussian:sigma=12.5",
    "ffmpeg-box:r=12,p=2",
    "gaussian:k=81|jpeg:q=75",
    "jpeg:q=75",
)


def london(data: Path) -> list[np.ndarray]:
    """Middle of the studio portraits, 282 px brought to 256: 204 faces."""
    pictures = []
    for path in sorted((data / "london").glob("*/*.jpg")):
        with Image.open(path) as image:
            middle = image.convert("RGB").crop((115, 120, 397, 402))
            pictures.append(np.asarray(middle.resize((256, 256), Image.Resampling.BOX)))
    return pictures


def lfw(data: Path, people: int) -> list[np.ndarray]:
    """Middle 160 px of one picture each of evenly picked people."""
    folders = sorted((data / "lfw").iterdir())
    pictures = []
    for folder in folders[:: max(1, len(folders) // people)]:
        with Image.open(min(folder.glob("*.jpg"))) as image:
            pictures.append(np.asarray(image.convert("RGB").crop((45, 45, 205, 205))))
    return pictures


def halves(pictures: Sequence[np.ndarray], run: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two halves; `run` neighbouring pictures show one person and stay together."""
    first = [p for i, p in enumerate(pictures) if i // run % 2 == 0]
    return first, [p for i, p in enumerate(pictures) if i // run % 2]


class Half:
    """Faces of one half as modes, with their mean level and mean power."""

    def __init__(self, pictures: Sequence[np.ndarray]) -> None:
        self.pictures = pictures
        self.mean = float(np.mean(pictures))
        modes = (analyse(p.transpose(2, 0, 1) - self.mean) for p in pictures)
        self.power = sum((m**2).mean(axis=0) for m in modes) / len(pictures)

    def noise(self, operator: Operator) -> np.ndarray:
        """Of the operator on such faces, with the slow rounding errors that blur leaves."""
        transfer = operator.transfer(*self.power.shape)
        nominal = np.asarray(operator.noise(*self.power.shape)) - 1 / 12
        blurred = [synthesise(analyse(p[..., 1].astype(float)) * transfer) for p in self.pictures]
        contrast = local_contrast(np.stack(blurred))
        return nominal + rounding_noise(
            transfer, self.power, contrast, dither=max(0.0, float(np.mean(nominal)))
        )

    def predict(self, operator: Operator) -> float:
        """Mean square error of restoration, closed form."""
        transfer = operator.transfer(*self.power.shape)
        return 255**2 / 10 ** (leakage(transfer, self.noise(operator), self.power).psnr / 10)

    def restore(self, operator: Operator, faces: Sequence[np.ndarray]) -> list[float]:
        """Mean square error of each of `faces` after restoration with this half's spectrum."""
        transfer, noise = operator.transfer(*self.power.shape), self.noise(operator)
        wiener = self.power * transfer / (self.power * transfer**2 + noise)
        errors = []
        for index, picture in enumerate(faces):
            seen = operator.apply(picture, np.random.default_rng(index)).transpose(2, 0, 1)
            restored = synthesise(analyse(seen - self.mean) * wiener) + self.mean
            errors.append(float(np.mean((restored - picture.transpose(2, 0, 1)) ** 2)))
        return errors


def decibel(error: float) -> float:
    return 10 * math.log10(255**2 / error)


def compare(name: str, pictures: Sequence[np.ndarray], run: int, face_width: float) -> float:
    """Print one set's table; returns the largest gap in dB over the linear operators."""
    a, b = (Half(part) for part in halves(pictures, run))
    print(f"\n{name}: {len(pictures)} faces\n")
    print("| operator | measured dB | predicted dB | gap | per picture | shipped prior | ER |")
    print("|---|---|---|---|---|---|---|")
    worst = 0.0
    for spec in (*LINEAR, *NEARLY_LINEAR):
        operator = parse(spec)
        errors = a.restore(operator, b.pictures) + b.restore(operator, a.pictures)
        measured = decibel(float(np.mean(errors)))
        predicted = decibel((a.predict(operator) + b.predict(operator)) / 2)
        each = float(np.mean([decibel(e) for e in errors]))
        shipped = limit(operator, face_width, shape=pictures[0].shape[:2])
        gap = measured - predicted
        if spec in LINEAR:
            worst = max(worst, abs(gap))
        print(
            f"| {spec} | {measured:.2f} | {predicted:.2f} | {gap:+.2f} | {each:.2f} |"
            f" {shipped.psnr:.2f} | {shipped.effective_resolution:.1f} |"
        )
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with london/ and lfw/")
    parser.add_argument("--people", type=int, default=400, help="people of LFW")
    options = parser.parse_args()
    worst = max(
        compare("London, 256 px", london(options.data), 2, 150.4),
        compare("LFW, native 160 px", lfw(options.data, options.people), 1, 94.0),
    )
    print(f"\nLargest gap over linear operators: {worst:.2f} dB (allowed: 0.5)")
    points = curve(parse("gaussian:k=81"), 150.4)
    falls = all(
        p.left.effective_resolution >= q.left.effective_resolution for p, q in pairwise(points)
    )
    print(f"\nGaussian, face 150 px: sigma / face width -> effective resolution (falls: {falls})")
    for point in points:
        print(f"{point.sigma_over_face_width:.3f} -> {point.left.effective_resolution:.1f}")


if __name__ == "__main__":
    main()
