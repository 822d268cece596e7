"""The inventory as figures: how many faces there are, and how many were covered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reid_audit.audit.data import Item, Pseudonyms
from reid_audit.audit.evaluation.verdict import reasoned
from reid_audit.audit.probes.scene import Scene, SceneFace
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say

BANDS: tuple[tuple[float, float], ...] = (
    (0, 20),
    (20, 40),
    (40, 80),
    (80, 160),
    (160, float("inf")),
)
"""Widths of faces in pixels: MTCNN's usual limit, then doubling."""


def count_faces(
    scenes: Mapping[Path, Scene],
    items: Mapping[Path, Sequence[Item]],
    names: Pseudonyms,
    smallest: float,
    detectors: Sequence[str],
) -> schema.Faces:
    """The inventory of a run; `smallest`: width in pixels from which faces were looked for, by
    `detectors`."""
    seen = [(path, scene, face) for path, scene in scenes.items() for face in scene.faces]
    bands = []
    for low, high in BANDS:
        part = [(scene, face) for _, scene, face in seen if low <= face.width < high]
        counts = tally(part)
        counts.pop("different_original")
        label = f"{low:g} to {high:g}" if high < float("inf") else f"{low:g} and more"
        if part:
            bands.append(schema.FaceBand(name=label, **counts))
    uncovered = [(path, face) for path, _, face in seen if face.state in ("missed", "partial")]
    uncovered.sort(key=lambda pair: (pair[1].state != "missed", -pair[1].width, str(pair[0])))
    return schema.Faces(
        **tally([(scene, face) for _, scene, face in seen]),
        regions_without_face=sum(len(scene.without_face) for scene in scenes.values()),
        smallest=smallest,
        detectors=list(detectors),
        by_size=bands,
        open=[
            schema.OpenFace(
                image=names.image(items[path][0].image_id),
                state="missed" if face.state == "missed" else "partial",
                box=face.box,
                width=round(face.width, 1),
                untouched=face.untouched,
            )
            for path, face in uncovered
        ],
    )


def tally(faces: Iterable[tuple[Scene, SceneFace]]) -> dict[str, int]:
    """Faces by what became of them; `found` is the sum of the others."""
    counts = dict.fromkeys(
        ("found", "covered", "partial", "missed", "without_original", "different_original"), 0
    )
    for scene, face in faces:
        counts["found"] += 1
        if face.state != "unmatched":
            counts[face.state] += 1
        elif scene.pair is None:
            counts["without_original"] += 1
        else:
            counts["different_original"] += 1
    return counts


def with_coverage(verdict: schema.Verdict, faces: schema.Faces) -> schema.Verdict:
    """The verdict in the light of the inventory: pictures with a clear face are not bounded by what
    became of the others."""
    counts = {"missed": faces.missed, "partial": faces.partial}
    told = [
        say(f"verdict.{how}", count=count, faces=faces.found)
        for how, count in counts.items()
        if count
    ]
    if not told:
        return verdict
    if verdict.outcome != "BOUNDED":
        return reasoned(verdict, [*verdict.told, *told])
    open_again = verdict.model_copy(update={"outcome": "INCONCLUSIVE", "bounded": False})
    return reasoned(open_again, [*told, *verdict.told])
