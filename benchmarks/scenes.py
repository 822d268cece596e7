"""How many planted misses and partial covers the inventory finds in composed scenes.

    python benchmarks/scenes.py ../shared/data [--scenes 60] [--seed 0] [--apart QUALITY]

Five heads of different people stand on structured grounds without people, 16 to 120 pixels wide.
Each face is covered, covered in part (eyes only, or the lower half) or left clear, by one of three
tools that open the original's JPEG and store another one. Counted is what the inventory says of
each face against what was planted; intervals are exact, of faces, since each is another person in
another place. `--apart`: both JPEG files are stored from a source that nobody kept, the anonymised
one at this quality.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.recognition.scenes import SceneDetector
from reid_audit.attacks.recognition.sizes import SMALLEST_POSSIBLE
from reid_audit.audit.data import Item, decode
from reid_audit.audit.probes.faces import detect_picture, overlap
from reid_audit.audit.probes.scene import Task
from reid_audit.audit.probes.scenes import examine
from reid_audit.metrics.stats import clopper_pearson

Picture = np.ndarray
Box = tuple[int, int, int, int]
SIZE = (1280, 800)
HEAD: Box = (72, 60, 180, 204)
"""The face in LFW's pictures of 250 pixels."""
WIDTHS = (16, 28, 44, 72, 120)
PLANTED = ("covered", "covered", "covered", "missed", "partial")
FOUND = 0.25
"""Overlap from which a face that was found is the planted one."""


def ground(rng: np.random.Generator) -> Picture:
    """Clouds of every scale, boards and grain."""
    width, height = SIZE
    picture = np.full((height, width, 3), 120.0)
    for step in (320, 160, 80, 40, 20, 10, 5):
        rows, columns = height // step + 3, width // step + 3
        cloud = rng.normal(0, 1, (rows, columns, 1)) + rng.normal(0, 0.3, (rows, columns, 3))
        whole = cv2.resize(cloud, (columns * step, rows * step), interpolation=cv2.INTER_CUBIC)
        picture += 2.2 * step**0.45 * whole[step : step + height, step : step + width]
    for _ in range(12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = rng.integers(20, 200, 2)
        picture[y : y + h, x : x + w] = rng.integers(40, 200) + rng.integers(-20, 20, 3)
    return (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)


def compose(
    heads: Sequence[Picture], widths: Sequence[int], rng: np.random.Generator
) -> tuple[Picture, list[Box]]:
    """Heads side by side on one ground, and their boxes."""
    picture, boxes = ground(rng), []
    x0, y0, x1, y1 = HEAD
    unit, tall = x1 - x0, y1 - y0
    left, top = (x0 + x1) // 2 - int(0.8 * unit), max(0, (y0 + y1) // 2 - unit)
    cell = SIZE[0] // len(heads)
    for place, (head, width) in enumerate(zip(heads, widths, strict=True)):
        scale = width / unit
        cut = head[top : top + 2 * unit, left : left + int(1.6 * unit)]
        small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        h, w = small.shape[:2]
        x = place * cell + int(rng.integers(4, max(5, cell - w - 4)))
        y = int(rng.integers(10, SIZE[1] - h - 10))
        mask = np.zeros((h, w), np.float32)
        cv2.ellipse(mask, (w // 2, h // 2), (int(0.48 * w), int(0.48 * h)), 0, 0, 360, 1, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.8, width / 40))[..., None]
        part = picture[y : y + h, x : x + w]
        part[:] = mask * small + (1 - mask) * part
        a, b = x + (x0 - left) * scale, y + (y0 - top) * scale
        boxes.append((round(a), round(b), round(a + width), round(b + tall * scale)))
    return picture, boxes


def blur(roi: Picture) -> Picture:
    """A mean filter as wide as half the box: a common tool's default."""
    return cv2.blur(roi, (max(1, roi.shape[1] // 2), max(1, roi.shape[0] // 2)))


def mosaic(roi: Picture) -> Picture:
    small = cv2.resize(roi, (5, 6), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, roi.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def fill(roi: Picture) -> Picture:
    return np.zeros_like(roi)


TOOLS: dict[str, Callable[[Picture], Picture]] = {"blur": blur, "mosaic": mosaic, "fill": fill}


def hide(picture: Picture, box: Box, how: str, tool: str, rng: np.random.Generator) -> Picture:
    """One face covered, in part, or left as it is."""
    if how == "missed":
        return picture
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if how == "covered":
        more_x, more_y = round(0.15 * width), round(0.15 * height)
        x0, y0, x1, y1 = x0 - more_x, y0 - more_y, x1 + more_x, y1 + more_y
    elif rng.random() < 0.5:  # a bar over the eyes
        y0, y1 = y0 + round(0.24 * height), y0 + round(0.48 * height)
    else:  # the lower half
        y0, y1 = y0 + round(0.55 * height), y1 + round(0.1 * height)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(SIZE[0], x1), min(SIZE[1], y1)
    picture = picture.copy()
    picture[y0:y1, x0:x1] = TOOLS[tool](picture[y0:y1, x0:x1])
    return picture


def stored(picture: Picture, quality: int, path: Path) -> Picture:
    """The picture as it is read again."""
    Image.fromarray(picture).save(path, quality=quality)
    return decode(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--widths", type=int, nargs=len(PLANTED), default=WIDTHS)
    parser.add_argument("--apart", type=int, metavar="QUALITY")
    parser.add_argument("--skip", type=int, default=0, help="people passed over")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    with (args.data / "lfw.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] == "background"]
    people = list({row["identity"]: row["path"] for row in rows}.values())
    np.random.default_rng(args.seed).shuffle(people)
    people = people[args.skip :]
    detector, said = SceneDetector(), Counter()
    folder = Path(tempfile.mkdtemp())
    strange = seconds = 0.0
    for number in range(args.scenes):
        rng = np.random.default_rng([args.seed, number])
        paths = [people[(5 * number + k) % len(people)] for k in range(len(PLANTED))]
        heads = [np.asarray(Image.open(args.data / p).convert("RGB")) for p in paths]
        widths, planted = rng.permutation(args.widths).tolist(), rng.permutation(PLANTED).tolist()
        clear, boxes = compose(heads, widths, rng)
        original = stored(clear, 95, folder / "original.jpg")
        hidden, tool = clear if args.apart else original, list(TOOLS)[number % len(TOOLS)]
        for box, how in zip(boxes, planted, strict=True):
            hidden = hide(hidden, box, how, tool, rng)
        stored(hidden, args.apart or 90, folder / "hidden.jpg")
        start = time.process_time()
        clear_faces = detect_picture(original, detector, SMALLEST_POSSIBLE)
        item = Item("", None, "probe", folder / "hidden.jpg", original=folder / "original.jpg")
        scene = examine(Task("", item.path, item.original, (item,), clear_faces, None, "unknown"))
        seconds += time.process_time() - start
        found = scene.faces
        taken = set()
        for box, width, how in zip(boxes, widths, planted, strict=True):
            row = max(range(len(found)), key=lambda r: overlap(found[r].box, box), default=None)
            seen = row is not None and overlap(found[row].box, box) >= FOUND
            taken |= {row} if seen else set()
            size = "12 to 20 px" if width < 20 else "20 px and more"
            said[size, how, found[row].state if seen and row is not None else "not found"] += 1
        strange += len(found) - len(taken)
    lines = [
        "| faces | planted | n | said covered | partial | missed | not found | right, 95 % CI |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in ("20 px and more", "12 to 20 px"):
        for how in ("missed", "partial", "covered"):
            counts = [said[size, how, s] for s in ("covered", "partial", "missed", "not found")]
            right, n = said[size, how, how], sum(counts)
            if n:
                e = clopper_pearson(right, n)
                cells = " | ".join(map(str, counts))
                share = f"{e.value:.1%} ({e.low:.1%} to {e.high:.1%})"
                lines.append(f"| {size} | {how} | {n} | {cells} | {share} |")
    lines.append("")
    lines.append(
        f"{args.scenes} scenes of {SIZE[0]} x {SIZE[1]}, seed {args.seed}: {strange:.0f} faces "
        f"found where none was planted; {seconds / args.scenes:.2f} CPU s a scene."
    )
    text = "\n".join(lines)
    print(text)
    if args.output is not None:
        args.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
