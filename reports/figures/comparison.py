"""Figures of a comparison: paired differences around zero, and rates over the runs."""

from __future__ import annotations

from matplotlib.ticker import FixedLocator, FuncFormatter

from audit.schema_compare import Comparison, PairedDifference
from reports.figures.canvas import (
    DASHES,
    MARKS,
    MUTED,
    SERIES,
    Absent,
    Drawing,
    inline,
    legend,
    panel,
)
from reports.figures.rows import ROW, caption, mark, row_axes
from reports.figures.text import columns, rate_axis, rates
from reports.language import Language
from reports.names import clean


def label(entry: PairedDifference) -> str:
    """Attack, recogniser, condition and run in one line."""
    parts = (entry.attack, entry.recognizer, entry.condition, entry.run)
    return " · ".join(clean(part, 40) for part in parts if part)


def differences(comparison: Comparison, language: Language, name: str) -> Drawing | Absent:
    """Paired differences with intervals; left of zero the later run reveals less."""
    heading = language("compare.figures.differences.title")
    shown = [d for d in comparison.differences if d.difference.value is not None]
    if not shown:
        return Absent(heading, language("compare.figures.differences.missing"))
    figure, axes = panel(ROW * len(shown), left=0.2)
    for y, entry in enumerate(shown):
        mark(axes, y, entry.difference, 0)
        caption(axes, y, label(entry), language.points(entry.difference))
    row_axes(axes, len(shown))
    ends = [e for d in shown for e in (d.difference.low, d.difference.high, d.difference.value)]
    reach = max(0.1, *(abs(end) for end in ends if end is not None)) * 1.1
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: language.signed(share)))
    axes.set_xlabel(language("compare.figures.differences.x"))
    about = language("compare.figures.differences.about")
    return Drawing(
        name,
        heading,
        about,
        inline(figure, name, heading, about),
        [language("compare.what"), language("compare.difference")],
        [[label(entry), language.points(entry.difference)] for entry in shown],
    )


def trend(comparison: Comparison, language: Language, name: str) -> Drawing | Absent:
    """Each attack's rate over the runs, in their order."""
    heading = language("compare.figures.trend.title")
    lines = [t for t in comparison.trends if any(r.value is not None for r in t.rates)]
    if not lines:
        return Absent(heading, language("compare.figures.trend.missing"))
    figure, axes = panel(2.7, above=0.2 + 0.2 * ((len(lines) + 1) // 2))
    table = []
    for index, line in enumerate(lines):
        series = index % len(SERIES)
        title = " · ".join(clean(p, 24) for p in (line.attack, line.condition) if p)
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
    return Drawing(
        name,
        heading,
        about,
        inline(figure, name, heading, about),
        [
            language("compare.what"),
            language("compare.run"),
            *columns(language, "rate", "low", "high"),
        ],
        table,
    )
