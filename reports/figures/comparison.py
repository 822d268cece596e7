"""Figures of a comparison: paired differences around zero, and rates over the runs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import FixedLocator, FuncFormatter

from reid_audit.audit.results.comparison import Comparison, PairedDifference, Trend
from reid_audit.reports.figures.canvas import (
    DASHES,
    MARKS,
    MUTED,
    SERIES,
    Absent,
    Drawing,
    drawn,
    legend,
    panel,
)
from reid_audit.reports.figures.rows import ROW, caption, mark, row_axes
from reid_audit.reports.figures.text import columns, rate_axis, rates
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.summary import recognizer

MOST_ROWS = 24


def attack_of(entry: PairedDifference | Trend) -> str:
    """The attack with its recogniser."""
    attack = clean(entry.attack, 80)
    return f"{attack} ({recognizer(entry.recognizer)})" if entry.recognizer else attack


def label(entry: PairedDifference, among: Sequence[PairedDifference]) -> str:
    """What tells a difference from the others in one line: attack, and where they vary, recogniser,
    condition and run."""
    parts = [entry.attack]
    for name in ("recognizer", "condition", "run"):
        if len({getattr(other, name) for other in among}) > 1:
            parts.append(getattr(entry, name) or "–")
    return " · ".join(clean(part, 40) for part in parts)


def differences(comparison: Comparison, language: Language, name: str) -> Drawing | Absent:
    """Paired differences with intervals, the largest `MOST_ROWS`; left of zero reveals less."""
    heading = language("compare.figures.differences.title")
    known = [d for d in comparison.differences if d.difference.value is not None]
    largest = sorted(known, key=lambda d: -abs(d.difference.value or 0.0))[:MOST_ROWS]
    shown = [d for d in known if d in largest]
    if not shown:
        return Absent(heading, language("compare.figures.differences.missing"))
    figure, axes = panel(ROW * len(shown), left=0.2)
    for y, entry in enumerate(shown):
        mark(axes, y, entry.difference, 0)
        caption(axes, y, label(entry, known), language.points(entry.difference))
    row_axes(axes, len(shown))
    ends = [e for d in shown for e in (d.difference.low, d.difference.high, d.difference.value)]
    reach = max(0.1, *(abs(end) for end in ends if end is not None)) * 1.1
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: language.signed(share)))
    axes.set_xlabel(language("compare.figures.differences.x"))
    about = language("compare.figures.differences.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        [language("compare.what"), language("compare.difference")],
        [[label(entry, known), language.points(entry.difference)] for entry in shown],
    )


def trend(comparison: Comparison, language: Language, name: str) -> Drawing | Absent:
    """The strongest attack's rate over the runs, in their order; every attack's where no line is
    marked as that."""
    heading = language("compare.figures.trend.title")
    known = [t for t in comparison.trends if any(r.value is not None for r in t.rates)]
    lines = [t for t in known if t.strongest] or known
    if not lines:
        return Absent(heading, language("compare.figures.trend.missing"))
    figure, axes = panel(2.7, above=0.2 + 0.2 * ((len(lines) + 1) // 2))
    table = []
    for index, line in enumerate(lines):
        series = index % len(SERIES)
        title = clean(line.condition if line.strongest else line.attack, 60)
        points = [(run, r.value) for run, r in enumerate(line.rates) if r.value is not None]
        axes.plot(
            [run for run, _ in points],
            [value for _, value in points],
            color=SERIES[series],
            marker=MARKS[series],
            linestyle=DASHES[series],
            label=clean(title, 26),
            clip_on=False,
        )
        bars = [
            (run, r.low, r.high)
            for run, r in enumerate(line.rates)
            if r.low is not None and r.high is not None
        ]
        for run, low, high in bars:
            axes.vlines(run, low, high, color=SERIES[series], linewidth=1)
        table += [
            [title, clean(run.label, 40), *rates(rate, language)]
            for run, rate in zip(comparison.runs, line.rates, strict=True)
        ]
    axes.xaxis.set_major_locator(FixedLocator(list(range(len(comparison.runs)))))
    axes.set_xticklabels([clean(run.label, 16) for run in comparison.runs])
    axes.set_xlim(-0.3, len(comparison.runs) - 0.7)
    rate_axis(axes, language, "y")
    legend(axes)
    about = language("compare.figures.trend.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        [
            language("compare.what"),
            language("compare.run"),
            *columns(language, "rate", "low", "high"),
        ],
        table,
    )
