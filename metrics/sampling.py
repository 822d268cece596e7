"""A few of many, without chance."""

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the indices 0 .. count - 1, ascending, the first and the last among them.

    >>> evenly(9, 3).tolist(), evenly(2, 5).tolist(), evenly(0, 5).tolist()
    ([0, 4, 8], [0, 1], [])
    """
    return np.linspace(0, count - 1, min(most, count)).astype(np.intp)
