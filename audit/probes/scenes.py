"""From one anonymised picture to its faces: what lies where, what became of each, who it is.

Every picture is decoded once. Where there is an original, its faces are the ones to account for,
and the difference to it says where the picture was processed. Without one, the record, else the
pixels say where, and what is seen in the anonymised picture is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from reid_audit.attacks.anonymisation import read_encoded
from reid_audit.audit.data import Box, decode
from reid_audit.audit.probes.alone import LARGE_ENOUGH, alone
from reid_audit.audit.probes.boxes import area, sides
from reid_audit.audit.probes.difference import Difference, difference_of
from reid_audit.audit.probes.inventory import Coverage, Region, coverage, places_without_face
from reid_audit.audit.probes.looking import Told, look
from reid_audit.audit.probes.named import Named
from reid_audit.audit.probes.pairs import UPRIGHT, Pair, compare, placed, toned_as
from reid_audit.audit.probes.scene import Picture, Scene, SceneFace, Task
from reid_audit.audit.probes.stated import nothing_stated, stated_on, stated_regions, stated_whole
from reid_audit.audit.probes.wholly import changed_as_whole, made_from

LOOKED_AT = 6
"""Regions of a picture whose operator is estimated, the largest first: the others went through the
same tool."""


def examine(task: Task) -> Scene:
    """The faces of one picture.

    Raises:
        InputError: a file cannot be read, or a stated region is none.
    """
    picture = decode(task.path)
    whole = stated_whole(task, picture.shape)
    if task.original is not None:
        original = decode(task.original)
        pair = compare(picture, original)
        known = whole or task.method == "unknown"
        if pair.relation == "different" and (known or made_from(task.path, picture, original)):
            # A picture that was processed as a whole, or by a tool that was stated to be unknown,
            # has nothing left to be known by.
            pair, whole = replace(pair, relation="same"), True
        if pair.relation != "different":
            return _beside_original(task, picture, original, pair, whole)
        return replace(alone(task, picture, whole), pair=pair)
    return alone(task, picture, whole)


def needs_sight(scene: Scene, task: Task) -> bool:
    """Whether the faces of the anonymised picture itself must be looked for after all."""
    return not scene.told and task.seen is None


def _beside_original(
    task: Task, picture: Picture, original: Picture, pair: Pair, whole: bool
) -> Scene:
    """The faces of the original, and what became of each."""
    picture = pair.turn.apply(picture)
    height, width = shape = picture.shape[0], picture.shape[1]
    frame = (1.0, 1.0) if pair.padded else (width / original.shape[1], height / original.shape[0])
    clear = toned_as(picture, placed(original, shape, pair.padded))
    del original
    names = Named.of(task, pair.turn, shape)
    stated = stated_regions(task, pair.turn, shape)
    faces = names.assign(task.clear, frame, [region.box for region in stated])
    everything: Box = (0, 0, width, height)
    processed = [everything] if whole else [region.box for region in stated]
    encoded = read_encoded(task.path)
    coded_as = task.path if pair.turn == UPRIGHT and not whole else None
    difference = difference_of(picture, clear, coded_as, encoded, processed)
    if not whole and changed_as_whole(difference, picture, clear, encoded, bool(faces)):
        whole, difference = True, Difference.between(picture, clear, [everything])
    judged = coverage(difference, [face.landmarks for face in faces])
    covers = []
    for face, told in zip(faces, judged, strict=True):
        region = None if whole else stated_on(face.landmarks, stated) or told.region
        covers.append(_with_coverage(face, told, region))
    identified = _identified(
        task,
        covers,
        whole,
        lambda region, others: look(picture, clear, encoded, region, others),
    )
    spare = places_without_face(difference, [face.landmarks for face in faces])
    return Scene(shape, pair, identified, whole, tuple(place.box for place in spare))


def _with_coverage(face: SceneFace, told: Coverage, region: Region | None) -> SceneFace:
    hidden = told.state in ("covered", "partial")
    return replace(
        face,
        state=told.state,
        untouched=round(told.untouched, 3),
        region=region if hidden else None,
    )


def _identified(
    task: Task,
    faces: Sequence[SceneFace],
    whole: bool,
    look: Callable[[Region | None, Collection[Region]], Told],
) -> tuple[SceneFace, ...]:
    """Faces with what was done to them, where nothing else says it. `look` is told all of the
    picture's regions as well."""
    if task.method is not None or not nothing_stated(task.items):
        return tuple(faces)
    hidden = [face for face in faces if face.state in ("covered", "partial")]
    if whole:
        told = look(None, ()) if hidden else Told(None)
        return tuple(_with(face, told) if face in hidden else face for face in faces)
    regions = {face.region for face in hidden if face.region is not None}
    largest = sorted(regions, key=lambda region: (-area(region.box), region.box))[:LOOKED_AT]
    told_of = {
        region: look(region, regions)
        for region in largest
        if min(sides(region.box)) >= LARGE_ENOUGH
    }
    return tuple(
        _with(face, told_of[face.region]) if face.region in told_of else face for face in faces
    )


def _with(face: SceneFace, told: Told) -> SceneFace:
    return replace(face, identification=told.settled, pixels_alone=told.alone)
