"""What a dataset is before any pixel is read: pictures by role, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

Role = Literal["gallery", "probe", "background", "spare"]
ROLES: tuple[Role, ...] = get_args(Role)

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the upright picture, half-open."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture in one role; a probe's `path` is the anonymised file, never the original."""

    image_id: str
    """Unique within its role: the manifest's id, or the path below the role's folder."""
    identity: str | None
    """Ground truth; None when the data does not say who is shown."""
    role: Role
    path: Path
    original: Path | None = None
    """The same picture before anonymisation, when the auditor has it."""
    face_box: Box | None = None
    stratum: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    """What the manifest says of the face, by attribute, sorted: `(("glasses", "yes"),)`. An
    attribute that it leaves empty is unknown, and never guessed."""
    spec: str | None = None
    """How it was anonymised, from the sidecar, in the operators' grammar."""
    regions: tuple[Box, ...] = ()
    """Where it was anonymised, from the sidecar; empty when unknown."""
    face_width: float | None = None
    """Width in pixels of the face the operator was scaled to, from the sidecar."""
    row: int | None = None
    """Row of the manifest that names it, as a spreadsheet counts; None without one."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A picture left out of the audit. `reason` names no person and no path."""

    image_id: str
    role: Role | Literal["original"]
    """`original`: the probe stays, only its original is lost."""
    path: Path
    reason: str
    twin: str | None = None
    """The probe it is a copy of, where that is the reason."""


@dataclass(frozen=True)
class Originals:
    """What became of the originals that were given: how many probes met theirs, and by what."""

    by_path: int = 0
    by_name: int = 0
    by_content: int = 0
    unpaired: tuple[Path, ...] = ()
    """Originals that belong to no probe."""


@dataclass(frozen=True)
class Dataset:
    """Pictures by role, in a stable order that does not depend on the file system."""

    gallery: tuple[Item, ...] = ()
    probes: tuple[Item, ...] = ()
    background: tuple[Item, ...] = ()
    spare: tuple[Item, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    originals: Originals | None = None
    """None when no originals were given."""

    @property
    def unmatched(self) -> tuple[Item, ...]:
        """Probes without an original, where originals were given."""
        return tuple(p for p in self.probes if self.originals and p.original is None)

    @property
    def items(self) -> tuple[Item, ...]:
        """Every picture in use, of all roles."""
        return self.gallery + self.probes + self.background + self.spare

    @cached_property
    def gallery_identities(self) -> frozenset[str]:
        """The people whom the gallery shows."""
        return frozenset(item.identity for item in self.gallery if item.identity is not None)

    @property
    def mated(self) -> tuple[Item, ...]:
        """Probes of people the gallery holds."""
        return tuple(p for p in self.probes if p.identity in self.gallery_identities)

    @property
    def nonmated(self) -> tuple[Item, ...]:
        """Probes of people known not to be in the gallery (open world)."""
        return tuple(
            p for p in self.probes if p.identity and p.identity not in self.gallery_identities
        )

    @property
    def has_ground_truth(self) -> bool:
        """Whether it is known of any probe whom it shows."""
        return any(p.identity is not None for p in self.probes)

    def without(self, excluded: Iterable[Excluded]) -> Dataset:
        """The dataset less these pictures, which are appended to `excluded`."""
        gone = tuple(excluded)
        keys = {(e.role, e.image_id) for e in gone}
        kept = {
            name: tuple(i for i in items if (i.role, i.image_id) not in keys)
            for name, items in self.by_role().items()
        }
        return replace(self.with_items(kept), excluded=self.excluded + gone)

    def with_items(self, by_role: Mapping[str, tuple[Item, ...]]) -> Dataset:
        """The dataset with other items, by the name of their field; fields not named stay."""
        return replace(self, **by_role)  # type: ignore[arg-type]

    def by_role(self) -> Mapping[str, tuple[Item, ...]]:
        """Items by the name of their field."""
        return {
            "gallery": self.gallery,
            "probes": self.probes,
            "background": self.background,
            "spare": self.spare,
        }
