"""Identification against what the pictures are still good for: one mark a defence and setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from reid_audit.attacks.registry import attack_class
from reid_audit.audit.bench.row import Row, recognizer_text
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.utility import pareto

UNSUITED = "no suitable attack was tried"
"""Beside a defence that only attacks saw which know nothing of it: its rate bounds nothing."""
HEADINGS = (
    *("defence", "recogniser", "identified at most", "by", "kept in all", "faces still found"),
    *("front", "note"),
)
WIDTH, HEIGHT, MARGIN = 640, 420, 60


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
    """The marks as cells under `HEADINGS`."""
    return [
        [
            mark.defence,
            mark.recognizer,
            f"{mark.risk:.3f}",
            mark.attack,
            f"{mark.utility:.3f}",
            "-" if mark.found is None else f"{mark.found:.3f}",
            "yes" if mark.front else "",
            "" if mark.suitable else UNSUITED,
        ]
        for mark in drawn
    ]


def drawing(drawn: Sequence[Mark]) -> Markup:
    """The plane as SVG: to the right more is kept, further up more people may be identified. Filled
    marks are on the front, hollow ones were attacked without knowing what they are."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" font-size="11" '
        'aria-label="Identification against what is kept, one mark a setting; the table below '
        'holds its figures">',
        f'<path d="M{MARGIN} 20V{HEIGHT - MARGIN}H{WIDTH - 20}" fill="none" stroke="#57606a"/>',
        _text(WIDTH / 2, HEIGHT - 20, "kept in all", "middle"),
        _text(8, 12, "identified at most"),
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(_x(tick), HEIGHT - MARGIN + 16, f"{tick:g}", "middle"))
        parts.append(_text(MARGIN - 6, _y(tick) + 4, f"{tick:g}", "end"))
    front = sorted((m for m in drawn if m.front), key=lambda mark: mark.utility)
    if len({mark.recognizer for mark in drawn}) == 1:
        line = " ".join(f"{_x(mark.utility):.1f},{_y(mark.risk):.1f}" for mark in front)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#0969da"/>')
    for mark in drawn:
        x, y = _x(mark.utility), _y(mark.risk)
        fill = "#0969da" if mark.front else "none" if not mark.suitable else "#8c959f"
        told = escape(
            f"{mark.defence}, {mark.recognizer}{'' if mark.suitable else ': ' + UNSUITED}"
        )
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="#0969da">'
            f"<title>{told}</title></circle>"
        )
        end = x > WIDTH - 160
        parts.append(_text(x - 9 if end else x + 9, y - 6, mark.defence, "end" if end else "start"))
    return Markup("".join(parts) + "</svg>")  # every text in it is escaped


def _x(utility: float) -> float:
    return MARGIN + utility * (WIDTH - MARGIN - 30)


def _y(risk: float) -> float:
    return HEIGHT - MARGIN - risk * (HEIGHT - MARGIN - 30)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text[:60])}</text>'
