"""Parts of a grid that are measured on several machines and brought together again.

Rows are kept under a key of all that they depend on, so that one that was measured elsewhere is
the very row that would be measured here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import atomic

Cell = TypeVar("Cell")


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` parts, from 1."""

    index: int
    count: int

    def of(self, cells: Sequence[Cell]) -> list[Cell]:
        """Every `count`-th cell: each part has weak and strong settings.

        >>> Shard(2, 3).of("abcdefg")
        ['b', 'e']
        """
        return list(cells[self.index - 1 :: self.count])


ALL = Shard(1, 1)


def parse_shard(text: str | None) -> Shard:
    """Read `I/N`; all of the grid without one.

    >>> parse_shard("2/3")
    Shard(index=2, count=3)

    Raises:
        InputError: not two whole numbers with 1 <= I <= N.
    """
    if text is None:
        return ALL
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count:
        raise InputError(f"--shard {text[:40]!r}: write I/N with I from 1 to N, e.g. 1/4.")
    return Shard(index, count)


def take_over(folders: Sequence[Path], rows: Path, name: str) -> int:
    """Copy the rows of other benches' folders (`FOLDER/name/*.json`) into `rows`; returns how many
    are new.

    Raises:
        InputError: a folder holds no rows.
    """
    new = 0
    for folder in folders:
        stored = sorted((folder / name).glob("*.json"))
        if not stored:
            raise InputError(f"--rows {folder}: holds no rows of a bench; correct the path.")
        for path in stored:
            if not (rows / path.name).exists():
                with atomic(rows / path.name) as temporary:
                    shutil.copyfile(path, temporary)
                new += 1
    return new
