"""Which probes went through which anonymisation, and where their faces stand."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from reid_audit.attacks.anonymisation import (
    Identification,
    ToolSample,
    estimate_tools,
    identify,
    read_encoded,
)
from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.leakage import blur_sigma, limit
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.audit.data import Box, Item, decode
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, Found, Landmarks, detect_picture, make_face, overlap
from reid_audit.audit.probes.tools import fitting, in_words, stated
from reid_audit.audit.results.schema import Anonymizer
from reid_audit.metrics.errors import InputError

Progress = Callable[[str, int, int], None]

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

    Told settings are kept apart however close; of the probes that were identified, one estimate
    over all of them decides which tools there are. faces: by image id, the probe's face and its
    original's; probes without are left out.
    """
    told: dict[str, list[Probe]] = defaultdict(list)
    identified: list[Probe] = []
    for probe in sorted(probes, key=lambda probe: probe.item.image_id):
        if probe.item.image_id not in faces:
            continue
        if probe.source == "identified" and probe.identification is not None:
            identified.append(probe)
        else:
            told[_tool(probe)].append(probe)
    clusters = [(members[0], members) for members in told.values()]
    clusters += _by_tool(identified, faces)
    clusters.sort(key=lambda cluster: (-len(cluster[1]), _tool(cluster[0])))
    return [
        _group(f"c{number}", typical, members, faces)
        for number, (typical, members) in enumerate(clusters, start=1)
    ]


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
    )


def describe(
    probe: Probe, face_width: float, whole: bool, shape: tuple[int, int] | None = None
) -> Anonymizer:
    """The anonymisation of a group, with what physics leaves of a face of `face_width` pixels.

    `shape` (H, W) of the group's median region: settings that grow with it are stated for that.
    """
    operator, found = probe.operator, probe.identification
    family = operator.family if operator is not None else found.family if found else "unknown"
    parameters = dict(operator.parameters if operator is not None else {})
    # Lengths that follow from the processed box, on that box.
    layer = None if operator is None else operator.pinned(*(shape or probe.shape))
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
