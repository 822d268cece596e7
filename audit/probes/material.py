"""From the user's files to what is attacked: digests, duplicates, faces, conditions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.residue import inspect
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset, Pseudonyms, run_key, user_secret
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.data.screening import FileFacts, clean, data_digests, scan_files
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, FaceFinder, make_face
from reid_audit.audit.probes.grouping import (
    UNKNOWN,
    examine_probe,
    group_probes,
    place_faces,
    probe_face,
)
from reid_audit.audit.results import schema
from reid_audit.audit.run_directory import Store

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that was read from the user's files.

    faces: reference faces, each once; gallery, background, spare: rows of `faces`.
    """

    dataset: Dataset
    facts: Mapping[Path, FileFacts]
    faces: tuple[Face, ...]
    gallery: tuple[int, ...]
    background: tuple[int, ...]
    spare: tuple[int, ...]
    groups: tuple[Group, ...]
    names: Pseudonyms
    stages: tuple[schema.Stage, ...]
    frame_sources: Mapping[str, int]
    failed: int
    leaks: Leaks

    @property
    def gallery_people(self) -> frozenset[str]:
        return frozenset(self.faces[row].item.identity or "" for row in self.gallery)


def read_material(
    dataset: Dataset, config: AuditConfig, store: Store, device: str, progress: Progress
) -> Material:
    """Files to faces: digests, duplicates, detection, identification, groups."""
    if config.distractors:
        dataset = with_distractors(dataset)
    files = len({i.path for i in dataset.items})
    stages = [schema.Stage(name="files found", count=files + len(dataset.excluded))]
    facts = scan_files(
        dataset, config.workers, lambda done, total: progress("reading files", done, total)
    )
    dataset = clean(dataset, facts)
    stages.append(
        schema.Stage(
            name="readable and unique",
            count=len({i.path for i in dataset.items}),
            note=f"{len(dataset.excluded)} left out",
        )
    )
    workers = config.workers or os.cpu_count() or 1
    finder = FaceFinder(cache_folder(config, store) / "faces", workers, device)
    faces, rows, missed = reference_faces(dataset, facts, finder, progress)
    digests = {path: fact.sha256 for path, fact in facts.items()}
    originals = finder.find(
        _by_digest((p.original for p in dataset.probes if p.original), facts),
        progress,
        "finding faces in originals",
    )
    detector = Detector(device)
    stated = config.method
    method = UNKNOWN if stated == UNKNOWN else parse(stated) if stated else None
    probes = []
    for done, item in enumerate(dataset.probes, start=1):
        original = originals.get(facts[item.original].sha256) if item.original else None
        probes.append(examine_probe(item, original, detector, method, config.region))
        progress("examining probes", done, len(dataset.probes))
    probes, sources = place_faces(probes, digests, [faces[row] for row in rows["gallery"]])
    placed = {
        probe.item.image_id: pair
        for probe in probes
        if (pair := probe_face(probe, digests)) is not None
    }
    groups = tuple(group_probes(probes, placed))
    stages += [
        schema.Stage(
            name="reference pictures with a face",
            count=len(faces),
            note=f"{missed} without a face found",
        ),
        schema.Stage(name="probes with a place for the face", count=len(placed)),
    ]
    secret = user_secret()
    key = run_key("".join(data_digests(dataset, facts).values()), secret)
    leaks = Leaks.inspect(dataset.probes, inspect)
    return Material(
        dataset,
        facts,
        faces,
        rows["gallery"],
        rows["background"],
        rows["spare"],
        groups,
        Pseudonyms(key, secret),
        tuple(stages),
        dict(sorted(sources.items())),
        len(dataset.probes) - len(placed),
        leaks,
    )


def cache_folder(config: AuditConfig, store: Store) -> Path:
    """Where intermediate arrays are kept: the run's own folder, or one shared between runs."""
    return Path(config.cache) if config.cache else store.path / "work" / "cache"


def with_distractors(dataset: Dataset) -> Dataset:
    """Background people of known identity stand in the gallery too, as they would in a search."""
    probes = {probe.identity for probe in dataset.probes}
    added = tuple(
        replace(item, role="gallery")
        for item in dataset.background
        if item.identity and item.identity not in probes
    )
    return replace(dataset, gallery=dataset.gallery + added)


def reference_faces(
    dataset: Dataset, facts: Mapping[Path, FileFacts], finder: FaceFinder, progress: Progress
) -> tuple[tuple[Face, ...], Mapping[str, tuple[int, ...]], int]:
    """Reference faces, each once; the rows of each role; how many pictures had none."""
    items = dataset.gallery + dataset.background + dataset.spare
    found = finder.find(
        _by_digest((i.path for i in items), facts), progress, "finding reference faces"
    )
    faces: list[Face] = []
    row_of: dict[tuple[str, str | None], int] = {}
    rows: dict[str, list[int]] = {"gallery": [], "background": [], "spare": []}
    missed = 0
    for item in items:
        digest = facts[item.path].sha256
        seen = found.get(digest)
        landmarks = seen.labelled(item.face_box) if seen else None
        if seen is None or landmarks is None:
            missed += 1
            continue
        face = make_face(item, digest, landmarks, seen.shape, "detected")
        place = face.key, item.identity
        if place not in row_of:
            row_of[place] = len(faces)
            faces.append(face)
        rows[item.role].append(row_of[place])
    unique = {role: tuple(dict.fromkeys(found_rows)) for role, found_rows in rows.items()}
    return tuple(faces), unique, missed


def _by_digest(paths: Iterable[Path], facts: Mapping[Path, FileFacts]) -> dict[str, Path]:
    return {facts[path].sha256: path for path in paths}
