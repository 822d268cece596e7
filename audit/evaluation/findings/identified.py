"""The finding on who was named under one condition."""

from __future__ import annotations

import math

from reid_audit.audit.evaluation.findings.advice import (
    AROUND,
    instead,
    nothing_left,
    setting_values,
)
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Condition, Estimate, Finding, Results
from reid_audit.audit.results.telling import finding, rate
from reid_audit.metrics.stats import identities_needed


def reidentification(condition: Condition, results: Results) -> Finding:
    """Who was named under one condition, as its verdict says: a leak, a bound, signs or nothing
    proven."""
    verdict = condition.verdict
    assert verdict is not None
    name = f"reidentification.{condition.id}"
    worst = _worst(condition, results)
    if verdict.outcome == "LEAK_DEMONSTRATED":
        return finding(
            name,
            "fail",
            "critical" if (worst.value or 0) >= verdict.threshold else "high",
            say("reidentification.leak"),
            say(
                "reidentification.leak-told",
                attack=verdict.worst_attack or "",
                recognizer=verdict.worst_recognizer or "",
                rate=rate(worst),
                people=worst.n_identities,
            ),
            [say("reidentification.leak-advice"), *instead(condition)],
            AROUND if nothing_left(condition) else setting_values(condition),
            condition,
        )
    if verdict.outcome == "BOUNDED":
        return finding(
            name,
            "pass",
            "info",
            say("reidentification.bounded"),
            say(
                "reidentification.bounded-told",
                upper=verdict.upper_bound or 0.0,
                threshold=verdict.threshold,
            ),
            say("keep"),
            about=condition,
        )
    # With more hits than the threshold allows, no number of people of this kind would bound it.
    hits = _hits(worst) if (worst.value or 0) < verdict.threshold else 0
    people = identities_needed(verdict.threshold, hits=hits)
    signs = (worst.value or 0) > verdict.threshold
    if signs and verdict.people_needed:
        people = verdict.people_needed
    unasked = worst.value is None and not results.data.gallery.images
    cause = "signs" if signs else "gallery" if unasked else None
    advice = (
        say("reidentification.signs-advice", people=people)
        if signs
        else say(
            "reidentification.gallery-advice" if unasked else "reidentification.more-advice",
            people=people,
            threshold=verdict.threshold,
        )
    )
    return finding(
        name,
        "warn",
        "high" if signs else "medium",
        say("reidentification.signs" if signs else "reidentification.inconclusive"),
        verdict.told,
        advice,
        {"people": str(people), **({"cause": cause} if cause else {})},
        condition,
    )


def together(condition: Condition, results: Results) -> Finding | None:
    """A warning where the pictures of one person name more people than the limit allows when they
    are looked up together, more than one picture of each and than what surrounds the faces, though
    one picture of each did not prove a leak."""
    verdict = condition.verdict
    assert verdict is not None
    asked = [
        attack
        for attack in results.attacks
        if attack.condition == condition.id and "ira_together" in attack.metrics
    ]
    best = max(asked, key=lambda attack: attack.metrics["ira_together"].low or 0.0, default=None)
    if best is None or verdict.outcome == "LEAK_DEMONSTRATED":
        return None
    found, around = best.metrics["ira_together"], best.metrics["context_together"]
    alone = best.metrics["ira"].value or 0.0
    if (found.low or 0.0) <= max(verdict.threshold, around.high or 0.0, alone):
        return None
    return finding(
        f"together.{condition.id}",
        "warn",
        "high",
        say("together.title"),
        say(
            "together.told",
            attack=best.name,
            recognizer=best.recognizer or "",
            rate=rate(found),
            people=found.n_identities,
            alone=alone,
            around=around.value or 0.0,
        ),
        say("together.advice"),
        about=condition,
    )


def _worst(condition: Condition, results: Results) -> Estimate:
    """Rate of the attack that the condition's verdict names."""
    verdict = condition.verdict
    assert verdict is not None
    named = (verdict.worst_attack, verdict.worst_recognizer, verdict.worst_condition)
    rates = (
        attack.metrics["ira"]
        for attack in results.attacks
        if (attack.name, attack.recognizer, attack.condition) == named
    )
    return max(rates, key=lambda rate: rate.value or 0.0, default=Estimate())


def _hits(rate: Estimate) -> int:
    return math.ceil((rate.value or 0.0) * rate.n_identities - 1e-6)
