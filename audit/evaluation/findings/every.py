"""What a reader should do about the results: every finding of a run, in its order."""

from __future__ import annotations

from collections.abc import Mapping

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.evaluation.findings.conduct import (
    adequacy,
    authorization,
    left_for_time,
    manual,
    recognizer,
    sample,
)
from reid_audit.audit.evaluation.findings.covered import coverage, linkage, originals
from reid_audit.audit.evaluation.findings.detail import effective_resolution
from reid_audit.audit.evaluation.findings.files import duplicates, left_out, residues, unmatched
from reid_audit.audit.evaluation.findings.identified import reidentification, together
from reid_audit.audit.results.schema import Finding, Results


def findings(
    results: Results, leaks: Leaks, config: AuditConfig, pairs: Mapping[str, int] | None = None
) -> list[Finding]:
    """Findings of a run, gravest first and what became of the faces before all; passes are listed
    too. `pairs`: how many pictures and originals are the same, turned or different."""
    every: list[Finding | None] = [
        *coverage(results.data.faces),
        originals(pairs or {}),
        linkage(results),
    ]
    every += [reidentification(condition, results) for condition in results.conditions]
    every += [together(condition, results) for condition in results.conditions]
    every += [effective_resolution(condition) for condition in results.conditions]
    every += asked(results, config.minimum_ceiling)
    every += residues(leaks)
    every += [left_out(results.data), duplicates(results.data), unmatched(results.data)]
    every += [adequacy(results), recognizer(results), left_for_time(results)]
    every += [sample(results), authorization(config)]
    every += manual()
    order = ("fail", "warn", "manual", "pass")
    gravity = ("critical", "high", "medium", "low", "info")
    kept = [item for item in every if item is not None]

    def rank(item: Finding) -> tuple[int, bool, int]:
        uncovered = item.id.startswith("coverage.")
        return order.index(item.status), not uncovered, gravity.index(item.severity)

    return sorted(kept, key=rank)
