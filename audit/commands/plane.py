"""Where the conditions of several runs lie between what they give away and what they keep."""

from __future__ import annotations

from collections.abc import Sequence

from reid_audit.attacks.registry import attack_class
from reid_audit.audit.results.comparison import Placed
from reid_audit.audit.results.schema import AttackResult, Condition, Results
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.utility import pareto


def placed(runs: Sequence[tuple[str, Results]]) -> list[Placed]:
    """Every condition of every run that has an upper bound and a utility, by the label of its run.

    On the front are those that no other one beats in both, among those that a suitable attack saw.
    """
    known = [
        (label, condition, kept, _suited(results, condition))
        for label, results in runs
        for condition in results.conditions
        for kept in results.utility
        if kept.condition == condition.id
        and kept.usefulness.value is not None
        and condition.verdict is not None
        and condition.verdict.upper_bound is not None
    ]
    fit = [place for place, (*_, suited) in enumerate(known) if suited]
    bounds = [_bound(condition) for _, condition, _, _ in known]
    front = pareto(
        [bounds[place] for place in fit], [known[place][2].usefulness.value or 0.0 for place in fit]
    )
    best = {place for place, on in zip(fit, front, strict=True) if on}
    return [
        Placed(
            run=label,
            condition=condition.title,
            upper_bound=bounds[place],
            kept=kept.usefulness,
            suited=suited,
            front=place in best,
        )
        for place, (label, condition, kept, suited) in enumerate(known)
    ]


def _bound(condition: Condition) -> float:
    verdict = condition.verdict
    assert verdict is not None and verdict.upper_bound is not None, "only these are placed"
    return verdict.upper_bound


def _suited(results: Results, condition: Condition) -> bool:
    """Whether an attack that imitates what was done to the pictures was scored on them."""
    return any(
        attack.condition == condition.id and attack.status == "ok" and _imitates(attack)
        for attack in results.attacks
    )


def _imitates(attack: AttackResult) -> bool:
    try:
        return "operator" in attack_class(attack.name).info.needs
    except InputError:  # of a package that is not installed here
        return False
