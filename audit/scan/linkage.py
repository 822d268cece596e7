"""Linkage: whether a covered face can be found among all faces of the originals.

It needs no labels, and it is no identification: the mate is the same picture, so that pose, light
and whatever else that one picture shows help as well. What it bounds is therefore more than what a
stranger with other pictures of the same people could do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.evaluation.estimates import chance, hits, record
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.results import schema
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.scan.condition import Audit, make_setup
from reid_audit.audit.scan.duration import Clock
from reid_audit.audit.trials.units import run_attack
from reid_audit.metrics import stats

ATTACKS = ("naive", "wiener", "ridge")
"""Those that look a face up. One that learns does so from the background alone: from the originals
it would learn the very pictures that it is asked for."""
FEWEST = 2
"""Faces of the originals among which looking one up says something."""


def linkage(
    group: Group, recognizer: Recognizer, audit: Audit, clock: Clock
) -> Iterator[schema.Linkage]:
    """Every attack that looks faces up, on the faces of one group that have an original."""
    pool = audit.material.original_faces
    known = {face.item.image_id for face in pool}
    rows = [
        row
        for row, (face, original) in enumerate(zip(group.faces, group.originals, strict=True))
        if original is not None and face.item.image_id in known
    ]
    if len(pool) < FEWEST or not rows:
        return
    faces = [group.faces[row] for row in rows]
    linked = replace(
        group,
        id=f"{group.id}-linkage",
        faces=tuple(_as_itself(face) for face in faces),
        originals=tuple(group.originals[row] for row in rows),
        regions=tuple(group.regions[row] for row in rows),
    )
    material, config = audit.material, audit.config
    background = [material.faces[row] for row in material.background]
    everybody = replace(
        material,
        faces=(*(_as_itself(face) for face in pool), *background),
        gallery=tuple(range(len(pool))),
        background=tuple(range(len(pool), len(pool) + len(background))),
        spare=(),
    )
    asked = tuple(name for name in ATTACKS if name in config.attacks) or ATTACKS[:1]
    alone = replace(
        audit,
        material=everybody,
        config=config.model_copy(update={"worlds": ("open",), "attacks": asked}),
    )
    setup = make_setup(linked, recognizer, alone)
    setup = replace(setup, context=clock.watched(setup.context))
    pictures = pd.Series([str(face.item.path) for face in faces])
    for name in asked:
        outcome = run_attack(name, setup, audit.store)
        common = {
            "attack": name,
            "recognizer": recognizer.name,
            "condition": group.id,
            "chance": chance(len(pool)),
        }
        if outcome.status != "ok":
            why = unknown(outcome.reason or outcome.status)
            yield schema.Linkage(**common, rank_1=why, filled=why)
            continue
        rates = {}
        for kind in ("attack", "context-only"):
            trials = outcome.trials[outcome.trials.kind == kind]
            clusters = pictures[trials.probe.to_numpy()].to_numpy()
            rates[kind] = record(stats.by_image(hits(trials), clusters, alpha=config.alpha))
        yield schema.Linkage(**common, rank_1=rates["attack"], filled=rates["context-only"])


def _as_itself(face: Face) -> Face:
    """A face of whom nothing is known but which face it is."""
    return replace(face, item=replace(face.item, identity=face.item.image_id))
