"""Figures in rows: the forest of attacks, the controls, the attrition of files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes

from reid_audit.audit.results.schema import (
    AttackResult,
    Condition,
    Controls,
    Estimate,
    Results,
    Stage,
)
from reid_audit.reports.figures.canvas import (
    LIMIT,
    MARKS,
    MUTED,
    PAPER,
    SERIES,
    Absent,
    Drawing,
    drawn,
    legend,
    panel,
)
from reid_audit.reports.figures.text import columns, rate_axis, rate_text, rates
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_name
from reid_audit.reports.text.summary import (
    attacks_on,
    controls_of,
    rate,
    recognizer,
    recognizers,
    scored,
    share,
    strongest,
    title,
)
from reid_audit.reports.text.telling import tell

ROW = 0.44  # inches a row takes: a line of text above a line of marks


def mark(axes: Axes, y: float, estimate: Estimate, series: int) -> None:
    """One rate with its interval; the mark and not only the colour tells the series."""
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [y, y], color=SERIES[series], linewidth=2)
    axes.plot(
        [estimate.value or 0.0],
        [y],
        color=SERIES[series],
        marker=MARKS[series],
        markersize=6.5,
        linestyle="none",
        clip_on=False,
    )


def row_axes(axes: Axes, rows: int) -> None:
    """Make room for `rows` lines, the first on top, without a vertical axis."""
    axes.set_ylim(rows - 0.35, -0.75)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)


def caption(axes: Axes, y: float, left: str, right: str) -> None:
    """A row's name and value, above its line: long names then need no margin."""
    place: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "bottom",
        "fontsize": 8.5,
    }
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
    axes.text(0, y - 0.24, clean(left, 42), bbox=ground, **place)
    axes.text(1, y - 0.24, right, ha="right", bbox=ground, **place)


def rows_below_text(axes: Axes, value: float, rows: int, **line: Any) -> None:
    """A reference line in the band of each row's mark, so that it crosses no text."""
    for y in range(rows):
        axes.plot([value, value], [y - 0.14, y + 0.3], linewidth=1.3, zorder=1, **line)


def forest(
    results: Results, condition: Condition, language: Language, name: str
) -> Drawing | Absent:
    """Every attack's rate and interval on one condition, against chance, limit and ceiling."""
    heading = language("figures.forest.title", condition=plain_name(condition, language))
    shown = sorted(scored(attacks_on(results, condition)), key=share, reverse=True)
    if not shown:
        return Absent(heading, language("decision.sentence.no_attack"))
    known = recognizers(results)
    several = len(known) > 1
    figure, axes = panel(ROW * len(shown), left=0.2, above=0.3)
    for y, attack in enumerate(shown):
        estimate = rate(attack)
        series = known.index(attack.recognizer) % len(MARKS) if attack.recognizer else 0
        mark(axes, y, estimate, series)
        label = title(attack, language)
        if several:
            label = f"{label} · {recognizer(attack.recognizer)}"
        caption(axes, y, label, rate_text(estimate, language))
    row_axes(axes, len(shown))
    rate_axis(axes, language)
    controls = controls_of(results, shown[0])
    lines = [
        (controls.chance.value, MUTED, ":", "chance"),
        (results.verdict.threshold, LIMIT, "--", "limit"),
        (controls.clear_ceiling.value, MUTED, "-", "ceiling"),
    ]
    for value, colour, style, key in lines:
        if value is not None:
            write = language.declared if key == "limit" else language.percent
            label = f"{language(f'figures.forest.{key}')} {write(value)}"
            rows_below_text(axes, value, len(shown), color=colour, linestyle=style)
            axes.plot([], [], color=colour, linestyle=style, linewidth=1.4, label=label)
    legend(axes, columns=3)
    about = language("figures.forest.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "attack", "recognizer", "rate", "low", "high", "n"),
        [
            [
                title(a, language),
                recognizer(a.recognizer),
                *rates(rate(a), language),
                f"{language.count(rate(a).n)} / {language.count(rate(a).n_identities)}",
            ]
            for a in shown
        ],
    )


def controls(
    results: Results, condition: Condition, language: Language, name: str
) -> Drawing | Absent:
    """All controls and the strongest attack on one axis, for the strongest attack's recogniser."""
    heading = language("figures.controls.title", condition=plain_name(condition, language))
    attack = strongest(attacks_on(results, condition))
    used = attack.recognizer if attack else None
    measured = condition.controls.get(used or "") or next(
        iter(condition.controls.values()), results.controls
    )
    rows = list(control_rows(measured, attack, language))
    shown = [(label, value, ours) for label, value, ours in rows if value.value is not None]
    if not shown:
        return Absent(heading, language("figures.controls.missing"))
    figure, axes = panel(ROW * len(shown), left=0.2)
    for y, (label, value, ours) in enumerate(shown):
        mark(axes, y, value, 1 if ours else 0)
        caption(axes, y, label, rate_text(value, language))
    row_axes(axes, len(shown))
    rate_axis(axes, language)
    about = language("figures.controls.about", recognizer=recognizer(used))
    table = [
        [label, *rates(value, language)]
        if value.value is not None
        else [label, language.missing(value), "", ""]
        for label, value, _ in rows
    ]
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "control", "rate", "low", "high"),
        table,
    )


def control_rows(
    measured: Controls, attack: AttackResult | None, language: Language
) -> Iterator[tuple[str, Estimate, bool]]:
    """Controls from those that should stay low to those that should be high, attack between."""
    for key in language.raw("controls"):
        if key != "attack":
            yield language(f"controls.{key}"), getattr(measured, key), False
        elif attack is not None:
            yield f"{language('controls.attack')}: {title(attack, language)}", rate(attack), True


def attrition(results: Results, language: Language, name: str) -> Drawing | Absent:
    """How many remained after each step from files to scored trials."""
    heading = language("figures.attrition.title")
    stages = results.data.stages
    if not stages:
        return Absent(heading, language("figures.attrition.missing"))
    figure, axes = panel(ROW * len(stages), left=0.2)
    for y, stage in enumerate(stages):
        axes.barh(y + 0.06, stage.count, height=0.3, color=SERIES[0])
        caption(axes, y, _told(stage, 0, results, language), language.count(stage.count))
    row_axes(axes, len(stages))
    axes.set_xlabel(language("figures.attrition.x"))
    about = language("figures.attrition.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "stage", "count", "note"),
        [
            [
                _told(s, 0, results, language),
                language.count(s.count),
                _told(s, 1, results, language),
            ]
            for s in stages
        ],
    )


def _told(stage: Stage, part: int, results: Results, language: Language) -> str:
    """A stage's name, or its note."""
    recorded = (stage.name, stage.note or "")[part]
    return tell(stage.told[part : part + 1], recorded, results, language)[0][0]
