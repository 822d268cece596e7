"""The method statement in the annex: what was done, with what, as facts to check."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.results.schema import Condition, Fact, Results, Unaided

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
    facts = [
        ("Purpose", "Question", "Can the people in these anonymised pictures be identified?"),
        ("Purpose", "Authorisation", config.authorization or "not recorded"),
        ("Purpose", "Declared threshold", f"{config.threshold:g} at level {config.alpha:g}"),
    ]
    if config.anonymizer is not None:
        # The program alone: its arguments may name places of the auditor's machine.
        program = Path(shlex.split(config.anonymizer)[0]).name
        facts.append(("Anonymiser", "Started by the scan", program))
    for condition in results.conditions:
        anonymizer = condition.anonymizer
        facts += [
            ("Anonymiser", condition.title, f"{anonymizer.family}, {anonymizer.source}"),
            (
                "Anonymiser",
                f"{condition.title}: strength",
                f"sigma / face width {anonymizer.sigma_over_face_width}, "
                f"face width {anonymizer.face_width} px",
            ),
        ]
        if condition.unaided is not None:
            name = f"{condition.title}: {_without(condition)}"
            facts.append(("Anonymiser", name, _told(condition.unaided)))
    facts += [
        ("Attackers", "Suite", ", ".join(config.attacks)),
        ("Attackers", "Training data", ", ".join(f"{w} world" for w in config.worlds)),
        ("Attackers", "Tuning", "constants chosen on development people, none on these probes"),
        ("Attackers", "Input", "pictures as decoded from the files, 8 bits a channel"),
        (
            "Data",
            "Split",
            "by identity; pictures standing in two roles are left out of the gallery",
        ),
        ("Data", "Face positions", _sources(results)),
        (
            "Data",
            "Failure to acquire",
            f"{results.data.probes.failed_to_acquire} probes, as misses",
        ),
    ]
    facts += [("Recogniser", name, f"SHA-256 {digest}") for name, digest in sorted(weights.items())]
    facts += [
        ("Statistics", "Endpoint", "rank 1; one random probe a person"),
        ("Statistics", "Interval", "Clopper-Pearson by identity; Korn-Graubard by picture"),
        ("Statistics", "Several attacks", "Holm for a leak; the largest bound for BOUNDED"),
        ("Statistics", "Control", "excess over the same attack on faces painted over"),
        ("Statistics", "Ties", "a tie for the first place counts 1/(ties+1)"),
        ("Statistics", "Seed", str(config.seed)),
    ]
    return [Fact(topic=topic, name=name, value=value) for topic, name, value in facts]


def _without(condition: Condition) -> str:
    settled = condition.anonymizer.source == "identified"
    return "without the originals" if settled else "without the record"


def _told(blind: Unaided) -> str:
    told = f"the right tool from the pixels alone in {blind.right} of {blind.tried} probes"
    if not blind.sizes or blind.true_size is None:
        return told
    low, high = min(blind.sizes), max(blind.sizes)
    estimated = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{told}; size {estimated} px estimated, {blind.true_size:g} px true"


def _sources(results: Results) -> str:
    sources = results.data.frame_sources
    return ", ".join(f"{count} {name}" for name, count in sources.items()) or "none"
