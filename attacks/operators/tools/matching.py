"""Which tools do by default what was found in a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reid_audit.attacks.operators.base import Chain, Operator
from reid_audit.attacks.operators.deface import Deface
from reid_audit.attacks.operators.spec import parse
from reid_audit.attacks.operators.tools.catalogue import Box, Tool, tools

DEVIATIONS = 2.0
"""Standard deviations within which a length fits."""
UNSTATED = 0.04
"""Relative standard deviation of a length whose estimate comes without one."""
EDGE = 1.0
"""Pixels by which a side of a region that was found may be wrong."""
FADING = 0.06
"""Relative uncertainty of the sides of a region without a sharp edge."""


PLAIN_COLOUR = 3.0
"""Grey levels by which a codec may move the colour of a fill."""


@dataclass(frozen=True)
class Fit:
    """A tool that fits. distance: of its lengths from those found, in units of the uncertainty."""

    tool: Tool
    distance: float


def named(fits: Sequence[Fit]) -> Tool | None:
    """The tool that fits best, None where several fit alike."""
    if not fits or (len(fits) > 1 and fits[1].distance <= fits[0].distance):
        return None
    return fits[0].tool


def matching_tools(
    family: str,
    parameters: Mapping[str, Any],
    box: Sequence[float],
    shape: Sequence[int],
    mask: str | None = None,
) -> list[str]:
    """Names of the tools that fit, the nearest first; see `tools_that_fit`."""
    return [fit.tool.name for fit in tools_that_fit(family, parameters, box, shape, mask)]


def tools_that_fit(
    family: str,
    parameters: Mapping[str, Any],
    box: Sequence[float],
    shape: Sequence[int],
    mask: str | None = None,
) -> list[Fit]:
    """Tools whose default leaves what was found in one region, the nearest first.

    Args:
        family: gaussian, box, median, pixelate, downscale or solid.
        parameters: lengths in pixels as identification names them (sigma_x, box_x, block_x,
            factor_x and the same for y), with standard deviations under names that end in `_sd`.
        box: the region x0, y0, x1, y1 that was processed.
        shape: height and width of the picture.
        mask: `box`, `ellipse` or `soft`; None: not known, as when the whole picture was processed.

    A solid fill has no length, so that every tool that fills in its shape and colour fits.
    """
    seen = _seen(family, parameters)
    if seen is None:
        return []
    fits = []
    for tool in tools():
        if mask is not None and tool.shape != mask:
            continue
        if family == "solid":
            distance = 0.0 if _fills(tool, parameters, box, shape) else None
        else:
            distance = _distance(tool, family, seen, box, shape)
        if distance is not None and distance <= DEVIATIONS:
            fits.append(Fit(tool, distance))
    return sorted(fits, key=lambda fit: fit.distance)


Lengths = Mapping[str, tuple[float, float]]
"""By axis, a length in pixels and its standard deviation."""

LENGTH_NAMES: Mapping[str, str] = {
    "gaussian": "sigma",
    "box": "box",
    "pixelate": "block",
    "downscale": "factor",
    "median": "size",
}
"""By family, what identification calls its lengths, less the axis."""


def _seen(family: str, parameters: Mapping[str, Any]) -> Lengths | None:
    """What identification measured, None where it says nothing that tells tools apart."""
    if family == "solid":
        return {}
    if family not in LENGTH_NAMES:
        return None
    lengths = {}
    for axis in ("x", "y"):
        name = f"{LENGTH_NAMES[family]}_{axis}"
        value = parameters.get(name, parameters.get("kernel_size") if family == "median" else None)
        if not isinstance(value, int | float) or value <= 0:
            return None
        lengths[axis] = (float(value), float(parameters.get(f"{name}_sd") or UNSTATED * value))
    return lengths


def _fills(
    tool: Tool, parameters: Mapping[str, Any], box: Sequence[float], shape: Sequence[int]
) -> bool:
    """Whether a tool fills with the colour that was found, any if none was."""
    operator = tool.place(face_under(tool, box, shape), shape).operator
    if operator.family != "solid":
        return False
    seen = parameters.get("color")
    own = operator.parameters.get("v", 0)
    return seen is None or bool(np.abs(np.asarray(seen, float) - own).max() <= PLAIN_COLOUR)


def layer_over(tool: Tool, box: Sequence[float], shape: Sequence[int]) -> Operator:
    """What a tool would have put over the region `box` of a picture of `shape`: without its mask,
    lengths stated as they are there."""
    placed = tool.place(face_under(tool, box, shape), shape)
    x0, y0, x1, y1 = placed.box
    return placed.operator.pinned(y1 - y0, x1 - x0)


def by_region(tool: Tool, shape: Sequence[int]) -> Operator | None:
    """What a tool does to regions that it changed on pictures of `shape`, exactly: a fixed setting,
    or its own rule where that depends on the region. None where it changes more than it is handed,
    or fades out.

    >>> from reid_audit.attacks.operators.tools import find
    >>> names = "egoblur", "pyimagesearch", "deface-blur"
    >>> [str(by_region(find(name), (400, 600))) for name in names]
    ['cv-box:kx=200,ky=300|mask:layer=region', 'pyimagesearch', 'deface-blur:scale=1']
    """
    if tool.shape == "soft" or tool.grid > 1 or any(tool.margins):
        return None
    if not all(length.of_frame for length in tool.lengths.values()):
        return parse(tool.name)
    operator = tool.operator_for((1, 1), shape)
    return replace(operator, scale=1.0) if isinstance(operator, Deface) else operator


def lengths_over(
    tool: Tool, family: str, box: Sequence[float], shape: Sequence[int]
) -> dict[str, float] | None:
    """Its lengths in pixels by axis, x and y, over the region `box` of a picture of `shape`; None
    where it is of another family, or has none."""
    placed = tool.place(face_under(tool, box, shape), shape)
    x0, y0, x1, y1 = placed.box
    if placed.operator.family != family:
        return None
    return lengths_of(placed.operator, family, y1 - y0, x1 - x0)


def _distance(
    tool: Tool, family: str, seen: Lengths, box: Sequence[float], shape: Sequence[int]
) -> float | None:
    """Largest deviation over both axes in standard deviations; None for another family."""
    face = face_under(tool, box, shape)
    placed = tool.place(face, shape)
    if placed.operator.family != family:
        return None
    height, width = placed.box[3] - placed.box[1], placed.box[2] - placed.box[0]
    own = lengths_of(placed.operator, family, height, width)
    if own is None:
        return None
    fading = FADING if tool.shape == "soft" else 0.0
    distances = []
    for axis, side in (("x", width), ("y", height)):
        value, deviation = seen[axis]
        # What follows from the region is as uncertain as its sides; a whole number is one at best.
        sides = own[axis] * (EDGE / max(side, 1) + fading) if tool.lengths else 0.0
        step = 0.15 if family == "gaussian" else 0.5
        distances.append(abs(value - own[axis]) / math.hypot(deviation, sides, step))
    return max(distances)


def face_under(tool: Tool, box: Sequence[float], shape: Sequence[int]) -> Box:
    """The face box for which a tool would change the region `box`, as nearly as whole pixels
    allow: the region itself where the tool enlarges nothing."""
    region = np.asarray(box, float)
    face = region.copy()
    height, width = shape[:2]
    for _ in range(20):
        whole = np.rint(face)
        if whole[0] >= whole[2] or whole[1] >= whole[3]:
            break
        change = region - np.asarray(tool.covers(whole.astype(int), shape))
        if np.abs(change).max() < 1:
            break
        # Less than the whole difference, since the enlargement shrinks with the face.
        face += 0.6 * change
    x0, y0, x1, y1 = np.rint(face).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        x0, y0, x1, y1 = np.rint(region).astype(int).tolist()
    return max(0, x0), max(0, y0), min(width, max(x1, x0 + 1)), min(height, max(y1, y0 + 1))


def lengths_of(operator: Operator, family: str, height: int, width: int) -> dict[str, float] | None:
    """An operator's lengths in pixels by axis, x and y, on a region of `height` x `width`, as
    identification counts those of `family`; None where it has none."""
    if family in ("gaussian", "box"):
        transfer = operator.pinned(height, width).transfer(height, width)
        if transfer is None:
            return None
        sigmas = {}
        for axis, response, side in (
            ("x", transfer[0], width),
            ("y", transfer[:, 0], height),
        ):
            if side < 3 or not 1e-9 < response[1] < 1 - 1e-12:
                return None
            sigmas[axis] = math.sqrt(-2 * math.log(response[1])) / (math.pi / (side - 1))
        if family == "gaussian":
            return sigmas
        return {axis: math.sqrt(12 * sigma**2 + 1) for axis, sigma in sigmas.items()}
    if family == "median":
        size = float(operator.parameters["k"])
        return {"x": size, "y": size}
    if isinstance(operator, Chain):  # blocks that are smoothed afterwards are blocks still
        operator = operator.steps[0]
    grid = operator.samples(height, width)
    if grid is None:
        return None
    block = operator.parameters.get("b") or operator.parameters.get("size")
    return {"x": block or width / grid[1], "y": block or height / grid[0]}
