"""Do dense landmarks see real faces as another predictor does?

Usage: python -m benchmarks.landmarks ../shared/data/lfw.csv --pictures 200

Corners of eyes and mouth, tip and base of the nose, and the lengths of expression, beside dlib's 68
points, which dlib finds in the boxes of its own detector. Needs the extra `utility` and dlib.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, pearsonr

from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.recognition.face_mesh import WHEEL, FaceMesh, installed_finder
from reid_audit.audit.data import decode
from reid_audit.metrics.geometry import MEASURES, expression, interocular

SAME = {36: 33, 39: 133, 42: 362, 45: 263, 48: 61, 54: 291, 30: 4, 33: 2}
"""Points of dlib's 68, and the same of the mesh."""
EYES = (((36, 39), (37, 41), (38, 40)), ((42, 45), (43, 47), (44, 46)))
"""Corners and lids of each eye."""


def lengths(points: NDArray[np.float64]) -> list[float]:
    """`MEASURES` of dlib's points `(68, 2)`."""

    def between(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    unit = between(36, 45)
    brows = [
        np.linalg.norm(points[brow] - points[list(corners)].mean(axis=0))
        for brow, (corners, *_) in zip((19, 24), EYES, strict=True)
    ]
    lids = [
        (between(*upper) + between(*lower)) / 2 / between(*corners)
        for corners, upper, lower in EYES
    ]
    opening, width = between(62, 66) / unit, between(48, 54) / unit
    return [opening, width, float(np.mean(brows)) / unit, float(np.mean(lids))]


def pairs(table: Path, pictures: int) -> Iterator[tuple[FaceMesh, NDArray[np.float64]]]:
    """The largest face of each picture by both; pictures in which either sees none are left out."""
    finder, detector, find_box = installed_finder(), Detector(), dlib.get_frontal_face_detector()
    if finder is None:
        raise SystemExit(f"This benchmark needs the extra `utility` and {WHEEL}.")
    (folder,) = find_spec("face_recognition_models").submodule_search_locations
    predictor = dlib.shape_predictor(f"{folder}/models/shape_predictor_68_face_landmarks.dat")
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] == "background"]
    for row in rows[:: max(1, len(rows) // pictures)][:pictures]:
        picture = decode(table.parent / row["path"])
        seen = max(detector.detect([picture])[0], key=lambda d: d.box[2] - d.box[0], default=None)
        box = max(find_box(picture, 1), key=lambda b: b.width(), default=None)
        mesh = None if seen is None else finder.find(picture, seen.landmarks)
        if mesh is not None and box is not None:
            shape = predictor(picture, box)
            yield mesh, np.array([(part.x, part.y) for part in shape.parts()], float)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    given = parser.parse_args(arguments)
    apart, ours, theirs = [], [], []
    for mesh, points in pairs(given.table, given.pictures):
        off = np.linalg.norm(mesh.points[list(SAME.values()), :2] - points[list(SAME)], axis=1)
        apart.append(off.mean() / interocular(mesh.points[None])[0])
        ours.append(expression(mesh.points[None], mesh.eyes[None])[0])
        theirs.append(lengths(points))
    middle = bootstrap((apart,), np.median, rng=np.random.default_rng(0)).confidence_interval
    print(
        f"{len(apart)} of {given.pictures} faces; points apart by {np.median(apart):.3f} ", end=""
    )
    print(f"({middle.low:.3f}-{middle.high:.3f}) distances of the eyes' outer corners (median)\n")
    heads = ("length", "correlation (95 % CI)", "mean here", "mean of dlib's", "two faces differ")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, here, there in zip(MEASURES, np.array(ours).T, np.array(theirs).T, strict=True):
        told = pearsonr(here, there)
        low, high = told.confidence_interval()
        print(f"| {name} | {told.statistic:.2f} ({low:.2f}-{high:.2f}) ", end="")
        between = np.abs(here[:, None] - here)[~np.eye(len(here), dtype=bool)].mean()
        print(f"| {here.mean():.3f} | {there.mean():.3f} | {between:.3f} |")


if __name__ == "__main__":
    main()
