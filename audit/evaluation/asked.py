"""Findings on what regulators ask beside singling out: linkability, inference, replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reid_audit.audit.evaluation.linkability import shown, worst_link
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import (
    Condition,
    Finding,
    Inference,
    Linkability,
    Message,
    MessageValue,
    Replacement,
    Results,
)
from reid_audit.audit.results.telling import finding, rate
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
    name, values = f"linkage.among.{condition.id}", {"people": str(best.people)}
    evidence = _told(best)
    if proven:
        advice = say("among.linked-advice")
        return finding(
            name, "warn", "high", say("among.linked"), evidence, advice, values, condition
        )
    surroundings = best.p_value_context
    if surroundings is not None and surroundings < alpha:
        return finding(
            name,
            "warn",
            "medium",
            say("among.around"),
            [*evidence, say("among.around-told", p=surroundings)],
            say("among.around-advice"),
            values,
            condition,
        )
    ceiling = condition.controls.get(best.recognizer)
    able = ceiling is not None and (ceiling.clear_ceiling.value or 0.0) >= minimum_ceiling
    if best.people < FEWEST_PEOPLE or not able:
        lacking = (
            say("among.few", people=best.people, wanted=FEWEST_PEOPLE)
            if best.people < FEWEST_PEOPLE
            else say("among.weak")
        )
        return finding(
            name,
            "manual",
            "low",
            say("among.open"),
            [*evidence, lacking],
            say("among.open-advice", people=FEWEST_PEOPLE),
            values,
            condition,
        )
    return finding(
        name, "pass", "info", say("among.not-linked"), evidence, say("keep"), values, condition
    )


def _told(link: Linkability) -> list[Message]:
    """One attack's figures beside its controls."""
    accepted, control = link.metrics["tar_far_01"], link.context_only["tar_far_01"]
    told = [
        say(
            "among.who",
            attack=link.attack,
            recognizer=link.recognizer,
            pictures=link.pictures,
            people=link.people,
        )
    ]
    if accepted.value is not None:
        told.append(say("among.accepted", rate=rate(accepted), painted=control.value or 0.0))
    rank_1, eer = link.metrics["rank_1"], link.metrics["eer"]
    told.append(
        say(
            "among.nearest",
            rate=rate(rank_1),
            people=rank_1.n_identities,
            painted=link.context_only["rank_1"].value or 0.0,
            chance=link.shuffled["rank_1"].value or 0.0,
        )
    )
    told.append(
        say(
            "among.errors",
            rate=rate(eer),
            d_sys=link.metrics["d_sys"].value or 0.0,
            chance=link.shuffled["d_sys"].value or 0.0,
        )
    )
    return told


def _inference(
    condition: Condition, told: Sequence[Inference], alpha: float, minimum_ceiling: float
) -> Finding:
    """Whether attributes that the data states were told from the anonymised faces."""
    scored = [inference for inference in told if inference.p_value is not None]
    by_face = _proven(scored, [max(_p(o.p_value), _p(o.p_value_excess)) for o in scored], alpha)
    from_picture = _proven(scored, [_p(inference.p_value) for inference in scored], alpha)
    best = _best_each(scored)
    people = min(inference.people for inference in best)
    name, values = f"inference.{condition.id}", {"people": str(people)}
    evidence = [_told_attribute(inference) for inference in best]
    if by_face or from_picture:
        named = ", ".join(dict.fromkeys(o.attribute for o in by_face or from_picture))
        where = "faces" if by_face else "around"
        return finding(
            name,
            "warn",
            "high" if by_face else "medium",
            say(f"inference.{where}"),
            [say("inference.told", attributes=named), *evidence],
            say(f"inference.{where}-advice"),
            {**values, "attributes": named},
            condition,
        )
    # The clear pictures say whether these classifiers could have told it.
    able = all((inference.clear.low or 0.0) > (inference.base_rate or 1.0) for inference in best)
    ceilings = [condition.controls.get(inference.recognizer) for inference in best]
    able &= all(c and (c.clear_ceiling.value or 0.0) >= minimum_ceiling for c in ceilings)
    if people < FEWEST_PEOPLE or not able:
        advice = say("inference.open-advice", people=FEWEST_PEOPLE)
        return finding(
            name, "manual", "low", say("inference.open"), evidence, advice, values, condition
        )
    return finding(
        name, "pass", "info", say("inference.not-told"), evidence, say("keep"), values, condition
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
    values = {"people": str(group.people)}
    by_surroundings = (best.context_only.low or 0.0) > group.chance
    evidence = say(
        "replacement.told",
        pairs=group.pairs,
        people=group.people,
        recognizer=group.recognizer,
        rate=rate(best.rank_1),
        way=say(f"replacement.ways.{best.name}"),
        painted=best.context_only.value or 0.0,
        chance=group.chance,
        kept=rate(group.kept),
        strangers=group.false_match_rate,
        own=group.own_similarity.value or 0.0,
        other=group.stranger_similarity,
    )
    name = f"replacement.traced.{condition.id}"
    if proven or by_surroundings:
        where = "pairs" if proven else "around"
        yield finding(
            name,
            "warn",
            "high" if proven else "medium",
            say(f"replacement.{where}"),
            evidence,
            say(f"replacement.{where}-advice"),
            values,
            condition,
        )
    elif group.people < FEWEST_PEOPLE:
        advice = say("replacement.open-advice", people=FEWEST_PEOPLE)
        title = say("replacement.open")
        yield finding(name, "manual", "low", title, evidence, advice, values, condition)
    else:
        title, advice = say("replacement.not-traced"), say("replacement.not-traced-advice")
        yield finding(name, "pass", "info", title, evidence, advice, values, condition)
    shared = max(pairs, key=lambda pair: pair.shared.value or 0.0)
    if (shared.shared.low or 0.0) > SHARED * shared.false_match_rate:
        yield finding(
            f"replacement.donors.{condition.id}",
            "warn",
            "low",
            say("replacement.donors"),
            say(
                "replacement.donors-told",
                rate=rate(shared.shared),
                strangers=shared.false_match_rate,
                largest=shared.largest_share,
            ),
            say("replacement.donors-advice"),
            values,
            condition,
        )


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


def _told_attribute(inference: Inference) -> Message:
    told: dict[str, MessageValue] = {
        "attribute": inference.attribute,
        "attack": inference.attack,
        "recognizer": inference.recognizer,
        "rate": rate(inference.balanced_accuracy),
        "classes": inference.classes,
        "people": inference.people,
        "guess": inference.base_rate or 0.0,
        "painted": inference.context_only.value or 0.0,
    }
    if inference.clear.value is None:
        return say("inference.each", **told)
    return say("inference.each-clear", **told, clear=inference.clear.value)
