"""Which probes went through which anonymisation, and where their faces stand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from reid_audit.attacks.anonymisation import (
    Identification,
    ToolSample,
    estimate_tools,
    read_encoded,
)
from reid_audit.attacks.forward import as_stored
from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.leakage import blur_sigma, limit
from reid_audit.audit.data import Box, Item
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, Landmarks, make_face
from reid_audit.audit.probes.pairs import UPRIGHT, Turn
from reid_audit.audit.probes.scene import Scene, SceneFace
from reid_audit.audit.probes.tools import fitting, in_words, stated, title_of
from reid_audit.audit.results.schema import Anonymizer

UNKNOWN: Literal["unknown"] = "unknown"
"""Stated as the method: nobody knows it, so that nothing is guessed from the pixels either."""

IN_WORDS: Mapping[str, str] = {
    "none": "No anonymisation",
    "gaussian": "Gaussian blur",
    "box": "Box blur",
    "median": "Median filter",
    "motion": "Motion blur",
    "pixelate": "Pixelation",
    "downscale": "Downscaling",
    "solid": "Solid fill",
    "noise": "Noise",
    "permute": "Permuted blocks",
    "generative": "Replaced faces",
    "unknown": "Unknown anonymisation",
}


@dataclass(frozen=True, eq=False)
class Probe:
    """One face to be attacked, with what is known about it.

    shape: height and width of its picture, lying as landmarks and region see it: turned by `turn`.
    region: None means the whole picture. original: height and width of its original, None without
    one; padded: whether that differs in size by a border rather than by scale. pixels_alone: what
    identification would have been without the original, where that settled it. quality: of the JPEG
    file that holds it, from its header, where a statement names the tool.
    """

    item: Item
    shape: tuple[int, int]
    operator: Operator | None
    source: str
    region: Box | None
    identification: Identification | None
    landmarks: Landmarks | None
    landmark_source: str
    turn: Turn = UPRIGHT
    original: tuple[int, int] | None = None
    padded: bool = False
    pixels_alone: Identification | None = None
    quality: int | None = None


def probes_of(
    scene: Scene,
    items: Sequence[Item],
    method: Operator | Literal["unknown"] | None,
    original: tuple[int, int] | None,
) -> list[Probe]:
    """The faces of a picture that are attacked: those that were covered, or may have been.

    Args:
        items: of this picture. method: how it was processed, where the configuration says.
        original: height and width of its original's file, None without a usable one.
    """
    probes = []
    for number, face in enumerate(scene.faces):
        if not attacked(face, scene):
            continue
        item = face_item(items, face, number)
        operator, source = _operator(items[0], method, face.identification)
        box = face.region.box if face.region is not None else None
        probes.append(
            Probe(
                item,
                scene.shape,
                operator,
                source,
                box,
                face.identification,
                face.landmarks,
                face.source,
                scene.turn,
                original if scene.told else None,
                scene.pair.padded if scene.pair is not None else False,
                face.pixels_alone,
                _quality(item, operator, source),
            )
        )
    named = {face.item for face in scene.faces}
    if not scene.told or scene.whole:
        # Nobody was seen there, but somebody is named.
        for place, item in enumerate(items):
            if place not in named:
                operator, source = _operator(item, method, None)
                told = Probe(
                    item, scene.shape, operator, source, None, None, None, "none", scene.turn
                )
                probes.append(replace(told, quality=_quality(item, operator, source)))
    return probes


def attacked(face: SceneFace, scene: Scene) -> bool:
    """Whether a face is a probe: one that stayed clear is not, nor a stranger's that nobody is
    known to have touched."""
    if face.state == "unmatched":
        return face.item is not None or face.region is not None
    return face.state in ("covered", "partial")


def face_item(items: Sequence[Item], face: SceneFace, number: int) -> Item:
    """The item that names the `number`-th face of a picture, or one for a face that none names."""
    if face.item is not None:
        return items[face.item]
    item = items[0]
    return replace(
        item,
        image_id=f"{item.image_id}#{number + 1}",
        identity=None,
        face_box=None,
        stratum=None,
        attributes=(),
    )


def _operator(
    item: Item, method: Operator | Literal["unknown"] | None, told: Identification | None
) -> tuple[Operator | None, str]:
    """What was done, from the configuration, the record or the pixels, in that order."""
    if isinstance(method, str):
        return None, "configured"
    if method is not None:
        return method, "configured"
    if item.spec is not None:
        return parse(item.spec), "sidecar"
    return (told.operator() if told is not None else None), "identified"


def _quality(item: Item, operator: Operator | None, source: str) -> int | None:
    """Of the JPEG that a picture of a stated operator is stored as; what was identified has its
    own."""
    if operator is None or source == "identified":
        return None
    return read_encoded(item.path).quality


def place_faces(
    probes: Sequence[Probe], sizes: Mapping[Path, tuple[int, int]], gallery: Sequence[Face]
) -> tuple[list[Probe], Counter[str]]:
    """Give probes without a visible face the place that faces have in the gallery's pictures, as
    an attacker would who knows that both were cropped alike. Returns where each came from.

    sizes: width and height of the gallery's files.
    """
    sources: Counter[str] = Counter()
    placed = []
    typical = _typical(gallery, sizes)
    for probe in probes:
        if probe.landmarks is None and typical is not None:
            height, width = probe.shape
            points = np.asarray(typical * [width, height], np.float32)
            probe = replace(probe, landmarks=points, landmark_source="typical")
        sources[probe.landmark_source] += 1
        placed.append(probe)
    return placed, sources


def _typical(gallery: Sequence[Face], sizes: Mapping[Path, tuple[int, int]]) -> Landmarks | None:
    """Median landmarks of gallery faces as fractions of their pictures' size."""
    if not gallery:
        return None
    shares = [face.landmarks / sizes[face.item.path] for face in gallery]
    return np.asarray(np.median(shares, axis=0), np.float32)


def group_probes(
    probes: Sequence[Probe], faces: Mapping[str, tuple[Face, Face | None]]
) -> list[Group]:
    """Probes by anonymisation, the largest group first.

    Told settings are kept apart however close, but for the JPEG they were stored as; of the probes
    that were identified, one estimate over all of them decides which tools there are. faces: by
    image id, the probe's face and its original's; probes without are left out.
    """
    told: dict[str, list[Probe]] = defaultdict(list)
    identified: list[Probe] = []
    unasked: list[Probe] = []
    for probe in sorted(probes, key=lambda probe: probe.item.image_id):
        if probe.item.image_id not in faces:
            continue
        if probe.source == "identified" and probe.identification is not None:
            identified.append(probe)
        elif probe.source == "identified":
            unasked.append(probe)
        else:
            told[_tool(probe)].append(probe)
    clusters = [(_as_stored(members), members) for members in told.values()]
    clusters += _with_unasked(_by_tool(identified, faces), unasked)
    clusters.sort(key=lambda cluster: (-len(cluster[1]), _tool(cluster[0])))
    return [
        _group(f"c{number}", typical, members, faces)
        for number, (typical, members) in enumerate(clusters, start=1)
    ]


def _as_stored(members: list[Probe]) -> Probe:
    """A probe of one stated operator, with the JPEG of middle quality that most members' files
    are: one tool is one condition however its outputs were saved."""
    known = sorted(probe.quality for probe in members if probe.quality is not None)
    operator = members[0].operator
    if operator is None or 2 * len(known) <= len(members):
        return members[0]
    return replace(members[0], operator=as_stored(operator, known[len(known) // 2]))


def _tool(probe: Probe) -> str:
    where = "picture" if probe.region is None else "region"
    if probe.operator is not None:
        return f"{probe.operator} on {where}"
    family = probe.identification.family if probe.identification else "unknown"
    return f"{family} on {where}"


def _by_tool(
    probes: Sequence[Probe], faces: Mapping[str, tuple[Face, Face | None]]
) -> list[tuple[Probe, list[Probe]]]:
    """Identified probes by the tool that made them, after a probe that shows the tool's setting."""
    if not probes:
        return []
    samples = []
    for probe in probes:
        assert probe.identification is not None
        box = probe.region if probe.region is not None else (0, 0, *probe.shape[::-1])
        width = faces[probe.item.image_id][0].width
        answer = replace(probe.identification, region=box)
        samples.append(ToolSample(answer, probe.shape, width))
    clusters = []
    for tool in estimate_tools(samples):
        members = [probes[index] for index in tool.members]
        typical = replace(members[0], operator=tool.operator(), identification=tool.typical)
        clusters.append((typical, members))
    return clusters


def _with_unasked(
    clusters: list[tuple[Probe, list[Probe]]], unasked: Sequence[Probe]
) -> list[tuple[Probe, list[Probe]]]:
    """Probes that were too small or too many to be asked went through what most others did."""
    for whole in (False, True):
        silent = [probe for probe in unasked if (probe.region is None) == whole]
        homes = [members for _, members in clusters if (members[0].region is None) == whole]
        if silent and homes:
            max(homes, key=len).extend(silent)
        elif silent:
            clusters = [*clusters, (silent[0], silent)]
    return clusters


def _group(
    name: str,
    typical: Probe,
    members: Sequence[Probe],
    faces: Mapping[str, tuple[Face, Face | None]],
) -> Group:
    ordered = sorted(members, key=lambda probe: probe.item.image_id)
    pairs = [faces[probe.item.image_id] for probe in ordered]
    whole = sum(probe.region is None for probe in ordered) * 2 > len(ordered)
    regions: list[Box] = [
        probe.region if probe.region is not None else (0, 0, probe.shape[1], probe.shape[0])
        for probe in ordered
    ]
    width = float(np.median([face.width for face, _ in pairs]))
    x0, y0, x1, y1 = np.median(regions, axis=0)
    anonymizer = describe(typical, width, whole, (round(y1 - y0), round(x1 - x0)))
    operator = typical.operator
    return Group(
        name,
        title(anonymizer),
        None if operator is None else operator.framed(*typical.shape),
        anonymizer,
        tuple(face for face, _ in pairs),
        tuple(original for _, original in pairs),
        tuple(regions),
        whole,
        tuple(
            (probe.identification, probe.pixels_alone)
            for probe in ordered
            if probe.identification is not None and probe.pixels_alone is not None
        ),
    )


def describe(
    probe: Probe, face_width: float, whole: bool, shape: tuple[int, int] | None = None
) -> Anonymizer:
    """The anonymisation of a group, with what physics leaves of a face of `face_width` pixels.

    `shape` (H, W) of the group's median region: settings that grow with it are stated for that.
    """
    operator, identification = probe.operator, probe.identification
    family = (
        operator.family
        if operator is not None
        else identification.family
        if identification
        else "unknown"
    )
    # Lengths that follow from the processed box, on that box.
    layer = None if operator is None else operator.pinned(*(shape or probe.shape))
    parameters = {} if operator is None or layer is None else layer.parameters | operator.parameters
    left = limit(layer, face_width) if layer is not None else None
    why = "is stated to be unknown" if probe.source == "configured" else "could not be identified"
    fits = (
        fitting(identification, probe.shape)
        if identification
        else stated(operator)
        if operator is not None
        else []
    )
    side = round(3 * face_width)
    sigma = blur_sigma(layer, side, side) if layer is not None else None
    return Anonymizer(
        family=family,
        parameters=parameters,
        spec=str(operator) if operator is not None else None,
        source=probe.source,
        region="whole picture" if whole else "face region",
        sigma_over_face_width=round(sigma / face_width, 4) if sigma else None,
        face_width=round(face_width, 1),
        effective_resolution=round(left.effective_resolution, 2) if left else None,
        bits_per_channel=round(left.bits_per_channel, 1) if left else None,
        predicted_psnr=round(left.psnr, 2) if left else None,
        confidence=identification.confidence if identification else None,
        tool=title_of(fits),
        tools_that_fit=[fit.tool.name for fit in fits],
        reason=None if operator is not None else f"the operator {why}",
    )


def title(anonymizer: Anonymizer) -> str:
    """A condition in words, with the spec for those who know it, for tables."""
    words = IN_WORDS.get(anonymizer.family, anonymizer.family)
    spec = f"{anonymizer.spec}, " if anonymizer.spec else ""
    tool = in_words(anonymizer.tool, len(anonymizer.tools_that_fit))
    return f"{words} ({spec}{anonymizer.region}{f', {tool}' if tool else ''})"


def probe_face(probe: Probe, digests: Mapping[Path, str]) -> tuple[Face, Face | None] | None:
    """A probe's face and the same place in its original; None where no face could be placed."""
    if probe.landmarks is None:
        return None
    item = probe.item
    face = make_face(
        item,
        digests[item.path],
        probe.landmarks,
        probe.shape,
        probe.landmark_source,
        probe.turn,
        probe.region,
    )
    if item.original is None or probe.original is None:
        return face, None
    clear = replace(item, path=item.original)
    height, width = probe.original
    scale = (
        np.ones(2) if probe.padded else np.array([width / probe.shape[1], height / probe.shape[0]])
    )
    points = np.asarray((probe.landmarks + 0.5) * scale - 0.5, np.float32)
    original = make_face(
        clear,
        digests[item.original],
        points,
        probe.original,
        probe.landmark_source,
        region=probe.region if probe.original == probe.shape else None,
    )
    return face, original
