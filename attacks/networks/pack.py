"""A pack: aligned face crops in one memory-mapped array, who they show, and who is left out of
training for development."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from reid_audit.attacks.linear.spectra import Spectra
from reid_audit.attacks.networks import frame
from reid_audit.metrics.cache import array_to_fill
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_text
from reid_audit.metrics.sampling import evenly

MARGIN = 1.5
"""Side of a stored crop in sides of the frame: degraded with its surroundings, then cut."""
DEVELOPMENT = 0.05
"""Share of the identities that is never trained on."""
MOST_DEVELOPMENT = 256
"""Faces that validation looks at, at most."""
PRIOR_FACES = 400
VERSION = 1
_FACES, _PAIRS, _ABOUT = "faces.npy", "anonymized.npy", "pack.json"


@dataclass(frozen=True, eq=False)
class Pack:
    """Faces to train on.

    faces: `(N, side, side, 3)` uint8, clear; anonymized: the same faces through an anonymiser that
        is only known by what it does, or None. identities: who each face shows. frame: side of the
        frame in the middle of each crop. source: what the faces are, for the model card.
    """

    faces: np.ndarray
    identities: tuple[str, ...]
    frame: int
    digest: str
    source: str
    anonymized: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def side(self) -> int:
        """Height and width of a crop, in pixels."""
        return int(self.faces.shape[1])

    @property
    def face_width(self) -> float:
        """In pixels of a crop."""
        return frame.FACE * self.frame

    @cached_property
    def development(self) -> np.ndarray:
        """Rows of the identities that are kept from training, at most MOST_DEVELOPMENT."""
        return self._held_out[:MOST_DEVELOPMENT]

    @cached_property
    def training(self) -> np.ndarray:
        """Rows of everybody else."""
        return np.setdiff1d(np.arange(len(self)), self._held_out)

    @cached_property
    def _held_out(self) -> np.ndarray:
        # By hash, so that who is held out does not depend on who else is there.
        people = sorted(set(self.identities), key=lambda p: hashlib.sha256(p.encode()).digest())
        chosen = set(people[: max(1, round(DEVELOPMENT * len(people)))])
        return np.flatnonzero([person in chosen for person in self.identities])

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Everybody, the identities to train on first."""
        held = {self.identities[row] for row in self._held_out}
        return tuple(sorted(set(self.identities), key=lambda person: (person in held, person)))

    @cached_property
    def trained_people(self) -> int:
        """How many of `people` are trained on."""
        return len({self.identities[row] for row in self.training})

    @cached_property
    def labels(self) -> np.ndarray:
        """Place `(N,)` of each face's person among `people`."""
        place = {person: index for index, person in enumerate(self.people)}
        return np.array([place[person] for person in self.identities])

    @cached_property
    def spectra(self) -> Spectra:
        """Second moments of clear training faces (and of their anonymised pairs, where given)."""
        rows = self.training[evenly(len(self.training), PRIOR_FACES)]
        other = self.faces if self.anonymized is None else self.anonymized
        return Spectra.measure((self.faces[row], other[row]) for row in rows)


def side_of(size: int) -> int:
    """Side of the crops stored for frames of `size` pixels, even like it.

    >>> side_of(64), side_of(128)
    (96, 192)
    """
    return 2 * round(MARGIN * size / 2)


def write_pack(
    folder: Path,
    crops: Iterator[np.ndarray],
    identities: Sequence[str],
    size: int,
    source: str,
    pairs: Iterator[np.ndarray] | None = None,
) -> Pack:
    """Store crops `(side, side, 3)` of one face each, as many as identities, and open them.

    Raises:
        InputError: fewer than two identities, so that none can be held out.
    """
    if len(set(identities)) < 2:
        raise InputError(f"{source}: faces of at least two people are needed, one to hold out.")
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for name, pictures in ((_FACES, crops), (_PAIRS, pairs)):
        if pictures is not None:
            _fill(folder / name, pictures, len(identities), side_of(size), digest)
        else:
            (folder / name).unlink(missing_ok=True)
    digest.update("\n".join(identities).encode())
    about = {
        "version": VERSION,
        "frame": size,
        "source": source,
        "digest": digest.hexdigest(),
        "identities": list(identities),
    }
    write_text(folder / _ABOUT, json.dumps(about))
    return open_pack(folder)


def _fill(
    path: Path, crops: Iterator[np.ndarray], count: int, side: int, digest: hashlib._Hash
) -> None:
    with array_to_fill(path, (count, side, side, 3)) as array:
        for row, crop in zip(range(count), crops, strict=True):
            array[row] = crop
            digest.update(np.ascontiguousarray(crop).tobytes())


def open_pack(folder: Path) -> Pack:
    """A pack that was written before, memory-mapped.

    Raises:
        InputError: there is none, or of another version.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text())
        faces = np.load(folder / _FACES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: holds no pack of faces; build one again.") from error
    if about["version"] != VERSION or len(faces) != len(about["identities"]):
        raise InputError(f"{folder}: a pack of another version; delete it and build it again.")
    pairs = folder / _PAIRS
    return Pack(
        faces,
        tuple(about["identities"]),
        about["frame"],
        about["digest"],
        about["source"],
        np.load(pairs, mmap_mode="r", allow_pickle=False) if pairs.exists() else None,
    )
