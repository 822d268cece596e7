"""Arrays that were computed before, found again by everything that they depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from reid_audit.metrics.files import atomic

Array = NDArray[Any]


def entry(folder: Path | None, kind: str, parts: Sequence[str], ending: str = "npy") -> Path | None:
    """Where a result is kept: `kind`, a digest of all that it depends on, `ending`; None without a
    folder.

    >>> entry(None, "crops", ["faces", "seed 0"]) is None
    True
    >>> entry(Path("cache"), "crops", ["a"]) == entry(Path("cache"), "crops", ["b"])
    False
    """
    if folder is None:
        return None
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    return folder / f"{kind}-{digest}.{ending}"


def load_array(path: Path | None, *, mapped: bool = False) -> Array | None:
    """A kept array, read-only from the disk if `mapped`; None where there is none or its file is
    damaged."""
    if path is None:
        return None
    try:
        kept: Array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept


def save_array(path: Path, array: Array) -> None:
    """Keep an array as `.npy`.

    Raises:
        Unwritable: the disk is full, or writing there is not allowed.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def kept_array(path: Path | None, make: Callable[[], Array]) -> Array:
    """The array that is kept at `path`, else a made one, which is then kept there; without a path
    it is made every time. Errors as `save_array`."""
    array = load_array(path)
    if array is None:
        array = make()
        if path is not None:
            save_array(path, array)
    return array


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Keep several arrays as `.npz`; errors as `save_array`."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **dict(arrays))


@contextmanager
def array_to_fill(
    path: Path | None, shape: tuple[int, ...], dtype: DTypeLike = np.uint8
) -> Iterator[Array]:
    """A zeroed array for results that may outgrow the memory: it lies on the disk and is kept at
    `path` when the context ends without an error. Without a path, or empty, it lies in memory.

    Raises:
        Unwritable: the disk has no room for all of it, or writing there is not allowed.
    """
    if path is None or 0 in shape:
        yield np.zeros(shape, dtype)
        return
    with atomic(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
        _reserve(temporary)
        yield array
        array.flush()


def _reserve(path: Path) -> None:
    """Claim a sparse file's blocks now: a full disk is an error here and would kill the process
    when a memory map is written to."""
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
