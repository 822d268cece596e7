"""The verdict, case by case, and the gates that read it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.audit.evaluation.verdict import Evidence, check_assay, decide
from reid_audit.audit.results.schema import Controls, Estimate
from reid_audit.metrics.stats import clopper_pearson, holm, mcnemar_p


def hits(people: int, found: int) -> np.ndarray:
    return (np.arange(people) < found).astype(float)


def evidence(people: int, found: int, blind: int = 0, name: str = "ridge") -> Evidence:
    bound = clopper_pearson(found, people, side="upper").high
    assert bound is not None
    rate = found / people
    return Evidence(name, "dlib", "c1", rate, bound, hits(people, found), hits(people, blind))


def controls(
    ceiling: float | None = 0.95, weak: float | None = 0.9, solid: int = 1, people: int = 100
) -> Controls:
    """Reference lines; solid: hits of the solid fill among `people`."""
    fill = clopper_pearson(solid, people)

    def figure(value: float | None) -> Estimate:
        return Estimate(value=value, reason=None if value is not None else "no second picture")

    return Controls(
        chance=Estimate(value=1 / people),
        clear_ceiling=figure(ceiling),
        known_weak=figure(weak),
        solid_fill=Estimate(value=fill.value, low=fill.low, high=fill.high),
    )


@pytest.mark.parametrize(
    ("found", "people", "assay", "outcome"),
    [
        (60, 100, {}, "LEAK_DEMONSTRATED"),
        (60, 100, {"ceiling": 0.3}, "LEAK_DEMONSTRATED"),  # a weak attacker who succeeds succeeds
        (0, 100, {}, "BOUNDED"),
        (0, 59, {}, "BOUNDED"),  # the rule of three for 5 %
        (0, 58, {}, "INCONCLUSIVE"),
        (0, 10, {}, "INCONCLUSIVE"),
        (0, 100, {"ceiling": 0.79}, "INCONCLUSIVE"),
        (0, 100, {"ceiling": None}, "INCONCLUSIVE"),
        (0, 100, {"weak": 0.4}, "INCONCLUSIVE"),
        (0, 100, {"weak": None}, "INCONCLUSIVE"),
        (0, 100, {"solid": 12}, "INCONCLUSIVE"),
        (3, 100, {}, "INCONCLUSIVE"),  # too few hits for a leak, too many for a bound
    ],
)
def test_outcomes(found: int, people: int, assay: dict[str, float], outcome: str) -> None:
    checks = check_assay(controls(**assay), "dlib", 0.8)
    verdict = decide([evidence(people, found)], checks, 0.05, 0.05)
    assert verdict.outcome == outcome
    assert verdict.reasons and all(reason.endswith(".") for reason in verdict.reasons)
    assert (verdict.leak, verdict.bounded) == (
        outcome == "LEAK_DEMONSTRATED",
        outcome == "BOUNDED",
    )


def test_signs_come_with_their_control_p_value_and_the_people_who_would_settle_it() -> None:
    verdict = decide([evidence(12, 2, 1)], [], 0.05, 0.05)
    assert verdict.outcome == "INCONCLUSIVE"
    assert verdict.control_rate == pytest.approx(1 / 12)
    assert verdict.p_value == pytest.approx(mcnemar_p(hits(12, 2), hits(12, 1)))
    # One of twelve more than the control: the sign test needs five of five, hence 5 of 60 people.
    needed = verdict.people_needed
    assert needed is not None and 48 < needed <= 60
    assert mcnemar_p(hits(60, 10), hits(60, 5)) <= 0.05 < mcnemar_p(hits(48, 8), hits(48, 4))
    assert "16.7\u00a0%" in verdict.reasons[0] and "8.3\u00a0%" in verdict.reasons[0]
    assert decide([evidence(100, 60)], [], 0.05, 0.05).people_needed is None
    assert decide([evidence(12, 1, 1)], [], 0.05, 0.05).people_needed is None


def test_nothing_scored_is_inconclusive_and_says_so() -> None:
    verdict = decide([], [], 0.05, 0.05)
    assert verdict.outcome == "INCONCLUSIVE" and "No attack could be scored" in verdict.reasons[0]


def test_what_the_surroundings_give_away_is_no_leak_of_the_face() -> None:
    assert decide([evidence(100, 60, blind=60)], [], 0.05, 0.05).outcome == "INCONCLUSIVE"
    assert decide([evidence(100, 60, blind=20)], [], 0.05, 0.05).outcome == "LEAK_DEMONSTRATED"


def test_many_attacks_must_clear_a_higher_bar() -> None:
    """Five hits against none has p = 1/32 by itself and is no leak among three attacks."""
    alone = [evidence(200, 5)]
    assert mcnemar_p(alone[0].attacked, alone[0].blind) == pytest.approx(1 / 32)
    assert decide(alone, [], 0.05, 0.05).leak
    several = [*alone, evidence(200, 0, name="naive"), evidence(200, 0, name="wiener")]
    assert not decide(several, [], 0.05, 0.05).leak
    assert holm([mcnemar_p(e.attacked, e.blind) for e in several]).min() > 0.05


def test_the_worst_attack_and_the_largest_bound_are_named() -> None:
    verdict = decide([evidence(80, 1, name="a"), evidence(80, 30, name="b")], [], 0.05, 0.05)
    assert verdict.worst_attack == "b"
    assert verdict.upper_bound == evidence(80, 30).upper


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=5),
    st.booleans(),
)
def test_bounded_needs_every_bound_below_and_every_control_met(
    counts: list[tuple[int, int]], valid: bool
) -> None:
    tried = [evidence(120, found, blind, f"a{i}") for i, (found, blind) in enumerate(counts)]
    checks = check_assay(controls(ceiling=0.9 if valid else 0.5), "dlib", 0.8)
    verdict = decide(tried, checks, 0.05, 0.05)
    assert verdict.bounded == (valid and max(e.upper for e in tried) < 0.05)
    significant = holm([mcnemar_p(e.attacked, e.blind) for e in tried]).min() <= 0.05
    assert not verdict.leak or significant
    assert verdict.outcome == (
        "LEAK_DEMONSTRATED" if verdict.leak else "BOUNDED" if verdict.bounded else "INCONCLUSIVE"
    )


def test_a_check_that_was_not_made_is_neither_met_nor_silent() -> None:
    checks = check_assay(Controls(), "dlib", 0.8)
    assert [check.passed for check in checks] == [None, None, None]
    assert all("not computed" in check.evidence for check in checks)
