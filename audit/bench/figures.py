"""What a bench draws: rates against the strength of a blur, against the detail that is left, and
against what the pictures are still good for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reid_audit.audit.bench.plane import HEADINGS, TITLE, UNSUITED, Mark, table
from reid_audit.audit.bench.row import Row, recognizer_text
from reid_audit.reports.figures.canvas import (
    DASHES,
    INK,
    MARKS,
    MUTED,
    PAPER,
    SERIES,
    Drawing,
    drawn,
    legend,
    panel,
)
from reid_audit.reports.figures.text import rate_axis
from reid_audit.reports.text.language import load
from reid_audit.reports.text.names import clean

MOST_LINES = len(SERIES)


def strength(rows: Iterable[Row]) -> Drawing | None:
    """Rank-1 of each attack over sigma / face width, with its interval; None unless an attack was
    measured at two strengths of a blur."""
    lines: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.ira is not None and row.sigma_over_face_width and row.belief == "matched":
            lines.setdefault((row.attack, row.recognizer, row.knowledge), []).append(row)
    known = sorted(
        (sorted(line, key=_sigma) for line in lines.values() if len(set(map(_sigma, line))) > 1),
        key=lambda line: -sum(row.ira or 0.0 for row in line) / len(line),
    )[:MOST_LINES]
    if not known:
        return None
    figure, axes = panel(2.9, above=0.2 + 0.2 * ((len(known) + 1) // 2))
    several = len({row.recognizer for line in known for row in line}) > 1
    table = []
    for series, line in enumerate(known):
        title = line[0].attack + (f" ({recognizer_text(line[0])})" if several else "")
        axes.plot(
            [_sigma(row) for row in line],
            [row.ira or 0.0 for row in line],
            color=SERIES[series],
            marker=MARKS[series],
            linestyle=DASHES[series],
            label=clean(title, 26),
            clip_on=False,
        )
        table += [[title, f"{_sigma(row):.3f}", *_interval(axes, _sigma(row), row)] for row in line]
    axes.set_xlim(left=0)
    axes.set_xlabel("Blur sigma / face width")
    rate_axis(axes, load("en"), "y")
    legend(axes)
    return drawn(
        figure,
        "strength",
        "Identification against the strength of the blur",
        "Rank-1 by picture of attackers who know the setting, with its interval; the strongest "
        f"{MOST_LINES} at most.",
        ["attack", "sigma / face width", "rank-1", "low", "high"],
        table,
    )


def remaining(leading: Iterable[Row]) -> Drawing | None:
    """The strongest attack on each setting over the detail that is left, a mark a kind of
    operation; None where fewer than two settings have both."""
    known = [row for row in leading if row.of_ceiling is not None and row.effective_resolution]
    if len({row.effective_resolution for row in known}) < 2:
        return None
    kinds = list(dict.fromkeys(map(_kind, known)))
    figure, axes = panel(2.9, above=0.2 + 0.2 * ((min(len(kinds), MOST_LINES) + 1) // 2))
    table = []
    for place, kind in enumerate(kinds):
        points = sorted((row for row in known if _kind(row) == kind), key=_left)
        series = place % len(SERIES)
        axes.plot(
            [_left(row) for row in points],
            [row.of_ceiling or 0.0 for row in points],
            color=SERIES[series],
            marker=MARKS[series],
            linestyle="none",
            label=clean(kind, 26) if place < MOST_LINES else None,
            clip_on=False,
        )
        table += [
            [row.method, row.attack, f"{_left(row):.1f}", f"{row.of_ceiling:.3f}"] for row in points
        ]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda side, _: f"{side:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Effective resolution, pixels per side")
    rate_axis(axes, load("en"), "y")
    axes.set_ylabel("Rank-1, share of clear pictures' own")
    legend(axes)
    return drawn(
        figure,
        "remaining",
        "Identification against the detail that is left",
        "The strongest attack on each setting. Detail is what a linear attacker could still "
        "recover of the face's frame, for any operation, so that unlike ones can be compared; "
        "settings that leave none are not drawn.",
        ["defence", "attack", "effective resolution", "of ceiling"],
        table,
    )


def plane(marks: Sequence[Mark]) -> Drawing:
    """To the right more is kept, further up more people may be identified. Coloured marks are on
    the front, hollow ones were attacked without knowing what they are."""
    figure, axes = panel(3.6)
    for number, mark in enumerate(marks, 1):
        axes.plot(
            [mark.utility],
            [mark.risk],
            linestyle="none",
            marker=MARKS[0] if mark.suitable else MARKS[1],
            color=SERIES[0] if mark.front else MUTED,
            markerfacecolor=PAPER if not mark.suitable else SERIES[0] if mark.front else MUTED,
            clip_on=False,
        )
        axes.annotate(
            str(number),
            (mark.utility, mark.risk),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
        )
    front = sorted((mark for mark in marks if mark.front), key=lambda mark: mark.utility)
    if len({mark.recognizer for mark in marks}) == 1:
        places = [mark.utility for mark in front], [mark.risk for mark in front]
        axes.plot(*places, color=SERIES[0], linewidth=1, zorder=1)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: load("en").declared(share)))
    axes.set_xlabel("Kept of the picture's use, in all")
    rate_axis(axes, load("en"), "y")
    axes.set_ylabel("Identified at most")
    return drawn(
        figure,
        "plane",
        TITLE,
        "One mark a setting: the upper end of the strongest attack's interval. The line joins the "
        f"settings that no other beats in both. Hollow diamonds: {UNSUITED}. Numbers are those of "
        "the table.",
        list(HEADINGS),
        table(marks),
    )


def _interval(axes: Axes, at: float, row: Row) -> list[str]:
    """Draw a row's interval upright; its rate and ends as cells."""
    if row.low is not None and row.high is not None:
        axes.vlines(at, row.low, row.high, color=MUTED, linewidth=0.8, zorder=1)
    return ["" if end is None else f"{end:.3f}" for end in (row.ira, row.low, row.high)]


def _sigma(row: Row) -> float:
    return row.sigma_over_face_width or 0.0


def _left(row: Row) -> float:
    return row.effective_resolution or 0.0


def _kind(row: Row) -> str:
    """The operation that a method begins with."""
    return row.method.split("|")[0].split(":")[0]
