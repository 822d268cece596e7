"""Where an anonymised picture differs from its original by more than coding explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from reid_audit.attacks.anonymisation import stored_alike
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.audit.data import Box

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMOOTH = 1.5
"""Sigma in pixels over which differences are averaged."""
BLOCK = 8
"""Side in pixels of the blocks that the noise of coding is read from."""
TEXTURED = 4.0
"""Standard deviation in grey levels from which a block is not flat, where codecs change less."""
QUIET = 0.25
"""The share of the textured blocks that is taken to be untouched: faces fill less than the rest."""
OUTSIDE = 0.75
"""The same beside the places that are known to have been changed."""
EXACT = 0.6
"""Grey levels of noise up to which an original that was stored again is what the picture was made
from: decoders differ by less."""
RINGS = 2.0
"""Grey levels of noise that remain where what coding did to the rest was taken out."""
STEPS, ROUNDED = 1.05, 1.0
"""What coding is taken to move a coefficient by: steps, and grey levels on top for rounding."""
LOUDEST = 6.0
"""Grey levels of noise (root mean square) that coding is trusted to explain: JPEG under quality
60 leaves more, and there a blurred face would pass for a coded one."""
NOISE, DETAIL, AT_LEAST = 3.0, 0.25, 1.0
"""A pixel is changed from `NOISE` times the noise plus up to `DETAIL` of the detail around it,
where codecs ring; and from `AT_LEAST` grey levels."""
RINGING = 8.0
"""Grey levels of noise at which the whole of `DETAIL` is added, and so on in proportion."""
JOIN = 5
"""Pixels between two changed places that still belong to one region."""
SMALLEST = 10
"""Sides in pixels below which a changed place is noise."""
RECTANGULAR = 0.9
"""Share of its box that a region fills if it is a box: an ellipse fills .785."""
EDGE, REACHED = 0.15, 7
"""Share of a line's pixels that are changed where a region begins, and the pixels by which
smoothing at most enlarges one."""
LOUDER, FAINT, DEEP = 3.0, 0.25, 12
"""Mean square by which a changed line differs from one that only rings, what is added to both, and
the lines from a block's border inward among which the first changed one is sought."""
SHAKEN, FILLED = 6.0, 0.9
"""Grey levels by which a codec moves a fill's pixels, and the share of a place that then has its
colour."""
WHOLE = 0.9
"""Share of the picture from which a changed place is the whole of it."""


FINE, TILE, STRONG = 2.0, 16, 4.0
"""Sigma in pixels under which detail is fine, side of the tiles in which it is compared, and its
standard deviation in grey levels from which a tile, of the more detailed half, has enough of it."""
BEST, SMOOTHED = 0.9, 0.6
"""Quantile over tiles of the share of fine detail that is kept, and the share under which the whole
picture was smoothed: JPEG 15, WebP 10 and enlargement keep .8, a blur of 2 pixels at most .56."""


@dataclass(frozen=True, eq=False)
class Change:
    """One changed place: its box, its pixels `(H, W)` inside the box, its convex hull likewise, and
    by how many grey levels (root mean square) it was changed."""

    box: Box
    pixels: Mask
    hull: Mask
    strength: float

    @property
    def rectangular(self) -> bool:
        """Whether it fills its box."""
        return bool(self.hull.mean() >= RECTANGULAR)


@dataclass(frozen=True, eq=False)
class Difference:
    """An anonymised picture and its original, both grey `(H, W)` float32 and lying alike.

    noise: what coding changes in pixels that nobody touched, in grey levels (root mean square).
    blocks: whether all that is left of coding is the ringing in blocks of which a part was changed.
    """

    picture: Floats
    original: Floats
    noise: float
    blocks: bool = False

    @classmethod
    def between(cls, picture: Picture, original: Picture, stated: Sequence[Box] = ()) -> Difference:
        """Compare RGB pictures `(H, W, 3)` of one size. `stated`: where a record says that the
        picture was processed; the noise of coding is read from the rest."""
        return cls.of(_grey(picture), _grey(original), stated)

    @classmethod
    def of(
        cls, picture: Floats, original: Floats, stated: Sequence[Box], untouched: float = QUIET
    ) -> Difference:
        """The same of grey pictures `(H, W)`, where a share `untouched` of what is not stated is
        taken for untouched."""
        kept = np.ones(picture.shape, bool)
        for x0, y0, x1, y1 in stated:
            kept[y0:y1, x0:x1] = False
        noise = coding_noise(picture - original, original, kept, untouched)
        return cls(picture, original, noise)

    def without_coding(
        self, stored: Picture, steps: NDArray[np.float64], stated: Sequence[Box] = ()
    ) -> Difference:
        """The difference without what the JPEG of the anonymised picture did to all of it.

        A picture made from this very original differs from the original stored alike only where it
        was changed. One that was stored from the same source apart differs by a step of the
        quantiser here and there, in no coefficient by more.

        Args:
            stored: the original `(H, W, 3)`, stored as the picture was. steps: of the quantiser,
            `(8, 8)`. stated: as for `between`.
        """
        if not self.noise:
            return self
        known = [*stated, *(place.box for place in self.places)]
        grey = _grey(stored)
        error = self.picture - grey
        if Difference.of(self.picture, grey, known, OUTSIDE).noise >= EXACT:
            error = _beyond_steps(error, steps)
            if Difference.of(grey + error, grey, known, OUTSIDE).noise >= self.noise:
                return self
        # In a block of which a part was changed, the rest rings.
        return Difference(grey + error, grey, min(self.noise, RINGS), blocks=True)

    @cached_property
    def changed(self) -> Mask:
        """Pixels `(H, W)` that were changed."""
        error = _root(cv2.GaussianBlur((self.picture - self.original) ** 2, (0, 0), SMOOTH))
        fine = _fine(self.original)
        detail = _root(cv2.GaussianBlur(fine**2, (0, 0), 2 * SMOOTH))
        ringing = DETAIL * min(1.0, self.noise / RINGING)
        return np.asarray(error > np.maximum(AT_LEAST, NOISE * self.noise + ringing * detail))

    @cached_property
    def places(self) -> tuple[Change, ...]:
        """The changed places, the largest first; small ones are noise and left out."""
        mask = self.changed.astype(np.uint8)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (JOIN, JOIN))
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
        joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        changed = []
        for label in np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1:
            x, y, width, height, _area = (int(v) for v in stats[label])
            if min(width, height) < SMALLEST:
                continue
            part = slice(y, y + height), slice(x, x + width)
            pixels = labels[part] == label
            error = (self.picture[part] - self.original[part])[pixels]
            strength = float(np.sqrt((error**2).mean()))
            changed.append(
                Change((x, y, x + width, y + height), pixels, convex_hull(pixels), strength)
            )
        return tuple(changed)

    def tightened(self, box: Box) -> Box:
        """A changed place's box without the pixels around it that only its smoothing reached."""
        x0, y0, x1, y1 = box
        error = np.abs(self.picture[y0:y1, x0:x1] - self.original[y0:y1, x0:x1])
        raw = error > max(AT_LEAST, NOISE * self.noise)
        columns, rows = (np.flatnonzero(raw.mean(axis=axis) >= EDGE) for axis in (0, 1))
        if not len(columns) or not len(rows):
            return box
        left, right = min(columns[0], REACHED), min(x1 - x0 - 1 - columns[-1], REACHED)
        top, bottom = min(rows[0], REACHED), min(y1 - y0 - 1 - rows[-1], REACHED)
        return x0 + int(left), y0 + int(top), x1 - int(right), y1 - int(bottom)

    def without_ringing(self, box: Box) -> Box:
        """A changed box without the lines that only ring since they share blocks with it.

        Ringing fills the blocks that a side runs through, up to seven pixels too many, and a tool's
        kernel follows the sides.
        """
        if not self.blocks:
            return box
        x0, y0, x1, y1 = box
        power = (self.picture - self.original) ** 2
        columns, rows = power[y0:y1].mean(axis=0), power[:, x0:x1].mean(axis=1)
        left, right = _sides(columns, x0, x1)
        top, bottom = _sides(rows, y0, y1)
        return left, top, right, bottom

    @property
    def whole(self) -> bool:
        """Whether the picture was changed as a whole."""
        area = self.picture.size
        return any(place.hull.sum() >= WHOLE * area for place in self.places)

    @property
    def filled(self) -> bool:
        """Whether the largest changed place has one colour now."""
        if not self.places:
            return False
        x0, y0, x1, y1 = self.places[0].box
        inside = self.picture[y0:y1, x0:x1][self.places[0].pixels]
        return bool((np.abs(inside - np.median(inside)) <= SHAKEN).mean() >= FILLED)

    @property
    def smoothed(self) -> bool:
        """Whether fine detail is lost wherever the original has much of it: coding always leaves
        some places alone, and so does what processes a part of the picture, but for one that holds
        all the detail there is."""
        kept, rich = self._tiles
        return bool(rich.any() and np.quantile(kept[rich], BEST) < SMOOTHED)

    @cached_property
    def _tiles(self) -> tuple[Floats, Mask]:
        """The share of the original's fine detail that each tile keeps (a regression of one on the
        other), and which tiles have enough of it."""
        rows, columns = (max(1, side // TILE) for side in self.picture.shape)

        def summed(values: Floats) -> Floats:
            cut = values[: rows * TILE, : columns * TILE]
            return np.add.reduceat(
                np.add.reduceat(cut, np.arange(rows) * TILE, axis=0),
                np.arange(columns) * TILE,
                axis=1,
            )

        before, after = (_fine(grey) for grey in (self.original, self.picture))
        power = summed(before**2)
        deviation = _root(power / TILE**2)
        rich = deviation >= max(STRONG, float(np.median(deviation)))
        return np.asarray(summed(before * after) / np.maximum(power, 1e-6), np.float32), rich


def difference_of(
    picture: Picture,
    clear: Picture,
    coded_as: Path | None,
    encoded: EncodedInfo,
    stated: Sequence[Box] = (),
) -> Difference:
    """Where a picture differs from its original, without what its own coding did to all of it;
    `coded_as`: the picture's file, None where the picture does not lie as its file does."""
    difference = Difference.between(picture, clear, stated)
    stored = stored_alike(clear, coded_as) if coded_as is not None else None
    if stored is None:
        return difference
    return difference.without_coding(stored, encoded.tables[0], stated)


def _sides(power: Floats, start: int, end: int) -> tuple[int, int]:
    """Where the change between two lines truly starts and ends, by the mean square of each line."""
    deep = max(BLOCK + 1, min(DEEP, (end - start) // 2))
    first = start // BLOCK * BLOCK
    last = min(-(-end // BLOCK) * BLOCK, len(power))
    return (
        first + _ringing_lines(power[first : first + deep]),
        last - _ringing_lines(power[max(0, last - deep) : last][::-1]),
    )


def _ringing_lines(power: Floats) -> int:
    """How many of the lines `(N,)` from a block's border inward only ring: the likeliest split into
    two levels (Gaussian, zero mean) of which the inner one is louder by far; 0 without one."""
    best, least = 0, len(power) * float(np.log(power.mean() + FAINT))
    for count in range(1, min(BLOCK, len(power) - 1)):
        outside, inside = (float(part.mean()) + FAINT for part in np.split(power, [count]))
        cost = count * np.log(outside) + (len(power) - count) * np.log(inside)
        if inside >= LOUDER * outside and cost < least:
            best, least = count, float(cost)
    return best


def coding_noise(error: Floats, original: Floats, kept: Mask, untouched: float = QUIET) -> float:
    """Root mean square in grey levels that a share `untouched` of the differences `error` `(H, W)`
    does not exceed, in blocks inside `kept` that are not flat; at most `LOUDEST`, and 0 where
    nothing was kept."""
    height, width = (side // BLOCK * BLOCK for side in error.shape)
    if not height or not width:
        return 0.0

    def blocks(values: NDArray[Any]) -> NDArray[Any]:
        cut = values[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
        return np.asarray(cut.swapaxes(1, 2).reshape(-1, BLOCK * BLOCK))

    usable = blocks(kept).all(axis=1)
    rough = usable & (blocks(original).std(axis=1) > TEXTURED)
    if not usable.any():
        return 0.0
    power = (blocks(error) ** 2).mean(axis=1)
    quiet = power[rough if rough.any() else usable]
    return float(min(LOUDEST, np.sqrt(np.quantile(quiet, untouched))))


def convex_hull(pixels: Mask) -> Mask:
    """The convex hull of a mask `(H, W)` that is not empty: tools process boxes and ellipses, and
    smooth parts inside them hardly change."""
    points = np.column_stack(np.nonzero(pixels)[::-1]).astype(np.int32)
    filled = np.zeros(pixels.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool)


def _fine(grey: Floats) -> Floats:
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), FINE))


def _grey(picture: Picture) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _beyond_steps(error: Floats, steps: NDArray[np.float64]) -> Floats:
    """What of a difference `(H, W)` one step of a JPEG's quantiser does not explain, coefficient by
    coefficient in the blocks of its grid."""
    height, width = error.shape
    grown = np.pad(error, ((0, -height % BLOCK), (0, -width % BLOCK)), "edge")
    rows, columns = (side // BLOCK for side in grown.shape)
    blocks = grown.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    moved = dctn(blocks, axes=(2, 3), norm="ortho")
    allowed = (STEPS * steps + ROUNDED).astype(np.float32)
    left = np.sign(moved) * np.maximum(np.abs(moved) - allowed, 0)
    back = idctn(left, axes=(2, 3), norm="ortho").swapaxes(1, 2)
    return np.asarray(back.reshape(grown.shape)[:height, :width], np.float32)


def _root(values: NDArray[Any]) -> Floats:
    return np.asarray(np.sqrt(np.maximum(values, 0)), np.float32)
