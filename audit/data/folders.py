"""Roles as folders: `<role>/<identity>/**/picture`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.audit.data.items import Excluded, Item, Role
from reid_audit.metrics.errors import InputError


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
        target = path.resolve()
        return any(target.is_relative_to(folder) for folder in self._resolved)


def pictures_in(folder: Path) -> Iterator[Path]:
    """Picture files below a folder, sorted by path; hidden files and folders are passed over."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in PICTURE_ENDINGS and not hidden and not path.is_dir():
            yield path


def read_folder(
    folder: Path, role: Role, bounds: Bounds
) -> tuple[tuple[Item, ...], tuple[Excluded, ...]]:
    """Items of one role; the identity is the first folder below `folder`.

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
    for path in pictures_in(folder):
        relative = path.relative_to(folder)
        image_id = relative.as_posix()
        identity = relative.parts[0] if len(relative.parts) > 1 else None
        if not bounds.holds(path):
            reason = "leads outside the data folder; copy it in, or widen with --root"
            excluded.append(Excluded(image_id, role, path, reason))
        elif role == "gallery" and identity is None:
            reason = "lies in no person's folder; move it into one"
            excluded.append(Excluded(image_id, role, path, reason))
        else:
            items.append(Item(image_id, identity, role, path))
    if not items and not excluded:
        raise InputError(
            f"{folder}: holds no picture ({', '.join(PICTURE_ENDINGS)}); "
            f"put the {role} pictures there as <person>/<picture>."
        )
    return tuple(items), tuple(excluded)
