"""Records of a run with the messages that their sentences are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.schema import (
    Check,
    Condition,
    Estimate,
    Fact,
    Finding,
    FindingMessages,
    Message,
    Stage,
)


def finding(
    id: str,
    status: Literal["fail", "warn", "pass", "manual"],
    severity: Literal["critical", "high", "medium", "low", "info"],
    title: Message,
    evidence: Message | Sequence[Message],
    recommendation: Message | Sequence[Message],
    values: Mapping[str, str] | None = None,
    about: Condition | None = None,
) -> Finding:
    """A finding in English, beside the messages that say it in other languages.

    Args:
        about: the condition that it is about; its title stands behind the finding's own.
    """
    told = FindingMessages(
        title=title, evidence=_several(evidence), recommendation=_several(recommendation)
    )
    subject = {"condition": about.title} if about is not None else {}
    return Finding(
        id=id,
        severity=severity,
        status=status,
        title=": ".join([english(title), *subject.values()]),
        evidence=english(told.evidence),
        recommendation=english(told.recommendation),
        values={**subject, **(values or {})},
        told=told,
    )


def _several(said: Message | Sequence[Message]) -> list[Message]:
    return [said] if isinstance(said, Message) else list(said)


def unknown(why: Message | str) -> Estimate:
    """A figure that was not computed, and why: a message, or words recorded elsewhere."""
    if isinstance(why, str):
        return Estimate(reason=why)
    return Estimate(reason=english(why), told=why)


def reason(item: Estimate | Check) -> Message:
    """Why a figure is missing, or what a check rests on."""
    words = item.reason if isinstance(item, Estimate) else item.evidence
    return item.told or say("quoted", text=words or "")


def rate(estimate: Estimate) -> Message:
    """A rate with its interval, where it has one."""
    value = estimate.value or 0.0
    if estimate.low is None or estimate.high is None:
        return say("rate-alone", value=value)
    return say("rate", value=value, low=estimate.low, high=estimate.high)


def named(check: Check) -> Message:
    """The question of a check, with the condition it is about in a run of several."""
    question = say(f"check.{check.kind}", recognizer=check.recognizer or "")
    if check.condition is None:
        return question
    return say("of-condition", condition=check.condition, sentence=question)


def roles(counts: Mapping[str, int]) -> list[Message]:
    """How many files of each role."""
    return [say(f"data.roles.{role}", count=count) for role, count in counts.items()]


def stage(count: int, name: Message, note: Message | None = None) -> Stage:
    """A step from files to trials."""
    return Stage(
        name=english(name),
        count=count,
        note=None if note is None else english(note),
        told=[name] if note is None else [name, note],
    )


def fact(topic: Message, name: Message, value: Message) -> Fact:
    """A line of the method statement."""
    told = [topic, name, value]
    return Fact(topic=english(topic), name=english(name), value=english(value), told=told)
