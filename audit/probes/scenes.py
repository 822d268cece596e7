"""From one anonymised picture to its faces: what lies where, what became of each, who it is.

Every picture is decoded once. Where there is an original, its faces are the ones to account for,
and the difference to it says where the picture was processed. Without one, the record, else the
pixels say where, and what is seen in the anonymised picture is all there is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache as remembered
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.anonymisation import (
    Identification,
    Placings,
    identify,
    identify_pair,
    identify_parts,
    in_place,
    read_encoded,
    stored_alike,
)
from reid_audit.attacks.anonymisation import Region as Place
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.operators.tools import Placed, Tool, face_under, tools
from reid_audit.attacks.recognition.align import face_width
from reid_audit.audit.data import Box, Item, decode
from reid_audit.audit.engine import Engine
from reid_audit.audit.probes.difference import Difference
from reid_audit.audit.probes.faces import Found, Landmarks, overlap
from reid_audit.audit.probes.inventory import (
    Coverage,
    Region,
    State,
    coverage,
    places_without_face,
)
from reid_audit.audit.probes.pairs import UPRIGHT, Pair, Turn, compare, placed, toned_as
from reid_audit.audit.probes.sharing import worth_processes
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_text

Picture = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]
Source = Literal["originals", "manifest", "anonymised", "region", "none"]

SURE = 0.7
"""Score from which a detection is counted as a face that nobody labelled."""
NAMED = 0.3
"""Overlap from which a detection is the face that a box names."""
LOOKED_AT = 6
"""Regions of a picture whose operator is estimated, the largest first: the others went through the
same tool."""
AROUND, UNIT = 0.5, 16
"""Surroundings that are looked at with a region, in its sides, and the pixels that a JPEG's blocks
are counted in."""
NARROWEST = 4
"""A fading edge is seen to reach beyond its box by up to this part of the region's shorter side."""
LARGE_ENOUGH = 24
"""Sides in pixels of a region from which its pixels tell an operator."""
ELONGATED = 2.2
"""Longer side in shorter ones up to which a processed part may be a face's: a plate is longer."""
COARSE, REMADE = 24, 0.97
"""Side in pixels to which an original that was processed again is reduced, and its correlation with
the picture from which they are one."""
SHUFFLED = 2.0
"""Mean difference in grey levels of sorted values up to which pixels only changed places."""
USUAL, AGREED, FEW = 0.8, 0.75, 3
"""Overlap with the middle place from which a picture was processed there too, the share of the
pictures that must agree on place and family, and their least number."""
POSSIBLE = 0.05
"""Probability of the others' family from which it was that, and of none from which it was not."""
MIDDLE = 512
"""Sides in pixels of the part of a picture that tells what was done to all of it."""


ESTIMATING = 2e6
"""Cost of telling an operator, in pixels of looking for faces."""


@dataclass(frozen=True, eq=False)
class SceneFace:
    """One face of an anonymised picture that lies as its original does.

    landmarks: `(5, 2)` in its pixels. item: which of the picture's items names it, or None.
    region: where it was processed; None where it was not, or with the whole picture.
    identification: what was done there, settled by the original where there is one, else as far as
    its own pixels tell; None where not asked. pixels_alone: what they tell, where the original
    settled it.
    """

    landmarks: Landmarks
    state: State
    untouched: float
    source: Source
    item: int | None
    region: Region | None
    identification: Identification | None
    pixels_alone: Identification | None = None

    @property
    def width(self) -> float:
        """In pixels."""
        return float(face_width(self.landmarks))

    @property
    def box(self) -> Box:
        """About the face from brows to chin, in pixels."""
        (x, y), half = self.landmarks.mean(axis=0).tolist(), self.width / 2
        long = 1.3 * half
        return round(x - half), round(y - long), round(x + half), round(y + long)


@dataclass(frozen=True, eq=False)
class Scene:
    """One anonymised picture.

    shape: height and width as the original lies. pair: None without an original.
    whole: it was processed as a whole. without_face: processed places on which no face lies.
    """

    shape: tuple[int, int]
    pair: Pair | None
    faces: tuple[SceneFace, ...]
    whole: bool = False
    without_face: tuple[Box, ...] = ()

    @property
    def turn(self) -> Turn:
        """How the anonymised picture is turned to lie as its original."""
        return self.pair.turn if self.pair is not None else UPRIGHT

    def in_original(self, landmarks: Landmarks, shape: tuple[int, int]) -> Landmarks:
        """Points `(5, 2)` in pixels of the original's file, of height and width `shape`."""
        if self.pair is not None and self.pair.padded:
            return landmarks
        scale = np.array([shape[1] / self.shape[1], shape[0] / self.shape[0]])
        return np.asarray((landmarks + 0.5) * scale - 0.5, np.float32)

    @property
    def told(self) -> bool:
        """Whether an original tells what became of the faces."""
        return self.pair is not None and self.pair.relation != "different"


@dataclass(frozen=True)
class Task:
    """What a picture's examination depends on.

    content: digests of its file and its original's. items: of this one picture. clear, seen: faces
    found in its original and in itself; None where not looked for. method, region: how and where
    it was processed, where the configuration says. usual: where and by what family most pictures of
    this size were processed, to be looked at where nothing stands out.
    """

    content: str
    path: Path
    original: Path | None
    items: tuple[Item, ...]
    clear: Found | None = field(compare=False)
    seen: Found | None = field(compare=False)
    method: str | None = None
    region: str | None = None
    usual: tuple[Box, str] | None = None


def examine(task: Task) -> Scene:
    """The faces of one picture.

    Raises:
        InputError: a file cannot be read, or a stated region is none.
    """
    picture = decode(task.path)
    whole = _stated_whole(task, picture.shape)
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
        return replace(_alone(task, picture, whole), pair=pair)
    return _alone(task, picture, whole)


def made_from(path: Path, picture: Picture, original: Picture) -> bool:
    """Whether a picture that nothing of its original is seen in was made from it all the same: what
    the pixels of the file say was done to it makes it from the original."""
    told = identify(picture, read_encoded(path))
    if not _processed_as_whole(told, picture.shape[:2]):
        return False
    clear = placed(original, picture.shape[:2], False)
    if told.family == "permute":  # the same values in other places
        gap = np.abs(np.sort(clear, axis=None).astype(float) - np.sort(picture, axis=None))
        return bool(gap.mean() <= SHUFFLED)
    operator = told.operator()
    if operator is None:
        return False
    made = operator.apply(np.ascontiguousarray(clear), np.random.default_rng(0))
    a, b = (
        cv2.resize(p, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        for p in (made, picture)
    )
    return bool(np.corrcoef(a, b)[0, 1] >= REMADE)


def needs_sight(scene: Scene, task: Task) -> bool:
    """Whether the faces of the anonymised picture itself must be looked for after all."""
    return not scene.told and task.seen is None


# ---- beside an original ----------------------------------------------------------------------


def _beside_original(
    task: Task, picture: Picture, original: Picture, pair: Pair, whole: bool
) -> Scene:
    picture = pair.turn.apply(picture)
    height, width = shape = picture.shape[0], picture.shape[1]
    frame = (1.0, 1.0) if pair.padded else (width / original.shape[1], height / original.shape[0])
    clear = toned_as(picture, placed(original, shape, pair.padded))
    del original
    names = _Named.of(task, pair.turn, shape)
    stated = _stated(task, pair.turn, shape)
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
        region = None if whole else _stated_on(face.landmarks, stated) or told.region
        covers.append(_with_coverage(face, told, region))
    identified = _identified(
        task,
        covers,
        whole,
        lambda region, others: look(picture, clear, encoded, region, others),
    )
    spare = places_without_face(difference, [face.landmarks for face in faces])
    return Scene(shape, pair, identified, whole, tuple(place.box for place in spare))


def difference_of(
    picture: Picture,
    clear: Picture,
    coded_as: Path | None,
    encoded: EncodedInfo,
    stated: Sequence[Box] = (),
) -> Difference:
    """Where a picture differs from its original, without what its own coding did to all of it;
    `coded_as`: the picture's file, None where the picture does not lie as its file does."""
    difference = Difference.between(picture, clear, stated)
    stored = stored_alike(clear, coded_as) if coded_as is not None else None
    if stored is None:
        return difference
    return difference.without_coding(stored, encoded.tables[0], stated)


def changed_as_whole(
    difference: Difference,
    picture: Picture,
    clear: Picture,
    encoded: EncodedInfo,
    closely: bool = True,
) -> bool:
    """Whether a picture was processed as a whole. `closely`: where it lost its detail everywhere,
    some operator must make it from its original, since codecs smooth as well and a face that was
    processed is no longer missed; where nothing stands out its own pixels are asked, since a mild
    change of everything looks like coding."""
    if difference.whole:
        return True
    if not closely or (difference.picture == difference.original).all():
        return False
    if difference.smoothed:
        if difference.filled:
            return False  # of the whole picture it would have been seen above
        told = look_at_all(picture, clear, encoded).settled
        return told is not None and told.spec not in (None, "none", "solid")
    pixels = None if difference.places else identify(picture, encoded)
    return pixels is not None and _processed_as_whole(pixels, picture.shape[:2])


def _with_coverage(face: SceneFace, told: Coverage, region: Region | None) -> SceneFace:
    hidden = told.state in ("covered", "partial")
    return replace(
        face,
        state=told.state,
        untouched=round(told.untouched, 3),
        region=region if hidden else None,
    )


def _processed_as_whole(identification: Identification, shape: tuple[int, int]) -> bool:
    everywhere = identification.region == (0, 0, shape[1], shape[0])
    return (
        everywhere
        and identification.family not in ("none", "unknown")
        and identification.confidence > 0.9
    )


# ---- without one -----------------------------------------------------------------------------


def _alone(task: Task, picture: Picture, whole: bool) -> Scene:
    height, width = shape = picture.shape[0], picture.shape[1]
    stated = list(_stated(task, UPRIGHT, shape))
    told: Identification | None = None
    told_at: dict[Region, Identification] = {}
    if not stated and not whole and task.method is None and _asks(task.items):
        told, *others = _seen_alone(picture, read_encoded(task.path), task.usual)
        if told.region == (0, 0, width, height):
            whole = True
        else:
            parts = [told, *(part for part in others if _may_hold_a_face(part.region))]
            told_at = {Region(_box(p.region), p.region_shape, "pixels"): p for p in parts}
            stated = list(told_at)
    names = _Named.of(task, UPRIGHT, shape)
    faces = []
    boxes = [region.box for region in stated]
    for face in names.assign(task.seen, (1.0, 1.0), boxes, alone=True):
        region = None if whole else _stated_on(face.landmarks, stated)
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
        box = _box(np.median([box for box, _ in answers], axis=0))
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


def _asks(items: Sequence[Item]) -> bool:
    """Whether no record says what was done."""
    return all(item.spec is None for item in items)


# ---- who is who ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Named:
    """The picture's items and the boxes that they name, as the picture lies now."""

    boxes: tuple[Box | None, ...]

    @classmethod
    def of(cls, task: Task, turn: Turn, shape: tuple[int, int]) -> _Named:
        before = turn.shape(shape)  # quarters of a turn swap sides either way
        return cls(
            tuple(
                turn.box(item.face_box, before) if item.face_box is not None else None
                for item in task.items
            )
        )

    def assign(
        self,
        detected: Found | None,
        frame: tuple[float, float],
        regions: Sequence[Box] = (),
        alone: bool = False,
    ) -> list[SceneFace]:
        """Every face of the picture: those that were found, scaled by `frame` (x, y), and those
        that an item names, for want of a found one where a record says `regions`. `alone`, without
        an original, every region is taken to lie on a face."""
        here = _scaled(detected, frame) if detected is not None else None
        detections = here.detections if here is not None else ()
        owner: dict[int, int] = {}
        faces: list[SceneFace] = []
        source: Source = "anonymised" if alone else "originals"
        for place, box in enumerate(self.boxes):
            if box is None:
                continue
            free = [row for row in range(len(detections)) if row not in owner]
            alike = {row: overlap(detections[row].box, box) for row in free}
            row = max(alike, key=alike.__getitem__, default=None)
            if row is not None and alike[row] >= NAMED:
                owner[row] = place
            else:
                faces.append(_seen(_typical(box), "manifest", place))
        for place, box in enumerate(self.boxes):
            if box is not None:
                continue
            hidden = [region for region in regions if not _holds_any(region, faces)]
            row = self._prominent(here, owner, hidden if alone else ())
            if row is not None:
                owner[row] = place
            elif hidden:
                largest = max(hidden, key=_area)
                faces.append(_seen(_typical(largest), "region", place))
        for row, detection in enumerate(detections):
            if row in owner or detection.score >= SURE:
                faces.append(_seen(detection.landmarks, source, owner.get(row)))
        for region in regions if alone else ():
            if not _holds_any(region, faces):
                faces.append(_seen(_typical(region), "region", None))
        return sorted(faces, key=lambda face: (face.item is None, face.item or 0, face.box))

    @staticmethod
    def _prominent(
        faces: Found | None, owner: Mapping[int, int], regions: Sequence[Box]
    ) -> int | None:
        """The face that a label without a box means: the prominent one, where the picture was
        processed if that is known."""
        if faces is None:
            return None
        free = [row for row in range(len(faces.detections)) if row not in owner]
        inside = [
            row
            for row in free
            if any(_inside(faces.detections[row].landmarks, region) for region in regions)
        ]
        if regions and not inside:
            return None
        chosen = Found(faces.shape, tuple(faces.detections[row] for row in inside or free))
        points = chosen.labelled()
        return next((r for r in free if faces.detections[r].landmarks is points), None)


def _scaled(faces: Found, frame: tuple[float, float]) -> Found:
    if frame == (1.0, 1.0):
        return faces
    scale = np.array(frame, np.float32)
    moved = tuple(
        replace(
            d,
            box=np.asarray(d.box * np.tile(scale, 2), np.float32),
            landmarks=np.asarray((d.landmarks + 0.5) * scale - 0.5, np.float32),
        )
        for d in faces.detections
    )
    height, width = faces.shape
    return Found((round(height * frame[1]), round(width * frame[0])), moved)


def _seen(landmarks: Landmarks, source: Source, item: int | None) -> SceneFace:
    return SceneFace(landmarks, "unmatched", 1.0, source, item, None, None)


def _typical(box: Box) -> Landmarks:
    points = Found((0, 0), ()).labelled(box)
    assert points is not None  # a box always has typical landmarks
    return points


def _inside(landmarks: Landmarks, box: Box) -> bool:
    x, y = landmarks.mean(axis=0)
    return bool(box[0] <= x < box[2] and box[1] <= y < box[3])


def _holds_any(box: Box, faces: Iterable[SceneFace]) -> bool:
    return any(_inside(face.landmarks, box) for face in faces)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


# ---- where and how ---------------------------------------------------------------------------


def _stated_whole(task: Task, shape: tuple[int, ...]) -> bool:
    everything = (0, 0, shape[1], shape[0])
    stated = [region for item in task.items for region in item.regions]
    return task.region == "image" or (task.region is None and everything in stated)


def _stated(task: Task, turn: Turn, shape: tuple[int, int]) -> tuple[Region, ...]:
    """Regions that the configuration or a record states, as the picture lies now."""
    before = turn.shape(shape)
    if task.region is not None and task.region.startswith("box:"):
        box = parse_box(task.region.removeprefix("box:"))
        return (Region(turn.box(box, before), "box", "configured"),)
    if task.region == "image":
        return ()
    boxes = dict.fromkeys(region for item in task.items for region in item.regions)
    return tuple(Region(turn.box(box, before), "box", "sidecar") for box in boxes)


def _stated_on(landmarks: Landmarks, stated: Sequence[Region]) -> Region | None:
    """The stated region that holds a face's middle, the smallest of several."""
    holding = [region for region in stated if _inside(landmarks, region.box)]
    return min(holding, key=lambda region: _area(region.box), default=None)


def _identified(
    task: Task,
    faces: Sequence[SceneFace],
    whole: bool,
    look: Callable[[Region | None, Collection[Region]], Told],
) -> tuple[SceneFace, ...]:
    """Faces with what was done to them, where nothing else says it. `look` is told all of the
    picture's regions as well."""
    if task.method is not None or not _asks(task.items):
        return tuple(faces)
    hidden = [face for face in faces if face.state in ("covered", "partial")]
    if whole:
        told = look(None, ()) if hidden else UNTOLD
        return tuple(_with(face, told) if face in hidden else face for face in faces)
    regions = {face.region for face in hidden if face.region is not None}
    largest = sorted(regions, key=lambda region: (-_area(region.box), region.box))[:LOOKED_AT]
    told_of = {
        region: look(region, regions)
        for region in largest
        if min(_sides(region.box)) >= LARGE_ENOUGH
    }
    return tuple(
        _with(face, told_of[face.region]) if face.region in told_of else face for face in faces
    )


@dataclass(frozen=True)
class Told:
    """What was done, and what pixels alone say where an original settled it."""

    settled: Identification | None
    alone: Identification | None = None


UNTOLD = Told(None)


def _with(face: SceneFace, told: Told) -> SceneFace:
    return replace(face, identification=told.settled, pixels_alone=told.alone)


def _sides(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def look(
    picture: Picture,
    clear: Picture,
    encoded: EncodedInfo | None,
    region: Region | None,
    regions: Collection[Region],
) -> Told:
    """What was done to one of a picture's regions, settled by doing it to the original; on a
    picture that was processed as a whole, what its pixels tell."""
    if region is None:
        return Told(identify(picture, encoded))
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = region.box
    far_x, far_y = (max(UNIT, round(AROUND * side)) for side in _sides(region.box))
    left, top = max(0, (x0 - far_x) // UNIT * UNIT), max(0, (y0 - far_y) // UNIT * UNIT)
    right, below = min(width, x1 + far_x), min(height, y1 + far_y)
    before, after = (np.ascontiguousarray(p[top:below, left:right]) for p in (clear, picture))
    place = Place((x0 - left, y0 - top, x1 - left, y1 - top), region.shape)
    would = _tools(region, regions, clear, left, top)
    pair = identify_pair(before, after, place, encoded, would)
    settled, alone = (replace(answer, region=region.box) for answer in (pair.settled, pair.unaided))
    return Told(settled, alone)


def look_at_all(picture: Picture, clear: Picture, encoded: EncodedInfo) -> Told:
    """What was done to a picture as a whole, settled by doing it to the original; told from its
    middle where it is large."""
    height, width = picture.shape[:2]
    x, y = max(0, width - MIDDLE) // 2, max(0, height - MIDDLE) // 2
    middle = (x, y, min(width, x + MIDDLE), min(height, y + MIDDLE))
    pair = identify_pair(clear, picture, middle, encoded)
    everywhere = (0, 0, width, height)
    settled, alone = (replace(t, region=everywhere) for t in (pair.settled, pair.unaided))
    return Told(settled, alone)


def _tools(
    region: Region, regions: Collection[Region], clear: Picture, left: int, top: int
) -> dict[str, Placings]:
    """By name, what the tools of the catalogue would have done to one of the regions of a picture,
    in pixels of a part of it that starts at `left`, `top`."""
    height, width = clear.shape[:2]
    shape = height, width
    largest = max(regions, key=lambda other: max(_sides(other.box)))

    def would(tool: Tool, inset: int) -> Placed:
        own, other = (
            tool.place(face_under(tool, _less(place.box, inset), shape), shape)
            for place in (region, largest)
        )
        x0, y0, x1, y1 = own.box
        box = x0 - left, y0 - top, x1 - left, y1 - top
        return Placed(own.operator.among(own.box, [other.box]), box)

    def remake(part: Picture, placed: Placed) -> Picture:
        if not placed.operator.far_sighted:
            return in_place(part, placed)
        x0, y0, x1, y1 = placed.box
        made = in_place(clear, Placed(placed.operator, (x0 + left, y0 + top, x1 + left, y1 + top)))
        return made[top : top + part.shape[0], left : left + part.shape[1]]

    faded = max(1, min(_sides(region.box)) // NARROWEST)
    return {
        tool.name: Placings(partial(would, tool), faded if tool.shape == "soft" else 1, remake)
        for tool in tools()
        if tool.shape in (region.shape, "soft")
    }


def _less(box: Box, inset: int) -> Box:
    x0, y0, x1, y1 = box
    return x0 + inset, y0 + inset, x1 - inset, y1 - inset


def _box(values: Sequence[Any] | NDArray[Any]) -> Box:
    x0, y0, x1, y1 = (int(v) for v in values)
    return x0, y0, x1, y1


def parse_box(text: str) -> Box:
    """A box as the option --region writes it.

    Raises:
        InputError: not four whole numbers.
    """
    numbers = re.findall(r"-?\d+", text)
    if len(numbers) != 4:
        raise InputError(f"--region box:{text}: give four whole numbers, box:x0,y0,x1,y1.")
    return _box(numbers)


# ---- many pictures ---------------------------------------------------------------------------


def examine_all(
    tasks: Sequence[Task], cache: Path | None, engine: Engine, progress: Progress
) -> list[Scene]:
    """The tasks' scenes, by the engine when there are many; what the cache holds is not done
    again."""
    keys = [scene_key(task) for task in tasks]
    scenes = {key: scene for key in keys if (scene := _recall(cache, key)) is not None}
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in scenes}
    lacking = list(missing.values())
    worth = worth_processes([task.path for task in lacking], ESTIMATING)
    made = engine.map(examine, lacking, worth=worth)
    for done, (key, scene) in enumerate(zip(missing, made, strict=True), start=1):
        scenes[key] = scene
        _remember(cache, key, scene)
        progress("examining pictures", done, len(missing))
    return [scenes[key] for key in keys]


def scene_key(task: Task) -> str:
    """Digest of everything a scene depends on."""
    items = [
        [item.face_box, item.regions, item.spec is not None, item.face_width] for item in task.items
    ]
    told = [
        task.content,
        items,
        _rows(task.clear),
        _rows(task.seen),
        task.method,
        task.region,
        task.usual,
    ]
    text = json.dumps([code_version(), told])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _rows(faces: Found | None) -> list[Any] | None:
    if faces is None:
        return None
    return [faces.shape, *([d.box.tolist(), d.landmarks.tolist()] for d in faces.detections)]


@remembered
def code_version() -> str:
    """Digest of the code that scenes come from: other code is asked again."""
    digest = hashlib.sha256()
    for package in ("reid_audit.audit.probes", "reid_audit.attacks.anonymisation"):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for file in sorted(Path(folder).glob("*.py")):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _recall(cache: Path | None, key: str) -> Scene | None:
    if cache is None:
        return None
    try:
        return _from_json(json.loads((cache / f"{key}.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(cache: Path | None, key: str, scene: Scene) -> None:
    if cache is None:
        return
    write_text(cache / f"{key}.json", json.dumps(asdict(scene), default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _from_json(content: dict[str, Any]) -> Scene:
    faces = []
    for row in content["faces"]:
        region, told = row["region"], row["identification"]
        if region is not None:
            region = Region(_box(region["box"]), region["shape"], region["source"])
        points = np.array(row["landmarks"], np.float32)
        read = {"landmarks": points, "region": region, "identification": _identification(told)}
        read["pixels_alone"] = _identification(row["pixels_alone"])
        faces.append(SceneFace(**{**row, **read}))
    pair = content["pair"]
    return Scene(
        (content["shape"][0], content["shape"][1]),
        Pair(**{**pair, "turn": Turn(**pair["turn"])}) if pair is not None else None,
        tuple(faces),
        content["whole"],
        tuple(_box(box) for box in content["without_face"]),
    )


def _identification(content: dict[str, Any] | None) -> Identification | None:
    if content is None:
        return None
    box, names = _box(content["region"]), tuple(content["tools"])
    return Identification(**{**content, "region": box, "tools": names})
