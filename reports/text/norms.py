"""What a run's evidence says to the questions laws and standards ask.

A catalogue is a YAML file in `catalogues/norms/en`. A control that `reads` a part of the results or
lists patterns of `findings` is automatic; one that `asks` is for a person. None has a pass mark:
the state says which way the evidence points, never that a norm is met. A translation is a file
beside that folder, by norm and control; what it leaves out is read from English.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from reid_audit.audit.results.schema import Finding, Results
from reid_audit.reports.text.language import Language, catalogue
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.summary import named_worst, worst_first
from reid_audit.reports.text.telling import finding_title

State = Literal["against", "within", "open", "noted", "person", "untested"]
_OF_OUTCOME: dict[str, State] = {
    "LEAK_DEMONSTRATED": "against",
    "BOUNDED": "within",
    "INCONCLUSIVE": "open",
}
_OF_FINDING: dict[str, State] = {
    "fail": "against",
    "warn": "against",
    "manual": "person",
    "pass": "within",
}


@dataclass(frozen=True)
class Control:
    """One question of a norm and what the run can say to it."""

    id: str
    title: str
    manual: bool
    state: State
    says: str
    told: bool = True
    """Whether it says so in the page's language."""


@dataclass(frozen=True)
class Norm:
    """A norm: its title and source, what a report may and must never say of it, and its
    controls."""

    title: str
    never: str
    controls: list[Control]


@cache
def _catalogues(code: str) -> list[dict[str, Any]]:
    folder = files("reid_audit.reports").joinpath("catalogues", "norms")
    names = sorted(item.name for item in folder.joinpath("en").iterdir())
    norms = [name for name in names if name.endswith(".yaml")]
    translated = f"{code}.yaml"
    words = catalogue("norms", translated) if folder.joinpath(translated).is_file() else {}
    return [
        _translated(catalogue("norms", "en", name), words.get(name.removesuffix(".yaml"), {}))
        for name in norms
    ]


def _translated(norm: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    controls = words.get("controls", {})
    own = [{**control, **controls.get(control["id"], {})} for control in norm["controls"]]
    return {**norm, **words, "controls": own}


def mapped(results: Results, language: Language) -> list[Norm]:
    """Every catalogue, evaluated against a run."""
    return [
        Norm(
            norm["title"],
            norm["never"],
            [_control(entry, results, language) for entry in norm["controls"]],
        )
        for norm in _catalogues(language.code)
    ]


def _control(entry: dict[str, Any], results: Results, language: Language) -> Control:
    name, title = entry["id"], entry["title"]
    if "asks" in entry:
        return Control(name, title, True, "person", entry["asks"])
    if "findings" in entry:
        return _from_findings(name, title, entry["findings"], results, language)
    state, says = _READERS[entry["reads"]](entry["says"], results, language)
    return Control(name, title, False, state, says)


def _from_findings(
    name: str, title: str, patterns: list[str], results: Results, language: Language
) -> Control:
    """What the gravest of a control's findings says."""
    matching: list[Finding] = worst_first(
        [f for f in results.findings if any(fnmatch(f.id, pattern) for pattern in patterns)]
    )
    if not matching:
        return Control(name, title, False, "untested", language("norms.untested"))
    gravest = matching[0]
    says, told = finding_title(gravest, results, language)
    return Control(name, title, False, _OF_FINDING[gravest.status], f"{says}.", told)


def _verdict(says: dict[str, str], results: Results, language: Language) -> tuple[State, str]:
    outcome = results.verdict.outcome
    threshold = language.declared(results.verdict.threshold)
    return _OF_OUTCOME[outcome], says[outcome].format(threshold=threshold)


def _cost(says: str, results: Results, language: Language) -> tuple[State, str]:
    worst = named_worst(results, results.verdict)
    if worst is None or worst.cost.seconds <= 0:
        return "untested", language("norms.untested")
    seconds = language.duration(worst.cost.seconds)
    return "noted", says.format(seconds=seconds, device=clean(worst.cost.device))


def _checks(says: str, results: Results, language: Language) -> tuple[State, str]:
    if not results.checks:
        return "untested", language("norms.untested")
    passed = sum(check.passed is True for check in results.checks)
    failed = any(check.passed is False for check in results.checks)
    text = says.format(passed=language.count(passed), total=language.count(len(results.checks)))
    return "against" if failed else "within", text


def _strata(says: str, results: Results, language: Language) -> tuple[State, str]:
    worst = named_worst(results, results.verdict)
    if worst is None or not worst.strata:
        return "untested", language("norms.untested")
    return "noted", says.format(groups=language.count(len(worst.strata)))


def _acquisition(says: str, results: Results, language: Language) -> tuple[State, str]:
    probes = results.data.probes
    failed, images = language.count(probes.failed_to_acquire), language.count(probes.images)
    return "noted", says.format(failed=failed, images=images)


_READERS: dict[str, Any] = {
    "verdict": _verdict,
    "cost": _cost,
    "checks": _checks,
    "strata": _strata,
    "acquisition": _acquisition,
}
