"""What a run says, read from its results: the strongest attacks and the sentences about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from audit.schema import AttackResult, Condition, Controls, Estimate, Finding, Results, Verdict
from reports.language import Language
from reports.names import clean

_SEVERITIES = ("critical", "high", "medium", "low", "info")
_STATUSES = ("fail", "warn", "manual", "pass")


def conditions(results: Results) -> list[Condition]:
    """The run's conditions; a run that names none has one, described by its first levels."""
    if results.conditions:
        return results.conditions
    recognizer = results.verdict.worst_recognizer or ""
    only = Condition(
        id="all",
        title=results.anonymizer.spec or results.anonymizer.family,
        anonymizer=results.anonymizer,
        probes=results.data.probes,
        controls={recognizer: results.controls},
        verdict=results.verdict,
    )
    return [only]


def attacks_on(results: Results, condition: Condition) -> list[AttackResult]:
    """The attacks scored on a condition, in the order of the run."""
    alone = not results.conditions
    return [a for a in results.attacks if alone or a.condition == condition.id]


def rate(attack: AttackResult) -> Estimate:
    """The rank-1 identification rate, the figure every verdict rests on."""
    return attack.metrics.get("ira", Estimate(reason=attack.reason))


def share(attack: AttackResult) -> float:
    """The rate of a scored attack as a number."""
    return rate(attack).value or 0.0


def scored(attacks: list[AttackResult]) -> list[AttackResult]:
    """The attacks that ran and have a rate."""
    return [a for a in attacks if a.status == "ok" and rate(a).value is not None]


def strongest(attacks: list[AttackResult]) -> AttackResult | None:
    """The attack with the highest rate; of equals, the first."""
    return max(scored(attacks), key=share, default=None)


def named_worst(results: Results, verdict: Verdict) -> AttackResult | None:
    """The attack a verdict names; the strongest where it names none."""
    for attack in results.attacks:
        named = attack.name == verdict.worst_attack
        matched = verdict.worst_recognizer in (None, attack.recognizer)
        there = verdict.worst_condition in (None, attack.condition)
        if named and matched and there:
            return attack
    return strongest(results.attacks)


def condition_of(results: Results, attack: AttackResult) -> Condition:
    """The condition an attack ran on."""
    found = conditions(results)
    return next((c for c in found if c.id == attack.condition), found[0])


def controls_of(results: Results, attack: AttackResult) -> Controls:
    """The controls of an attack's own condition and recogniser."""
    controls = condition_of(results, attack).controls
    return controls.get(attack.recognizer or "", results.controls)


_WORLDS = ("open world", "closed world")


def title(attack: AttackResult) -> str:
    """The attack's name, with its world where the same attack can run in two."""
    name = clean(attack.title or attack.name, 80)
    return f"{name}, {attack.knowledge}" if attack.knowledge in _WORLDS else name


def recognizer(name: str | None) -> str:
    """A recogniser's short name: `timm:ARCHITECTURE:FILE` is `FILE (timm)`, without any folder.

    >>> recognizer("onnx:models/edgeface.onnx"), recognizer("dlib")
    ('edgeface (onnx)', 'dlib')
    """
    kind, _, file = (name or "–").partition(":")
    return clean(f"{PurePath(file.rpartition(':')[2]).stem} ({kind})" if file else kind, 60)


def recognizers(results: Results) -> list[str]:
    return list(dict.fromkeys(a.recognizer for a in results.attacks if a.recognizer))


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Failures before warnings before open questions before passes, each by severity."""
    return sorted(
        findings, key=lambda f: (_STATUSES.index(f.status), _SEVERITIES.index(f.severity))
    )


def actions(findings: list[Finding], most: int = 5) -> list[tuple[str, str]]:
    """What to do, gravest first: each recommendation once, under all the findings it answers."""
    grouped: dict[str, list[str]] = {}
    for finding in worst_first(findings):
        if finding.status != "pass":
            grouped.setdefault(finding.recommendation, []).append(clean(finding.title, 160))
    return [("; ".join(titles), advice) for advice, titles in list(grouped.items())[:most]]


def level(results: Results, language: Language) -> str:
    """The confidence level of the run's intervals."""
    return language.declared(1 - results.verdict.alpha)


def sentence(results: Results, attack: AttackResult | None, language: Language) -> str:
    """What an attack achieved, with interval, chance and gallery."""
    if attack is None:
        return language("decision.sentence.no_attack")
    found = rate(attack)
    if found.value is None:
        reason = clean(attack.reason or language.missing(found))
        return language("decision.sentence.missing", attack=title(attack), reason=reason)
    hits = found.value * found.n_identities
    by_person = found.n == found.n_identities and abs(hits - round(hits)) < 1e-6
    kind = "pictures" if not by_person else "people" if hits else "none"
    return language(
        f"decision.sentence.{kind}",
        attack=title(attack),
        hits=language.count(hits),
        n=language.count(found.n),
        people=language.count(found.n_identities),
        rate=language.percent(found.value),
        interval=language.interval(found) or language("page.not_computed"),
        high=language.percent(found.high),
        chance=language.percent(controls_of(results, attack).chance.value),
        gallery=language.count(results.data.gallery.identities),
        level=level(results, language),
    )


def weakest_bounded(results: Results) -> Condition | None:
    """Of the conditions that stayed below the limit, the one that leaves most of the picture."""
    bounded = [c for c in conditions(results) if c.verdict and c.verdict.outcome == "BOUNDED"]
    return max(bounded, key=lambda c: c.anonymizer.effective_resolution or 0.0, default=None)


@dataclass(frozen=True)
class Strongest:
    """One line of the decision page's table."""

    condition: Condition
    attack: AttackResult | None
    rate: Estimate
    verdict: Verdict | None


def per_condition(results: Results) -> list[Strongest]:
    """The strongest attack on each condition."""
    rows = []
    for condition in conditions(results):
        attack = strongest(attacks_on(results, condition))
        found = rate(attack) if attack else Estimate()
        rows.append(Strongest(condition, attack, found, condition.verdict))
    return rows
