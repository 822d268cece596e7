"""What a run says, read from its results: the strongest attacks and the sentences about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from reid_audit.audit.results.schema import (
    AttackResult,
    Condition,
    Controls,
    Estimate,
    Finding,
    Results,
    Verdict,
)
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names

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
    known = conditions(results)
    return next((c for c in known if c.id == attack.condition), known[0])


def controls_of(results: Results, attack: AttackResult) -> Controls:
    """The controls of an attack's own condition and recogniser."""
    controls = condition_of(results, attack).controls
    return controls.get(attack.recognizer or "", results.controls)


def attack_title(results: Results, name: str | None, language: Language) -> str:
    """How an attack of the run is called; empty without a name."""
    named = next((attack for attack in results.attacks if attack.name == name), None)
    return title(named, language) if named else ""


_APART = "open world"


def variant(attack: AttackResult) -> tuple[str, bool]:
    """What tells one attack of a run from another: its name, and whether it learnt from other
    people than the usual one did."""
    return attack.name, attack.knowledge == _APART


def attackers(results: Results) -> list[AttackResult]:
    """The first result of every attack of the run, in the run's order."""
    return list({variant(attack): attack for attack in reversed(results.attacks)}.values())[::-1]


def title(attack: AttackResult, language: Language) -> str:
    """The attack's name in the report's language, marked where it learnt from other people than
    the usual one did."""
    named: Mapping[str, str] = language.raw("attacks")
    name = named.get(attack.name) or clean(attack.title or attack.name, 80)
    return language("results.open_world", attack=name) if variant(attack)[1] else name


def left_out(results: Results, language: Language) -> list[str]:
    """Titles of the attacks that some condition was spared for want of time."""
    spared = (attack for attack in results.attacks if attack.left_out)
    return list(dict.fromkeys(title(attack, language) for attack in spared))


def knowledge(attack: AttackResult, language: Language) -> str | None:
    """What the attacker knows, in words where the catalogue has them."""
    words: Mapping[str, str] = language.raw("knowledge")
    return words.get(attack.knowledge or "") or (attack.knowledge and clean(attack.knowledge))


def listed(conditions_named: list[Condition], language: Language) -> str:
    """The titles of conditions in one line."""
    return "; ".join(dict.fromkeys(plain_names(conditions_named, language).values()))


def recognizer(name: str | None) -> str:
    """A recogniser's short name: `timm:ARCHITECTURE:FILE` is `FILE (timm)`, without any folder.

    >>> recognizer("onnx:models/edgeface.onnx"), recognizer("dlib")
    ('edgeface (onnx)', 'dlib')
    """
    kind, _, file = (name or "–").partition(":")
    return clean(f"{PurePath(file.rpartition(':')[2]).stem} ({kind})" if file else kind, 60)


def recognizers(results: Results) -> list[str]:
    """Names of the recognisers that scored an attack, each once, in the order of the results."""
    return list(dict.fromkeys(a.recognizer for a in results.attacks if a.recognizer))


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Failures before warnings before open questions before passes, each by severity."""
    return sorted(
        findings, key=lambda f: (_STATUSES.index(f.status), _SEVERITIES.index(f.severity))
    )


def signs(verdict: Verdict, rate: Estimate) -> bool:
    """Whether an attack named more people than the limit allows without its test being won."""
    over = rate.value is not None and rate.value > verdict.threshold
    return verdict.outcome == "INCONCLUSIVE" and over


def standing(verdict: Verdict, rate: Estimate) -> str:
    """Key of the words for a verdict: its outcome, or `SIGNS`, which is INCONCLUSIVE told apart."""
    return "SIGNS" if signs(verdict, rate) else verdict.outcome


def outcome(verdict: Verdict, rate: Estimate, language: Language) -> str:
    """A verdict in words, its limit where it claims one."""
    limit = language.declared(verdict.threshold)
    return language(f"decision.{standing(verdict, rate)}", threshold=limit)


def grounds(results: Results, language: Language) -> list[str]:
    """Why there is no conclusion on attacks that were scored."""
    verdict, worst = results.verdict, named_worst(results, results.verdict)
    if worst is None or rate(worst).value is None:
        return []
    told = []
    if results.data.faces.missed or results.data.faces.partial:
        missed, partial = (language.count(n) for n in _uncovered(results))
        told.append(language("decision.grounds_coverage", missed=missed, partial=partial))
    if not verdict.leak:
        told.append(_not_shown(verdict, rate(worst), language))
    if verdict.left_out:
        spared = ", ".join(left_out(results, language))
        told.append(language("decision.grounds_left_out", attacks=spared))
    if verdict.upper_bound is not None and verdict.upper_bound >= verdict.threshold:
        upper, limit = language.percent(verdict.upper_bound), language.declared(verdict.threshold)
        told.append(language("decision.grounds_upper", upper=upper, threshold=limit))
    return told


def _uncovered(results: Results) -> tuple[int, int]:
    return results.data.faces.missed, results.data.faces.partial


def linked(results: Results, language: Language) -> str:
    """How often covered faces were found among those of the originals; empty without linkage."""
    known = [link for link in results.linkage if link.rank_1.value is not None]
    if not known:
        return ""
    best = max(known, key=lambda link: link.rank_1.value or 0.0)
    return language(
        "decision.linked",
        n=language.count(best.rank_1.n),
        rate=language.percent(best.rank_1.value),
        interval=language.interval(best.rank_1) or language("page.not_computed"),
        faces=language.count(best.chance.n),
        filled=language.percent(best.filled.value),
    )


def _not_shown(verdict: Verdict, estimate: Estimate, language: Language) -> str:
    if verdict.control_rate is None or verdict.p_value is None:
        return language("decision.grounds_not_shown")
    text = language(
        "decision.grounds_test",
        rate=language.percent(estimate.value),
        control=language.percent(verdict.control_rate),
        p=language.chance_of(verdict.p_value),
    )
    if verdict.people_needed:
        people = language.count(verdict.people_needed)
        text += " " + language("decision.grounds_people", people=people)
    return text


def above_ceiling(results: Results, attack: AttackResult, language: Language) -> str:
    """Why an attack can name more than the clear pictures do; empty where it does not."""
    ceiling, reached = controls_of(results, attack).clear_ceiling.value, rate(attack).value
    if ceiling is None or reached is None or reached <= ceiling:
        return ""
    return language(
        "decision.above_ceiling",
        rate=language.percent(reached),
        ceiling=language.percent(ceiling),
    )


def larger(attack: AttackResult, language: Language) -> str:
    """What an attack would name among more people, the fewest and the most that were told; empty
    without any."""
    known = [entry for entry in attack.larger_galleries if entry.ira.value is not None]
    if not known:
        return ""
    ends = known[:1] if len(known) == 1 else [known[0], known[-1]]
    parts = [
        language(
            "decision.larger_one",
            rate=language.percent(entry.ira.value),
            interval=language.interval(entry.ira) or language("page.not_computed"),
            people=language.count(entry.people),
        )
        for entry in ends
    ]
    return language("decision.larger", list="; ".join(parts))


def among(attack: AttackResult, people: int) -> Estimate:
    """An attack's rate among so many people, as far as it was told."""
    return next((e.ira for e in attack.larger_galleries if e.people == people), Estimate())


def sizes(results: Results) -> list[int]:
    """Numbers of people beyond the gallery's that a rate was told for."""
    return sorted({entry.people for a in results.attacks for entry in a.larger_galleries})


def level(results: Results, language: Language) -> str:
    """The confidence level of the run's intervals."""
    return language.declared(1 - results.verdict.alpha)


def sentence(results: Results, attack: AttackResult | None, language: Language) -> str:
    """What an attack achieved, with interval, chance and gallery."""
    if attack is None:
        return language("decision.sentence.no_attack")
    estimate = rate(attack)
    if estimate.value is None:
        reason = clean(attack.reason or language.missing(estimate))
        return language("decision.sentence.missing", attack=title(attack, language), reason=reason)
    hits = estimate.value * estimate.n_identities
    by_person = estimate.n == estimate.n_identities and abs(hits - round(hits)) < 1e-6
    kind = "pictures" if not by_person else "people" if hits else "none"
    return language(
        f"decision.sentence.{kind}",
        attack=title(attack, language),
        hits=language.count(hits),
        n=language.count(estimate.n),
        people=language.count(estimate.n_identities),
        rate=language.percent(estimate.value),
        interval=language.interval(estimate) or language("page.not_computed"),
        high=language.percent(estimate.high),
        chance=language.percent(controls_of(results, attack).chance.value),
        gallery=language.count(results.data.gallery.identities),
        level=level(results, language),
    )


def lead(results: Results, worst: AttackResult, language: Language) -> str:
    """What was found first of all: of a bounded run the bound, else the strongest attack, with the
    condition it was made on in a run of several."""
    verdict = results.verdict
    if verdict.outcome == "BOUNDED" and verdict.upper_bound is not None:
        return language(
            "decision.sentence.bounded",
            upper=language.percent(verdict.upper_bound),
            level=language.declared(1 - verdict.alpha),
            threshold=language.declared(verdict.threshold),
        )
    known = conditions(results)
    told = sentence(results, worst, language)
    if len(known) == 1:
        return told
    named = plain_names(known, language)[condition_of(results, worst).id]
    return language("decision.sentence.of_condition", condition=named, sentence=told)


def able(results: Results, language: Language) -> str:
    """What the recogniser of the worst attack names where it can; empty where that is unknown."""
    ceiling, weak = results.controls.clear_ceiling.value, results.controls.known_weak.value
    if ceiling is None or weak is None:
        return ""
    return language(
        "decision.sure_able", ceiling=language.percent(ceiling), weak=language.percent(weak)
    )


def beside(results: Results, attack: AttackResult, language: Language) -> str:
    """The reference rates of an attack's own recogniser, in a sentence; empty without any."""
    controls = controls_of(results, attack)
    known = {
        "ceiling": controls.clear_ceiling,
        "naive": controls.naive if attack.name != "naive" else Estimate(),
        "context": attack.metrics.get("context_only", controls.context_only),
    }
    parts = [
        language(f"decision.beside_{key}", rate=language.percent(rate.value))
        for key, rate in known.items()
        if rate.value is not None
    ]
    return language("decision.beside", list="; ".join(parts)) if parts else ""


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
        estimate = rate(attack) if attack else Estimate()
        rows.append(Strongest(condition, attack, estimate, condition.verdict))
    return rows
