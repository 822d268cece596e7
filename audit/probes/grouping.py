"""Which probes went through which anonymisation, and where their faces stand."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from reid_audit.attacks.anonymisation import Identification, identify, read_encoded
from reid_audit.attacks.operators import Chain, Operator, parse
from reid_audit.attacks.operators.leakage import blur_sigma, limit
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.audit.data import Box, Item, decode
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, Found, Landmarks, detect_picture, make_face, overlap
from reid_audit.audit.probes.tools import fitting, in_words, stated
from reid_audit.audit.results.schema import Anonymizer
from reid_audit.metrics.errors import InputError

Progress = Callable[[str, int, int], None]

SAME_SETTING = 1.4
"""Identified lengths within this ratio count as one setting of one tool: estimates from single
pictures scatter, and every attacker is given the group's median."""

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
    """One probe with what is known about it. `region` None means the whole picture."""

    item: Item
    shape: tuple[int, int]
    operator: Operator | None
    source: str
    region: Box | None
    identification: Identification | None
    landmarks: Landmarks | None
    landmark_source: str


def examine_probe(
    item: Item,
    original: Found | None,
    detector: Detector,
    method: Operator | Literal["unknown"] | None,
    region: str | None,
) -> Probe:
    """What was done to one probe, and where its face stands, as far as this picture alone tells.

    The operator comes from the configuration, the sidecar or the pixels; the face from the
    original, the manifest, or the anonymised picture, in that order.
    """
    picture = decode(item.path)
    height, width = picture.shape[:2]
    found: Identification | None = None
    operator: Operator | None
    if isinstance(method, str):
        operator, source = None, "configured"
    elif method is not None:
        operator, source = method, "configured"
    elif item.spec is not None:
        operator, source = parse(item.spec), "sidecar"
    else:
        found = identify(picture, read_encoded(item.path))
        operator, source = found.operator(), "identified"
    box = _region(item, found, region, (height, width))
    landmarks, place = _face(item, original, picture, detector)
    return Probe(item, (height, width), operator, source, box, found, landmarks, place)


def _region(
    item: Item, found: Identification | None, configured: str | None, shape: tuple[int, int]
) -> Box | None:
    if configured == "image":
        return None
    if configured and configured.startswith("box:"):
        return _parse_box(configured.removeprefix("box:"))
    if item.regions:
        box = item.regions[0]
        if item.face_box is not None:
            box = max(item.regions, key=lambda r: overlap(r, item.face_box or r))
    elif found is not None:
        box = found.region
    else:
        return None
    x0, y0, x1, y1 = box
    return None if (x0, y0) == (0, 0) and (y1, x1) == shape else box


def _parse_box(text: str) -> Box:
    numbers = re.findall(r"-?\d+", text)
    if len(numbers) != 4:
        raise InputError(f"--region box:{text}: give four whole numbers, box:x0,y0,x1,y1.")
    x0, y0, x1, y1 = map(int, numbers)
    return x0, y0, x1, y1


def _face(
    item: Item, original: Found | None, picture: np.ndarray, detector: Detector
) -> tuple[Landmarks | None, str]:
    box = item.face_box or (item.regions[0] if len(item.regions) == 1 else None)
    height, width = picture.shape[:2]
    if original is not None and original.detections:
        landmarks = original.labelled(item.face_box or _inside(box, (height, width)))
        if landmarks is not None:
            scale = np.array([width / original.shape[1], height / original.shape[0]])
            return np.asarray((landmarks + 0.5) * scale - 0.5, np.float32), "originals"
    if item.face_box is not None:
        return detect_picture(picture, detector).labelled(item.face_box), "manifest"
    seen = detect_picture(picture, detector)
    if seen.detections:
        return seen.labelled(_inside(box, (height, width))), "anonymised"
    if (inside := _inside(box, (height, width))) is not None:
        return seen.labelled(inside), "region"
    return None, "none"


def _inside(box: Box | None, shape: tuple[int, int]) -> Box | None:
    """The box, unless it is the whole picture and hence says nothing about the face."""
    return None if box is None or box == (0, 0, shape[1], shape[0]) else box


def place_faces(
    probes: Sequence[Probe], digests: Mapping[Path, str], gallery: Sequence[Face]
) -> tuple[list[Probe], Counter[str]]:
    """Give probes without a visible face the place that faces have in the gallery's pictures, as
    an attacker would who knows that both were cropped alike. Returns where each came from."""
    sources: Counter[str] = Counter()
    placed = []
    typical = _typical(gallery)
    for probe in probes:
        if probe.landmarks is None and typical is not None:
            height, width = probe.shape
            points = np.asarray(typical * [width, height], np.float32)
            probe = replace(probe, landmarks=points, landmark_source="typical")
        sources[probe.landmark_source] += 1
        placed.append(probe)
    return placed, sources


def _typical(gallery: Sequence[Face]) -> Landmarks | None:
    """Median landmarks of gallery faces as fractions of their pictures' size."""
    if not gallery:
        return None
    shares = []
    for face in gallery[:: max(1, len(gallery) // 100)]:
        height, width = decode(face.item.path).shape[:2]
        shares.append(face.landmarks / [width, height])
    return np.asarray(np.median(shares, axis=0), np.float32)


def group_probes(
    probes: Sequence[Probe], faces: Mapping[str, tuple[Face, Face | None]]
) -> list[Group]:
    """Probes by anonymisation, the largest group first.

    faces: by image id, the probe's face and its original's; probes without are left out.
    """
    by_tool: dict[str, list[Probe]] = defaultdict(list)
    for probe in probes:
        if probe.item.image_id in faces:
            by_tool[_tool(probe)].append(probe)
    groups = []
    clusters = sorted(
        _merge(by_tool).values(), key=lambda members: (-len(members), _tool(members[0]))
    )
    for number, members in enumerate(clusters, start=1):
        groups.append(_group(f"c{number}", members, faces))
    return groups


def _tool(probe: Probe) -> str:
    where = "picture" if probe.region is None else "region"
    if probe.operator is not None:
        return f"{probe.operator} on {where}"
    family = probe.identification.family if probe.identification else "unknown"
    return f"{family} on {where}"


def _merge(by_tool: dict[str, list[Probe]]) -> dict[str, list[Probe]]:
    """Join identified operators that differ only in the estimate of one setting."""
    merged: dict[str, list[Probe]] = {}
    for tool, members in sorted(by_tool.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        home = next((name for name, kept in merged.items() if _alike(kept[0], members[0])), tool)
        merged.setdefault(home, []).extend(members)
    return merged


def _alike(a: Probe, b: Probe) -> bool:
    if "identified" not in (a.source, b.source) or (a.region is None) != (b.region is None):
        return False
    if a.operator is None or b.operator is None:
        return a.operator is None and b.operator is None
    if a.operator.family != b.operator.family:
        return False
    first, second = _lengths(a.operator), _lengths(b.operator)
    return all(
        max(first[name], second[name]) <= SAME_SETTING * min(first[name], second[name])
        for name in first.keys() & second.keys()
    )


def _lengths(operator: Operator) -> dict[str, float]:
    """What decides how much detail an operator leaves, by name. Kernel sizes follow from sigmas,
    and phases, codecs and colours say nothing about strength."""
    steps = operator.steps if isinstance(operator, Chain) else (operator,)
    return {
        name: float(value)
        for step in steps
        if step.family == operator.family
        for name, value in step.parameters.items()
        if isinstance(value, int | float) and value > 0 and not name.startswith(("phase", "kernel"))
    }


def _group(
    name: str, members: Sequence[Probe], faces: Mapping[str, tuple[Face, Face | None]]
) -> Group:
    ordered = sorted(members, key=lambda probe: probe.item.image_id)
    pairs = [faces[probe.item.image_id] for probe in ordered]
    typical = _central(ordered)
    whole = sum(probe.region is None for probe in ordered) * 2 > len(ordered)
    regions: list[Box] = [
        probe.region if probe.region is not None else (0, 0, probe.shape[1], probe.shape[0])
        for probe in ordered
    ]
    width = float(np.median([face.width for face, _ in pairs]))
    anonymizer = describe(typical, width, whole)
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
    )


def _central(members: Sequence[Probe]) -> Probe:
    """The member whose operator is the median of the group's estimates."""
    known = [probe for probe in members if probe.operator is not None]
    if not known:
        return members[0]

    def size(probe: Probe) -> tuple[float, str]:
        assert probe.operator is not None
        return sum(_lengths(probe.operator).values()), str(probe.operator)

    return sorted(known, key=size)[len(known) // 2]


def describe(probe: Probe, face_width: float, whole: bool) -> Anonymizer:
    """The anonymisation of a group, with what physics leaves of a face of `face_width` pixels."""
    operator, found = probe.operator, probe.identification
    family = operator.family if operator is not None else found.family if found else "unknown"
    parameters = dict(operator.parameters if operator is not None else {})
    # Lengths that follow from the processed box, on that box.
    box = probe.region or (0, 0, probe.shape[1], probe.shape[0])
    layer = None if operator is None else operator.pinned(box[3] - box[1], box[2] - box[0])
    left = limit(layer, face_width) if layer is not None else None
    why = "is stated to be unknown" if probe.source == "configured" else "could not be identified"
    fits = (
        fitting(found, probe.shape) if found else stated(operator) if operator is not None else []
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
        confidence=found.confidence if found else None,
        tool=fits[0].tool.title if fits else None,
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
    face = make_face(item, digests[item.path], probe.landmarks, probe.shape, probe.landmark_source)
    if item.original is None:
        return face, None
    clear = replace(item, path=item.original)
    shape = decode(item.original).shape[:2]
    scale = np.array([shape[1] / probe.shape[1], shape[0] / probe.shape[0]])
    points = np.asarray((probe.landmarks + 0.5) * scale - 0.5, np.float32)
    return face, make_face(clear, digests[item.original], points, shape, probe.landmark_source)
