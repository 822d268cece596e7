"""Which operator made this picture, with which setting and where, from its pixels alone.

>>> import numpy as np
>>> identify(np.full((64, 64, 3), 90, np.uint8)).family
'solid'
"""

from reid_audit.attacks.anonymisation.encoded import read_encoded
from reid_audit.attacks.anonymisation.estimate import identify
from reid_audit.attacks.anonymisation.pooled import identify_batch
from reid_audit.attacks.anonymisation.result import (
    FAMILIES,
    EncodedInfo,
    Identification,
    PooledIdentification,
)

__all__ = [
    "FAMILIES",
    "EncodedInfo",
    "Identification",
    "PooledIdentification",
    "identify",
    "identify_batch",
    "read_encoded",
]
