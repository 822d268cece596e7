"""What a tool's default leaves of a face, whatever the attack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reid_audit.attacks.operators.base import Operator
from reid_audit.attacks.operators.leakage import blur_sigma, limit
from reid_audit.attacks.operators.tools.catalogue import Placed, Tool, face_box
from reid_audit.metrics.leakage import FRAME, Leakage


@dataclass(frozen=True)
class Remaining:
    """placed: the tool on a typical face. operator: its layer with every length stated.
    sigma_over_face_width: of a blur whose kernel has one. left: over the frame of one face, as
    `leakage` counts it."""

    tool: Tool
    placed: Placed
    operator: Operator
    sigma_over_face_width: float | None
    left: Leakage


def remaining(tool: Tool, face_width: float, shape: Sequence[int]) -> Remaining:
    """What `tool` leaves of a face `face_width` px wide in the middle of a picture of `shape`
    (height, width).

    The limit is that of the region which the tool processes, mirrored at its own border; it is
    carried over to the frame of one face in proportion to the area, so that tools with regions of
    different size can be compared.

    Raises:
        InputError: as `limit`; a face that does not fit in the picture.
    """
    face = face_box(face_width, shape)
    placed = tool.place(face, shape)
    x0, y0, x1, y1 = placed.box
    operator = placed.operator.pinned(y1 - y0, x1 - x0)
    left, top, right, bottom = placed.operator.reach(placed.box, shape)
    region = (bottom - top, right - left)
    side = FRAME * face_width
    leak = limit(operator, face_width, shape=region)
    area = side**2 / (region[0] * region[1])
    carried = Leakage(
        leak.effective_resolution * math.sqrt(area), leak.bits_per_channel * area, leak.psnr
    )
    sigma = blur_sigma(operator, round(side), round(side))
    relative = None if sigma is None else sigma / face_width
    return Remaining(tool, placed, operator, relative, carried)
