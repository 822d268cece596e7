"""Whether an anonymised picture and its original show the same picture, and how they lie.

The two are compared in tiles. A tile that was hidden says nothing (its detail is gone), one that
was left alone agrees, and one with detail of its own that the original does not have contradicts.
So the changed part, however large, neither hides a wrong original nor accuses a right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.data import Box
from reid_audit.audit.data.fingerprint import SAME_PICTURE, fingerprint

Picture = NDArray[np.uint8]
Relation = Literal["same", "turned", "different"]

SIDE, TILE = 256, 16
"""Longer side in pixels at which two pictures are compared, and the side of a tile."""
COARSE_SIDE, COARSE_TILE = 96, 8
"""The same for choosing among the eight ways a picture can lie."""
DETAIL = 3.0
"""Standard deviation in grey levels from which a tile of the original has something to tell."""
AGREES, CONTRADICTS = 0.8, 0.5
"""Correlation from which a tile agrees, and up to which one with own detail contradicts."""
OWN_DETAIL = 0.5
"""Share of the original's standard deviation from which a tile has detail of its own."""
MARGIN = 0.15
"""By how much more another orientation must agree before a picture is taken to lie in it."""
FILL, FILL_SHAKEN = 0.25, 4
"""Share of a picture from which one colour fills a good part of it, and the grey levels by which a
codec moves such pixels."""
PADDING = 16
"""Codecs round sides up to multiples of this many pixels: such a border is no change of scale."""


@dataclass(frozen=True)
class Turn:
    """How a picture must be turned to lie as its original: quarters of a turn anticlockwise, then
    mirrored left to right.

    >>> Turn(1).box((0, 0, 2, 1), (4, 10))
    (0, 8, 1, 10)
    """

    quarters: int = 0
    mirrored: bool = False

    def apply(self, picture: Picture) -> Picture:
        """The picture `(H, W, 3)` as its original lies."""
        if not self.quarters and not self.mirrored:
            return picture
        turned = np.rot90(picture, self.quarters)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Height and width after the turn."""
        return (shape[1], shape[0]) if self.quarters % 2 else shape

    def box(self, box: Box, shape: tuple[int, int]) -> Box:
        """Where a box of a picture of `shape` (height, width) lies after the turn."""
        x0, y0, x1, y1 = box
        height, width = shape
        for _ in range(self.quarters):
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            height, width = width, height
        return (width - x1, y0, width - x0, y1) if self.mirrored else (x0, y0, x1, y1)


UPRIGHT = Turn()
TURNS = tuple(Turn(quarters, mirrored) for mirrored in (False, True) for quarters in range(4))


@dataclass(frozen=True)
class Pair:
    """How an anonymised picture and its original belong together.

    turn: what lays the anonymised picture as the original lies.
    padded: its size differs by a border at the right and below, not by scale.
    agreement, contradiction: share of the original's tiles with detail.
    """

    relation: Relation
    turn: Turn
    padded: bool
    agreement: float
    contradiction: float


def compare(picture: Picture, original: Picture) -> Pair:
    """How `picture (H, W, 3)`, anonymised, belongs to `original (H', W', 3)`."""
    grey, clear = _grey(picture), _grey(original)
    turn = _turn(grey, clear)
    lying = turn.apply(grey)
    padded = _padded(lying, clear)
    beneath = placed(clear, lying.shape[:2], padded)
    agreement, contradiction = _tiles(lying, beneath, SIDE, TILE)
    if contradiction > agreement:
        # The rim of a fill is like nothing in the original, and may be most of what is left.
        filled = _filled(lying)
        beside, against = _tiles(lying, beneath, SIDE, TILE, filled)
        by_its_rim = filled.any() and beside >= against
        if not by_its_rim and not _alike_from_afar(turn.apply(picture), original):
            return Pair("different", UPRIGHT, False, agreement, contradiction)
    relation: Relation = "same" if turn == UPRIGHT else "turned"
    return Pair(relation, turn, padded, agreement, contradiction)


def placed(original: Picture, shape: tuple[int, int], padded: bool) -> Picture:
    """The original in the frame of a picture of `shape` (height, width) that lies as it does."""
    height, width = original.shape[:2]
    if (height, width) == shape:
        return original
    if padded:
        right, below = max(0, shape[1] - width), max(0, shape[0] - height)
        grown = cv2.copyMakeBorder(original, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return np.asarray(grown[: shape[0], : shape[1]], np.uint8)
    shrinks = shape[0] < height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(original, shape[::-1], interpolation=how), np.uint8)


def toned_as(picture: Picture, original: Picture) -> Picture:
    """The original `(H, W, 3)` without its colours, where the picture has none."""
    if (picture != picture[..., :1]).any():
        return original
    return np.asarray(cv2.cvtColor(_grey(original), cv2.COLOR_GRAY2RGB), np.uint8)


def _turn(picture: Picture, original: Picture) -> Turn:
    """The orientation that agrees best; the picture's own unless another is clearly better."""
    scores = {}
    tall = original.shape[0] > original.shape[1]
    for turn in TURNS:
        lying = turn.apply(picture)
        square = abs(np.log(lying.shape[0] / lying.shape[1])) < 0.05
        if (lying.shape[0] > lying.shape[1]) != tall and not square:
            continue
        scores[turn] = _tiles(
            lying, placed(original, lying.shape[:2], False), COARSE_SIDE, COARSE_TILE
        )[0]
    best = max(scores, key=lambda turn: (scores[turn], turn == UPRIGHT), default=UPRIGHT)
    own = scores.get(UPRIGHT, 0.0)
    return best if best != UPRIGHT and scores[best] > own + MARGIN else UPRIGHT


def _padded(picture: Picture, original: Picture) -> bool:
    """Whether sizes differ by a codec's border rather than by scale."""
    difference = np.subtract(picture.shape[:2], original.shape[:2])
    if not difference.any() or np.abs(difference).max() >= PADDING:
        return False
    scaled, cut = (
        _tiles(picture, placed(original, picture.shape[:2], padded), SIDE, TILE)
        for padded in (False, True)
    )
    return cut[0] > scaled[0]


def _alike_from_afar(picture: Picture, original: Picture) -> bool:
    """Whether the lowest frequencies are one picture's: all that is left of a picture that was
    blurred or pixelated as a whole."""
    return float(fingerprint(picture) @ fingerprint(original)) >= SAME_PICTURE


def _filled(picture: Picture) -> NDArray[np.bool_]:
    """Pixels `(H, W)` of a grey picture that one colour fills, through a codec; none where no
    colour fills a good part of it."""
    commonest = int(np.bincount(picture.ravel(), minlength=256).argmax())
    filled = np.abs(picture.astype(np.int16) - commonest) <= FILL_SHAKEN
    return np.asarray(filled & (filled.mean() >= FILL))


def _grey(picture: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _tiles(
    picture: Picture,
    original: Picture,
    side: int,
    tile: int,
    filled: NDArray[np.bool_] | None = None,
) -> tuple[float, float]:
    """Share of the original's tiles with detail that agree, and that contradict; tiles with pixels
    that are `filled` do neither."""
    a, b = (_cut(p, side, tile) for p in (picture, original))
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    own, wanted = a.std(-1), b.std(-1)
    telling = wanted > DETAIL
    if not telling.any():
        return 0.0, 0.0
    alike = (a * b).mean(-1) / np.maximum(own * wanted, 1e-6)
    agrees = telling & (alike > AGREES)
    contradicts = telling & (alike < CONTRADICTS) & (own > OWN_DETAIL * wanted)
    if filled is not None:
        beside = _cut(filled.astype(np.uint8) * 255, side, tile).max(-1) == 0
        agrees, contradicts = agrees & beside, contradicts & beside
    return float(agrees.sum() / telling.sum()), float(contradicts.sum() / telling.sum())


def _cut(picture: Picture, side: int, tile: int) -> NDArray[np.float32]:
    """Tiles `(N, tile * tile)` of a grey picture brought to `side` pixels."""
    scale = side / max(picture.shape[:2])
    rows, columns = (max(1, round(s * scale / tile)) for s in picture.shape[:2])
    size = columns * tile, rows * tile
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small.reshape(rows, tile, columns, tile).swapaxes(1, 2).reshape(-1, tile * tile)
