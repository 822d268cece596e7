"""Which pictures are named to be mended first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from reid_audit.audit.evaluation.mending import AT_MOST, mend_first
from reid_audit.audit.results import schema
from reid_audit.audit.results.schema import Faces, OpenFace
from reid_audit.audit.scan.assembly import _naming


def frame(better: list[int], margin: list[float], kind: str = "attack") -> pd.DataFrame:
    """One attack on the pictures I-0, I-1, ..."""
    return pd.DataFrame(
        {
            "kind": kind,
            "mated": True,
            "better": better,
            "ties": 0,
            "failed": False,
            "margin": margin,
            "image": [f"I-{number}" for number in range(len(better))],
            "condition": "c1",
        }
    )


def test_those_named_by_most_attacks_come_first_and_then_the_surest() -> None:
    attacks = [
        frame([0, 0, 0, 5], [1.0, 3.0, 2.0, -1.0]),
        frame([0, 0, 2, 5], [2.0, 5.0, -1.0, -1.0]),
        frame([0, 0, 0, 0], [9.0, 9.0, 9.0, 9.0], kind="context-only"),
    ]
    found = mend_first(Faces(), attacks)
    assert [entry.image for entry in found] == ["I-1", "I-0", "I-2"]
    assert [(e.named_by, e.attacks, e.margin) for e in found] == [
        (2, 2, 4.0),
        (2, 2, 1.5),
        (1, 2, 2.0),
    ]


def test_clear_faces_come_before_everything() -> None:
    clear = OpenFace(image="I-9", state="missed", box=(0, 0, 9, 9), width=42.0, untouched=1.0)
    half = OpenFace(image="I-8", state="partial", box=(0, 0, 9, 9), width=80.0, untouched=0.4)
    found = mend_first(Faces(open=[clear, half]), [frame([0], [1.0])])
    assert [(e.image, e.reason) for e in found] == [
        ("I-9", "missed"),
        ("I-8", "partial"),
        ("I-0", "named"),
    ]
    assert found[0].width == 42.0


def test_ties_and_failures_name_nobody_and_lists_end() -> None:
    tied, failed = frame([0], [0.0]).assign(ties=1), frame([0], [float("nan")]).assign(failed=True)
    assert mend_first(Faces(), [tied, failed]) == []
    assert mend_first(Faces(), []) == []
    assert len(mend_first(Faces(), [frame([0] * 99, [1.0] * 99)])) == AT_MOST


def test_pictures_are_named_where_people_are_and_not_where_a_hit_is_as_good_as_a_guess() -> None:
    def condition(name: str, leak: bool = False) -> schema.Condition:
        verdict = schema.Verdict(outcome="INCONCLUSIVE", threshold=0.05, leak=leak)
        return schema.Condition(
            id=name,
            title=name,
            anonymizer=schema.Anonymizer(family="solid"),
            probes=schema.ProbeCount(),
            verdict=verdict,
        )

    def attacked(name: str, rate: float) -> SimpleNamespace:
        ira = schema.Estimate(value=rate)
        result = schema.AttackResult(name="naive", condition=name, metrics={"ira": ira})
        return SimpleNamespace(results=[result], trials=[pd.DataFrame({"condition": [name]})])

    conditions = [condition("leak", leak=True), condition("signs"), condition("bounded")]
    groups: Any = [attacked("leak", 0.04), attacked("signs", 0.2), attacked("bounded", 0.04)]
    kept = pd.concat(_naming(conditions, groups, 0.05))
    assert kept.condition.tolist() == ["leak", "signs"]
