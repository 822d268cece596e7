"""Findings on what regulators ask beside singling out: linkability, inference, replacement."""

from __future__ import annotations

from collections.abc import Iterator

from reid_audit.audit.evaluation.linkability import shown, worst_link
from reid_audit.audit.results.schema import Condition, Estimate, Finding, Linkability, Results

FEWEST_PEOPLE = 20
"""People with several pictures below which a failed linkage says nothing."""


def asked(results: Results, minimum_ceiling: float) -> Iterator[Finding]:
    """Findings on the criteria of WP29's Opinion 05/2014 that identification does not answer.

    Args:
        minimum_ceiling: rank-1 on clear pictures below which a recogniser is too weak.
    """
    for condition in results.conditions:
        links = [link for link in results.linkability if link.condition == condition.id]
        if any(link.excess.value is not None for link in links):
            yield _among(condition, links, results.verdict.alpha, minimum_ceiling)


def _among(
    condition: Condition, links: list[Linkability], alpha: float, minimum_ceiling: float
) -> Finding:
    """Whether anonymised pictures of one person were told to be so."""
    proven = shown(links, alpha)
    best = worst_link(proven or links)
    assert best is not None, "asked for where an attack was measured"
    common = {
        "id": f"linkage.among.{condition.id}",
        "values": {"condition": condition.title, "people": str(best.people)},
    }
    evidence = _told(best)
    if proven:
        return Finding(
            severity="high",
            status="warn",
            title=f"Anonymised pictures of one person can be linked by face: {condition.title}",
            evidence=evidence,
            recommendation=(
                "Treat whoever holds several of these pictures as able to tell which show one "
                "person, and one name as enough to name them all. Fill the faces with one colour."
            ),
            **common,
        )
    surroundings = best.p_value_context
    if surroundings is not None and surroundings < alpha:
        return Finding(
            severity="medium",
            status="warn",
            title=f"Anonymised pictures of one person can be linked by what stands around the "
            f"face: {condition.title}",
            evidence=f"{evidence} No attack is shown to add to what the surroundings tell, and "
            f"these tell more than chance (p = {surroundings:.2g}).",
            recommendation="Cover hair, clothes and place as well, or release one picture of each "
            "person.",
            **common,
        )
    ceiling = condition.controls.get(best.recognizer)
    able = ceiling is not None and (ceiling.clear_ceiling.value or 0.0) >= minimum_ceiling
    if best.people < FEWEST_PEOPLE or not able:
        lacking = (
            f"only {best.people} people have several pictures, of {FEWEST_PEOPLE} wanted"
            if best.people < FEWEST_PEOPLE
            else "the recogniser does not know clear faces well enough"
        )
        return Finding(
            severity="low",
            status="manual",
            title=f"Whether anonymised pictures can be linked is not settled: {condition.title}",
            evidence=f"{evidence} No attack is shown to link them, but {lacking}.",
            recommendation=f"Audit at least {FEWEST_PEOPLE} people with two pictures each, with a "
            "recogniser that passes its controls.",
            **common,
        )
    return Finding(
        severity="info",
        status="pass",
        title=f"No tested attack linked anonymised pictures to one another: {condition.title}",
        evidence=evidence,
        recommendation="Keep tool and setting unchanged, and audit again by the date stated.",
        **common,
    )


def _told(link: Linkability) -> str:
    """One attack's figures beside its controls, in a sentence."""
    accepted, control = link.metrics["tar_far_01"], link.context_only["tar_far_01"]
    parts = [
        f"{link.attack} with {link.recognizer}, on {link.pictures} pictures, {link.people} people "
        "with several:"
    ]
    if accepted.value is not None:
        parts.append(
            f"{_rate(accepted)} of the pairs of one person were accepted while one in a hundred "
            f"of two people was, with the faces painted over {control.value or 0:.1%};"
        )
    rank_1, chance = link.metrics["rank_1"], link.shuffled["rank_1"]
    parts.append(
        f"the most similar other picture showed the same person for {_rate(rank_1)} of "
        f"{rank_1.n_identities} people, painted over {link.context_only['rank_1'].value or 0:.1%},"
        f" by chance {chance.value or 0:.1%};"
    )
    eer, d_sys = link.metrics["eer"], link.metrics["d_sys"]
    parts.append(
        f"equal error rate {_rate(eer)}; D_sys {d_sys.value or 0:.2f}, by chance "
        f"{link.shuffled['d_sys'].value or 0:.2f}."
    )
    return " ".join(parts)


def _rate(estimate: Estimate) -> str:
    told = f"{estimate.value or 0:.1%}"
    if estimate.low is None or estimate.high is None:
        return told
    return f"{told} (95 % CI {estimate.low:.1%} to {estimate.high:.1%})"
