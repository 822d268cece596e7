"""Whether work on pictures is worth other processes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from reid_audit.audit.data.decode import stated_pixels

ENOUGH = 48e6
"""Pixels of all pictures together from which other processes are started: each costs the time in
which one looks at a ninth of that."""


def worth_processes(pictures: Iterable[Path], beside: float) -> bool:
    """Whether work on these files is shared out. `beside`: what each costs however small it is, in
    pixels."""
    return any(size >= ENOUGH for size in accumulate(stated_pixels(p) + beside for p in pictures))
