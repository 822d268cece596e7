"""The finding on the detail that one condition leaves, whatever was named."""

from __future__ import annotations

from typing import Literal

from reid_audit.audit.evaluation.findings.advice import TARGET_RESOLUTION, instead, setting_values
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Condition, Finding, Message, MessageValue
from reid_audit.audit.results.telling import finding
from reid_audit.metrics.leakage import NAMED_OF, Leakage

FAILING_RESOLUTION = 12.0
"""Effective resolution from which a setting fails whatever was measured."""


def detail_left(resolution: float) -> tuple[Literal["pass", "warn", "fail"], Message]:
    """How the report judges an effective resolution: the finding's status and its title."""
    if resolution < TARGET_RESOLUTION:
        return "pass", say("resolution.little" if resolution else "resolution.nothing")
    status: Literal["warn", "fail"] = "fail" if resolution >= FAILING_RESOLUTION else "warn"
    return status, say("resolution.left")


def effective_resolution(condition: Condition) -> Finding | None:
    """The detail that one condition leaves, with what is known of such detail; None where the
    operation has no limit."""
    anonymizer = condition.anonymizer
    resolution = anonymizer.effective_resolution
    if resolution is None:
        return None
    told = [_detail(resolution, anonymizer.bits_per_channel)]
    left = Leakage(resolution, anonymizer.bits_per_channel or 0.0, anonymizer.predicted_psnr or 0.0)
    if (precedent := left.named) is not None:
        known: dict[str, MessageValue] = {"share": precedent.share, "people": NAMED_OF}
        told.append(
            say("resolution.precedent-least", **known)
            if precedent.at_least
            else say("resolution.precedent", **known, low=precedent.low, high=precedent.high)
        )
    status, title = detail_left(resolution)
    name = f"resolution.{condition.id}"
    if status == "pass":
        advice = say("resolution.little-advice" if resolution else "resolution.nothing-advice")
        return finding(name, status, "info", title, told, advice, about=condition)
    severity: Literal["high", "medium"] = "high" if status == "fail" else "medium"
    values, advised = setting_values(condition), instead(condition)
    return finding(name, status, severity, title, told, advised, values, condition)


def _detail(resolution: float, bits: float | None) -> Message:
    if not resolution:
        return say("resolution.nothing-told")
    if not bits:
        return say("resolution.left-told-alone", side=resolution)
    return say("resolution.left-told", side=resolution, bits=bits)
