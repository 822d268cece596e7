"""Gates: a small expression over the results, for `--fail-on`; nothing is ever evaluated as code.

    expression := term { "or" term }        term := comparison { "and" comparison }
    comparison := NAME OPERATOR VALUE       OPERATOR := > >= < <= == !=

>>> names = {"ira": 0.2, "verdict": "BOUNDED"}
>>> holds("ira > 0.05 and verdict == LEAK_DEMONSTRATED", names)
False
>>> holds("ira > 0.05 or verdict == LEAK_DEMONSTRATED", names)
True
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from reid_audit.audit.results.schema import Outcome, Results
from reid_audit.metrics.errors import InputError

Value = float | str | None

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
OUTCOMES: tuple[str, ...] = get_args(Outcome)
_COMPARISON = re.compile(r"\s*([a-z_]+)\s*(>=|<=|==|!=|>|<)\s*([\w.\-]+)\s*")
GRAMMAR = "NAME > VALUE, joined by `and` / `or`, e.g. 'ira > 0.05 or failed_findings > 0'"


def breached(expression: str, results: Results) -> bool:
    """Whether the results meet the condition under which a gate fails.

    Raises:
        InputError: not in the grammar, or an unknown name.
    """
    return holds(expression, quantities(results))


def check_expression(expression: str) -> None:
    """Refuse a malformed gate before the audit, not after it.

    Raises:
        InputError: not in the grammar, or an unknown name.
    """
    holds(expression, {**dict.fromkeys(_NAMES, 0.0), "verdict": ""})


def quantities(results: Results) -> dict[str, Value]:
    """What a gate may look at. Unknown quantities are None and meet no comparison."""
    return {name: read(results) for name, read in _NAMES.items()}


def _worst_ira(results: Results) -> float | None:
    rates = (a.metrics["ira"].value for a in results.attacks if "ira" in a.metrics)
    return max((rate for rate in rates if rate is not None), default=None)


def _linkage(results: Results) -> float | None:
    """Highest share of covered faces found among the originals."""
    rates = (link.rank_1.value for link in results.linkage)
    return max((rate for rate in rates if rate is not None), default=None)


_NAMES: Mapping[str, Callable[[Results], Value]] = {
    "verdict": lambda r: r.verdict.outcome,
    "ira": _worst_ira,
    "upper_bound": lambda r: r.verdict.upper_bound,
    "ceiling": lambda r: r.controls.clear_ceiling.value,
    "effective_resolution": lambda r: r.anonymizer.effective_resolution,
    "linkage": _linkage,
    "missed_faces": lambda r: float(r.data.faces.missed),
    "partial_faces": lambda r: float(r.data.faces.partial),
    "failed_findings": lambda r: float(
        sum(f.status == "fail" and f.waiver is None for f in r.findings)
    ),
    "waived_findings": lambda r: float(sum(f.waiver is not None for f in r.findings)),
    "failed_attacks": lambda r: float(sum(a.status == "failed" for a in r.attacks)),
}


def holds(expression: str, names: Mapping[str, Value]) -> bool:
    """Value of an expression over `names`; `and` binds tighter than `or`."""
    # max and min, not any and all: a mistake behind the comparison that decides is reported too.
    return max(
        min(_comparison(part, names, expression) for part in re.split(r"\band\b", term))
        for term in re.split(r"\bor\b", expression)
    )


def _comparison(text: str, names: Mapping[str, Value], expression: str) -> bool:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise InputError(
            f"--fail-on {expression!r}: cannot read {text.strip()!r}; write {GRAMMAR}."
        )
    name, comparison, literal = match.groups()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(names)}."
        raise InputError(f"--fail-on {expression!r}: no quantity {name!r}; {hint}")
    value = names[name]
    if name == "verdict" and comparison in ("==", "!=") and literal not in OUTCOMES:
        near = get_close_matches(literal.upper(), OUTCOMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(OUTCOMES)}."
        raise InputError(f"--fail-on {expression!r}: no verdict {literal!r}; {hint}")
    if isinstance(value, str):
        if comparison not in ("==", "!="):
            raise InputError(
                f"--fail-on {expression!r}: {name} can only be compared with == or !=."
            )
        return _COMPARE[comparison](value, literal)
    try:
        number = float(literal)
    except ValueError:
        number = math.nan
    if math.isnan(number):  # compares with nothing, so that the gate would never fire
        raise InputError(f"--fail-on {expression!r}: {literal!r} is not a number.")
    return value is not None and _COMPARE[comparison](value, number)
