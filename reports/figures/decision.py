"""The figure of the decision page: a bar for each anonymisation, beside what it is read against."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reid_audit.audit.results.schema import Condition, Estimate, Results
from reid_audit.reports.figures.canvas import (
    GRID,
    INK,
    LIMIT,
    MUTED,
    SERIES,
    Absent,
    Drawing,
    drawn,
    panel,
)
from reid_audit.reports.figures.text import columns, rate_axis, rate_text, rates
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names, specification
from reid_audit.reports.text.summary import (
    Strongest,
    controls_of,
    outcome,
    per_condition,
    standing,
    title,
)

MOST = 5
_ROW = 0.6
_LINE = 66
"""Characters that a line of a row holds."""
_BAND = (0.1, 0.36)
"""Top and bottom of a row's bar, below its two lines of text; reference lines stay inside."""


def overview(results: Results, language: Language, name: str) -> Drawing | Absent:
    """The strongest attack on each anonymisation, the `MOST` gravest, with interval, limit, chance
    and the rate on clear pictures."""
    heading = language("figures.overview.title")
    ranked = sorted(per_condition(results), key=lambda row: -(row.rate.value or 0.0))
    if not any(row.rate.value is not None for row in ranked):
        return Absent(heading, language("decision.sentence.no_attack").rstrip("."))
    shown = ranked[:MOST]
    names = plain_names([row.condition for row in ranked], language)
    figure, axes = panel(_ROW * len(shown), left=0.15, above=0.45)
    for y, row in enumerate(shown):
        _bar(axes, y, row, results, language)
        _words(axes, y, row, names[row.condition.id], language)
    axes.set_ylim(len(shown) - 0.52, -0.62)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    rate_axis(axes, language)
    _legend(axes, shown, results, language)
    about = " ".join(
        [language("figures.overview.about"), *_rest(ranked[MOST:], language)],
    )
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "condition", "verdict", "attack", "rate", "low", "high"),
        [
            [
                names[row.condition.id],
                outcome(row.verdict, row.rate, language) if row.verdict else "–",
                title(row.attack, language) if row.attack else "–",
                *rates(row.rate, language),
            ]
            for row in ranked
        ],
    )


def _rest(rows: list[Strongest], language: Language) -> list[str]:
    """The conditions that are not drawn, in one sentence."""
    known = [row.rate.value for row in rows if row.rate.value is not None]
    if not rows:
        return []
    return [
        language(
            "figures.overview.rest",
            count=language.count(len(rows)),
            low=language.percent(min(known)) if known else "–",
            high=language.percent(max(known)) if known else "–",
        )
    ]


def _ceiling(row: Strongest, results: Results) -> Estimate:
    return controls_of(results, row.attack).clear_ceiling if row.attack else Estimate()


def _chance(condition: Condition, results: Results) -> float | None:
    own = next(iter(condition.controls.values()), results.controls)
    return own.chance.value


def _bar(axes: Axes, y: float, row: Strongest, results: Results, language: Language) -> None:
    top, bottom = y + _BAND[0], y + _BAND[1]
    middle = (top + bottom) / 2
    rate = row.rate
    if rate.value is not None:
        axes.barh(middle, 1, height=bottom - top, color=GRID, zorder=1, alpha=0.45)
        axes.barh(middle, rate.value, height=bottom - top, color=SERIES[0], zorder=2)
        if rate.low is not None and rate.high is not None:
            axes.plot([rate.low, rate.high], [middle, middle], color=INK, linewidth=1.4, zorder=4)
            for end in (rate.low, rate.high):
                axes.plot([end, end], [middle - 0.07, middle + 0.07], color=INK, zorder=4)
    limit = row.verdict.threshold if row.verdict else results.verdict.threshold
    references = [
        (limit, LIMIT, (0, (2.5, 1.2))),
        (_chance(row.condition, results), INK, (0, (0.8, 1.2))),
    ]
    for value, colour, style in references:
        if value is not None:
            axes.plot(
                [value, value],
                [top - 0.05, bottom + 0.05],
                color=colour,
                linestyle=style,
                linewidth=1.7,
                zorder=3,
            )
    ceiling = _ceiling(row, results).value
    if ceiling is not None:
        axes.plot(
            [ceiling],
            [middle],
            marker="D",
            markersize=5.5,
            markerfacecolor="none",
            markeredgecolor=INK,
            linestyle="none",
            clip_on=False,
            zorder=5,
        )


def _words(axes: Axes, y: float, row: Strongest, name: str, language: Language) -> None:
    """The name on a line of its own; below it the specification and what was found."""
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "baseline"}
    scored = row.rate.value is not None
    right = rate_text(row.rate, language) if scored else language("figures.overview.not_scored")
    if row.verdict:
        right += f" · {language(f'figures.overview.{standing(row.verdict, row.rate)}')}"
    left = clean(specification(row.condition), max(8, _LINE - len(right)))
    axes.text(0, y - 0.31, clean(name, 52), fontsize=8.8, fontweight="bold", **place)
    axes.text(0, y - 0.05, left, fontsize=7.5, color=MUTED, **place)
    axes.text(1, y - 0.05, right, fontsize=8.2, ha="right", **place)


def _legend(axes: Axes, rows: list[Strongest], results: Results, language: Language) -> None:
    """A sign and a word for everything the rows hold."""
    limit = language.declared(results.verdict.threshold)
    chances = {_chance(row.condition, results) for row in rows} - {None}
    chance = f" {language.percent(chances.pop())}" if len(chances) == 1 else ""

    def word(key: str) -> str:
        return language(f"figures.overview.{key}")

    signs: list[Any] = [
        Patch(facecolor=SERIES[0], label=word("bar")),
        Line2D([], [], color=INK, marker="|", label=word("interval")),
        Line2D([], [], color=LIMIT, linestyle=(0, (2.5, 1.2)), label=f"{word('limit')} {limit}"),
    ]
    if any(_chance(row.condition, results) is not None for row in rows):
        dots = (0, (0.8, 1.2))
        signs.append(Line2D([], [], color=INK, linestyle=dots, label=f"{word('chance')}{chance}"))
    if any(_ceiling(row, results).value is not None for row in rows):
        diamond = {"marker": "D", "markerfacecolor": "none", "markersize": 5.5}
        signs.append(
            Line2D([], [], color=INK, linestyle="none", label=word("ceiling"), **diamond)  # type: ignore[arg-type]
        )
    axes.legend(
        handles=signs,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3,
        borderaxespad=0.2,
        fontsize=7.8,
        columnspacing=1.1,
        handlelength=1.6,
    )
