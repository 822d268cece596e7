"""The controls of one condition as figures, beside its attacks."""

from __future__ import annotations

from collections.abc import Mapping

from reid_audit.attacks.interface import World
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.audit.data import Pseudonyms
from reid_audit.audit.evaluation.estimates import Assessed, Settings, chance, rank_1
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.run_directory import Store
from reid_audit.audit.trials.controls import (
    Control,
    clear_ceiling,
    known_weak,
    leave_one_out_ceiling,
)
from reid_audit.audit.trials.table import with_names
from reid_audit.audit.trials.units import Setup


def controls(
    setup: Setup,
    assessed: Mapping[tuple[str, World], Assessed],
    names: Pseudonyms,
    settings: Settings,
    store: Store,
) -> schema.Controls:
    """Reference lines of one condition and recogniser.

    Args:
        assessed: every attack by name and by the world in which it learnt.
        store: keeps the trials of the positive control.
    """

    def figure(name: str, metric: str) -> schema.Estimate:
        chosen = next((a for (attack, _), a in assessed.items() if attack == name), None)
        if chosen is None:
            return unknown(say("unknown.not-asked", attack=name))
        return chosen.result.metrics.get(
            metric, unknown(chosen.result.reason or say("unknown.not-run"))
        )

    strongest = max(
        (a for a in assessed.values() if a.upper is not None),
        key=lambda a: a.result.metrics["ira"].value or 0.0,
        default=None,
    )
    weak = known_weak(setup.reference, setup.context, setup.scorer, store)
    none = unknown(say("unknown.not-scored"))
    return schema.Controls(
        chance=chance(len(setup.scorer.people)),
        clear_ceiling=_ceiling(setup, names, settings),
        naive=figure("naive", "ira"),
        solid_fill=strongest.result.metrics["solid_fill"] if strongest else none,
        context_only=strongest.result.metrics["context_only"] if strongest else none,
        known_weak=(
            unknown(say("unknown.one-picture"))
            if weak is None
            else _control_rate(weak, names, settings)
        ),
        disjoint_identity=_disjoint(assessed),
    )


def _disjoint(assessed: Mapping[tuple[str, World], Assessed]) -> schema.Estimate:
    """The strongest trained attack when it never saw the probes' people."""
    trained = [
        attack
        for attack in assessed.values()
        if attack.upper is not None and attack.result.knowledge == "open world"
    ]
    if not trained:
        return unknown(say("unknown.not-open"))
    return max(trained, key=lambda a: a.result.metrics["ira"].value or 0.0).result.metrics["ira"]


def _ceiling(setup: Setup, names: Pseudonyms, settings: Settings) -> schema.Estimate:
    """Rank-1 of the clear originals, else of gallery pictures left out one by one."""
    if setup.known.all():
        trials = clear_ceiling(setup.original_embeddings, setup.identities, setup.scorer)
        return rank_1(with_names(trials, setup.group.faces, names), settings)
    clear = embed_clear(setup.reference.faces, setup.context)[list(setup.reference.gallery)]
    gallery = setup.reference.faces.select(setup.reference.gallery)
    control = leave_one_out_ceiling(clear, gallery, setup.scorer)
    if control is None:
        return unknown(say("unknown.no-originals"))
    estimate = _control_rate(control, names, settings)
    return estimate.model_copy(update={"method": f"{estimate.method}, {control.method}"})


def _control_rate(control: Control, names: Pseudonyms, settings: Settings) -> schema.Estimate:
    """Rank-1 of a control on gallery pictures."""
    people = [names.person(identity) for identity in control.identities]
    rows = range(len(people))
    return rank_1(control.trials.assign(identity=people, draw=rows), settings)
