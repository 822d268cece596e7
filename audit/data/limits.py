"""How much one file may cost before it is left out: pixels, processor time, memory.

Each limit has a variable of the environment, for auditors who know their files.
"""

from __future__ import annotations

import os

from reid_audit.metrics.errors import InputError

MAX_MEGAPIXELS = 80.0
"""Larger pictures are refused before decoding: a few kilobytes can claim gigapixels. Pillow itself
warns from 89 million on."""
MAX_SECONDS = 20.0
"""Of processor time: 80 million pixels take two or three."""
MAX_MEBIBYTES = 4096.0
"""80 million pixels take 1,400 at most."""
MAX_FETCHED_GIBIBYTES = 100.0
"""Of one input that is named by a URL; it is copied beside the run."""


def max_pixels() -> int:
    """Of a picture; REID_AUDIT_MAX_MEGAPIXELS, in millions.

    Raises:
        InputError: the variable is no positive number.
    """
    return int(_limit("REID_AUDIT_MAX_MEGAPIXELS", MAX_MEGAPIXELS) * 1e6)


def max_seconds() -> float:
    """Processor time that reading one file may take; REID_AUDIT_MAX_SECONDS. Errors as above."""
    return _limit("REID_AUDIT_MAX_SECONDS", MAX_SECONDS)


def max_mebibytes() -> float:
    """Memory that reading one file may take; REID_AUDIT_MAX_MEBIBYTES. Errors as above."""
    return _limit("REID_AUDIT_MAX_MEBIBYTES", MAX_MEBIBYTES)


def max_fetched_bytes() -> int:
    """Of one input named by a URL; REID_AUDIT_MAX_FETCHED_GIBIBYTES. Errors as above."""
    return int(_limit("REID_AUDIT_MAX_FETCHED_GIBIBYTES", MAX_FETCHED_GIBIBYTES) * 2**30)


def _limit(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    try:
        value = float(text) if text else default
        if not 0 < value < 1e6:
            raise ValueError
    except ValueError:
        raise InputError(f"{variable}={text!r} is no positive number; correct or unset it.") from (
            None
        )
    return value
