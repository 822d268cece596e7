"""Which operator made this picture, with which setting and where, from its pixels alone.

>>> import numpy as np
>>> identify(np.full((64, 64, 3), 90, np.uint8)).family
'solid'
"""

from reid_audit.attacks.anonymisation.encoded import read_encoded, stored_alike
from reid_audit.attacks.anonymisation.estimate import identify
from reid_audit.attacks.anonymisation.pair import (
    PairIdentification,
    Placings,
    identify_pair,
    in_place,
)
from reid_audit.attacks.anonymisation.parts import identify_parts
from reid_audit.attacks.anonymisation.region import Region
from reid_audit.attacks.anonymisation.result import (
    FAMILIES,
    EncodedInfo,
    Identification,
)
from reid_audit.attacks.anonymisation.scene import find_regions
from reid_audit.attacks.anonymisation.tools import ToolEstimate, ToolSample, estimate_tools

__all__ = [
    "FAMILIES",
    "EncodedInfo",
    "Identification",
    "PairIdentification",
    "Placings",
    "Region",
    "ToolEstimate",
    "ToolSample",
    "estimate_tools",
    "find_regions",
    "identify",
    "identify_pair",
    "identify_parts",
    "in_place",
    "read_encoded",
    "stored_alike",
]
