"""`reid-audit clean`: take out of a finished run what only its making needed.

Positions and embeddings of faces, aligned crops and restored pictures are personal data, most of
them biometric. The results, the report and their digests need none of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reid_audit.audit.run_directory import (
    CONFIG,
    EVIDENCE,
    RESULTS,
    TRIALS,
    WORK,
    open_folder,
)
from reid_audit.metrics.errors import InputError

MARKERS = {CONFIG: "run", "bench.resolved.yaml": "bench"}
"""Files by which a folder shows that this tool made it."""


@dataclass(frozen=True)
class Cleaned:
    """What was removed, and in one sentence each what personal data is still there."""

    files: int
    bytes: int
    left: tuple[str, ...]


def clean(folder: Path, *, unfinished: bool = False) -> Cleaned:
    """Remove the intermediate files of a run or bench.

    Args:
        unfinished: whether a run without results may be cleaned, which then has to begin anew.

    Raises:
        InputError: no folder of this tool, another process works on it, or it is not finished.
        Unwritable: something cannot be removed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; correct the path.")
    marker = next((name for name in MARKERS if (folder / name).is_file()), None)
    if marker is None:
        raise InputError(f"{folder}: no run or bench of this tool; nothing was removed.")
    if marker == CONFIG and not (folder / RESULTS).is_file() and not unfinished:
        raise InputError(
            f"{folder}: has no {RESULTS} yet; repeat its scan, or add --unfinished to give up "
            "what was computed."
        )
    with open_folder(folder, marker, MARKERS[marker]):
        removed = [p for p in (folder / WORK).rglob("*") if p.is_file() or p.is_symlink()]
        size = sum(path.lstat().st_size for path in removed)
        shutil.rmtree(folder / WORK)
        (folder / WORK).mkdir(mode=0o700)
    return Cleaned(len(removed), size, tuple(_left(folder)))


def _left(folder: Path) -> Iterator[str]:
    if (folder / EVIDENCE).is_dir():
        yield f"{EVIDENCE}/ shows faces; it is sealed with the run, for those entitled to see them."
    if (folder / TRIALS).is_file():
        yield (
            f"{TRIALS} has one row for each picture under pseudonyms, which only the holder of "
            "this machine's secret can resolve."
        )
