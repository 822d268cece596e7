"""Figures on replaced faces, from embeddings of outputs and originals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.replacement.inversion import MAPS, guesses
from reid_audit.attacks.scoring import DIGITS
from reid_audit.attacks.vectors import centred
from reid_audit.audit.evaluation.estimates import record
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.metrics import stats
from reid_audit.metrics.replacement import distances, first_hits
from reid_audit.metrics.stats.risk import mcnemar_p

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PairedEmbeddings:
    """N pairs in one recogniser's space.

    outputs, painted, originals: `(N, d)` of replaced faces, of the same pictures with the faces
    painted over, and of the faces before. people: `(N,)` who the originals show, by name or by
    likeness (`named`). keys: `(N,)` by which one of a person's pictures is drawn. learnt: by the
    name of a map that needs pictures, embeddings `(N, d)` of the originals as it makes them of the
    outputs and of those painted over, or why it made none.
    """

    outputs: Floats
    painted: Floats
    originals: Floats
    people: NDArray[np.str_]
    keys: tuple[str, ...]
    named: bool
    learnt: Mapping[str, tuple[Floats, Floats] | str] = field(default_factory=dict)

    @property
    def owner(self) -> NDArray[np.intp]:
        """`(N,)` number of each person."""
        return np.unique(self.people, return_inverse=True)[1]


def replaced(
    pairs: PairedEmbeddings,
    recognizer: Recognizer,
    condition: str,
    alpha: float,
    seed: int,
    maps: Collection[str] = MAPS,
) -> schema.Replacement | None:
    """Distances, shared identities, and who can be traced by those of `MAPS` that are asked for and
    by those learnt; None where one person is shown."""
    owner = pairs.owner
    if owner.max() == 0:
        return None
    own = recognizer.similarity(pairs.outputs, pairs.originals)
    moved = distances(
        own.diagonal(),
        recognizer.similarity(pairs.originals, pairs.originals),
        recognizer.similarity(pairs.outputs, pairs.outputs),
        owner,
        alpha=alpha,
        seed=seed,
    )
    return schema.Replacement(
        recognizer=recognizer.name,
        condition=condition,
        pairs=len(owner),
        people=int(owner.max()) + 1,
        named=pairs.named,
        false_match_rate=moved.false_match_rate,
        kept=record(moved.kept),
        own_similarity=record(moved.own),
        stranger_similarity=moved.strangers,
        shared=record(moved.shared),
        largest_share=moved.largest,
        chance=float((owner[:, None] == owner[None]).mean()),
        maps=list(_maps(pairs, maps, alpha, seed)),
    )


def _maps(
    pairs: PairedEmbeddings, maps: Collection[str], alpha: float, seed: int
) -> Iterator[schema.ReplacementMap]:
    """Every map from output to original, beside the same on outputs with painted faces."""
    owner = pairs.owner
    candidates = centred(pairs.originals)
    right = owner[:, None] == owner[None]
    elsewhere = ~np.eye(len(owner), dtype=bool)
    drawn = stats.one_per_identity(owner, seed=seed, keys=list(pairs.keys))

    def rate(hits: Floats) -> schema.Estimate:
        has_mate = np.isfinite(hits)
        if not has_mate.any():
            return unknown(say("unknown.two-originals"))
        keys = [pairs.keys[row] for row in np.flatnonzero(has_mate)]
        return record(
            stats.by_identity(hits[has_mate], owner[has_mate], seed=seed, keys=keys, alpha=alpha)
        )

    def both() -> Iterator[tuple[str, tuple[Floats, Floats] | str]]:
        seen = guesses(pairs.outputs, pairs.originals, owner)
        blind = guesses(pairs.painted, pairs.originals, owner)
        yield from ((name, (seen[name], blind[name])) for name in MAPS if name in maps)
        for name, made in pairs.learnt.items():
            yield name, made if isinstance(made, str) else (centred(made[0]), centred(made[1]))

    for name, sides in both():
        if isinstance(sides, str):
            nothing = unknown(sides)
            yield schema.ReplacementMap(
                name=name, rank_1=nothing, rank_1_other=nothing, context_only=nothing, p_value=1.0
            )
            continue
        scores, control = (np.round(side @ candidates.T, DIGITS) for side in sides)
        hits, beside = first_hits(scores, right), first_hits(control, right)
        yield schema.ReplacementMap(
            name=name,
            rank_1=rate(hits),
            rank_1_other=rate(first_hits(scores, right, elsewhere)),
            context_only=rate(beside),
            p_value=float(mcnemar_p(hits[drawn], beside[drawn])),
        )
