"""Findings on what regulators ask beside singling out: linkability, inference, replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reid_audit.audit.evaluation.linkability import shown, worst_link
from reid_audit.audit.results.schema import (
    Condition,
    Estimate,
    Finding,
    Inference,
    Linkability,
    Replacement,
    Results,
)
from reid_audit.metrics.stats import holm

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
        told = [inference for inference in results.inference if inference.condition == condition.id]
        if any(inference.p_value is not None for inference in told):
            yield _inference(condition, told, results.verdict.alpha, minimum_ceiling)
        pairs = [
            inference for inference in results.replacement if inference.condition == condition.id
        ]
        if pairs:
            yield from _replacement(condition, pairs, results.verdict.alpha)


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


def _inference(
    condition: Condition, told: Sequence[Inference], alpha: float, minimum_ceiling: float
) -> Finding:
    """Whether attributes that the data states were told from the anonymised faces."""
    scored = [inference for inference in told if inference.p_value is not None]
    by_face = _proven(scored, [max(_p(o.p_value), _p(o.p_value_excess)) for o in scored], alpha)
    from_picture = _proven(scored, [_p(inference.p_value) for inference in scored], alpha)
    best = _best_each(scored)
    people = min(inference.people for inference in best)
    common = {
        "id": f"inference.{condition.id}",
        "evidence": " ".join(map(_told_attribute, best)),
        "values": {"condition": condition.title, "people": str(people)},
    }
    if by_face or from_picture:
        named = ", ".join(dict.fromkeys(o.attribute for o in by_face or from_picture))
        where = "anonymised faces" if by_face else "what stands around anonymised faces"
        return Finding(
            severity="high" if by_face else "medium",
            status="warn",
            title=f"Attributes can be told from {where} ({named}): {condition.title}",
            recommendation=(
                "Treat these attributes as disclosed. Fill the faces with one colour to withhold "
                "what the face shows."
                if by_face
                else "Treat these attributes as disclosed, or cover hair and clothes as well: "
                "painting the faces over tells as much."
            ),
            **common,
        )
    # The clear pictures say whether these classifiers could have told it.
    able = all((inference.clear.low or 0.0) > (inference.base_rate or 1.0) for inference in best)
    ceilings = [condition.controls.get(inference.recognizer) for inference in best]
    able &= all(c and (c.clear_ceiling.value or 0.0) >= minimum_ceiling for c in ceilings)
    if people < FEWEST_PEOPLE or not able:
        return Finding(
            severity="low",
            status="manual",
            title=f"Whether attributes can be told is not settled: {condition.title}",
            recommendation=f"Label at least {FEWEST_PEOPLE} people, give originals, and a "
            "recogniser from whose clear faces the attributes can be told.",
            **common,
        )
    return Finding(
        severity="info",
        status="pass",
        title=f"No tested attack told attributes from anonymised faces: {condition.title}",
        recommendation="Keep tool and setting unchanged, and audit again by the date stated.",
        **common,
    )


SHARED = 10.0
"""Times the false-match rate from which outputs of different people share identities."""


def _replacement(
    condition: Condition, pairs: Sequence[Replacement], alpha: float
) -> Iterator[Finding]:
    """Whether replaced faces lead back to those that they replaced."""
    tried = [(group, way) for group in pairs for way in group.maps if way.rank_1.value is not None]
    adjusted = holm([way.p_value for _, way in tried])
    proven = [pair for pair, p in zip(tried, adjusted, strict=True) if p < alpha]
    group, best = max(proven or tried, key=lambda pair: pair[1].rank_1.value or 0.0)
    values = {"condition": condition.title, "people": str(group.people)}
    context, chance = best.context_only.value or 0.0, group.chance
    by_surroundings = (best.context_only.low or 0.0) > chance
    evidence = (
        f"{group.pairs} pairs of {group.people} people, {group.recognizer}: of the replaced faces, "
        f"{_rate(best.rank_1)} led to the person of their original first ({_WAYS[best.name]}), "
        f"painted over {context:.1%}, by chance {chance:.1%}. {_rate(group.kept)} still match "
        f"their original where {group.false_match_rate:g} of strangers match; similarity to it "
        f"{group.own_similarity.value or 0:.2f}, of strangers {group.stranger_similarity:.2f}."
    )
    common = {"id": f"replacement.traced.{condition.id}", "evidence": evidence, "values": values}
    if proven or by_surroundings:
        where = "whoever holds pairs" if proven else "what stands around them"
        yield Finding(
            severity="high" if proven else "medium",
            status="warn",
            title=f"Replaced faces can be traced to the originals by {where}: {condition.title}",
            recommendation=(
                "Do not rely on the replacement against whoever has the tool or some of its pairs; "
                "draw the new identity independently of the old one."
                if proven
                else "Cover hair, clothes and place as well."
            ),
            **common,
        )
    elif group.people < FEWEST_PEOPLE:
        yield Finding(
            severity="low",
            status="manual",
            title=f"Whether replaced faces can be traced is not settled: {condition.title}",
            recommendation=f"Give pairs of at least {FEWEST_PEOPLE} people.",
            **common,
        )
    else:
        yield Finding(
            severity="info",
            status="pass",
            title=f"No tested map led from replaced faces to the originals: {condition.title}",
            recommendation="Audit again when more pairs are at hand: attackers may have more.",
            **common,
        )
    shared = max(pairs, key=lambda pair: pair.shared.value or 0.0)
    if (shared.shared.low or 0.0) > SHARED * shared.false_match_rate:
        yield Finding(
            id=f"replacement.donors.{condition.id}",
            severity="low",
            status="warn",
            title=f"Replaced faces of different people share identities: {condition.title}",
            evidence=(
                f"{_rate(shared.shared)} of the pairs of two people's outputs match where "
                f"{shared.false_match_rate:g} of strangers' originals do; "
                f"the largest set that match one another are {shared.largest_share:.1%} of all."
            ),
            recommendation="Ask whose face it is: where donors are real people, their faces are "
            "published under others' deeds.",
            values=values,
        )


_WAYS = {
    "bare": "compared as they are",
    "negation": "by the opposite of the output's identity",
    "ridge": "by a linear map learnt from other people's pairs",
    "nearest": "by the originals of the pairs with the most similar outputs",
    "unet": "by a network that draws the original, learnt from other people's pairs",
}


def _p(value: float | None) -> float:
    return 1.0 if value is None else value


def _proven(
    scored: Sequence[Inference], p_values: Sequence[float], alpha: float
) -> list[Inference]:
    """Those whose p-value stays below alpha after Holm's correction for all that were tried."""
    return [inference for inference, p in zip(scored, holm(p_values), strict=True) if p < alpha]


def _best_each(scored: Sequence[Inference]) -> list[Inference]:
    """The attack that told each attribute best."""
    best: dict[str, Inference] = {}
    for inference in scored:
        known = best.get(inference.attribute)
        if known is None or (inference.gain.value or 0.0) > (known.gain.value or 0.0):
            best[inference.attribute] = inference
    return list(best.values())


def _told_attribute(inference: Inference) -> str:
    told = (
        f"{inference.attribute}: {inference.attack} with {inference.recognizer} "
        f"{_rate(inference.balanced_accuracy)} balanced accuracy over {inference.classes} classes "
        f"({inference.people} people), a guess {inference.base_rate or 0:.1%}, faces painted over "
        f"{inference.context_only.value or 0:.1%}"
    )
    if inference.clear.value is not None:
        told += f", clear pictures {inference.clear.value:.1%}"
    return f"{told}."


def _rate(estimate: Estimate) -> str:
    told = f"{estimate.value or 0:.1%}"
    if estimate.low is None or estimate.high is None:
        return told
    return f"{told} (95 % CI {estimate.low:.1%} to {estimate.high:.1%})"
