"""Labels by clustering: people who appear in several originals, looked up among other pictures.

A picture is asked for or looked among, never both: of each person's pictures at least half stay in
the gallery, and the covered faces of the rest are the probes. Copies of one picture count as one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import Context
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset
from reid_audit.audit.data.fingerprint import SAME_PICTURE
from reid_audit.audit.data.screening import FileFacts
from reid_audit.audit.evaluation.estimates import record
from reid_audit.audit.probes.clustering import (
    FALSE_MATCH_RATE,
    Clustering,
    pseudo_identities,
)
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, clear_faces
from reid_audit.audit.probes.material import Material, cache_folder
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.scan.condition import Audit
from reid_audit.metrics import stats
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.sampling import evenly

AT_MOST = 2_000
"""Background people whose faces are compared as impostors: two million pairs."""
BLOCK = 2_048
"""Fingerprints compared with all others at a time."""


def check_identities(dataset: Dataset, config: AuditConfig) -> None:
    """Whether people can be told by clustering.

    Raises:
        InputError: no original was given.
    """
    if config.identities == "labels":
        return
    if not any(probe.original for probe in dataset.probes):
        raise InputError(
            "--identities auto gathers the faces of originals, and no picture has one: give them "
            "with --originals."
        )


def clustered(audit: Audit) -> Material:
    """The material with people told by the first recogniser, a gallery of originals, and in each
    group those probes that are looked up there. A group without any keeps its faces, unnamed. A
    gallery of named people and their labels play no part."""
    material, config = audit.material, audit.config
    pool = sorted({face.key: face for face in material.original_faces}.values(), key=_place)
    strangers = _one_of_each([material.faces[row] for row in material.background])
    clustering = pseudo_identities(
        _embedded(pool, audit),
        [_file(face) for face in pool],
        audit.recognizers[0],
        FALSE_MATCH_RATE,
        _embedded(strangers, audit),
    )
    pictures = picture_of({face.item.path for face in pool}, material.facts)
    shown = [pictures[face.item.path] for face in pool]
    people = _people(pool, clustering.labels)
    asked = asked_for(people, shown, config.seed)
    named = {face.key: name for face, name in zip(pool, people, strict=True)}
    gallery = [
        _called(face, name)
        for face, name, picture in zip(pool, people, shown, strict=True)
        if picture not in asked
    ]
    known = {face.item.identity for face in gallery}
    probes = {
        face.item.image_id: name if (name := named[face.key]) in known else None
        for face in material.original_faces
        if pictures[face.item.path] in asked
    }
    start = len(material.faces)
    return replace(
        material,
        faces=(*material.faces, *gallery),
        gallery=tuple(range(start, start + len(gallery))),
        groups=tuple(_looked_up(group, probes) for group in material.groups),
        clustering=_told(clustering, people, shown, audit.recognizers[0]),
    )


def asked_for(people: Sequence[str], pictures: Sequence[int], seed: int) -> frozenset[int]:
    """Pictures whose covered faces are looked up; the others' faces are the gallery.

    Pictures are drawn one after another; one is taken that shows somebody of several pictures and
    leaves each such person at least half of theirs.

    Args:
        people, pictures: `(N,)` whom each face shows, and where.
    """
    where: dict[str, set[int]] = defaultdict(set)
    who: dict[int, set[str]] = defaultdict(set)
    for person, picture in zip(people, pictures, strict=True):
        where[person].add(picture)
    for person, places in where.items():
        for picture in places if len(places) > 1 else ():
            who[picture].add(person)
    left = {person: len(places) // 2 for person, places in where.items()}
    taken = []
    for picture in np.random.default_rng(seed).permutation(sorted(who)).tolist():
        if all(left[person] for person in who[picture]):
            taken.append(picture)
            for person in who[picture]:
                left[person] -= 1
    return frozenset(taken)


def picture_of(paths: set[Path], facts: Mapping[Path, FileFacts]) -> dict[Path, int]:
    """Files by the picture they show, from 0: copies, resized and saved again, show one."""
    ordered = sorted(paths)
    if not ordered:
        return {}
    prints = np.stack([mark for p in ordered if (mark := facts[p].fingerprint) is not None])
    pairs = []
    for start in range(0, len(prints), BLOCK):
        rows, columns = np.nonzero(prints[start : start + BLOCK] @ prints.T >= SAME_PICTURE)
        pairs.append((rows + start, columns))
    rows, columns = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), (len(prints), len(prints)))
    labels = connected_components(graph, directed=False)[1]
    return dict(zip(ordered, labels.tolist(), strict=True))


def _people(pool: Sequence[Face], labels: Sequence[int] | np.ndarray) -> list[str]:
    """Names `(N,)` that follow from the faces, so that runs on equal originals can be paired by
    person and no two people of different runs share a name by chance."""
    keys: dict[int, list[str]] = defaultdict(list)
    for face, label in zip(pool, labels, strict=True):
        keys[int(label)].append(face.key)
    names = {
        label: f"person-{hashlib.sha256(' '.join(sorted(members)).encode()).hexdigest()[:16]}"
        for label, members in keys.items()
    }
    return [names[int(label)] for label in labels]


def _told(
    clustering: Clustering, people: Sequence[str], pictures: Sequence[int], recognizer: Recognizer
) -> schema.Clustering:
    """What was clustered, and how far it may be wrong."""
    members: dict[str, list[int]] = defaultdict(list)
    for person, picture in zip(people, pictures, strict=True):
        members[person].append(picture)
    several = [places for places in members.values() if len(set(places)) > 1]
    joined = sum(comb(len(places), 2) for places in members.values())
    rate = unknown(say("unknown.two-people"))
    if clustering.impostor_pairs:
        rate = record(stats.clopper_pearson(clustering.false_matches, clustering.impostor_pairs))
    wrong = None
    if not clustering.published and joined:
        wrong = min(1.0, FALSE_MATCH_RATE * comb(len(people), 2) / joined)
    return schema.Clustering(
        recognizer=recognizer.name,
        threshold=clustering.threshold,
        threshold_source="published" if clustering.published else "impostor pairs",
        target_false_match_rate=None if clustering.published else FALSE_MATCH_RATE,
        false_match_rate=rate,
        faces=len(people),
        people=len(several),
        pictures_of_people=sum(len(set(places)) for places in several),
        joined_pairs=joined,
        expected_wrong_pairs=wrong,
    )


def _looked_up(group: Group, probes: Mapping[str, str | None]) -> Group:
    """The group's faces that are probes, named; where there are none, all of it unnamed."""
    rows = [row for row, face in enumerate(group.faces) if face.item.image_id in probes]
    if not any(probes[group.faces[row].item.image_id] for row in rows):
        return replace(group, faces=tuple(_called(face, None) for face in group.faces))
    return replace(
        group,
        faces=tuple(
            _called(group.faces[row], probes[group.faces[row].item.image_id]) for row in rows
        ),
        originals=tuple(group.originals[row] for row in rows),
        regions=tuple(group.regions[row] for row in rows),
    )


def _called(face: Face, name: str | None) -> Face:
    return replace(face, item=replace(face.item, identity=name))


def _place(face: Face) -> tuple[str, str]:
    return face.item.image_id, face.key


def _file(face: Face) -> str:
    """The digest of the picture file, from the face's key."""
    return face.key.rpartition("-")[0]


def _one_of_each(faces: Sequence[Face]) -> list[Face]:
    """One face of each known person, of at most `AT_MOST` people."""
    first: dict[str, Face] = {}
    for face in faces:
        if face.item.identity is not None:
            first.setdefault(face.item.identity, face)
    rows = [first[name] for name in sorted(first)]
    return [rows[int(pick)] for pick in evenly(len(rows), AT_MOST)]


def _embedded(faces: Sequence[Face], audit: Audit) -> np.ndarray:
    context = Context(
        ForwardModel(parse("none"), ()),
        audit.recognizers[0],
        None,
        audit.config.seed,
        audit.perception.device,
        cache_folder(audit.config, audit.store),
        audit.progress,
    )
    if not faces:
        return np.zeros((0, audit.recognizers[0].dimension), np.float32)
    return embed_clear(clear_faces(faces), context)
