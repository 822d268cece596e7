"""The method statement in the annex: what was done, with what, as facts to check."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import (
    Condition,
    Fact,
    Message,
    MessageValue,
    Results,
    Unaided,
)
from reid_audit.audit.results.telling import fact

VALID_MONTHS = 12
"""Attackers improve: an audit older than this is to be repeated."""


def reassess_by(started: datetime) -> str:
    """Date, ISO 8601, by which the audit should be repeated.

    >>> reassess_by(datetime(2026, 2, 28))
    '2027-02-28'
    """
    year = started.year + (started.month - 1 + VALID_MONTHS) // 12
    month = (started.month - 1 + VALID_MONTHS) % 12 + 1
    return f"{year}-{month:02d}-{min(started.day, 28):02d}"


def method_statement(
    results: Results, config: AuditConfig, weights: Mapping[str, str]
) -> list[Fact]:
    """Every fact a reviewer needs to judge or repeat the audit."""
    purpose, anonymiser = say("method.purpose"), say("method.anonymiser")
    threshold = say("method.threshold-told", threshold=config.threshold, alpha=config.alpha)
    facts = [
        fact(purpose, say("method.question"), say("method.question-told")),
        fact(purpose, say("method.authorisation"), _authorisation(config)),
        fact(purpose, say("method.threshold"), threshold),
    ]
    if config.anonymizer is not None:
        # The program alone: its arguments may name places of the auditor's machine.
        program = Path(shlex.split(config.anonymizer)[0]).name
        facts.append(fact(anonymiser, say("method.started"), _quoted(program)))
    for condition in results.conditions:
        facts += [fact(anonymiser, *pair) for pair in _of_condition(condition)]
    attackers, data, statistics = (
        say(f"method.{topic}") for topic in ("attackers", "data", "statistics")
    )
    suite = say("method.suite-told", attacks=[say("attack", attack=a) for a in config.attacks])
    failed = say("method.failures-told", count=results.data.probes.failed_to_acquire)
    facts += [
        fact(attackers, say("method.suite"), suite),
        fact(attackers, say("method.training"), _worlds(config)),
        fact(attackers, say("method.tuning"), say("method.tuning-told")),
        fact(attackers, say("method.input"), say("method.input-told")),
        fact(data, say("method.split"), say("method.split-told")),
        fact(data, say("method.positions"), _sources(results)),
        fact(data, say("method.failures"), failed),
    ]
    facts += [
        fact(say("method.recogniser"), _quoted(name), _quoted(f"SHA-256 {digest}"))
        for name, digest in sorted(weights.items())
    ]
    facts += [
        fact(statistics, say(f"method.{name}"), say(f"method.{name}-told"))
        for name in ("endpoint", "interval", "several", "control", "ties")
    ]
    return [*facts, fact(statistics, say("method.seed"), _quoted(str(config.seed)))]


def _quoted(text: str) -> Message:
    """Names and specifications, which are the same in every language."""
    return say("stated", text=text)


def _authorisation(config: AuditConfig) -> Message:
    if config.authorization:
        return _quoted(config.authorization)
    return say("method.not-recorded")


def _worlds(config: AuditConfig) -> Message:
    return say("method.worlds", worlds=[say(f"method.{world}") for world in config.worlds])


def _of_condition(condition: Condition) -> Iterator[tuple[Message, Message]]:
    """What the table of anonymisations says as well, and what the pixels alone would have said."""
    anonymizer, title = condition.anonymizer, condition.title
    family = say("method.condition-told", family=anonymizer.family, source=anonymizer.source)
    yield say("method.condition", condition=title), family
    strength = say(
        "method.strength-told",
        sigma=str(anonymizer.sigma_over_face_width),
        width=str(anonymizer.face_width),
    )
    yield say("method.strength", condition=title), strength
    if condition.unaided is not None:
        settled = "originals" if anonymizer.source == "identified" else "record"
        yield say(f"method.without-{settled}", condition=title), _unaided(condition.unaided)


def _unaided(blind: Unaided) -> Message:
    known: dict[str, MessageValue] = {"right": blind.right, "tried": blind.tried}
    if not blind.sizes or blind.true_size is None:
        return say("method.unaided", **known)
    low, high = min(blind.sizes), max(blind.sizes)
    return say("method.unaided-size", **known, low=low, high=high, size=blind.true_size)


def _sources(results: Results) -> Message:
    counts = results.data.frame_sources or {"none": 0}
    sources = [say(f"method.sources.{name}", count=count) for name, count in counts.items()]
    return say("method.positions-told", sources=sources)
