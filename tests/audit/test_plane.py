"""Conditions of several runs between what they give away and what they keep."""

from __future__ import annotations

from reid_audit.audit.commands.plane import placed
from reid_audit.audit.results import schema
from reid_audit.audit.results.comparison import ComparedRun, Comparison
from reid_audit.reports.pages.compare import render_compare


def run(title: str, bound: float | None, kept: float, attack: str = "wiener") -> schema.Results:
    share, nothing = schema.Estimate(value=kept), schema.Count()
    verdict = schema.Verdict(outcome="INCONCLUSIVE", threshold=0.05, upper_bound=bound)
    condition = schema.Condition(
        id="c1",
        title=title,
        anonymizer=schema.Anonymizer(family="gaussian"),
        probes=schema.ProbeCount(),
        verdict=verdict,
    )
    names = ("detected", "landmark_shift", "pose_change", "ssim_outside", "lpips_outside")
    axis = schema.Utility(
        condition="c1", pictures=9, people=9, usefulness=share, **dict.fromkeys(names, share)
    )
    return schema.Results(
        verdict=verdict,
        data=schema.Data(gallery=nothing, probes=schema.ProbeCount(), background=nothing),
        anonymizer=condition.anonymizer,
        controls=schema.Controls(),
        attacks=[schema.AttackResult(name=attack, condition="c1")],
        findings=[],
        utility=[axis],
        conditions=[condition],
        run=schema.Run(version="1"),
    )


RUNS = [
    ("weak", run("light blur", 0.9, 0.9)),
    ("strong", run("heavy blur", 0.4, 0.7)),
    ("worse", run("coarse blocks", 0.5, 0.6)),
    ("generic", run("swirl", 0.1, 0.8, "naive")),
    ("unbounded", run("nothing scored", None, 0.8)),
]


def test_the_front_holds_what_no_other_suited_condition_beats() -> None:
    found = {place.run: place for place in placed(RUNS)}
    assert set(found) == {"weak", "strong", "worse", "generic"}
    assert [name for name, place in found.items() if place.front] == ["weak", "strong"]
    assert not found["generic"].suited


def test_the_page_says_where_no_suitable_attack_was_tried() -> None:
    runs = [
        ComparedRun(label=label, title=r.title, verdict=r.verdict, version="1") for label, r in RUNS
    ]
    page = render_compare(Comparison(runs=runs, plane=placed(RUNS)))
    assert page.count("no suitable attack was tried") == 1 and "swirl" in page
    assert "given away, and what is kept" not in render_compare(Comparison(runs=runs))
