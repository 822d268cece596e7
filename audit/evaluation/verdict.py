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

from reid_audit.audit.results.schema import Check, Controls, Verdict
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
    known = ceiling.value is not None
    return [
        Check(
            name=f"{recognizer}: knows clear faces",
            passed=ceiling.value >= minimum_ceiling if ceiling.value is not None else None,
            evidence=(
                f"clear ceiling {ceiling.value:.1%}, at least {minimum_ceiling:.0%} declared"
                if ceiling.value is not None
                else f"clear ceiling not computed: {ceiling.reason}"
            ),
            kind="knows-clear",
            recognizer=recognizer,
        ),
        Check(
            name=f"{recognizer}: breaks a known-weak blur",
            passed=(
                weak.value >= BREAKS_WEAK * (ceiling.value or 0)
                if weak.value is not None and known
                else None
            ),
            evidence=(
                f"known-weak blur {weak.value:.1%}, {BREAKS_WEAK:.0%} of the ceiling wanted"
                if weak.value is not None
                else f"known-weak blur not computed: {weak.reason}"
            ),
            kind="breaks-weak",
            recognizer=recognizer,
        ),
        Check(
            name=f"{recognizer}: solid fill stays at chance",
            passed=(
                solid.low is None or blind.value is None or solid.low <= blind.value
                if solid.value is not None
                else None
            ),
            evidence=(
                f"solid fill {solid.value:.1%}, chance {blind.value:.2%}"
                if solid.value is not None and blind.value is not None
                else f"solid fill not computed: {solid.reason}"
            ),
            kind="solid-at-chance",
            recognizer=recognizer,
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
    missing = [f"Left out for want of time: {', '.join(left_out)}."] if left_out else []
    if not evidence:
        none = "No attack could be scored: see the attack table for what is missing."
        return Verdict(
            outcome="INCONCLUSIVE",
            threshold=threshold,
            alpha=alpha,
            left_out=list(left_out),
            reasons=[none, *missing],
        )
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
    return Verdict(
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
        reasons=[*_reasons(leaking, evidence, worst, p_value, upper, threshold, failed), *missing],
    )


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
) -> list[str]:
    reasons = []
    if leaking:
        count = f"{len(leaking)} of {len(evidence)} attacks" if len(evidence) > 1 else "The attack"
        strongest = max(leaking, key=lambda e: e.ira)
        reasons.append(
            f"{count} identified more people than the same attack on the same pictures without "
            f"faces; the strongest, {strongest.attack}, {strongest.ira:.1%} at rank 1."
        )
    else:
        told = f"{worst.attack} named {worst.ira:.1%}"
        if len(worst.blind):
            told += f", the same without faces {np.mean(worst.blind):.1%} (p = {p_value:.2g})"
        reasons.append(f"No attack is shown to name more people than its control: {told}.")
    if upper < threshold:
        reasons.append(
            f"Every tested attack stays below {threshold:.1%} (upper bound {upper:.1%})."
        )
    else:
        reasons.append(
            f"Rates up to {upper:.1%} are compatible with the trials of {len(worst.attacked)} "
            f"people, above the declared threshold of {threshold:.1%}."
        )
    reasons += [f"Control not met: {check.name} ({check.evidence})." for check in failed]
    return reasons
