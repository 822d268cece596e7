"""Replaced faces, from pairs of outputs and originals alone: no name and no gallery is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.interface import Context
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.networks.frame import cut
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.replacement.inversion import grouped
from reid_audit.attacks.replacement.redrawn import FEWEST as FEWEST_DRAWN
from reid_audit.attacks.replacement.redrawn import FRAME, redrawn
from reid_audit.audit.evaluation.replacement import PairedEmbeddings, replaced
from reid_audit.audit.probes.condition import Group, without_faces
from reid_audit.audit.probes.faces import Face, clear_faces
from reid_audit.audit.probes.material import cache_folder
from reid_audit.audit.results import schema
from reid_audit.audit.scan.condition import Audit
from reid_audit.metrics.sampling import evenly

FAMILIES = frozenset({"generative", "unknown"})
"""What may be a replacement; of the others it is known what they leave, and restored from that."""
FEWEST, AT_MOST = 20, 600
"""Pairs from which something can be learnt, and that are compared with one another."""


@dataclass(frozen=True, eq=False)
class _Painted:
    """Outputs as they are and with the faces painted over: embeddings `(N, d)`, and with them
    frames `(N, FRAME, FRAME, 3)` uint8 where those are wanted."""

    outputs: NDArray[np.float32]
    painted: NDArray[np.float32]
    frames: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None


def replacement(group: Group, recognizer: Recognizer, audit: Audit) -> schema.Replacement | None:
    """What the pairs of one group give away; None where they are few, or the tool is known."""
    rows = [row for row, original in enumerate(group.originals) if original is not None]
    if group.anonymizer.family not in FAMILIES or len(rows) < FEWEST:
        return None
    rows = [rows[int(pick)] for pick in evenly(len(rows), AT_MOST)]
    context = Context(
        group.forward,
        recognizer,
        None,
        audit.config.seed,
        audit.perception.device,
        cache_folder(audit.config, audit.store),
        audit.progress,
    )
    clear = [original for row in rows if (original := group.originals[row]) is not None]
    originals = embed_clear(clear_faces(clear), context)
    draws = "unet" in audit.config.pair_maps
    made = _embedded(group, rows, context, audit, draws and len(rows) >= FEWEST_DRAWN)
    names = [group.faces[row].item.identity for row in rows]
    likely = grouped(originals)
    people = np.array(
        [
            name if name is not None else f"\0{label}"
            for name, label in zip(names, likely, strict=True)
        ]
    )
    pairs = PairedEmbeddings(
        made.outputs,
        made.painted,
        originals,
        people,
        tuple(face.item.image_id for face in (group.faces[row] for row in rows)),
        named=all(name is not None for name in names),
        learnt={"unet": _redrawn(made, clear, people, context)} if draws else {},
    )
    config = audit.config
    return replaced(pairs, recognizer, group.id, config.alpha, config.seed, config.pair_maps)


def _redrawn(
    made: _Painted, clear: Sequence[Face], people: NDArray[np.str_], context: Context
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | str:
    """Embeddings `(N, d)` of the originals as a network draws them from the outputs and from those
    painted over; the reason where pairs are few."""
    if made.frames is None:
        return f"a network learns from {FEWEST_DRAWN} pairs on"
    faces = clear_faces(clear)
    truth = np.concatenate(
        [cut([faces.load(row)], faces.landmarks[row][None], FRAME) for row in range(len(faces))]
    )
    seen, blind = (
        redrawn(side, truth, people, context.recognizer, context.seed, progress=context.progress)
        for side in made.frames
    )
    return seen, blind


def _embedded(
    group: Group, rows: Sequence[int], context: Context, audit: Audit, framed: bool
) -> _Painted:
    recognizer, size = context.recognizer, audit.config.batch_size
    parts, frames = [], []
    for start in range(0, len(rows), size):
        probes = group.load(rows[start : start + size])
        variants = probes, without_faces(probes)
        parts.append(
            [
                recognizer.embed(crop(list(v.pictures), v.landmarks, recognizer.template))
                for v in variants
            ]
        )
        if framed:
            frames.append([cut(v.pictures, v.landmarks, FRAME) for v in variants])
        context.progress(f"embedding pairs of {group.title}", start + len(probes), len(rows))
    outputs, painted = (np.concatenate(side) for side in zip(*parts, strict=True))
    kept = [np.concatenate(side) for side in zip(*frames, strict=True)]
    return _Painted(outputs, painted, (kept[0], kept[1]) if framed else None)
