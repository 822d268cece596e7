"""Linkability of the anonymised pictures to one another, by what one attack makes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.scoring import DIGITS
from reid_audit.attacks.vectors import centred
from reid_audit.audit.evaluation.estimates import Assessed, Settings, record
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.trials.units import Outcome, Setup
from reid_audit.metrics import stats
from reid_audit.metrics.linkability import (
    MEASURES,
    Pairs,
    excess,
    linkability,
    rank_1_chance,
    rank_1_hits,
    shuffle_test,
    shuffled,
)
from reid_audit.metrics.sampling import evenly

Floats = NDArray[np.floating]
AT_MOST = 600
"""Pictures that are compared with one another: 180,000 pairs. People are taken whole."""


def studied(group: Group, identities: Sequence[str | None]) -> tuple[int, ...]:
    """Rows of a group whose embeddings are compared with one another: those of named people, whole
    people evenly picked where there are many, those with several pictures first."""
    pictures: dict[str, set[str]] = {}
    for face, who in zip(group.faces, identities, strict=True):
        if who is not None:
            pictures.setdefault(who, set()).add(str(face.item.path))
    counts = Counter(who for who in identities if who is not None)
    chosen: set[str] = set()
    room = AT_MOST
    for several in (True, False):
        names = sorted(who for who, own in pictures.items() if (len(own) > 1) is several)
        most = room // max(1, max((counts[who] for who in names), default=1))
        taken = [names[int(pick)] for pick in evenly(len(names), most)] if most else []
        chosen |= set(taken)
        room -= sum(counts[who] for who in taken)
    return tuple(row for row, who in enumerate(identities) if who in chosen)


@dataclass(frozen=True, eq=False)
class Pile:
    """Faces of people with several pictures, and of others beside them.

    people, pictures, draws `(N,)`: who each shows, in which file it stands, and by what one of a
    person's pictures is drawn.
    """

    people: NDArray[np.str_]
    pictures: NDArray[np.str_]
    draws: tuple[str, ...]

    @classmethod
    def of(cls, setup: Setup) -> Pile:
        """The studied probes of a setup."""
        faces = [setup.group.faces[row] for row in setup.studied]
        people = [setup.identities[row] or "" for row in setup.studied]
        paths = [str(face.item.path) for face in faces]
        draws = tuple(face.item.image_id for face in faces)
        return cls(np.array(people, str), np.array(paths, str), draws)

    def __len__(self) -> int:
        return len(self.people)

    def first(self, count: int) -> Pile:
        """The first so many rows."""
        return Pile(self.people[:count], self.pictures[:count], self.draws[:count])

    @property
    def linked(self) -> int:
        """People who are shown by two pictures or more."""
        shown: dict[str, set[str]] = {}
        for who, where in zip(self.people.tolist(), self.pictures.tolist(), strict=True):
            shown.setdefault(who, set()).add(where)
        return sum(len(own) > 1 for own in shown.values())


def clear_links(setup: Setup, settings: Settings) -> Mapping[str, schema.Estimate]:
    """The measures of the studied probes' originals, by the bare recogniser; none where an original
    is missing or no two pictures show one person."""
    rows, pile = list(setup.studied), Pile.of(setup)
    if pile.linked < 2 or not setup.known[rows].all():
        return {}
    return _measured(setup.original_embeddings[rows], pile, settings)[1]


def linked(
    outcome: Outcome,
    setup: Setup,
    assessed: Assessed,
    clear: Mapping[str, schema.Estimate],
    settings: Settings,
) -> schema.Linkability | None:
    """What one attack says about which pictures show one person; None where no two do.

    Args:
        clear: the measures of the originals, from `clear_links`.
    """
    pile = Pile.of(setup)
    people = pile.linked
    if people < 2:
        return None
    common = {
        "attack": outcome.name,
        "recognizer": setup.context.recognizer.name,
        "condition": setup.group.id,
        "knowledge": assessed.result.knowledge,
        "people": people,
        "pictures": len(pile),
    }
    if outcome.status != "ok":
        return schema.Linkability(**common, status=outcome.status, reason=outcome.reason)
    if "attack" not in outcome.seen:
        reason = "the attack compares with the gallery alone: it yields no embedding of a face"
        return schema.Linkability(**common, status="skipped", reason=reason)
    pairs, metrics = _measured(outcome.seen["attack"], pile, settings)
    context, beside = _measured(without_face(outcome), pile, settings)
    solid = outcome.seen["solid-fill"]
    _, filled = _measured(solid, pile.first(len(solid)), settings)
    null = {
        name: record(e)
        for name, e in shuffled(pairs, alpha=settings.alpha, seed=settings.seed).items()
    }
    null["rank_1"] = schema.Estimate(
        value=rank_1_chance(pile.people, pile.pictures),
        n=len(pile),
        n_identities=people,
        method="exact",
    )
    gained = excess(pairs, context, alpha=settings.alpha, seed=settings.seed)
    return schema.Linkability(
        **common,
        metrics=metrics,
        context_only=beside,
        filled=filled,
        shuffled=null,
        clear=dict(clear),
        excess=record(gained.estimate),
        p_value=gained.p_value,
        p_value_context=shuffle_test(context, seed=settings.seed).p_value,
    )


def without_face(outcome: Outcome) -> Floats:
    """Embeddings of the control without what the tool processed: its regions painted over, or the
    faces where it processed whole pictures. A tool's region may be narrower than the face; what
    that leaves is surroundings, in the attacked pictures as in the control."""
    return outcome.seen.get("covered", outcome.seen["context-only"])


def _measured(
    embeddings: Floats, pile: Pile, settings: Settings
) -> tuple[Pairs, dict[str, schema.Estimate]]:
    """Pairs of a pile by cosines about its mean, and every measure of them."""
    directions = centred(embeddings)
    scores = np.round(directions @ directions.T, DIGITS)
    pairs = Pairs.of(scores, pile.people, pile.pictures)
    if not pairs.mated.any() or pairs.mated.all():
        why = unknown(say("unknown.one-shown"))
        return pairs, dict.fromkeys((*MEASURES, "rank_1"), why)
    measures = linkability(pairs, alpha=settings.alpha, seed=settings.seed)
    hits = rank_1_hits(scores, pile.people, pile.pictures)
    has_mate = np.isfinite(hits)
    rank_1 = stats.by_identity(
        hits[has_mate],
        pile.people[has_mate],
        seed=settings.seed,
        keys=[pile.draws[row] for row in np.flatnonzero(has_mate)],
        alpha=settings.alpha,
    )
    return pairs, {name: record(e) for name, e in measures.items()} | {"rank_1": record(rank_1)}


def worst_link(
    links: Sequence[schema.Linkability],
) -> schema.Linkability | None:
    """The attack that told people's pictures best beyond their surroundings."""
    scored = [link for link in links if link.excess.value is not None]
    return max(scored, key=lambda link: link.excess.value or 0.0, default=None)


def shown(links: Sequence[schema.Linkability], alpha: float) -> list[schema.Linkability]:
    """The attacks that are shown to tell more than the surroundings do, by Holm's correction for
    how many were tried."""
    scored = [link for link in links if link.p_value is not None]
    adjusted = stats.holm([link.p_value or 0.0 for link in scored])
    return [link for link, p in zip(scored, adjusted, strict=True) if p < alpha]
