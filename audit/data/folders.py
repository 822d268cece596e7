"""Roles as folders: `<role>/<identity>/**/picture`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reid_audit.audit.data.decode import PICTURE_ENDINGS, is_picture
from reid_audit.audit.data.items import Excluded, Item, Role
from reid_audit.audit.data.sidecar import SIDECAR
from reid_audit.metrics.errors import InputError

_BOOKKEEPING = frozenset({SIDECAR, ".DS_Store", "desktop.ini", ".gitkeep", ".gitignore"})
"""Files that belong to no picture: the sidecar, which is read elsewhere, and folder settings."""
FILMS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".3gp"})


@dataclass(frozen=True)
class Bounds:
    """The folder no path may lead out of, whether by `..`, absolutely or through a link, and a
    second one that the user allows as well."""

    folder: Path
    base: Path | None = None

    @cached_property
    def _resolved(self) -> tuple[Path, ...]:
        return tuple(folder.resolve() for folder in (self.folder, self.base) if folder)

    def holds(self, path: Path) -> bool:
        """Whether `path` stays inside; a loop of links leads nowhere, hence not inside."""
        try:
            target = path.resolve()
        except (OSError, RuntimeError):
            return False
        return any(target.is_relative_to(folder) for folder in self._resolved)


def files_in(folder: Path) -> list[Path]:
    """Every file below a folder, sorted by path, hidden ones and those behind linked folders too; a
    linked folder that leads back to one above it is not entered again."""
    return sorted(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    facts = folder.stat()
    place = facts.st_dev, facts.st_ino
    if place in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            try:
                is_folder = entry.is_dir()
            except OSError:  # a loop of links
                is_folder = False
            if not is_folder:
                yield path
                continue
            try:
                yield from _walk(path, above | {place})
            except PermissionError:
                yield path


def pictures_in(folder: Path) -> Iterator[Path]:
    """Files below a folder that are to be read as pictures, sorted by path; what each of the others
    is, `why_no_picture` says."""
    return (path for path in files_in(folder) if why_no_picture(path, folder) is None)


def first_left_out(left_out: Iterable[tuple[str, str]]) -> str:
    """What an error adds where nothing was left: the first file, by its name, and why.

    >>> first_left_out([("clip.mp4", "a film")])
    ' (first left out: clip.mp4: a film)'
    """
    return next((f" (first left out: {name}: {why})" for name, why in left_out), "")


def refuse_film(path: Path) -> None:
    """Tell somebody who gives a film what to do.

    Raises:
        InputError: `path` is a film.
    """
    if path.suffix.lower() in FILMS and not is_picture(path):
        raise InputError(f"{path}: {why_no_picture(path, path.parent)}, and give that folder.")


def no_pictures_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """The other files below a folder but folders' own settings, and why each is not read."""
    for path in files_in(folder):
        reason = None if path.name in _BOOKKEEPING else why_no_picture(path, folder)
        if reason is not None:
            yield path, reason


def why_no_picture(path: Path, folder: Path) -> str | None:
    """Why a file below `folder` is not read; None when it is.

    Endings count first, then content: a picture without an ending is one.
    """
    if path.is_dir():
        return "a folder that may not be entered; change its permissions"
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return "hidden, by a name that begins with a dot; rename it to have it read"
    if not path.exists():
        return "a link that leads nowhere; repair or remove it"
    if not path.is_file():
        return "no regular file (a pipe, socket or device); remove it"
    ending = path.suffix.lower()
    if ending in PICTURE_ENDINGS or is_picture(path):
        return None
    if ending in FILMS:
        return "a film; take it apart into frames, e.g. with ffmpeg -i FILM frames/%06d.png"
    return f"no picture that can be read ({ending or 'no ending'}); convert or remove it"


NOT_UTF8 = "a name that is no UTF-8; rename it"


def spelt(name: str) -> str:
    r"""A name with bytes that are no UTF-8 spelt out, for records that are.

    >>> spelt("a\udcff.png")
    'a\\udcff.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def read_folder(
    folder: Path, role: Role, bounds: Bounds
) -> tuple[tuple[Item, ...], tuple[Excluded, ...]]:
    """Items of one role; the identity is the first folder below `folder`. Every other file but
    folders' own settings is excluded with a reason.

    Gallery pictures that lie in no such folder show nobody in particular and are excluded; probes
    without one have no ground truth.

    Raises:
        InputError: the folder is missing, no folder, or holds no picture.
    """
    if not folder.exists():
        raise InputError(f"{folder}: no such folder ({role} pictures); correct the path.")
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; give the folder of the {role} pictures.")
    items, excluded = [], []
    for path in files_in(folder):
        if path.name in _BOOKKEEPING:
            continue
        relative = path.relative_to(folder)
        image_id = spelt(relative.as_posix())
        identity = relative.parts[0] if len(relative.parts) > 1 else None
        if image_id != relative.as_posix():
            reason: str | None = NOT_UTF8
        elif path.exists() and not bounds.holds(path):
            reason = "leads outside the data folder; copy it in, or widen with --root"
        else:
            reason = why_no_picture(path, folder)
        if reason is None and role == "gallery" and identity is None:
            reason = "lies in no person's folder; move it into one"
        if reason is not None:
            excluded.append(Excluded(image_id, role, path, reason))
        else:
            items.append(Item(image_id, identity, role, path))
    if not items and not excluded:
        raise InputError(
            f"{folder}: holds no picture ({', '.join(PICTURE_ENDINGS)}); "
            f"put the {role} pictures there as <person>/<picture>."
        )
    return tuple(items), tuple(excluded)
