"""The decision: LEAK DEMONSTRATED, BOUNDED below the declared threshold, or INCONCLUSIVE.

LEAK when some attack, corrected for having tried several (Holm), identifies more people than the
same attack on the same pictures with the face painted over. BOUNDED when the upper bound of every
attack lies below the threshold (the largest one, at the unadjusted level: an intersection-union
test) and the assay is valid: the recogniser knows clear faces, the suite breaks a known-weak blur,
and solid fill stays at chance. Anything else is INCONCLUSIVE: a weak attacker never looks like a
private picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.schema import Check, Controls, Message, Verdict
from reid_audit.audit.results.telling import named, reason
from reid_audit.metrics.stats import (
    detectable_risk,
    holm,
    holm_levels,
    identities_to_show,
    paired_excess_risk,
)
from reid_audit.metrics.stats.risk import mcnemar_p

BREAKS_WEAK = 0.5
"""Share of the clear ceiling that the suite must reach on the known-weak blur."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one attack contributes. upper: one-sided upper bound of rank-1; attacked, blind: hits
    `(I,)` of one probe per person under attack and under the context-only control."""

    attack: str
    recognizer: str
    condition: str
    ira: float
    upper: float
    attacked: NDArray[np.float64]
    blind: NDArray[np.float64]


def check_assay(controls: Controls, recognizer: str, minimum_ceiling: float) -> list[Check]:
    """Is this attacker strong enough, and the measurement sound?"""
    ceiling, weak, solid = controls.clear_ceiling, controls.known_weak, controls.solid_fill
    blind = controls.chance

    def check(kind: str, passed: bool | None, told: Message) -> Check:
        return Check(
            name=english(say(f"check.{kind}", recognizer=recognizer)),
            passed=passed,
            evidence=english(told),
            kind=kind,
            recognizer=recognizer,
            told=told,
        )

    return [
        check(
            "knows-clear",
            ceiling.value >= minimum_ceiling if ceiling.value is not None else None,
            say("check.clear", value=ceiling.value, wanted=minimum_ceiling)
            if ceiling.value is not None
            else say("check.clear-unknown", reason=reason(ceiling)),
        ),
        check(
            "breaks-weak",
            weak.value >= BREAKS_WEAK * ceiling.value
            if weak.value is not None and ceiling.value is not None
            else None,
            say("check.weak", value=weak.value, wanted=BREAKS_WEAK)
            if weak.value is not None
            else say("check.weak-unknown", reason=reason(weak)),
        ),
        check(
            "solid-at-chance",
            (solid.low is None or blind.value is None or solid.low <= blind.value)
            if solid.value is not None
            else None,
            say("check.solid", value=solid.value, chance=blind.value)
            if solid.value is not None and blind.value is not None
            else say("check.solid-unknown", reason=reason(solid)),
        ),
    ]


def decide(
    evidence: Sequence[Evidence],
    checks: Sequence[Check],
    threshold: float,
    alpha: float,
    left_out: Sequence[str] = (),
) -> Verdict:
    """The verdict on all attacks of one condition, or of the whole run.

    Args:
        left_out: attacks that were asked for and left out for want of time: what they would have
            found is not known, so that nothing is bounded without them.
    """
    missing = (
        [say("verdict.left-out", attacks=[say("attack", attack=name) for name in left_out])]
        if left_out
        else []
    )
    if not evidence:
        nothing = Verdict(
            outcome="INCONCLUSIVE", threshold=threshold, alpha=alpha, left_out=list(left_out)
        )
        return reasoned(nothing, [say("verdict.none"), *missing])
    worst = max(evidence, key=lambda e: e.ira)
    p_values = [mcnemar_p(e.attacked, e.blind) for e in evidence]
    levels = holm_levels(p_values, alpha)
    bounds = [
        paired_excess_risk(e.attacked, e.blind, alpha=float(level)).low
        for e, level in zip(evidence, levels, strict=True)
    ]
    leaking = [e for e, low in zip(evidence, bounds, strict=True) if low is not None and low > 0]
    upper = max(e.upper for e in evidence)
    failed = [check for check in checks if not check.passed]
    leak, bounded = bool(leaking), upper < threshold and not failed and not left_out
    p_value = float(holm(p_values)[list(evidence).index(worst)])
    blind = float(np.mean(worst.blind)) if len(worst.blind) else None
    verdict = Verdict(
        outcome="LEAK_DEMONSTRATED" if leak else "BOUNDED" if bounded else "INCONCLUSIVE",
        threshold=threshold,
        alpha=alpha,
        worst_attack=worst.attack,
        worst_recognizer=worst.recognizer,
        worst_condition=worst.condition,
        leak=leak,
        bounded=bounded,
        upper_bound=upper,
        detectable_risk=detectable_risk(len(worst.attacked), alpha=alpha),
        control_rate=blind,
        p_value=p_value,
        people_needed=None if leak else _people_needed(worst, alpha / len(evidence)),
        left_out=list(left_out),
    )
    reasons = _reasons(leaking, evidence, worst, p_value, upper, threshold, failed)
    return reasoned(verdict, [*reasons, *missing])


def reasoned(verdict: Verdict, told: Sequence[Message]) -> Verdict:
    """A verdict with these reasons, in English and as messages."""
    reasons = [english(message) for message in told]
    return verdict.model_copy(update={"reasons": reasons, "told": list(told)})


def _people_needed(evidence: Evidence, level: float) -> int | None:
    """How many people would show this excess, if the shares of people told apart hold."""
    if not len(evidence.attacked):
        return None
    gained = float(np.mean(evidence.attacked * (1 - evidence.blind)))
    lost = float(np.mean(evidence.blind * (1 - evidence.attacked)))
    needed = identities_to_show(gained, lost, alpha=level)
    return None if needed is None else max(needed, len(evidence.attacked) + 1)


def _reasons(
    leaking: Sequence[Evidence],
    evidence: Sequence[Evidence],
    worst: Evidence,
    p_value: float,
    upper: float,
    threshold: float,
    failed: Sequence[Check],
) -> list[Message]:
    told = []
    if leaking:
        strongest = max(leaking, key=lambda e: e.ira)
        told.append(
            say(
                "verdict.leak",
                leaking=len(leaking),
                count=len(evidence),
                attack=strongest.attack,
                rate=strongest.ira,
            )
        )
    elif len(worst.blind):
        told.append(
            say(
                "verdict.not-shown-test",
                attack=worst.attack,
                rate=worst.ira,
                control=float(np.mean(worst.blind)),
                p=p_value,
            )
        )
    else:
        told.append(say("verdict.not-shown", attack=worst.attack, rate=worst.ira))
    if upper < threshold:
        told.append(say("verdict.below", threshold=threshold, upper=upper))
    else:
        people = len(worst.attacked)
        told.append(say("verdict.above", upper=upper, people=people, threshold=threshold))
    told += [say("verdict.check", check=named(check), evidence=reason(check)) for check in failed]
    return told
