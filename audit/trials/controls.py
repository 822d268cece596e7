"""Reference lines: what the recogniser does on clear pictures, and whether weak blur is broken.

A failed attack is good news only if the same pipeline identifies people when it should (clear
ceiling, known-weak blur) and nobody when it should not (solid fill, context only, chance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import ClearFaces, Context, Reference
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.similarity import identity_templates
from reid_audit.attacks.scoring import DIGITS, Floats, Scorer
from reid_audit.audit.run_directory import Store, unit_key
from reid_audit.audit.trials.scoring import identification_rows
from reid_audit.metrics.sampling import evenly

WEAK_BLUR = 0.02
"""Sigma over face width of the positive control: faces stay plain to the eye."""
AT_MOST = 200
"""Faces of the positive control."""
TOGETHER = 32
"""Faces of it that are held and embedded together."""
VERSION = 1
"""Of how it is made, in the keys of kept trials."""


@dataclass(frozen=True, eq=False)
class Control:
    """Trials of a control and how it was made."""

    trials: pd.DataFrame
    identities: tuple[str, ...]
    method: str


def leave_one_out_rows(
    embeddings: Floats, gallery: ClearFaces, scorer: Scorer
) -> tuple[NDArray[np.intp], Floats]:
    """Rows of gallery faces whose person has another picture, and for each the template `(R, d)`
    of that person without it."""
    names = np.asarray(gallery.identities)
    _, owner, counts = np.unique(names, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(counts[owner] > 1)
    templates = np.zeros((len(rows), embeddings.shape[1]), np.float32)
    members = {person: np.flatnonzero(owner == person) for person in np.unique(owner[rows])}
    for place, row in enumerate(rows):
        others = members[owner[row]]
        others = others[others != row]
        template, _ = identity_templates(
            embeddings[others], names[others].tolist(), scorer.recognizer.distance
        )
        templates[place] = template[0]
    return rows, templates


def left_out_trials(
    embeddings: Floats,
    rows: NDArray[np.intp],
    templates: Floats,
    gallery: ClearFaces,
    scorer: Scorer,
) -> pd.DataFrame:
    """Trials of gallery faces against a gallery from which each was taken out.

    embeddings: `(R, d)` of the faces at `rows`, clear or after an attack.
    """
    identities = [gallery.identities[row] for row in rows]
    mates = scorer.mates(identities)
    parts = []
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        scores = scorer.recognizer.similarity(embeddings[part], scorer.templates)
        own = np.array(
            [
                scorer.recognizer.similarity(f[None], t[None])[0, 0]
                for f, t in zip(embeddings[part], templates[part], strict=True)
            ]
        )
        scores[np.arange(len(own)), mates[part]] = own
        parts.append(identification_rows(np.round(scores, DIGITS), mates[part]))
    return pd.concat(parts, ignore_index=True)


def leave_one_out_ceiling(
    embeddings: Floats, gallery: ClearFaces, scorer: Scorer
) -> Control | None:
    """Clear rank-1 of gallery pictures against the others, for want of originals."""
    rows, templates = leave_one_out_rows(embeddings, gallery, scorer)
    if len(rows) == 0:
        return None
    trials = left_out_trials(embeddings[rows], rows, templates, gallery, scorer)
    identities = tuple(gallery.identities[row] for row in rows)
    return Control(trials, identities, "leave-one-out on the gallery")


def clear_ceiling(
    embeddings: Floats, identities: Sequence[str | None], scorer: Scorer
) -> pd.DataFrame:
    """Trials of the originals themselves: what no attacker can exceed by much."""
    scores = np.round(scorer.recognizer.similarity(embeddings, scorer.templates), DIGITS)
    return identification_rows(scores, scorer.mates(identities))


def known_weak(
    reference: Reference, context: Context, scorer: Scorer, store: Store
) -> Control | None:
    """Positive control: gallery pictures under a blur known to be weak, restored in closed form
    and identified among a gallery that lacks them. A suite that misses these is out of order.

    Its trials are kept in the run folder: faces of one width have one control, whatever was done
    to them.
    """
    gallery = reference.faces.select(reference.gallery)
    embeddings = embed_clear(reference.faces, context)[list(reference.gallery)]
    rows, templates = leave_one_out_rows(embeddings, gallery, scorer)
    picks = evenly(len(rows), AT_MOST)
    rows, templates = rows[picks], templates[picks]
    if len(rows) == 0:
        return None
    sigma = WEAK_BLUR * context.forward.face_width
    forward = ForwardModel(
        parse(f"gaussian:sigma={sigma:.4g}"), context.forward.face_widths, context.forward.box
    )
    chosen = gallery.select(rows)
    key = unit_key(
        control="known-weak",
        version=VERSION,
        recognizer=context.recognizer.digest,
        forward=forward.key,
        gallery=[(gallery.ids[row], gallery.identities[row]) for row in range(len(gallery))],
        faces=gallery.key,
        chosen=rows.tolist(),
        seed=context.seed,
    )
    kept = store.load(key)
    if kept is None:
        weakly = _restored(forward, chosen, context, scorer)
        trials = left_out_trials(weakly, rows, templates, gallery, scorer)
        store.save(key, trials)
    else:
        trials = kept.trials
    return Control(trials, chosen.identities, f"gallery pictures, sigma {WEAK_BLUR} of face width")


def _restored(
    forward: ForwardModel, chosen: ClearFaces, context: Context, scorer: Scorer
) -> Floats:
    """Embeddings `(N, d)` of faces that were blurred by `forward` and restored in closed form."""
    restorer = Restorer.fit(forward, chosen, context)
    vectors = []
    for start in range(0, len(chosen), TOGETHER):
        restored, places = [], []
        for index in range(start, min(start + TOGETHER, len(chosen))):
            rng = context.rng(chosen.ids[index])
            clear, landmarks = chosen.load(index), chosen.landmarks[index]
            picture, points, region = forward.degrade(clear, landmarks, rng)
            restored.append(restorer.restore(picture, region))
            places.append(points)
        vectors.append(scorer.embed(restored, np.array(places)))
    return np.concatenate(vectors)
