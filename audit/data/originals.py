"""Which original belongs to which anonymised picture: by path, by name, by content.

Tools keep a picture's path, or add a word to its name, or rename it altogether. Every step looks
only at what the step before left over, and no step guesses: two pictures of one name in different
folders never share an original.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_audit.audit.data.decode import PICTURE_ENDINGS, decode
from reid_audit.audit.data.items import Dataset, Item, Originals
from reid_audit.metrics.errors import InputError

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

_WORDS = (
    "anonymi[sz]ed|anonymi[sz]ation|anonym|anon|blurred|blur|redacted|redact|masked|mask|"
    "pixelated|pixelized|pixelised|mosaic|obfuscated|obscured|censored|covered|hidden|private|"
    "defaced?|deidentified|deid|faceblur|face|faces|output|out|processed|result|safe|clean|"
    "original|originals|orig|clear|raw|before|after|copy|edited"
)
_LAST = re.compile(rf"[-_.~ (]+(?:{_WORDS})\)?$")
_FIRST = re.compile(rf"^(?:{_WORDS})[-_.~ ]+")

SIDE = 24
"""Pixels a side of the thumbnails that contents are compared by."""
EQUAL = 10
"""Grey levels: how far a codec or a resize moves the mean of a cell."""
AGREE = 0.5
"""Share of equal cells from which two pictures may be one before and after anonymisation."""
MARGIN = 0.2
"""By how much the best must exceed every other: pictures of one fixed camera stay apart."""
MOST_COMPARED = 4_000_000
"""Pairs; beyond, contents are not compared."""


def match_by_name(
    probes: Sequence[Item], root: Path | None, folder: Path, originals: Sequence[Path]
) -> tuple[tuple[Item, ...], Originals]:
    """Give each probe its original, by relative path, then by its name without usual endings.

    Args:
        root: folder that the probes' paths are relative to; None for probes of a manifest, whose
            folders count from the one that bears the person's name.
        folder: the same for `originals`.

    Endings count for nothing unless two originals differ in them alone; then the same ending wins.
    Names are compared without case. By name alone a probe meets an original if both are the only
    ones of that name and the folders of one are a part of the other's; in one folder several
    probes may share an original, as several versions of one picture do.
    """
    at = {path: _Place.of(path.relative_to(folder)) for path in originals}
    place = {
        probe.image_id: _Place.of(probe.path.relative_to(root) if root else _below_person(probe))
        for probe in probes
    }
    pairs: dict[str, Path] = {}
    by_path = 0
    for key in (_Place.exact, _Place.stemmed, _Place.bare):
        index = _only((key(at[path]), path) for path in originals)
        for probe in probes:
            if probe.image_id not in pairs and (hit := index.get(key(place[probe.image_id]))):
                pairs[probe.image_id] = hit
        if key is _Place.stemmed:
            by_path = len(pairs)
    taken = set(pairs.values())
    by_stem = _only((at[path].bare_name, path) for path in originals if path not in taken)
    waiting = [probe for probe in probes if probe.image_id not in pairs]
    for name, probe in _only((place[p.image_id].bare_name, p) for p in waiting).items():
        hit = by_stem.get(name)
        if hit and _within(place[probe.image_id].folders, at[hit].folders):
            pairs[probe.image_id] = hit
    told = Originals(by_path, len(pairs) - by_path, 0, _unpaired(originals, pairs.values()))
    matched = (replace(p, original=pairs.get(p.image_id, p.original)) for p in probes)
    return tuple(matched), told


def _below_person(probe: Item) -> PurePosixPath:
    """A manifest's probe as it would lie in folders."""
    person, parts = probe.identity, probe.path.parts
    if person is not None and person in parts[:-1]:
        return PurePosixPath(*parts[len(parts) - 1 - parts[::-1].index(person) :])
    return PurePosixPath(person.replace("/", "_") if person else "", probe.path.name)


class _Place:
    """Where a picture lies below its role's folder, as names are compared."""

    def __init__(self, folders: tuple[str, ...], name: str) -> None:
        self.folders, self.name = folders, name
        self.stem = name.rpartition(".")[0] or name
        self.bare_name = bare(name)

    @classmethod
    def of(cls, path: Path | PurePosixPath) -> _Place:
        *folders, name = (unicodedata.normalize("NFC", part).casefold() for part in path.parts)
        return cls(tuple(folders), name)

    def exact(self) -> Hashable:
        return self.folders, self.name

    def stemmed(self) -> Hashable:
        return self.folders, self.stem

    def bare(self) -> Hashable:
        return self.folders, self.bare_name


def bare(name: str) -> str:
    """A file's name without ending and without the words that tools add.

    >>> bare("img_1.jpg_blurred.png"), bare("anon-img_1.png"), bare("workout.png")
    ('img_1', 'img_1', 'workout')
    """
    stem = PurePosixPath(name.casefold())
    text = stem.stem if stem.suffix in PICTURE_ENDINGS else stem.name
    while True:
        inner = PurePosixPath(text)
        shorter = inner.stem if inner.suffix in PICTURE_ENDINGS else text
        shorter = _FIRST.sub("", _LAST.sub("", shorter))
        if shorter == text or not shorter:
            return text
        text = shorter


def _only(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, _Value]:
    """Values that are the only ones of their key."""
    by_key: dict[_Key, list[_Value]] = defaultdict(list)
    for key, value in pairs:
        by_key[key].append(value)
    return {key: values[0] for key, values in by_key.items() if len(values) == 1}


def _within(first: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the folders of one path stand in the other's in the same order."""
    shorter, longer = sorted((first, other), key=len)
    rest = iter(longer)
    return all(part in rest for part in shorter)


def _unpaired(originals: Iterable[Path], taken: Iterable[Path]) -> tuple[Path, ...]:
    used = set(taken)
    return tuple(path for path in originals if path not in used)


def match_by_content(
    dataset: Dataset, load: Callable[[Path], NDArray[np.uint8]] = decode
) -> Dataset:
    """Pair probes without an original and originals without a probe that show the same scene.

    Compared are thumbnails of the whole pictures, in which most cells are equal when a face alone
    was changed. A pair counts if it is clearly the best for both, every other original of the
    audit included.
    """
    waiting, told = dataset.unmatched, dataset.originals
    if told is None or not waiting or not told.unpaired:
        return dataset
    paired = [probe.original for probe in dataset.probes if probe.original is not None]
    others = [*told.unpaired, *dict.fromkeys(paired)]
    if len(waiting) * len(others) > MOST_COMPARED:
        return dataset
    probes = _thumbnails((item.path for item in waiting), load)
    clear = _thumbnails(others, load)
    if not probes or not clear:
        return dataset
    names, files = list(probes), list(clear)
    alike = np.stack([_agreement(probes[name], list(clear.values())) for name in names])
    free = set(told.unpaired)
    pairs = {
        names[row]: files[column]
        for row, column in enumerate(alike.argmax(1))
        if files[column] in free
        and alike[row, column] >= AGREE
        and _clearly_best(alike[row], int(column))
        and _clearly_best(alike[:, column], row)
    }
    told = replace(
        told,
        by_content=len(pairs),
        unpaired=_unpaired(told.unpaired, pairs.values()),
    )
    matched = tuple(
        replace(p, original=pairs[p.path]) if p.original is None and p.path in pairs else p
        for p in dataset.probes
    )
    return replace(dataset, probes=matched, originals=told)


_Thumbnail = tuple[float, NDArray[np.int16]]
"""Width by height, and `(SIDE, SIDE, 3)`."""


def _thumbnails(
    paths: Iterable[Path], load: Callable[[Path], NDArray[np.uint8]]
) -> Mapping[Path, _Thumbnail]:
    made = {}
    for path in paths:
        try:
            picture = load(path)
        except InputError:
            continue
        small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX)
        made[path] = picture.shape[1] / picture.shape[0], np.asarray(small, dtype=np.int16)
    return made


def _agreement(probe: _Thumbnail, others: Sequence[_Thumbnail]) -> NDArray[np.float64]:
    """Share of cells, in [0, 1], in which a probe equals each of the others; 0 for another shape of
    picture, and for cells that are the same all over the picture, which say nothing."""
    aspect, cells = probe
    same = np.array(
        [
            (np.abs(cells - other).max(-1) <= EQUAL).mean()
            if abs(np.log(aspect / ratio)) < 0.03
            else 0.0
            for ratio, other in others
        ]
    )
    return same if cells.std() > EQUAL / 2 else np.zeros_like(same)


def _clearly_best(values: NDArray[np.float64], index: int) -> bool:
    rest = np.delete(values, index)
    return bool(rest.size == 0 or values[index] >= rest.max() + MARGIN)
