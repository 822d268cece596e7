"""Replaced faces, from pairs of outputs and originals alone: no name and no gallery is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.interface import Context
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.replacement.inversion import grouped
from reid_audit.audit.evaluation.replacement import PairedEmbeddings, replaced
from reid_audit.audit.probes.condition import Group, without_faces
from reid_audit.audit.probes.faces import clear_faces
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
    """Embeddings `(N, d)` of outputs as they are and with the faces painted over."""

    outputs: NDArray[np.float32]
    painted: NDArray[np.float32]


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
    made = _embedded(group, rows, context, audit)
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
    )
    return replaced(pairs, recognizer, group.id, audit.config.alpha, audit.config.seed)


def _embedded(group: Group, rows: Sequence[int], context: Context, audit: Audit) -> _Painted:
    recognizer, size = context.recognizer, audit.config.batch_size
    parts = []
    for start in range(0, len(rows), size):
        probes = group.load(rows[start : start + size])
        variants = probes, without_faces(probes)
        parts.append(
            [
                recognizer.embed(crop(list(v.pictures), v.landmarks, recognizer.template))
                for v in variants
            ]
        )
        context.progress(f"embedding pairs of {group.title}", start + len(probes), len(rows))
    outputs, painted = (np.concatenate(side) for side in zip(*parts, strict=True))
    return _Painted(outputs, painted)
