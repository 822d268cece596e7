"""A data set of procedural people on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from reid_audit.audit.people.identity import identity
from reid_audit.audit.people.picture import nuisance
from reid_audit.audit.people.render import render
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import atomic

_KEY = "people"  # the PNG text field that records what a picture was made from
_SMALLEST = 32


class _Order(NamedTuple):
    person: int
    pictures: tuple[int, ...]
    folder: Path
    size: int
    hard: float


def name(seed: int) -> str:
    """Folder name of a person.

    >>> name(7)
    'person-0007'
    """
    return f"person-{seed:04d}"


def cast(
    root: Path,
    people: Iterable[int],
    pictures: Iterable[int],
    *,
    size: int = 160,
    hard: float = 1.0,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write `root/<person>/<picture>.png` for every person and picture, and return the paths.

    Args:
        root: Folder to write in; created when missing.
        people: Seeds. A person's name is their seed, so any two calls agree on who is who.
        pictures: Numbers. Give a gallery and its probes different ones: `range(4)`,
            `range(4, 8)`.
        size: Side in pixels.
        hard: How much pose, light and expression vary; 0 is a passport photo.
        workers: Processes; one per usable core by default. Their number changes no pixel.
        progress: Called with the number of pictures done after each person.

    Pictures that are there already and were made from the same numbers by the same code are kept.

    Raises:
        InputError: a size below 32 pixels or a negative seed.
    """
    shots = tuple(pictures)
    orders = [_Order(p, shots, Path(root) / name(p), size, hard) for p in people]
    if size < _SMALLEST:
        raise InputError(f"size is {size}: a face needs at least {_SMALLEST} pixels.")
    if min((*shots, *(order.person for order in orders)), default=0) < 0:
        raise InputError("people and pictures are seeds: give numbers of 0 or more.")
    workers = workers or os.cpu_count() or 1
    missing = [order for order in orders if not _all_there(order)]
    done = len(shots) * (len(orders) - len(missing))
    if progress and done:
        progress(done)
    for _ in _each(missing, workers):
        done += len(shots)
        if progress:
            progress(done)
    return [_path(order, k) for order in orders for k in shots]


def _each(orders: Sequence[_Order], workers: int) -> Iterable[None]:
    if workers == 1 or len(orders) < 2:
        yield from map(_shoot, orders)
        return
    # Spawned, not forked: the caller may have threads of its own running.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_shoot, orders)


def _shoot(order: _Order) -> None:
    person = identity(order.person)
    for k in order.pictures:
        if _is_there(order, k):
            continue
        pixels = render(person, nuisance(order.person, k, order.hard), order.size)
        note = PngImagePlugin.PngInfo()
        note.add_text(_KEY, _key(order, k))
        with atomic(_path(order, k)) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG", pnginfo=note)


def _path(order: _Order, k: int) -> Path:
    return order.folder / f"{k:03d}.png"


def _all_there(order: _Order) -> bool:
    return all(_is_there(order, k) for k in order.pictures)


def _is_there(order: _Order, k: int) -> bool:
    try:
        with Image.open(_path(order, k)) as image:
            return image.info.get(_KEY) == _key(order, k)
    except (FileNotFoundError, UnidentifiedImageError):
        return False


def _key(order: _Order, k: int) -> str:
    return f"{_code()} person={order.person} picture={k} size={order.size} hard={order.hard}"


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of this package's source: other code may draw other people."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]
