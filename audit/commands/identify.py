"""`reid-audit identify`: files in, what was done to them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reid_audit.attacks.anonymisation import Identification, identify_parts, read_encoded
from reid_audit.attacks.operators.leakage import limit
from reid_audit.audit.data import decode
from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.audit.data.folders import first_left_out, no_pictures_in, refuse_film
from reid_audit.audit.data.guard import Guard
from reid_audit.audit.data.items import Item
from reid_audit.audit.data.originals import match_by_name
from reid_audit.audit.probes.beside import parts_beside
from reid_audit.audit.probes.looking import Told
from reid_audit.audit.probes.tools import fitting, title_of
from reid_audit.metrics.errors import InputError, NothingToAudit
from reid_audit.metrics.leakage import FRAME

SMALLEST_FACE = 8
"""Pixels; what is smaller identifies nobody, with or without anonymisation."""

LARGEST_FACE = 320
"""Pixels; what is left of a larger face is computed for one of this width, with the operator scaled
alike: its cost grows with the area, and nothing else changes."""

SPREAD = "_sd"
"""Ending of a parameter's standard deviation."""

Progress = Callable[[str, int, int], None]


def identify_files(
    paths: Sequence[Path], progress: Progress, original: Path | None = None
) -> list[dict[str, Any]]:
    """One record per processed part of a picture, in the form of `identify --json`; folders are
    searched through.

    A picture that cannot be read has a record with its `error`. What was done to one whose original
    is given is settled on the pair, and its record says in `from_pixels_alone` what would have been
    said without.

    Args:
        original: of the one picture, or a folder of originals, which are found by their names.

    Raises:
        InputError: a path does not exist, or one original was given for several pictures.
        NothingToAudit: no picture among them.
    """
    pictures = [picture for path in paths for picture in _pictures(path)]
    if not pictures:
        others = (
            (str(p), why) for path in paths if path.is_dir() for p, why in no_pictures_in(path)
        )
        where = ", ".join(map(str, paths))
        raise NothingToAudit(f"{where}: no picture there{first_left_out(others)}.")
    originals = {} if original is None else _originals(paths, original)
    records: list[dict[str, Any]] = []
    with Guard(1) as guard:
        for done, path in enumerate(pictures, start=1):
            problem = guard.facts(path).problem
            told = f"{path}: {problem}"
            unreadable = [{"path": str(path), "error": told}]
            records += unreadable if problem else identify_file(path, originals.get(path))
            progress("identifying", done, len(pictures))
    return records


def identify_file(path: Path, original: Path | None = None) -> list[dict[str, Any]]:
    """The records of one picture: one, or one for each part that was processed."""
    try:
        picture = decode(path)
        shape = picture.shape[:2]
        if original is not None:
            return [_settled(path, original, told, shape) for told in parts_beside(path, original)]
        parts = identify_parts(picture, read_encoded(path))
    except InputError as error:
        return [{"path": str(path), "error": str(error)}]
    return [_record(path, part, shape) for part in parts]


def _settled(path: Path, original: Path, told: Told, shape: tuple[int, ...]) -> dict[str, Any]:
    """The record of a part that its original settles."""
    assert told.settled is not None, "every changed place has an answer"
    alone = told.alone or told.settled
    said = {"family": alone.family, "spec": alone.spec, "confidence": alone.confidence}
    record = _record(path, told.settled, shape)
    return {**record, "original": str(original), "from_pixels_alone": said}


def _record(path: Path, identification: Identification, shape: tuple[int, ...]) -> dict[str, Any]:
    fits = fitting(identification, (shape[0], shape[1]))
    return {
        "path": str(path),
        "region": [int(v) for v in identification.region],
        "region_shape": identification.region_shape,
        "family": identification.family,
        "parameters": {
            k: v for k, v in identification.parameters.items() if not k.endswith(SPREAD)
        },
        "uncertainty": {
            k.removesuffix(SPREAD): v
            for k, v in identification.parameters.items()
            if k.endswith(SPREAD)
        },
        "noise": identification.noise,
        "codec": {
            "name": identification.codec,
            "quality": identification.quality,
            "bit_depth": identification.bit_depth,
        },
        "effective_resolution": _resolution(identification),
        "confidence": identification.confidence,
        "spec": identification.spec,
        "tool": title_of(fits),
        "tools_that_fit": [fit.tool.name for fit in fits],
    }


def _resolution(identification: Identification) -> float | None:
    """Pixels per side of what is left in the region, taken as the frame of one face."""
    operator = identification.operator()
    x0, y0, x1, y1 = identification.region
    width = min(x1 - x0, y1 - y0) / FRAME
    if operator is None or width < SMALLEST_FACE:
        return None
    if width > LARGEST_FACE:
        operator, width = operator.scaled(LARGEST_FACE / width), float(LARGEST_FACE)
    return round(limit(operator, width).effective_resolution, 1)


def _originals(paths: Sequence[Path], original: Path) -> dict[Path, Path]:
    """The original of each picture that has one."""
    if original.is_file():
        pictures = [picture for path in paths for picture in _pictures(path)]
        if len(pictures) != 1:
            raise InputError(
                f"--original {original}: one original for {len(pictures)} pictures; name the "
                "folder of their originals."
            )
        return {pictures[0]: original}
    matched: dict[Path, Path] = {}
    for path in paths:
        root = path if path.is_dir() else path.parent
        items = [Item(str(p), None, "probe", p) for p in _pictures(path)]
        named, _ = match_by_name(items, root, original, _pictures(original))
        matched |= {item.path: item.original for item in named if item.original is not None}
    return matched


def _pictures(path: Path) -> list[Path]:
    if path.is_dir():
        candidates = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_ENDINGS)
        return [p for p in candidates if p.is_file()]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; correct the path.")
    refuse_film(path)
    return [path]
