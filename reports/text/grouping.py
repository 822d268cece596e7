"""Findings that say the same of several anonymisations, as one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from reid_audit.audit.results.schema import Condition, Finding, Message, Results
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.plain import plain_names
from reid_audit.reports.text.summary import conditions, worst_first
from reid_audit.reports.text.telling import Told, finding_title, tell


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
    """Findings of one kind, title, status and waiver: a line for each, recommendations once."""

    kind: str
    title: tuple[str, bool]
    """With whether it is in the page's language."""
    first: Finding
    lines: list[tuple[str, Told]]
    """What each is about, empty where it is alone, and its evidence."""
    above: str
    """Where its figures stand, if not here."""
    advice: Told


def grouped(results: Results, language: Language, *, passed: bool) -> list[Group]:
    """The findings that passed, or those that did not, gravest first."""
    known = conditions(results)
    names = plain_names(known, language)
    by_cause: dict[tuple[object, ...], list[Finding]] = {}
    for finding in worst_first(results.findings):
        if (finding.status == "pass") == passed:
            waiver = finding.waiver and (finding.waiver.reason, finding.waiver.expires)
            said = finding.told and finding.told.title.key
            cause = (kind(finding, known), finding.status, waiver, said)
            by_cause.setdefault(cause, []).append(finding)
    leaking = [c for c in known if c.verdict and c.verdict.outcome == "LEAK_DEMONSTRATED"]
    groups = []
    for (name, *_), findings in by_cause.items():
        subjects = [about(finding, known) for finding in findings]
        several = len(findings) > 1
        lines = [
            (
                names[subject.id] if subject and several else "",
                _evidence(str(name), finding, results, language),
            )
            for finding, subject in zip(findings, subjects, strict=True)
        ]
        title, own = finding_title(findings[0], results, language)
        if subjects[0] and not several:
            title = language("findings.of_condition", title=title, condition=names[subjects[0].id])
        # What is left of a picture that must not be released asks for nothing more.
        asking = [
            f
            for f, s in zip(findings, subjects, strict=True)
            if name != "resolution" or s not in leaking
        ]
        advice = _advice(asking, results, language)
        above = _above(str(name), findings[0], language)
        groups.append(Group(str(name), (title, own), findings[0], _alike(lines), above, advice))
    return groups


_ASKED = {
    "linkage.among": "linkability",
    "inference": "inference",
}
"""Kinds whose figures the section on what regulators ask has, by the question there."""
_BEYOND = ("inference.told", "among.around-told", "among.few", "among.weak")
"""Sentences on them that this section does not say."""


def _evidence(name: str, finding: Finding, results: Results, language: Language) -> Told:
    messages = _messages(finding, "evidence")
    if name not in _ASKED or not messages:
        return tell(messages, finding.evidence, results, language)
    beyond = [message for message in messages if message.key in _BEYOND]
    return tell(beyond, "", results, language) if beyond else []


def _above(name: str, finding: Finding, language: Language) -> str:
    if name not in _ASKED or finding.told is None:
        return ""
    question = language(f"asked.{_ASKED[name]}.heading")
    return f"{language('findings.above', question=question)}."


def _alike(lines: list[tuple[str, Told]]) -> list[tuple[str, Told]]:
    """Lines that say the same, as one about all of them."""
    same: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    for subject, told in lines:
        same.setdefault(tuple(told), []).append(subject)
    return [("; ".join(filter(None, subjects)), list(told)) for told, subjects in same.items()]


def _messages(finding: Finding, part: Literal["evidence", "recommendation"]) -> list[Message]:
    return getattr(finding.told, part) if finding.told else []


def _advice(findings: list[Finding], results: Results, language: Language) -> Told:
    """What findings of one kind recommend, each sentence once."""
    told: Told = []
    for finding in findings:
        messages = _messages(finding, "recommendation")
        for message in messages:
            told += tell(message, finding.recommendation, results, language)
        if not messages:
            told += tell(None, finding.recommendation, results, language)
    return list(dict.fromkeys(told))


def severities(results: Results) -> list[tuple[str, int]]:
    """How many findings are open at each severity, gravest first; passes and waivers apart."""
    still_open = [f for f in results.findings if f.status != "pass" and not f.waiver]
    counts = Counter[str](finding.severity for finding in still_open)
    order = ("critical", "high", "medium", "low", "info")
    return [(name, counts[name]) for name in order if counts[name]]
