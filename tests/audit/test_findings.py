"""What a reader is advised to do."""

from __future__ import annotations

import pytest

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.leakage import limit
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.evaluation.findings import (
    FAILING_RESOLUTION,
    TARGET_RESOLUTION,
    Leaks,
    findings,
)
from reid_audit.audit.results.schema import (
    Anonymizer,
    Condition,
    Controls,
    Count,
    Data,
    Finding,
    ProbeCount,
    Results,
    Run,
    Verdict,
)

WIDTH = 94.0


def resolution(spec: str) -> Finding:
    """The finding about what a setting leaves of faces of WIDTH pixels."""
    operator = parse(spec)
    verdict = Verdict(outcome="INCONCLUSIVE", threshold=0.05)
    anonymizer = Anonymizer(
        family=operator.family,
        spec=spec,
        face_width=WIDTH,
        effective_resolution=limit(operator, WIDTH).effective_resolution,
    )
    condition = Condition(
        id="c1", title=spec, anonymizer=anonymizer, probes=ProbeCount(), verdict=verdict
    )
    results = Results(
        verdict=verdict,
        data=Data(gallery=Count(), probes=ProbeCount(), background=Count()),
        anonymizer=anonymizer,
        controls=Controls(),
        attacks=[],
        findings=[],
        conditions=[condition],
        run=Run(version="1", device="cpu"),
    )
    told = findings(results, Leaks(0, {}), AuditConfig())
    return next(finding for finding in told if finding.id == "resolution.c1")


@pytest.mark.parametrize(
    ("sigma", "status"),
    [(8, "fail"), (20, "warn"), (28.2, "warn"), (37.6, "warn"), (56.4, "warn")],
)
def test_blurs_under_which_people_were_named_do_not_pass(sigma: float, status: str) -> None:
    """The student named 42, 25 and 9 % of LFW's people at the last three (benchmarks/lfw.md)."""
    found = resolution(f"gaussian:sigma={sigma}")
    assert found.status == status and "solid" in found.recommendation
    assert "an attacker trained for it named" in found.evidence


def test_only_a_fill_is_to_be_kept() -> None:
    assert "Keep the setting" in resolution("solid").recommendation
    little = resolution("gaussian:sigma=300")
    assert little.status == "pass" and "Keep" not in little.recommendation


def test_advised_settings_leave_less_than_the_target() -> None:
    found = resolution("gaussian:k=81")
    setting = parse(found.values["setting"])
    assert limit(setting, WIDTH).effective_resolution <= TARGET_RESOLUTION < FAILING_RESOLUTION
    assert found.values["setting"] in found.recommendation
