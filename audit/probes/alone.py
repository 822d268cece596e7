"""The faces of a picture without an original: what a record, else its pixels, say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from reid_audit.attacks.anonymisation import Identification, identify, identify_parts, read_encoded
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.audit.data import Box
from reid_audit.audit.probes.boxes import as_box
from reid_audit.audit.probes.faces import overlap
from reid_audit.audit.probes.inventory import Region
from reid_audit.audit.probes.named import Named
from reid_audit.audit.probes.pairs import UPRIGHT
from reid_audit.audit.probes.scene import Picture, Scene, Task
from reid_audit.audit.probes.stated import nothing_stated, stated_on, stated_regions

LARGE_ENOUGH = 24
"""Sides in pixels of a region from which its pixels tell an operator."""
ELONGATED = 2.2
"""Longer side in shorter ones up to which a processed part may be a face's: a plate is longer."""
USUAL, AGREED, FEW = 0.8, 0.75, 3
"""Overlap with the middle place from which a picture was processed there too, the share of the
pictures that must agree on place and family, and their least number."""
POSSIBLE = 0.05
"""Probability of the others' family from which it was that, and of none from which it was not."""


def alone(task: Task, picture: Picture, whole: bool) -> Scene:
    """The faces of a picture `(H, W, 3)` that has no original; `whole`: it is stated to be
    processed as a whole."""
    height, width = shape = picture.shape[0], picture.shape[1]
    stated = list(stated_regions(task, UPRIGHT, shape))
    told: Identification | None = None
    told_at: dict[Region, Identification] = {}
    if not stated and not whole and task.method is None and nothing_stated(task.items):
        told, *others = _seen_alone(picture, read_encoded(task.path), task.usual)
        if told.region == (0, 0, width, height):
            whole = True
        else:
            parts = [told, *(part for part in others if _may_hold_a_face(part.region))]
            told_at = {Region(as_box(p.region), p.region_shape, "pixels"): p for p in parts}
            stated = list(told_at)
    names = Named.of(task, UPRIGHT, shape)
    faces = []
    boxes = [region.box for region in stated]
    for face in names.assign(task.seen, (1.0, 1.0), boxes, alone=True):
        region = None if whole else stated_on(face.landmarks, stated)
        answer = told_at.get(region, told) if region is not None else told
        faces.append(replace(face, region=region, identification=answer))
    return Scene(shape, None, tuple(faces), whole)


def _seen_alone(
    picture: Picture, encoded: EncodedInfo, usual: tuple[Box, str] | None
) -> tuple[Identification, ...]:
    """What a picture's own pixels say of each part, also of the usual place where none stands
    out."""
    parts = identify_parts(picture, encoded)
    if usual is None or parts[0].region != (0, 0, picture.shape[1], picture.shape[0]):
        return parts
    place, family = usual
    there = identify(picture, encoded, place)
    if there.family == family:
        return (there,)
    possible = there.odds.get(family, 0.0) >= POSSIBLE > there.odds.get("none", 1.0)
    return (identify(picture, encoded, place, family),) if possible else parts


def usual_places(scenes: Iterable[Scene]) -> dict[tuple[int, int], tuple[Box, str]]:
    """By the size of pictures (height, width), the place and the family on which the pictures
    without an original agree, where they do."""
    told: dict[tuple[int, int], list[tuple[Box, str]]] = {}
    for scene in scenes:
        for face in scene.faces:
            region, identification = face.region, face.identification
            if region is not None and region.source == "pixels" and identification is not None:
                told.setdefault(scene.shape, []).append((region.box, identification.family))
    usual = {}
    for shape, answers in told.items():
        box = as_box(np.median([box for box, _ in answers], axis=0))
        family, count = Counter(family for _, family in answers).most_common(1)[0]
        alike = sum(overlap(box, other) >= USUAL for other, _ in answers)
        if min(alike, count) >= max(FEW, AGREED * len(answers)):
            usual[shape] = box, family
    return usual


def no_part_seen(scene: Scene) -> bool:
    """Whether no part of a picture without an original stood out."""
    return scene.pair is None and scene.whole


def _may_hold_a_face(box: Sequence[int]) -> bool:
    short, long = sorted((box[2] - box[0], box[3] - box[1]))
    return short >= LARGE_ENOUGH and long <= ELONGATED * short
