"""Fit what tells paint from flat parts of photographs, on development people:

    python -m reid_audit.attacks.anonymisation.fitting.fills ../shared/data --pictures 400

Writes `fills.json`. Pictures are LFW's background people, painted over with boxes, bars over the
eyes, ellipses and stickers in any colour, or left alone, or blurred and pixelated; then stored as
JPEG (quality 30 to 95) or WebP or resized, or not.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.fills import find_patches
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.pictures import read_picture

OUT = Path(__file__).parents[1] / "fills.json"
NOTHING, SOLID, DRAWN = range(3)
SAME = 0.6
"""Overlap with what was painted from which a patch is it."""
HIDDEN = ("gaussian:sigma=6", "gaussian:sigma=14", "box:k=31", "pixelate:b=9", "pixelate:b=16")
CODECS = ("none", "none", "jpeg:q={}", "jpeg:q={}", "webp:q={}")


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if min(width, height) <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def painted(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Box | None, int]:
    """A picture `(250, 250, 3)` with something on the face, where, and which class it is."""
    out = picture.copy()
    x0, y0, x1, y1 = (int(v) for v in np.array([78, 66, 174, 192]) + rng.integers(-18, 19, 4))
    kind = rng.choice(["clear", "hidden", "box", "bar", "ellipse", "face", "text", "cross", "tint"])
    colour = _colour(rng)
    if kind == "clear":
        return out, None, NOTHING
    if kind == "hidden":
        return apply_to_box(parse(str(rng.choice(HIDDEN))), out, (x0, y0, x1, y1), rng), None, 0
    if kind == "bar":
        y0 = int(rng.integers(92, 112))
        y1 = y0 + int(rng.integers(14, 38))
    ink = tuple(255 - v if rng.random() < 0.5 else int(rng.integers(0, 60)) for v in colour)
    middle, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
    if kind in ("box", "bar", "text", "cross"):
        out[y0:y1, x0:x1] = colour
    else:
        if kind == "face" and rng.random() < 0.6:
            axes = (axes[1], axes[1])
        cv2.ellipse(out, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        x0, x1 = middle[0] - axes[0], middle[0] + axes[0] + 1
        y0, y1 = middle[1] - axes[1], middle[1] + axes[1] + 1
    if kind == "tint":  # a drawing that is shaded
        shade = np.linspace(-20, 20, y1 - y0)[:, None, None] * rng.choice([-1, 1])
        inside = (out[y0:y1, x0:x1] == colour).all(axis=2)[..., None]
        part = out[y0:y1, x0:x1]
        out[y0:y1, x0:x1] = np.where(inside, (part + shade).clip(0, 255), part).astype(np.uint8)
    if kind in ("face", "tint"):
        size = axes[0]
        for side in (-1, 1):
            eye = (middle[0] + round(side * 0.3 * size), middle[1] - round(0.2 * axes[1]))
            cv2.circle(
                out, eye, max(3, round(rng.uniform(0.08, 0.16) * size)), ink, -1, cv2.LINE_AA
            )
        mouth = (middle[0], middle[1] + round(0.05 * axes[1]))
        thick = int(rng.integers(2, 7))
        cv2.ellipse(out, mouth, (round(0.4 * size),) * 2, 0, 20, 160, ink, thick, cv2.LINE_AA)
    elif kind == "text":
        word = str(rng.choice(["PRIVATE", "HIDDEN", "X", "no face", "?"]))
        scale = (x1 - x0) / max(40, 19 * len(word))
        cv2.putText(out, word, (x0 + 4, middle[1] + 5), 0, scale, ink, 2, cv2.LINE_AA)
    elif kind == "cross":
        thick = int(rng.integers(2, 8))
        cv2.line(out, (x0 + 2, y0 + 2), (x1 - 3, y1 - 3), ink, thick, cv2.LINE_AA)
        cv2.line(out, (x0 + 2, y1 - 3), (x1 - 3, y0 + 2), ink, thick, cv2.LINE_AA)
    return out, (x0, y0, x1, y1), SOLID if kind in ("box", "bar", "ellipse") else DRAWN


def stored(
    picture: np.ndarray, box: Box | None, rng: np.random.Generator
) -> tuple[np.ndarray, Box | None]:
    """After a codec, a change of size, or both."""
    if rng.random() < 0.3:
        factor = float(rng.uniform(0.5, 2))
        how = cv2.INTER_AREA if factor < 1 else int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
        if box is not None:
            x0, y0, x1, y1 = (round(factor * v) for v in box)
            box = x0, y0, x1, y1
    quality = int(rng.integers(30, 96))
    return parse(str(rng.choice(CODECS)).format(quality)).apply(picture, rng), box


def patches(
    pictures: list[np.ndarray], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, int]]:
    """Features and classes of what is flat in pictures that were painted on."""
    for clear in pictures:
        before = clear
        if rng.random() < 0.5:  # no trace of the JPEG that the picture was
            small = cv2.resize(clear, (200, 200), interpolation=cv2.INTER_AREA)
            before = cv2.resize(small, (250, 250), interpolation=cv2.INTER_CUBIC)
        drawn, box, kind = painted(before, rng)
        picture, box = stored(drawn, box, rng)
        for patch in find_patches(picture):
            near = box is not None and overlap(patch.box, box) >= SAME
            yield patch.features, kind if near else NOTHING


def main() -> None:
    """Fit on four fifths of the patches, print the confusion on the rest, and write
    `fills.json`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with (options.data / "lfw.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["role"] == "background"]
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(paths))[: options.pictures]
    pictures = [read_picture(options.data / paths[i]) for i in chosen]
    drawn = list(patches(pictures * options.repeats, rng))
    features = np.array([f for f, _ in drawn])
    kinds = np.array([k for _, k in drawn])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    held = np.arange(len(kinds)) % 5 == 0
    inputs = ((features - mean) / scale).clip(-5, 5)
    model = LogisticRegression(max_iter=3000, C=1.0).fit(inputs[~held], kinds[~held])
    answers = model.predict(inputs[held])
    for kind in range(3):
        of = kinds[held] == kind
        print(kind, of.sum(), np.bincount(answers[of], minlength=3) / max(1, of.sum()))
    stored_model = {
        "mean": mean, "scale": scale, "weight": model.coef_.T, "bias": model.intercept_,
    }  # fmt: skip
    OUT.write_text(json.dumps({k: np.round(v, 5).tolist() for k, v in stored_model.items()}) + "\n")


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.4:
        return (0, 0, 0)
    if rng.random() < 0.2:
        return (255, 255, 255)
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


if __name__ == "__main__":
    main()
