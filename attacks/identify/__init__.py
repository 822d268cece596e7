"""Which operator made this picture, with which setting and where, from its pixels alone.

>>> import numpy as np
>>> identify(np.full((64, 64, 3), 90, np.uint8)).family
'solid'
"""

from attacks.identify.encoded import read_encoded
from attacks.identify.estimate import identify
from attacks.identify.pooled import identify_batch
from attacks.identify.result import FAMILIES, EncodedInfo, Identification, PooledIdentification

__all__ = [
    "FAMILIES",
    "EncodedInfo",
    "Identification",
    "PooledIdentification",
    "identify",
    "identify_batch",
    "read_encoded",
]
