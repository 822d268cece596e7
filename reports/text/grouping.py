"""Findings that say the same of several anonymisations, as one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from reid_audit.audit.results.schema import Condition, Finding, Results
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names
from reid_audit.reports.text.summary import (
    advised,
    attacks_on,
    conditions,
    rate,
    standing,
    strongest,
    worst_first,
)


def kind(finding: Finding, known: list[Condition]) -> str:
    """A finding's id without the condition it is about: stable from run to run.

    `reidentification.c1` is `reidentification`, `residue.gps` stays what it is.
    """
    for condition in known:
        if finding.id.endswith(f".{condition.id}"):
            return finding.id.removesuffix(f".{condition.id}")
    return finding.id


def about(finding: Finding, known: list[Condition]) -> Condition | None:
    """The condition a finding is about."""
    return next((c for c in known if finding.id.endswith(f".{c.id}")), None)


@dataclass(frozen=True)
class Group:
    """Findings of one kind, status and waiver: a title, a line for each, recommendations once."""

    kind: str
    title: str
    told: bool
    """Whether the title is in the page's language, else in the run's words, which are English."""
    first: Finding
    lines: list[tuple[str, str]]
    """What each is about, empty where it is alone, and its evidence in the run's words."""
    recommendations: list[tuple[str, bool]]
    """Each with whether it is in the page's language."""


def grouped(results: Results, language: Language, *, passed: bool) -> list[Group]:
    """The findings that passed, or those that did not, gravest first."""
    known = conditions(results)
    names = plain_names(known, language)
    by_cause: dict[tuple[object, ...], list[Finding]] = {}
    for finding in worst_first(results.findings):
        if (finding.status == "pass") == passed:
            waiver = finding.waiver and (finding.waiver.reason, finding.waiver.expires)
            cause = (kind(finding, known), finding.status, waiver)
            by_cause.setdefault(cause, []).append(finding)
    leaking = [c for c in known if c.verdict and c.verdict.outcome == "LEAK_DEMONSTRATED"]
    groups = []
    for (name, *_), findings_of_cause in by_cause.items():
        subjects = [about(finding, known) for finding in findings_of_cause]
        several = len(findings_of_cause) > 1
        lines = [
            (names[subject.id] if subject and several else "", clean(finding.evidence, 1000))
            for finding, subject in zip(findings_of_cause, subjects, strict=True)
        ]
        status = _stands(findings_of_cause, subjects, results)
        # In English the run's own words say more where no condition is named beside them.
        own = title(str(name), status, language) if subjects[0] or language.code != "en" else None
        if own and not several and subjects[0]:
            own = f"{own}: {names[subjects[0].id]}"
        # What is left of a picture that must not be released asks for nothing more.
        told = [
            f
            for f, s in zip(findings_of_cause, subjects, strict=True)
            if name != "resolution" or s not in leaking
        ]
        groups.append(
            Group(
                str(name),
                own or clean(findings_of_cause[0].title),
                own is not None or language.code == "en",
                findings_of_cause[0],
                lines,
                _recommendations(told, results, language),
            )
        )
    return groups


def title(name: str, status: str, language: Language) -> str | None:
    """What findings of a kind say, in the language; None where the catalogue does not know it."""
    titles = language.raw("findings.titles")
    wider = name.partition(".")[0]
    known = [f"{name}-{status}", f"{wider}-{status}"]
    if status != "pass":  # what is said of a kind without a status is what fails
        known += [name, wider]
    return next((str(titles[key]) for key in known if key in titles), None)


def _recommendations(
    findings: list[Finding], results: Results, language: Language
) -> list[tuple[str, bool]]:
    own = advised(findings, results, language) if language.code != "en" and findings else None
    if own is not None:
        return [(own, True)]
    told = dict.fromkeys(clean(finding.recommendation, 1000) for finding in findings)
    return [(text, language.code == "en") for text in told]


def _stands(alike: list[Finding], subjects: list[Condition | None], results: Results) -> str:
    """Status for the words of a title: warnings where every condition shows signs are `signs`."""
    status = alike[0].status
    signs = [
        subject is not None
        and subject.verdict is not None
        and (attack := strongest(attacks_on(results, subject))) is not None
        and standing(subject.verdict, rate(attack)) == "SIGNS"
        for subject in subjects
    ]
    return (
        "signs" if status == "warn" and all(signs) and "reidentification" in alike[0].id else status
    )


def severities(results: Results) -> list[tuple[str, int]]:
    """How many findings are open at each severity, gravest first; passes and waivers apart."""
    still_open = [f for f in results.findings if f.status != "pass" and not f.waiver]
    counts = Counter[str](finding.severity for finding in still_open)
    order = ("critical", "high", "medium", "low", "info")
    return [(name, counts[name]) for name in order if counts[name]]
