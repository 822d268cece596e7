"""Faces found and false alarms by face width, on composed scenes of people never tuned on.

    python -m benchmarks.detection ../shared/data --scenes 40 --smallest 20

Prints, of MTCNN alone and together with CenterFace, where that was fetched, for each band of widths
(of the box that `composed.FACE` names), the share of planted faces that were found with its
Clopper-Pearson interval; detections that lie on no pasted head, as a share of the faces found;
second detections on one face; all of it once more for the detections that score high enough for
the inventory; CPU seconds a scene and the process's peak memory. Then, of the photographs in
SHARED/scenes, the faces counted by eye beside those that the inventory would count.
"""

import argparse
import csv
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta

from benchmarks.composed import Planted, scenes
from reid_audit.attacks.pictures import read_picture
from reid_audit.attacks.recognition.detect import Detection, Detector
from reid_audit.attacks.recognition.scenes import SceneDetector
from reid_audit.attacks.recognition.sizes import SMALLEST_FACE
from reid_audit.audit.probes.named import SURE

BANDS = ((12, 16), (16, 20), (20, 28), (28, 60), (60, 121))


def interval(hits: int, count: int) -> tuple[float, float]:
    """95 % Clopper-Pearson."""
    low = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, count - hits) if hits < count else 1.0
    return float(low), float(high)


def match(faces: list[Detection], planted: list[Planted]) -> tuple[set[int], int, int]:
    """Indices of planted faces that were found, second detections of one, and false alarms."""
    hit: set[int] = set()
    seconds = alarms = 0
    for face in faces:
        x, y = (face.box[:2] + face.box[2:]) / 2
        on = [
            index
            for index, plant in enumerate(planted)
            if plant.box[0] < x < plant.box[2]
            and plant.box[1] < y < plant.box[3]
            and 0.5 < face.width / plant.width < 2
        ]
        if on:
            seconds += on[0] in hit
            hit.add(on[0])
        elif not any(p.head[0] < x < p.head[2] and p.head[1] < y < p.head[3] for p in planted):
            alarms += 1
    return hit, seconds, alarms


@dataclass
class Told:
    """What was found in the scenes so far: of each planted face whether, and what else."""

    found: list[bool] = field(default_factory=list)
    seconds: int = 0
    alarms: int = 0

    def add(self, faces: list[Detection], planted: list[Planted]) -> None:
        """Count the detections of one scene."""
        hit, again, false = match(faces, planted)
        self.found += [index in hit for index in range(len(planted))]
        self.seconds, self.alarms = self.seconds + again, self.alarms + false

    def table(self, widths: NDArray[np.float64]) -> str:
        """The figures as Markdown."""
        rows = ["| width in pixels | faces | found | 95 % interval |", "|---|---|---|---|"]
        for low, high in BANDS:
            band = (widths >= low) & (widths < high)
            hits, count = int(np.array(self.found)[band].sum()), int(band.sum())
            if count:
                lower, upper = interval(hits, count)
                rows.append(
                    f"| {low} to {high} | {count} | {hits / count:.3f} | {lower:.3f}-{upper:.3f} |"
                )
        total = sum(self.found)
        low, high = interval(self.alarms, max(1, total + self.alarms))
        rows.append(
            f"\n{self.alarms} false alarms among {total + self.alarms} faces found "
            f"({low:.4f}-{high:.4f}), {self.seconds} second detections.\n"
        )
        return "\n".join(rows)


def photographs(
    data: Path, detectors: dict[str, Detector | SceneDetector], smallest: float
) -> list[str]:
    """Markdown: faces by eye and as counted, of every photograph whose faces somebody counted."""
    lines = [
        f"| picture | by eye | {' | '.join(detectors)} |",
        "|---|---|" + "---|" * len(detectors),
    ]
    with (data / "scenes" / "scenes.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] == "original" and row["faces"]]
    for row in rows:
        picture = read_picture(data / "scenes" / row["path"])
        counted = [
            sum(face.score >= SURE for face in detector.detect([picture], smallest)[0])
            for detector in detectors.values()
        ]
        lines.append(f"| {row['path']} | {row['faces']} | {' | '.join(map(str, counted))} |")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=["development", "figures"], default="figures")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--each", type=int, default=14)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--smallest", type=float, default=SMALLEST_FACE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)

    detectors: dict[str, Detector | SceneDetector] = {
        "MTCNN": Detector(),
        "MTCNN and CenterFace": SceneDetector(),
    }
    widths: list[float] = []
    told = {(name, least): Told() for name in detectors for least in (0.0, SURE)}
    spent = dict.fromkeys(detectors, 0.0)
    for picture, planted in scenes(
        options.data,
        options.half,
        options.scenes,
        (BANDS[0][0], BANDS[-1][1]),
        tuple(options.size),
        options.each,
        options.seed,
    ):
        widths += [plant.width for plant in planted]
        for name, detector in detectors.items():
            start = time.process_time()
            faces = detector.detect([picture], options.smallest)[0]
            spent[name] += time.process_time() - start
            for least in (0.0, SURE):
                told[name, least].add([face for face in faces if face.score >= least], planted)
    for (name, least), counts in told.items():
        print(f"{name}, score {least:g} and more\n")
        print(counts.table(np.array(widths)))
    for name, seconds in spent.items():
        print(f"{name}: {seconds / options.scenes:.2f} CPU s a scene, {options.threads} threads")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"Peak {peak:.2f} GiB\n")
    print(*photographs(options.data, detectors, options.smallest), sep="\n")


if __name__ == "__main__":
    main()
