"""Waivers: a reason and a date are asked for, and an expired one counts for nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reid_audit.audit.evaluation.gate import quantities
from reid_audit.audit.evaluation.waivers import load_waivers, waive
from reid_audit.audit.results.schema import (
    Anonymizer,
    Controls,
    Count,
    Data,
    Finding,
    ProbeCount,
    Results,
    Run,
    Verdict,
)
from reid_audit.metrics.errors import InputError

TODAY = date(2026, 11, 21)
FINDINGS = [
    Finding(
        id=name,
        severity="high",
        status=status,
        title=f"{name}: Pixelation (pixelate:b=10)",
        evidence="e",
        recommendation="r",
    )
    for name, status in (("residue.exif", "fail"), ("resolution.c1", "fail"), ("ok", "pass"))
]


def written(folder: Path, text: str) -> str:
    path = folder / "waivers.yaml"
    path.write_text(text)
    return str(path)


def test_a_waiver_marks_and_the_gate_passes_over_it(tmp_path: Path) -> None:
    entries = load_waivers(
        written(
            tmp_path,
            "- {finding: 'residue.*', reason: reading room only, expires: 2026-11-21}\n"
            "- {finding: '*', title: '*pixelate:b=10*', reason: accepted, expires: 2027-01-01,"
            " approved_by: DPO}\n",
        )
    )
    found = waive(FINDINGS, entries, TODAY)
    assert [f.waiver and f.waiver.reason for f in found] == ["reading room only", "accepted", None]
    assert [f.status for f in found] == ["fail", "fail", "pass"]
    results = Results(
        verdict=Verdict(outcome="INCONCLUSIVE", threshold=0.05),
        data=Data(gallery=Count(), probes=ProbeCount(), background=Count()),
        anonymizer=Anonymizer(family="none"),
        controls=Controls(),
        attacks=[],
        findings=found,
        run=Run(version="1"),
    )
    values = quantities(results)
    assert (values["failed_findings"], values["waived_findings"]) == (0, 2)


def test_what_is_expired_or_fits_nothing_counts_for_nothing_and_is_told(tmp_path: Path) -> None:
    entries = load_waivers(
        written(
            tmp_path,
            "- {finding: 'residue.*', reason: once, expires: 2026-11-20}\n"
            "- {finding: gone, reason: once, expires: 2027-11-20}\n",
        )
    )
    *found, stale = waive(FINDINGS, entries, TODAY)
    assert [f.waiver for f in found] == [None, None, None]
    assert stale.id == "waivers.stale" and stale.status == "warn"
    assert "residue.* (expired 2026-11-20)" in stale.evidence
    assert "gone (fits no finding)" in stale.evidence


def test_no_file_waives_nothing(tmp_path: Path) -> None:
    assert waive(FINDINGS, load_waivers(None), TODAY) == FINDINGS
    assert load_waivers(written(tmp_path, "")) == ()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("- {finding: a, expires: 2027-01-01}", "entry 1, reason"),
        ("- {finding: a, reason: '  ', expires: 2027-01-01}", "entry 1, reason"),
        ("- {finding: a, reason: b}", "entry 1, expires"),
        ("- {finding: a, reason: b, expires: never}", "entry 1, expires"),
        ("- {finding: a, reason: b, expires: 2027-01-01, untl: x}", "entry 1, untl"),
        ("finding: a", "the file"),
        ("[}", "not readable as YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(InputError, match="--waivers") as caught:
        load_waivers(written(tmp_path, text))
    assert hint in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        load_waivers(str(tmp_path / "absent"))
