"""Real anonymising tools and what they do by default: data, and operators made from it.

>>> from reid_audit.attacks.operators.tools import find
>>> placed = find("pyimagesearch").place((50, 40, 110, 130), (480, 640))
>>> str(placed.operator), placed.box
('cv-gaussian:k=19,ky=29', (50, 40, 110, 130))
"""

from reid_audit.attacks.operators.tools.catalogue import Placed, Tool, face_box, find, tools
from reid_audit.attacks.operators.tools.matching import (
    Fit,
    by_region,
    face_under,
    layer_over,
    lengths_over,
    matching_tools,
    named,
    tools_that_fit,
)
from reid_audit.attacks.operators.tools.operator import ToolOperator

__all__ = [
    "Fit",
    "Placed",
    "Tool",
    "ToolOperator",
    "by_region",
    "face_box",
    "face_under",
    "find",
    "layer_over",
    "lengths_over",
    "matching_tools",
    "named",
    "tools",
    "tools_that_fit",
]
