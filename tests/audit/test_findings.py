"""What a reader is advised to do."""

from __future__ import annotations

import pytest

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.leakage import limit
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.evaluation.findings import (
    FAILING_RESOLUTION,
    TARGET_RESOLUTION,
    findings,
)
from reid_audit.audit.results.schema import (
    Anonymizer,
    AttackResult,
    Condition,
    Controls,
    Count,
    Data,
    Estimate,
    Finding,
    ProbeCount,
    Results,
    Run,
    Verdict,
)

WIDTH = 94.0


UNDECIDED = Verdict(outcome="INCONCLUSIVE", threshold=0.05)
LEAK = Verdict(
    outcome="LEAK_DEMONSTRATED",
    threshold=0.05,
    worst_attack="ridge",
    worst_recognizer="dlib",
    worst_condition="c1",
)


def audited(spec: str, width: float = WIDTH, verdict: Verdict = UNDECIDED) -> Results:
    """A run on one setting on faces `width` pixels wide, with its findings."""
    operator = parse(spec)
    anonymizer = Anonymizer(
        family=operator.family,
        spec=spec,
        face_width=width,
        effective_resolution=limit(operator, width).effective_resolution,
    )
    condition = Condition(
        id="c1", title=spec, anonymizer=anonymizer, probes=ProbeCount(), verdict=verdict
    )
    results = Results(
        verdict=verdict,
        data=Data(gallery=Count(), probes=ProbeCount(), background=Count()),
        anonymizer=anonymizer,
        controls=Controls(),
        attacks=[
            AttackResult(
                name="ridge",
                recognizer="dlib",
                condition="c1",
                metrics={"ira": Estimate(value=0.1, low=0.06, high=0.16, n_identities=150)},
            )
        ],
        findings=[],
        conditions=[condition],
        run=Run(version="1", device="cpu"),
    )
    told = findings(results, Leaks(0, {}), AuditConfig())
    return results.model_copy(update={"findings": told})


def resolution(spec: str, width: float = WIDTH) -> Finding:
    """The finding about what a setting leaves of faces `width` pixels wide."""
    told = audited(spec, width).findings
    return next(finding for finding in told if finding.id == "resolution.c1")


def test_who_leaks_through_a_fill_is_told_to_cover_more_and_not_to_fill() -> None:
    from reid_audit.reports.text.actions import actions
    from reid_audit.reports.text.language import load

    run = audited("solid", verdict=LEAK)
    finding = next(f for f in run.findings if f.id == "reidentification.c1")
    assert "Cover the whole head" in finding.recommendation
    assert "Fill the faces" not in finding.recommendation
    for code, words in (("en", "whole head"), ("de", "ganzen Kopf"), ("fr", "toute la tête")):
        assert any(words in text for item in actions(run, load(code)) for text, _ in item)
    blurred = audited("gaussian:sigma=7.8", verdict=LEAK)
    finding = next(f for f in blurred.findings if f.id == "reidentification.c1")
    assert "Fill the faces" in finding.recommendation


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


def test_advised_settings_leave_about_the_target_and_are_told_in_face_widths() -> None:
    found = resolution("pixelate:b=8")
    setting = parse(found.values["setting"])
    left = limit(setting, WIDTH).effective_resolution
    assert left <= 1.1 * TARGET_RESOLUTION < FAILING_RESOLUTION
    assert found.values["setting"] in found.recommendation
    block = setting.parameters["b"]
    assert float(found.values["share"]) == pytest.approx(block / WIDTH, abs=0.011)


def test_advice_varies_smoothly_with_the_face() -> None:
    told = [resolution("pixelate:b=8", width).values for width in (87.5, 88.0, 88.5)]
    assert len({values["share"] for values in told}) == 1
    blocks = [parse(values["setting"]).parameters["b"] for values in told]
    assert max(blocks) - min(blocks) <= 1


@pytest.mark.parametrize("spec", ["gaussian:k=81", "box:k=41", "cv-gaussian:k=49"])
def test_a_blur_that_would_outgrow_the_face_is_not_advised(spec: str) -> None:
    found = resolution(spec)
    assert "setting" not in found.values and "No setting of this tool" in found.recommendation


@pytest.mark.parametrize(
    ("verdict", "low", "around", "warned"),
    [
        (UNDECIDED, 0.2, 0.05, True),
        (UNDECIDED, 0.09, 0.05, False),  # one picture of each names as many
        (UNDECIDED, 0.2, 0.3, False),  # the surroundings name as many
        (UNDECIDED, 0.04, 0.0, False),  # within the limit of 5 %
        (LEAK, 0.2, 0.0, False),  # the leak says more
    ],
)
def test_an_album_that_names_people_is_warned_of(
    verdict: Verdict, low: float, around: float, warned: bool
) -> None:
    run = audited("gaussian:sigma=20", verdict=verdict)
    (attack,) = run.attacks
    attack.metrics["ira_together"] = Estimate(value=0.3, low=low, high=0.4, n=70, n_identities=70)
    attack.metrics["context_together"] = Estimate(
        value=0.0, low=0.0, high=around, n=70, n_identities=70
    )
    told = [f for f in findings(run, Leaks(0, {}), AuditConfig()) if f.id == "together.c1"]
    assert len(told) == warned
    if told:
        assert told[0].status == "warn" and "30.0\xa0%" in told[0].evidence
        assert "10.0\xa0% by one picture of each" in told[0].evidence
