"""Parts painted over with one colour, or with a drawing, from the pixels.

Paint is flat: neighbouring pixels are equal, through a codec nearly so, which photographs are only
in patches without a shape. Flat patches that fill a box or an ellipse, with whatever is drawn on
them, are candidates; how flat, even, clear and sharp they are decides (`fills.json`, fitted by
`fitting.fills` on development people). What crosses the whole picture, as captions, frames, gaps
between pictures and letterbox bars do, hides no face.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np

from reid_audit.attacks.anonymisation.ellipse import Box

SMALLEST = 8
"""Sides in pixels of the least part that is looked at."""
LEAST = 8e-4
"""Least area, in that of the picture."""
PASSES = ((0, 1), (1, 8), (3, 16))
"""Ranges in grey levels of 3 x 3 pixels of luma that count as flat, and the distances from the
patch's colour up to which pixels belong to it: in a lossless file, and through codecs."""
TINT = 3.0
"""Colours may be so many times as far off as luma: codecs blur them over 16 pixels."""
JOINED, SPUR = 9, 7
"""Pixels of the gaps between flat patches of one colour that are closed, lines drawn across, and
of the arms that are cut off: beside a fill there may be pixels of its colour."""
FULL = 0.85
"""Share of a box, or overlap with an ellipse, that a patch with its holes must reach."""
STANDS_OUT = 20
"""Difference in grey levels by which what lies outside a rim is another colour."""
INSIDE, OUTSIDE = 2, 3
"""Pixels from the rim at which the paint, and what is around, are read."""
SHARP, FLAT = 0.25, 0.4
"""Least share of the rim that is sharp, and of the inside that is flat: pictures unlike any that
the decision was fitted to are judged by these alone."""
EXACT, ALL = 0.1, 0.99
"""Standard deviation in grey levels under which paint went through no codec, and the share of it
that then has its colour if nothing is drawn on it."""
POSSIBLE = 0.3
"""Probability from which a crisp patch counts: the decision was fitted to few thin bars."""
SAME = 0.8
"""Share of the larger of two patches from which they are one seen twice."""
BLOCK, EVEN, ALL_EVEN = 8, 2, 0.85
"""Side of a JPEG's blocks, grey levels that one of paint spans at most, and the share of a part's
blocks that must: those of a wall or a brick span more."""
RINGING = 16
"""Pixels from the rim beyond which a codec leaves paint as it is: blocks of thinned colours."""
MOST = 40
"""Patches that are looked at in each pass, the largest."""


@dataclass(frozen=True)
class Fill:
    """box: x0, y0, x1, y1; shape: `box` or `ellipse`; colour: the main one; one_colour: whether
    there is no other, else it is a drawing; probability: that it is painted at all; sharp: the
    share of its rim where the colour changes within few pixels."""

    box: Box
    shape: str
    colour: tuple[int, int, int]
    one_colour: bool
    probability: float
    sharp: float


@dataclass(frozen=True)
class Patch:
    """A candidate: `features` `(F,)` of how it looks; full: the share of its shape that it fills;
    level: of the pass that saw it, 0 being the strictest; owned: the share of its inside that has
    its colour, and spread: the standard deviation of that in grey levels; clear, sharp: see
    `_rim`."""

    box: Box
    shape: str
    colour: tuple[int, int, int]
    features: np.ndarray
    full: float
    level: int
    owned: float
    spread: float
    clear: float
    sharp: float

    @property
    def crisp(self) -> bool:
        """Whether all of it is one colour and its rim is sharp all around."""
        return self.full >= 0.97 and min(self.owned, self.clear) >= 0.98 and self.sharp >= 0.85

    def one_colour(self, solid: float, drawn: float) -> bool:
        """Whether nothing is drawn on it, by the odds of both where a codec shook the colours."""
        return self.owned >= ALL if self.spread < EXACT else solid >= drawn


def find_fills(picture: np.ndarray, least: float = 0.5) -> tuple[Fill, ...]:
    """Painted parts of a picture `(H, W, 3)` uint8 with at least this probability, or, where they
    are crisp, with a possible one; the likeliest and largest first. They do not overlap."""
    seen = [(patch, _probabilities(patch.features)) for patch in find_patches(picture)]
    painted = [
        (patch, odds)
        for patch, odds in seen
        if 1 - odds[0] >= (min(least, POSSIBLE) if patch.crisp else least)
    ]

    def worth(entry: tuple[Patch, np.ndarray]) -> float:
        """What fills its shape less has run into its surroundings."""
        patch, (nothing, _, _) = entry
        return float((1 - nothing) * _area(patch.box) ** 0.5 * patch.full**2)

    kept: list[Fill] = []
    for patch, odds in sorted(painted, key=worth, reverse=True):
        if any(_touch(patch.box, other.box) for other in kept):
            continue
        # Looser passes take faint lines for the codec's.
        alike = [entry for entry in painted if same_place(entry[0].box, patch.box)]
        strict, (_, solid, drawn) = min(alike, key=lambda entry: entry[0].level)
        one_colour = bool(strict.one_colour(solid, drawn)) or _plain_within(picture, patch)
        probability = float(1 - odds[0])
        fill = Fill(patch.box, patch.shape, patch.colour, one_colour, probability, patch.sharp)
        kept.append(fill)
    return tuple(kept)


def _plain_within(picture: np.ndarray, patch: Patch) -> bool:
    """Whether nothing is drawn on a patch that a codec shook: what it does to paint stays in the
    blocks that the rim crosses, and all that lies deeper has one colour."""
    x0, y0, x1, y1 = patch.box
    mask = np.pad(_mask(y1 - y0, x1 - x0, patch.shape), 1).astype(np.uint8)
    deep = cv2.erode(mask, np.ones((2 * RINGING + 1, 2 * RINGING + 1)))[1:-1, 1:-1] > 0
    if patch.spread < EXACT or deep.sum() < BLOCK**2:
        return False
    gap = picture[y0:y1, x0:x1][deep].astype(np.int16) - np.array(patch.colour, np.int16)
    return bool((np.abs(gap).max(axis=1) <= TINT * PASSES[0][1]).mean() >= ALL)


def even_blocks(picture: np.ndarray, box: Box) -> bool:
    """Whether the blocks of a JPEG inside a part of a picture `(H, W, 3)` uint8 are each of one
    brightness, as paint leaves them; not where no block lies inside."""
    x0, y0, x1, y1 = box
    left, top = (-(-v // BLOCK) * BLOCK for v in (x0, y0))
    rows, columns = (y1 - top) // BLOCK, (x1 - left) // BLOCK
    if min(rows, columns) < 1:
        return False
    part = picture[top : top + rows * BLOCK, left : left + columns * BLOCK]
    luma = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    blocks = luma.reshape(rows, BLOCK, columns, BLOCK)
    return bool((np.ptp(blocks, axis=(1, 3)) <= EVEN).mean() >= ALL_EVEN)


def find_patches(picture: np.ndarray) -> list[Patch]:
    """Flat parts of a picture `(H, W, 3)` uint8 that have a shape."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    cross = np.ones((3, 3), np.uint8)
    span = cv2.dilate(luma, cross) - cv2.erode(luma, cross)
    area = max(SMALLEST**2 / 2, LEAST * luma.size)
    patches: list[Patch] = []
    for level, (flat, near) in enumerate(PASSES):
        label, stats = cv2.connectedComponentsWithStats(
            (span <= flat).astype(np.uint8), connectivity=4
        )[1:3]
        order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:MOST]
        seen: set[Box] = set()
        for index in order[stats[order, cv2.CC_STAT_AREA] >= area / 3].tolist():
            x, y, w, h, _ = stats[index].tolist()
            core = label[y : y + h, x : x + w] == index
            patch = _patch(picture, span, (x, y, x + w, y + h), core, level, near)
            if patch is not None and patch.box not in seen and _area(patch.box) >= area:
                seen.add(patch.box)
                patches.append(patch)
    return patches


def _patch(
    picture: np.ndarray, span: np.ndarray, core_box: Box, core: np.ndarray, level: int, near: int
) -> Patch | None:
    """What a flat core belongs to, None where that has no shape, no rim or crosses the picture."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = core_box
    flat = picture[y0:y1, x0:x1][core].astype(np.int16)
    colour = np.median(flat, axis=0).astype(np.int16)
    pad = max(16, (x1 - x0) // 2, (y1 - y0) // 2)
    left, top = max(0, x0 - pad), max(0, y0 - pad)
    window = picture[top : y1 + pad, left : x1 + pad].astype(np.int16) - colour
    tint = np.abs(window).max(axis=2) <= TINT * near
    own = (tint & (np.abs(window @ np.array([77, 150, 29])) <= 256 * near)).astype(np.uint8)
    joined = cv2.morphologyEx(own, cv2.MORPH_CLOSE, np.ones((JOINED, JOINED), np.uint8))
    label = cv2.connectedComponents(joined, connectivity=4)[1]
    at = np.bincount(label[y0 - top : y1 - top, x0 - left : x1 - left][core])
    at[0] = 0
    if not at.any():
        return None
    solid = _without_spurs(_filled((label == int(np.argmax(at))).astype(np.uint8)))
    y, x = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not len(y):
        return None
    a, b, c, d = int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1
    part = solid[b:d, a:c] > 0
    box = (a + left, b + top, c + left, d + top)
    crosses = (box[0] == 0 and box[2] == width) or (box[1] == 0 and box[3] == height)
    if crosses or min(c - a, d - b) < SMALLEST:
        return None
    shape, full = _shape(part)
    if full < FULL:
        return None
    rim = _rim(picture, box, shape, colour)
    if rim is None:
        return None
    clear, sharp, contrast = rim
    mask = _mask(d - b, c - a, shape)
    inner = cv2.erode(np.pad(mask, 1).astype(np.uint8), np.ones((7, 7)))[1:-1, 1:-1] > 0
    inner = inner if inner.any() else mask
    spans = span[box[1] : box[3], box[0] : box[2]][inner]
    owned = own[b:d, a:c][inner] > 0
    if sharp < SHARP or (spans <= 3).mean() < FLAT:
        return None
    values = window[b:d, a:c][inner][owned]
    spread = float(values.std(axis=0).mean()) if len(values) else 99.0
    features = np.array(
        [
            np.log((c - a) * (d - b) / (height * width)),
            np.log(min(c - a, d - b)),
            (spans == 0).mean(),
            (spans <= 3).mean(),
            (spans > 24).mean(),
            owned.mean(),
            np.log(spread + 0.2),
            np.log(contrast + 1),
            clear,
            sharp,
            full,
            float(shape == "ellipse"),
            float(level == 1),
            float(level == 2),
            float(box[0] == 0 or box[1] == 0 or box[2] == width or box[3] == height),
            abs(np.log((c - a) / (d - b))),
        ]
    )
    red, green, blue = (int(value) for value in colour)
    owned_share = float(owned.mean())
    return Patch(
        box,
        shape,
        (red, green, blue),
        features,
        full,
        level,
        owned=owned_share,
        spread=spread,
        clear=clear,
        sharp=sharp,
    )


def _filled(mask: np.ndarray) -> np.ndarray:
    """A mask `(H, W)` uint8 with its holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)


def _without_spurs(mask: np.ndarray) -> np.ndarray:
    """The largest part of a mask `(H, W)` uint8 that is left without thin arms."""
    padded = cv2.copyMakeBorder(mask, SPUR, SPUR, SPUR, SPUR, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((SPUR, SPUR), np.uint8))
    opened = np.ascontiguousarray(opened[SPUR:-SPUR, SPUR:-SPUR])
    count, label, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return opened
    return np.asarray(label == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8)


def _mask(height: int, width: int, shape: str) -> np.ndarray:
    """Which pixels `(height, width)` of its box a shape holds."""
    if shape == "box":
        return np.ones((height, width), bool)
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return y[:, None] ** 2 + x[None] ** 2 <= 1


def _shape(part: np.ndarray) -> tuple[str, float]:
    """The shape that a mask `(h, w)` fills better, and how well."""
    height, width = part.shape
    ellipse = _mask(height, width, "ellipse")
    overlap = (part & ellipse).sum() / (part | ellipse).sum()
    share = part.mean()
    return ("ellipse", float(overlap)) if overlap > share else ("box", float(share))


def _rim(
    picture: np.ndarray, box: Box, shape: str, colour: np.ndarray
) -> tuple[float, float, float] | None:
    """Share of the rim, where it is not the picture's own, beyond which the colour is another;
    share where it changes within few pixels; median contrast. None where there is hardly a rim."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    if shape == "box":
        x, y = np.arange(x0 + INSIDE, x1 - INSIDE), np.arange(y0 + INSIDE, y1 - INSIDE)
        row = np.concatenate([np.full_like(x, y0), np.full_like(x, y1 - 1), y, y])
        column = np.concatenate([x, x, np.full_like(y, x0), np.full_like(y, x1 - 1)])
        down = np.repeat([-1, 1, 0, 0], [len(x), len(x), len(y), len(y)])
        across = np.repeat([0, 0, -1, 1], [len(x), len(x), len(y), len(y)])
    else:
        angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
        down, across = np.sin(angle), np.cos(angle)
        row = (y0 + y1 - 1) / 2 + (y1 - y0 - 1) / 2 * down
        column = (x0 + x1 - 1) / 2 + (x1 - x0 - 1) / 2 * across

    def at(distance: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.rint(row + distance * down).astype(int)
        x = np.rint(column + distance * across).astype(int)
        seen = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        gap = np.abs(picture[y.clip(0, height - 1), x.clip(0, width - 1)] - colour).max(axis=1)
        return gap, seen

    (inner, _), (outer, seen) = at(-INSIDE), at(OUTSIDE)
    if seen.sum() < 2 * SMALLEST:
        return None
    inner, outer = inner[seen], outer[seen]
    contrast = float(np.median(outer))
    sharp = float(((outer > 0.5 * contrast) & (inner < 0.3 * outer)).mean())
    return float((outer > STANDS_OUT).mean()), sharp, contrast


def _probabilities(features: np.ndarray) -> np.ndarray:
    """Of nothing, a fill of one colour, and a drawing `(3,)`."""
    mean, scale, weight, bias = _model()
    logits = ((features - mean) / scale).clip(-5, 5) @ weight + bias
    odds = np.exp(logits - logits.max())
    return np.asarray(odds / odds.sum())


@cache
def _model() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    stored = json.loads(resources.files(__package__).joinpath("fills.json").read_text())
    mean, scale, weight, bias = (
        np.array(stored[name]) for name in ("mean", "scale", "weight", "bias")
    )
    return mean, scale, weight, bias


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def same_place(a: Box, b: Box) -> bool:
    """Whether two boxes are about the same place."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width > 0 < height and width * height >= SAME * max(_area(a), _area(b))


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
