"""How softly an anonymised part fades into what is around it.

Where the processed layer has weight w, the picture keeps 1 - w of its own detail, by which w shows
in two ways. Over narrow fadings by the power of second differences, (1 - w)^2 E + F, with E the
picture's and F what the tool leaves (rounding), both fitted. Over wide ones, where w hardly differs
within a block of the JPEG that the picture was, by the steps its fine coefficients lie on: 1 - w of
the quantiser's. Sides and softness are moved to the likeliest mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from reid_audit.attacks.anonymisation.compression import FINEST, luma_blocks
from reid_audit.attacks.anonymisation.ellipse import MOVES, Box, ellipse_distance
from reid_audit.attacks.anonymisation.encoded import standard_luma
from reid_audit.attacks.anonymisation.lattice import (
    BLOCK,
    FAINT,
    Changed,
    box_weight,
    clipped_blocks,
    corners,
    nearest,
    off_lattice,
)

FADES = np.arange(0, 0.96, 0.05)
"""Outer shares of an ellipse that are tried at first."""
BOX_FADES = np.arange(0.01, 0.3, 0.01)
SOFTEST, HARDEST = 0.95, 0.01
RIM = 0.11
"""Weight from which a change shows at an ellipse's rim."""
REACH = 2.0
"""Quantile of the normal distribution at which a blurred box has about the weight `FAINT`."""
AROUND = 0.35
"""Margin, in sides of the box, from which the picture's own detail is taken."""
LEVELS = 32
"""Steps of weight in the fit of detail."""
ROUNDS = 6
LEAST = 0.02
"""Power of second differences in grey levels squared that is taken as nothing."""
STRIDE = 2
"""Pixels between those whose weight is computed while a mask is moved."""
OVERLAP = 30.0
"""Pixels whose detail counts as one: neighbours are alike, and so are parts of a picture."""
WIDE = 22.0
"""Pixels over which a mask must fade for its weight to be read from a JPEG's blocks."""
STEPS = (8, 4, 2, 1)
"""Pixels that sides are moved by."""
SMALLEST = 24
"""Sides in pixels."""
SOFTER, SOFTER_BOX = 0.015, 0.008
"""Change of the softness for each pixel."""
FINE = 3
"""Sum of a coefficient's row and column from which a blur has taken it away."""
GRID = np.linspace(0, 1, 21)
"""Weights that blocks are asked for."""
FREQUENT = (0.86, 0.05, 0.012, 0.004)
"""Shares of fine coefficients of a picture on 0, 1, 2 and 3 steps of the quantiser."""
STRAY = 0.02
"""Share of fine coefficients that lie anywhere."""
SPREAD, SMEAR = 0.45, 0.1
"""Standard deviation of a fine coefficient: in grey levels, and in itself as w is not one."""
WHOLLY = 0.015
"""Mean weight in a block under which it counts as kept."""

Cost = Callable[[Box, float], float]


def with_fading(picture: np.ndarray, quality: int, ratio: np.ndarray, changed: Changed) -> Changed:
    """`changed` with the mask that explains `picture` `(H, W, 3)` best: its box is that of the
    mask's foot (an ellipse) or of its middle (a box). quality, ratio: as of `changed_blocks`."""
    detail, y, x = _window(_detail_power(picture), changed.box)
    trials = list(_ellipses(changed) if changed.shape == "ellipse" else _boxes(changed))
    costs = [_detail_cost(detail, mask_weight(y, x, t.box, t.shape, t.soft)) for t in trials]
    start = trials[int(np.argmin(costs))]
    if _width(start) >= WIDE:
        return _moved(start, _by_steps(weight_ratios(picture, quality, ratio), start.shape))
    return _moved(start, _by_detail(picture, ratio, start))


def mask_weight(y: np.ndarray, x: np.ndarray, box: Box, shape: str, soft: float) -> np.ndarray:
    """Weight in [0, 1] of a mask at rows `(H, 1)` and columns `(1, W)`."""
    if shape == "box":
        return box_weight(y, x, box, soft)
    return ((1 - ellipse_distance(y, x, box)) / max(soft, 1e-3)).clip(0, 1)


def _width(changed: Changed) -> float:
    """Pixels over which a mask fades: of a blurred box those from 10 to 90 %."""
    x0, y0, x1, y1 = changed.box
    if changed.shape == "box":
        return 2.6 * changed.soft * max(x1 - x0, y1 - y0)
    return changed.soft * min(x1 - x0, y1 - y0) / 2


def _ellipses(changed: Changed) -> Iterable[Changed]:
    """With the same visible rim."""
    for soft in FADES.tolist():
        yield Changed(_grown(changed.box, 1 / (1 - RIM * soft)), "ellipse", soft, changed.score)


def _boxes(changed: Changed) -> Iterable[Changed]:
    """With the same foot."""
    x0, y0, x1, y1 = changed.box
    foot = REACH * changed.soft * max(x1 - x0, y1 - y0)
    for soft in BOX_FADES.tolist():
        # The longer side is shorter by twice the reach of the fading.
        longer = (max(x1 - x0, y1 - y0) + 2 * foot) / (1 + 2 * REACH * soft)
        move = round(foot - REACH * soft * longer)
        box = (x0 - move, y0 - move, x1 + move, y1 + move)
        if min(box[2] - box[0], box[3] - box[1]) > 0:
            yield Changed(box, "box", soft, changed.score)


def _grown(box: Box, factor: float) -> Box:
    x0, y0, x1, y1 = box
    more_x, more_y = (round((factor - 1) * side / 2) for side in (x1 - x0, y1 - y0))
    return x0 - more_x, y0 - more_y, x1 + more_x, y1 + more_y


def _moved(start: Changed, cost: Cost) -> Changed:
    """The mask moved by steps to where the cost is least."""
    softer = SOFTER if start.shape == "ellipse" else SOFTER_BOX
    sides = np.vstack([MOVES, np.zeros(4), [-1, -1, 1, 1], [-1, -1, 1, 1]])
    soft = softer * np.r_[np.zeros(len(MOVES)), 1, 1, -1]
    moves = np.column_stack([sides, soft])
    moves = np.vstack([moves, -moves])
    best = np.array([*start.box, max(start.soft, HARDEST)])
    least = np.inf
    for step in STEPS if _width(start) >= WIDE else STEPS[1:]:
        for _ in range(5):
            trials = np.vstack([best, best + step * moves])
            costs = [_cost_at(trial, cost) for trial in trials]
            if min(costs) >= least:
                break
            least, best = min(costs), trials[int(np.argmin(costs))]
    x0, y0, x1, y1 = (round(v) for v in best[:4])
    return Changed((x0, y0, x1, y1), start.shape, round(float(best[4]), 3), start.score)


def _cost_at(mask: np.ndarray, cost: Cost) -> float:
    x0, y0, x1, y1 = (round(v) for v in mask[:4])
    soft = float(mask[4])
    if min(x1 - x0, y1 - y0) < SMALLEST or not HARDEST <= soft <= SOFTEST:
        return np.inf
    return cost((x0, y0, x1, y1), soft)


def _by_detail(picture: np.ndarray, ratio: np.ndarray, start: Changed) -> Cost:
    """Of the power of second differences, and of the blocks that were changed at all."""
    detail, y, x = _window(_detail_power(picture), start.box)
    detail, y, x = detail[::STRIDE, ::STRIDE], y[::STRIDE], x[:, ::STRIDE]
    rows, columns = corners(ratio)
    least = RIM if start.shape == "ellipse" else FAINT

    def cost(box: Box, soft: float) -> float:
        near = mask_weight(*nearest(rows, columns, box), box, start.shape, soft)
        detailed = _detail_cost(detail, mask_weight(y, x, box, start.shape, soft))
        return detailed * STRIDE**2 / OVERLAP - float(ratio[near > least].sum())

    return cost


def _by_steps(ratios: np.ndarray, shape: str) -> Cost:
    """Of the mean weights of blocks."""
    rows, columns = ratios.shape[:2]
    samples = BLOCK // STRIDE
    y = STRIDE * np.arange(rows * samples)[:, None] + STRIDE / 2
    x = STRIDE * np.arange(columns * samples)[None] + STRIDE / 2
    row, column = np.indices((rows, columns))

    def cost(box: Box, soft: float) -> float:
        weight = mask_weight(y, x, box, shape, soft)
        weight = weight.reshape(rows, samples, columns, samples).mean(axis=(1, 3))
        level = np.rint(weight * (len(GRID) - 1)).astype(int)
        level = np.where(weight < WHOLLY, 0, np.maximum(level, 1))
        return -float(ratios[row, column, level].sum())

    return cost


def weight_ratios(picture: np.ndarray, quality: int, ratio: np.ndarray) -> np.ndarray:
    """Log likelihood ratio `(H // 8, W // 8, len(GRID))` of each mean weight to none for the blocks
    of a picture `(H, W, 3)` uint8; where blocks were clipped, `ratio` for any weight."""
    rows, columns = ratio.shape
    part = picture[: BLOCK * rows, : BLOCK * columns]
    steps = standard_luma(quality)
    fine = np.add.outer(np.arange(8), np.arange(8)) >= FINE
    coefficients = luma_blocks(part)
    coarse = np.where(fine, 0.0, off_lattice(coefficients, steps)).sum(axis=(2, 3))
    fine &= steps >= FINEST
    size, step = np.abs(coefficients[..., fine]), steps[fine]
    out = np.empty((rows, columns, len(GRID)))
    for level, weight in enumerate(GRID):
        density = STRAY * SPREAD * np.sqrt(2 * np.pi) / step
        for count, share in enumerate(FREQUENT):
            at = (1 - weight) * step * count
            spread = SPREAD + (SMEAR * at if weight > 0 else 0)
            density = density + share * SPREAD / spread * np.exp(-(((size - at) / spread) ** 2) / 2)
        out[..., level] = np.log(density).sum(axis=-1)
    out -= out[..., :1]
    out[..., 1:] += coarse[..., None]
    clipped = clipped_blocks(part)
    out[clipped] = np.where(GRID > 0, ratio[clipped][:, None], 0)
    return out


def _detail_power(picture: np.ndarray) -> np.ndarray:
    """Sum of the squared second differences along both axes `(H, W)`, of the mean of channels."""
    values = np.pad(picture.mean(axis=2), 1, mode="edge")
    across = values[1:-1, :-2] - 2 * values[1:-1, 1:-1] + values[1:-1, 2:]
    down = values[:-2, 1:-1] - 2 * values[1:-1, 1:-1] + values[2:, 1:-1]
    return np.asarray(across**2 + down**2)


def _window(detail: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detail in and around a box, with its rows `(H, 1)` and columns `(1, W)`."""
    x0, y0, x1, y1 = box
    far_x, far_y = int(AROUND * (x1 - x0)), int(AROUND * (y1 - y0))
    y = np.arange(max(0, y0 - far_y), min(detail.shape[0], y1 + far_y))[:, None]
    x = np.arange(max(0, x0 - far_x), min(detail.shape[1], x1 + far_x))[None]
    return detail[y, x], y, x


def _detail_cost(detail: np.ndarray, weight: np.ndarray) -> float:
    """Negative log likelihood of detail under a mask, exponential at every pixel; the two powers
    are fitted by weighted least squares."""
    level = np.rint(LEVELS * weight).astype(int)
    count = np.bincount(level.ravel(), minlength=LEVELS + 1)
    mean = np.bincount(level.ravel(), detail.ravel(), LEVELS + 1) / np.maximum(count, 1)
    seen = count > 0
    count, mean = count[seen], mean[seen]
    terms = np.column_stack([(1 - np.flatnonzero(seen) / LEVELS) ** 2, np.ones(len(count))])
    expected = np.maximum(mean, LEAST)
    for _ in range(ROUNDS):
        scale = np.sqrt(count) / expected
        powers = np.linalg.lstsq(terms * scale[:, None], mean * scale, rcond=None)[0]
        expected = terms @ np.maximum(powers, LEAST)
    return float((count * (np.log(expected) + mean / expected)).sum())
