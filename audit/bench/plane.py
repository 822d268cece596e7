"""Identification against what the pictures are still good for: one mark a defence and setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reid_audit.attacks.registry import attack_class
from reid_audit.audit.bench.row import Row, recognizer_text
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.utility import pareto

UNSUITED = "no suitable attack was tried"
"""Beside a defence that only attacks saw which know nothing of it: its rate bounds nothing."""
TITLE = "Privacy against utility"
HEADINGS = (
    *(
        "no.",
        "defence",
        "recogniser",
        "identified at most",
        "by",
        "kept in all",
        "faces still found",
    ),
    *("front", "note"),
)


@dataclass(frozen=True)
class Mark:
    """One defence at one setting under one recogniser's attacks.

    risk: the largest upper end of an interval of rank-1 by picture among them. suitable: whether
    an attack that imitates the defence, or learnt from pairs of it, was among them. front: no other
    suitable mark of the recogniser is as low in risk and as high in utility, and better in one.
    """

    defence: str
    recognizer: str
    risk: float
    attack: str
    utility: float
    found: float | None
    suitable: bool
    front: bool


def marks(rows: Iterable[Row]) -> list[Mark]:
    """The marks of a table whose rows hold a utility, the least risky first."""
    together: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.status == "ok" and row.high is not None and row.utility is not None:
            together.setdefault((*row.setting, row.recognizer), []).append(row)
    strongest = [max(group, key=lambda row: row.high or 0.0) for group in together.values()]
    suitable = [any(map(_suits, group)) for group in together.values()]
    every = []
    for recognizer in dict.fromkeys(row.recognizer for row in strongest):
        places = [place for place, row in enumerate(strongest) if row.recognizer == recognizer]
        fit = [place for place in places if suitable[place]]
        front = pareto(
            [strongest[place].high or 0.0 for place in fit],
            [strongest[place].utility or 0.0 for place in fit],
        )
        best = {place for place, on in zip(fit, front, strict=True) if on}
        every += [_mark(strongest[p], suitable[p], p in best) for p in places]
    return sorted(every, key=lambda mark: (mark.recognizer, mark.risk, -mark.utility))


def _mark(row: Row, suitable: bool, front: bool) -> Mark:
    return Mark(
        row.method,
        recognizer_text(row),
        row.high or 0.0,
        row.attack,
        row.utility or 0.0,
        row.faces_found,
        suitable,
        front,
    )


def _suits(row: Row) -> bool:
    """Whether an attack knows what it attacks: by the operator in which it believes."""
    try:
        return "operator" in attack_class(row.attack).info.needs and row.assumed is not None
    except InputError:  # of a package that is not installed any more
        return False


def table(drawn: Sequence[Mark]) -> list[list[str]]:
    """The marks as cells under `HEADINGS`, numbered as they are drawn."""
    return [
        [
            str(number),
            mark.defence,
            mark.recognizer,
            f"{mark.risk:.3f}",
            mark.attack,
            f"{mark.utility:.3f}",
            "-" if mark.found is None else f"{mark.found:.3f}",
            "yes" if mark.front else "",
            "" if mark.suitable else UNSUITED,
        ]
        for number, mark in enumerate(drawn, 1)
    ]
