"""Gates: a small grammar in which nothing is run."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.audit.evaluation.gate import check_expression, holds
from reid_audit.metrics.errors import InputError

NAMES = {"ira": 0.2, "ceiling": None, "verdict": "BOUNDED", "failed_findings": 2.0}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ira > 0.05", True),
        ("ira>0.05", True),
        ("  ira   <=  0.2 ", True),
        ("ira < 1e-3", False),
        ("ira > -1", True),
        ("verdict == BOUNDED", True),
        ("verdict != LEAK_DEMONSTRATED", True),
        ("ceiling < 1", False),
        ("ceiling >= 0", False),
        ("ira > 0.5 and verdict == BOUNDED or failed_findings == 2", True),
        ("ira > 0.5 and verdict == BOUNDED", False),
    ],
)
def test_grammar(expression: str, expected: bool) -> None:
    assert holds(expression, NAMES) is expected


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("", "cannot read"),
        ("ira", "cannot read"),
        ("ira > 0.05 and", "cannot read"),
        ("ira > 0.05 or nonsense", "cannot read"),
        ("irra > 0.05", "did you mean 'ira'"),
        ("colour > 1", "no quantity 'colour'"),
        ("verdict > 3", "== or !="),
        ("ira > many", "'many' is not a number"),
        ("ira > nan", "'nan' is not a number"),
        ("ceiling > nan", "'nan' is not a number"),
        ("verdict == LEAK", "no verdict 'LEAK'"),
        ("verdict == bounded", "did you mean 'BOUNDED'"),
        ("verdict != X", "choose of LEAK_DEMONSTRATED, BOUNDED, INCONCLUSIVE"),
        ("ira > 0 or irra > 0.05", "did you mean"),  # a mistake behind what decides
        ("__import__('os').getcwd() == 1", "cannot read"),
    ],
)
def test_mistakes_are_named(expression: str, hint: str) -> None:
    with pytest.raises(InputError, match=r"--fail-on") as caught:
        holds(expression, NAMES)
    assert hint in str(caught.value)


@pytest.mark.parametrize("expression", ["nonsense", "irra > 0.05", "ira > many", "verdict > 3"])
def test_mistakes_are_found_before_there_are_results(expression: str) -> None:
    check_expression("ira > 0.05 and verdict == BOUNDED")
    with pytest.raises(InputError):
        check_expression(expression)


OPERATORS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
Part = tuple[str, str, float]
part = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from(sorted(OPERATORS)),
    st.floats(-9, 9).map(lambda x: round(x, 2)),
)


@given(
    st.lists(st.lists(part, min_size=1, max_size=3), min_size=1, max_size=3),
    st.floats(-9, 9),
    st.floats(-9, 9),
)
def test_and_binds_tighter_than_or(terms: list[list[Part]], a: float, b: float) -> None:
    expression = " or ".join(
        " and ".join(f"{name} {sign} {value}" for name, sign, value in term) for term in terms
    )
    names = {"a": a, "b": b}
    expected = any(
        all(OPERATORS[sign](names[name], value) for name, sign, value in term) for term in terms
    )
    assert holds(expression, names) is expected


@given(st.text(max_size=60))
def test_any_text_is_judged_or_refused_and_never_run(text: str) -> None:
    try:
        assert isinstance(holds(text, NAMES), bool)
    except InputError as error:
        assert str(error).startswith("--fail-on")
