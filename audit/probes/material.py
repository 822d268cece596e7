"""From the user's files to what is attacked: digests, duplicates, faces, conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.cache import scene_detectors
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset, Item, Pseudonyms, run_key, user_secret
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.data.screening import FileFacts, clean, data_digests, scan_files
from reid_audit.audit.engine import Engine, Local
from reid_audit.audit.probes.alone import no_part_seen, usual_places
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.examined import examine_all
from reid_audit.audit.probes.faces import Face, FaceFinder, Found, make_face
from reid_audit.audit.probes.grouping import (
    UNKNOWN,
    Probe,
    face_item,
    group_probes,
    place_faces,
    probe_face,
    probes_of,
)
from reid_audit.audit.probes.scene import Scene, Task
from reid_audit.audit.probes.scenes import needs_sight
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import stage
from reid_audit.audit.run_directory import Store

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """Everything that was read from the user's files.

    faces: reference faces, each once; gallery, background, spare: rows of `faces`.
    scenes: every anonymised picture's faces, by its path. original_faces: all faces of the
    originals, under the ids of their probes.
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
    scenes: Mapping[Path, Scene]

    smallest_face: float
    detectors: tuple[str, ...]
    original_faces: tuple[Face, ...]
    clustering: schema.Clustering | None = None
    """How people were told, where no label says so."""

    @property
    def gallery_people(self) -> frozenset[str]:
        """The people whom the gallery's faces show, after detection and screening."""
        return frozenset(self.faces[row].item.identity or "" for row in self.gallery)


def read_material(
    dataset: Dataset,
    config: AuditConfig,
    store: Store,
    device: str,
    progress: Progress,
    engine: Engine | None = None,
) -> Material:
    """Files to faces: digests, duplicates, detection, identification, groups; by default on this
    machine."""
    engine = engine or Local(config.workers)
    if config.distractors:
        dataset = with_distractors(dataset)
    files = len({i.path for i in dataset.items})
    stages = [stage(files + len(dataset.excluded), say("stages.files"))]
    with engine.opener() as opener:
        facts = scan_files(
            dataset,
            engine.slots,
            lambda done, total: progress("reading files", done, total),
            opener.facts,
        )
        dataset = clean(dataset, facts)
        leaks = Leaks.inspect(
            dataset.probes,
            opener.residues,
            engine.slots,
            lambda done, total: progress("searching files for leaks", done, total),
        )
    stages.append(
        stage(
            len({i.path for i in dataset.items}),
            say("stages.readable"),
            say("stages.left-out", count=len(dataset.excluded)),
        )
    )
    finder = FaceFinder(cache_folder(config, store) / "faces", engine, device, config.smallest_face)
    faces, rows, missed = reference_faces(dataset, facts, finder, progress)
    digests = {path: fact.sha256 for path, fact in facts.items()}
    stated = config.method
    method = UNKNOWN if stated == UNKNOWN else parse(stated) if stated else None
    how = How(config.method, config.region, cache_folder(config, store) / "scenes", engine)
    scenes = read_scenes(dataset, facts, finder, how, progress)
    unplaced: list[Probe] = []
    for path, items in pictures(dataset.probes).items():
        original = next((item.original for item in items if item.original), None)
        size = facts[original].size[::-1] if original is not None else None
        unplaced += probes_of(scenes[path], items, method, size)
    gallery = [faces[row] for row in rows["gallery"]]
    probes, sources = place_faces(unplaced, {p: f.size for p, f in facts.items()}, gallery)
    placed = {
        probe.item.image_id: pair
        for probe in probes
        if (pair := probe_face(probe, digests)) is not None
    }
    groups = tuple(group_probes(probes, placed))
    stages += [
        stage(len(faces), say("stages.references"), say("stages.without-face", count=missed)),
        stage(len(placed), say("stages.covered")),
    ]
    secret = user_secret()
    key = run_key("".join(data_digests(dataset, facts).values()), secret)
    return Material(
        dataset=dataset,
        facts=facts,
        faces=faces,
        gallery=rows["gallery"],
        background=rows["background"],
        spare=rows["spare"],
        groups=groups,
        names=Pseudonyms(key, secret),
        stages=tuple(stages),
        frame_sources=dict(sorted(sources.items())),
        failed=sum(
            not _seen(item, scenes[item.path], items, placed)
            for items in pictures(dataset.probes).values()
            for item in items
        ),
        leaks=leaks,
        scenes=scenes,
        smallest_face=finder.smallest,
        detectors=scene_detectors(),
        original_faces=tuple(original_faces(dataset, facts, scenes)),
    )


def original_faces(
    dataset: Dataset, facts: Mapping[Path, FileFacts], scenes: Mapping[Path, Scene]
) -> Iterator[Face]:
    """Every face of the originals that belong to their pictures, covered or not."""
    for path, items in pictures(dataset.probes).items():
        scene = scenes[path]
        original = next((item.original for item in items if item.original), None)
        if original is None or not scene.told:
            continue
        shape = facts[original].size[::-1]
        for number, face in enumerate(scene.faces):
            item = face_item(items, face, number)
            points = scene.in_original(face.landmarks, shape)
            clear = replace(item, path=original, role="gallery")
            yield make_face(clear, facts[original].sha256, points, shape, face.source)


def _seen(item: Item, scene: Scene, items: Sequence[Item], placed: Mapping[str, object]) -> bool:
    """Whether a face of the picture is known to be the item's, attacked or missed."""
    return item.image_id in placed or any(
        face.item is not None and items[face.item] is item for face in scene.faces
    )


def pictures(probes: Iterable[Item]) -> dict[Path, tuple[Item, ...]]:
    """Probes by the picture that shows them."""
    by_path: dict[Path, list[Item]] = {}
    for item in probes:
        by_path.setdefault(item.path, []).append(item)
    return {path: tuple(items) for path, items in by_path.items()}


@dataclass(frozen=True)
class How:
    """How pictures are examined. method, region: as the configuration states them; cache: folder
    for what was found, or None; engine: does it."""

    method: str | None
    region: str | None
    cache: Path | None
    engine: Engine


def read_scenes(
    dataset: Dataset,
    facts: Mapping[Path, FileFacts],
    finder: FaceFinder,
    how: How,
    progress: Progress,
) -> dict[Path, Scene]:
    """Every anonymised picture's faces: those of its original, else those seen in itself."""
    shown = pictures(dataset.probes)
    originals = {
        path: next((item.original for item in items if item.original), None)
        for path, items in shown.items()
    }
    paired = _by_digest((path for path in originals.values() if path is not None), facts)
    clear = finder.find_all(paired, progress, "finding faces in originals")

    def tasks(seen: Mapping[str, Found], paths: Iterable[Path]) -> list[Task]:
        made = []
        for path in paths:
            digest, original = facts[path].sha256, originals[path]
            beside = facts[original].sha256 if original is not None else ""
            made.append(
                Task(
                    f"{digest}-{beside}",
                    path,
                    original,
                    shown[path],
                    clear.get(beside),
                    seen.get(digest),
                    how.method,
                    how.region,
                )
            )
        return made

    def look(paths: Iterable[Path]) -> dict[str, Found]:
        return finder.find(_by_digest(paths, facts), progress, "finding faces in probes")

    first = tasks(look(path for path in shown if originals[path] is None), shown)
    scenes = dict(zip(shown, examine_all(first, how.cache, how.engine, progress), strict=True))
    again = [task.path for task in first if needs_sight(scenes[task.path], task)]
    if again:
        second = tasks(look(again), again)
        scenes |= dict(
            zip(again, examine_all(second, how.cache, how.engine, progress), strict=True)
        )
    usual = usual_places(scenes.values())
    unseen = [
        replace(task, usual=usual[scenes[task.path].shape])
        for task in first
        if scenes[task.path].shape in usual and no_part_seen(scenes[task.path])
    ]
    if unseen:
        looked = examine_all(unseen, how.cache, how.engine, progress)
        scenes |= dict(zip((task.path for task in unseen), looked, strict=True))
    return scenes


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
    detected = finder.find(
        _by_digest((i.path for i in items), facts), progress, "finding reference faces"
    )
    faces: list[Face] = []
    row_of: dict[tuple[str, str | None], int] = {}
    rows: dict[str, list[int]] = {"gallery": [], "background": [], "spare": []}
    missed = 0
    for item in items:
        digest = facts[item.path].sha256
        seen = detected.get(digest)
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
