"""Scenes with known faces: heads cut out of single portraits and set on grounds without people.

Half of the people, chosen by a hash of their names, are for development; the other half are for
figures. Nothing here is stored: no picture of a real person may be committed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd
import skimage
import sklearn
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# Deep-funneled LFW, 250 x 250 px: the face, and the head that is cut out with it.
FACE = (72, 60, 180, 204)
HEAD = (40, 24, 212, 240)
# In SHARED/scenes, pictures with people in one part: the share of the height that shows none.
EMPTY = {"scenes/city.jpg": (0.5, 1.0), "scenes/office2.jpg": (0.0, 0.1)}
PHOTOGRAPHS = ("coffee", "rocket", "motorcycle_left", "chelsea", "gravel", "brick", "grass", "ihc")


@dataclass(frozen=True)
class Planted:
    """A face in a scene. `box` x0, y0, x1, y1 is as wide as `FACE`; `head` is what was pasted."""

    person: str
    box: tuple[float, float, float, float]
    head: tuple[int, int, int, int]

    @property
    def width(self) -> float:
        """Of the box, in pixels."""
        return self.box[2] - self.box[0]


def people(data: Path, half: Literal["development", "figures"]) -> list[tuple[str, Path]]:
    """One picture of each person of LFW in that half, as (name, file)."""
    table = pd.read_csv(data / "lfw.csv").sort_values("image_id").groupby("identity").first()
    parity = int(half == "figures")
    return [
        (name, data / path)
        for name, path in table.path.items()
        if hashlib.sha256(str(name).encode()).digest()[0] % 2 == parity
    ]


def photographs(data: Path) -> list[Picture]:
    """Photographs without people: of scikit-image and scikit-learn, and parts of the scenes."""
    folders = [Path(skimage.__file__).parent / "data"]
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    files = [images / "china.jpg", images / "flower.jpg"]
    files += [f for name in PHOTOGRAPHS for f in sorted(folders[0].glob(f"{name}.*"))]
    pictures = [_read(file) for file in files]
    for name, (top, bottom) in EMPTY.items():
        if (data / name).is_file():
            whole = _read(data / name)
            pictures.append(whole[int(top * len(whole)) : int(bottom * len(whole))])
    return pictures


def ground(rng: np.random.Generator, photos: Sequence[Picture], size: tuple[int, int]) -> Picture:
    """A ground `(H, W, 3)` of `size` (width, height): half of the time parts of photographs, else
    clouds at all scales, boards and grain."""
    width, height = size
    if rng.random() < 0.5:
        return clouds(rng, width, height)
    out = np.empty((height, width, 3), np.uint8)
    tile = 640
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            photo = photos[int(rng.integers(len(photos)))]
            out[y : y + tile, x : x + tile] = _part(rng, photo, tile)[: height - y, : width - x]
    return out


def clouds(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Clouds at all scales, boards and grain."""
    canvas = np.full((height, width, 3), 110.0, np.float32)
    step = 512
    while step >= 4:
        shape = (width // step + 3, height // step + 3)
        noise = rng.normal(0, 1, (shape[1], shape[0], 3)).astype(np.float32)
        noise += 2 * rng.normal(0, 1, (shape[1], shape[0], 1)).astype(np.float32)
        big = cv2.resize(noise, (shape[0] * step, shape[1] * step), interpolation=cv2.INTER_CUBIC)
        canvas += step**0.45 * big[step : step + height, step : step + width]
        step //= 2
    for _ in range(width * height // 80_000):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(v) for v in rng.integers(16, 240, 2))
        colour = (rng.integers(30, 220) + rng.integers(-25, 25, 3)).tolist()
        cv2.rectangle(canvas, (x, y), (x + w, y + h), colour, -1)
    return (canvas + rng.normal(0, 3, canvas.shape)).clip(0, 255).astype(np.uint8)


def scenes(
    data: Path,
    half: Literal["development", "figures"],
    count: int,
    widths: tuple[float, float],
    size: tuple[int, int] = (1280, 800),
    each: int = 8,
    seed: int = 0,
) -> Iterator[tuple[Picture, list[Planted]]]:
    """Scenes of `size` with `each` faces of different people of one half, `widths` wide
    (log-uniform), one after the other."""
    everybody = people(data, half)
    rng = np.random.default_rng([seed, *size])
    order = [everybody[row] for row in rng.permutation(len(everybody))]
    yield from composed(order, photographs(data), count, widths, size, each, rng)


def composed(
    portraits: Sequence[tuple[str, Path]],
    photos: Sequence[Picture],
    count: int,
    widths: tuple[float, float],
    size: tuple[int, int],
    each: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Picture, list[Planted]]]:
    """Scenes of `size` with `each` of the `portraits` (name, file) in their order, from the first
    again where they are too few.

    Heads are cut out softly and stand apart; the scene is then stored as JPEG of quality 80 to 95
    and read again.
    """
    for scene in range(count):
        picture = ground(rng, photos, size)
        planted: list[Planted] = []
        for k in range(each):
            name, file = portraits[(scene * each + k) % len(portraits)]
            width = float(np.exp(rng.uniform(*np.log(widths))))
            face = _plant(rng, picture, _read(file), name, width, planted)
            planted += [face] if face else []
        quality = int(rng.integers(80, 96))
        blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        coded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        yield np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8), planted


def _plant(
    rng: np.random.Generator,
    picture: Picture,
    portrait: Picture,
    name: str,
    width: float,
    before: Sequence[Planted],
) -> Planted | None:
    """Set a head into `picture`, away from the others; None where there is no room."""
    scale = width / (FACE[2] - FACE[0])
    cut = portrait[HEAD[1] : HEAD[3], HEAD[0] : HEAD[2]]
    w, h = round(cut.shape[1] * scale), round(cut.shape[0] * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    head = cv2.resize(cut, (w, h), interpolation=method)
    for _ in range(200):
        x = int(rng.integers(0, picture.shape[1] - w))
        y = int(rng.integers(0, picture.shape[0] - h))
        place = (x, y, x + w, y + h)
        if not any(_touch(place, other.head) for other in before):
            break
    else:
        return None
    mask = np.zeros((h, w, 1), np.float32)
    axes = (round(w * 0.47), round(h * 0.47))
    cv2.ellipse(mask, (w // 2, h // 2), axes, 0, 0, 360, 1, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, width / 30)).reshape(h, w, 1)
    behind = picture[y : y + h, x : x + w]
    picture[y : y + h, x : x + w] = (mask * head + (1 - mask) * behind).round()
    sx, sy = w / cut.shape[1], h / cut.shape[0]
    box = (
        x + (FACE[0] - HEAD[0]) * sx,
        y + (FACE[1] - HEAD[1]) * sy,
        x + (FACE[2] - HEAD[0]) * sx,
        y + (FACE[3] - HEAD[1]) * sy,
    )
    return Planted(name, box, place)


def _part(rng: np.random.Generator, photo: Picture, side: int) -> Picture:
    """A square part at .6 to 2 times its size, perhaps mirrored; mirrored on where it ends."""
    scale = float(np.exp(rng.uniform(np.log(0.6), np.log(2.0))))
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        photo = photo[:, ::-1]
    rows = _mirrored(int(rng.integers(len(photo))), side, len(photo))
    columns = _mirrored(int(rng.integers(photo.shape[1])), side, photo.shape[1])
    return photo[rows][:, columns]


def _mirrored(start: int, count: int, size: int) -> NDArray[np.intp]:
    index = (start + np.arange(count)) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def _touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _read(file: Path) -> Picture:
    return np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB), np.uint8)
