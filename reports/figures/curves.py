"""Figures of recorded curves: CMC, open-set DET, identity distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

from reid_audit.audit.results.schema import AttackResult, Condition, Curve, Results
from reid_audit.reports.figures.canvas import (
    DASHES,
    MARKS,
    SERIES,
    Absent,
    Drawing,
    drawn,
    legend,
    panel,
)
from reid_audit.reports.figures.text import columns, rate_axis
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_name
from reid_audit.reports.text.summary import attacks_on, strongest, title, variant

_probit = NormalDist().inv_cdf
_TOLD_RANKS = (1, 5, 20, 100)
"""Ranks in the data table of a CMC; the drawing shows those between."""
_TOLD_POINTS = 5
"""Points of other curves in their data tables; all of them stand in results.json."""
_PROBIT_TICKS = [0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999]


def _with_curve(
    results: Results, condition: Condition, name: str
) -> Iterator[tuple[AttackResult, Curve]]:
    """Each attack's curve, of the recogniser that identified most."""
    holders = [a for a in attacks_on(results, condition) if name in a.curves]
    for known in dict.fromkeys(map(variant, holders)):
        same = [a for a in holders if variant(a) == known]
        best = strongest(same) or same[0]
        yield best, thinned(best.curves[name], by_ratio=name == "cmc")


def thinned(curve: Curve, most: int = 60, by_ratio: bool = False) -> Curve:
    """At most `most` points, first and last among them, so that a long curve stays a small figure.

    Steps are even, or grow by a constant ratio for curves over ranks.

    >>> thinned(Curve(x=[1, 2, 3, 4, 5, 6, 7, 8], y=[0] * 8), most=4, by_ratio=True).x
    [1.0, 2.0, 4.0, 8.0]
    """
    count = len(curve.x)
    if count <= most:
        return curve
    parts = [step / (most - 1) for step in range(most)]
    places = [count**part - 1 if by_ratio else part * (count - 1) for part in parts]
    kept = sorted({round(place) for place in places})
    return Curve(x=[curve.x[i] for i in kept], y=[curve.y[i] for i in kept])


def _at(curve: Curve, places: Sequence[float]) -> Curve:
    """The points of a curve at these places."""
    kept = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if x in places]
    return Curve(x=[x for x, _ in kept], y=[y for _, y in kept])


def _points(label: str, curve: Curve, language: Language, share_x: bool = False) -> list[list[str]]:
    write = language.percent if share_x else language.decimal
    return [[label, write(x), language.percent(y)] for x, y in zip(curve.x, curve.y, strict=True)]


def cmc(results: Results, condition: Condition, language: Language, name: str) -> Drawing | Absent:
    """Identification rate within the first k candidates, k on a logarithmic axis."""
    heading = language("figures.cmc.title", condition=plain_name(condition, language))
    with_curve = list(_with_curve(results, condition, "cmc"))
    if not with_curve:
        return Absent(heading, language("figures.cmc.missing"))
    figure, axes = panel(2.7, above=0.7)
    table = []
    for index, (attack, curve) in enumerate(with_curve):
        _line(axes, curve.x, curve.y, index, title(attack, language))
        table += _points(title(attack, language), _at(curve, _TOLD_RANKS), language)
    axes.set_xscale("log")
    ranks = sorted({rank for _, curve in with_curve for rank in curve.x})
    axes.xaxis.set_major_locator(
        FixedLocator([r for r in (1, 2, 5, 10, 20, 50, 100) if r in ranks])
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rank, _: f"{rank:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(language("figures.cmc.x"))
    rate_axis(axes, language, "y")
    legend(axes)
    about = language("figures.cmc.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "attack", "rank", "rate"),
        table,
    )


def det(results: Results, condition: Condition, language: Language, name: str) -> Drawing | Absent:
    """Open-set errors on probit axes, where normal scores give straight lines."""
    heading = language("figures.det.title", condition=plain_name(condition, language))
    with_curve = list(_with_curve(results, condition, "det"))
    if not with_curve:
        return Absent(heading, language("figures.det.missing"))
    figure, axes = panel(2.9, above=0.7)
    table = []
    for index, (attack, curve) in enumerate(with_curve):
        inner = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if 0 < x < 1 and 0 < y < 1]
        x, y = ([_probit(p[axis]) for p in inner] for axis in (0, 1))
        _line(axes, x, y, index, title(attack, language))
        table += _points(
            title(attack, language), thinned(curve, _TOLD_POINTS), language, share_x=True
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([_probit(tick) for tick in _PROBIT_TICKS]))
        axis.set_major_formatter(FixedFormatter([language.declared(t) for t in _PROBIT_TICKS]))
    axes.set_xlabel(language("figures.det.x"))
    axes.set_ylabel(language("figures.det.y"))
    legend(axes)
    about = language("figures.det.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "attack", "fpir", "fnir"),
        table,
    )


def idd(results: Results, condition: Condition, language: Language, name: str) -> Drawing | Absent:
    """Distances to the same person and to strangers, for the strongest attack that has them."""
    holders = [a for a, _ in _with_curve(results, condition, "idd_mated")]
    attack = strongest(holders)
    heading = language(
        "figures.idd.title",
        condition=plain_name(condition, language),
        attack=title(attack, language) if attack else "-",
    )
    if attack is None:
        return Absent(heading, language("figures.idd.missing"))
    figure, axes = panel(2.4, above=0.35)
    table = []
    for index, key in enumerate(("mated", "nonmated")):
        if f"idd_{key}" not in attack.curves:
            continue
        curve = thinned(attack.curves[f"idd_{key}"])
        few = thinned(curve, _TOLD_POINTS)
        label = language(f"figures.idd.{key}")
        axes.fill_between(curve.x, curve.y, step="mid", color=SERIES[index], alpha=0.3, linewidth=0)
        axes.step(
            curve.x, curve.y, where="mid", color=SERIES[index], linestyle=DASHES[index], label=label
        )
        table += [
            [label, language.decimal(x), language.decimal(y)]
            for x, y in zip(few.x, few.y, strict=True)
        ]
    axes.set_ylim(bottom=0)
    axes.set_xlabel(language("figures.idd.x"))
    axes.set_ylabel(language("figures.idd.y"))
    legend(axes)
    about = language("figures.idd.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "series", "radians", "density"),
        table,
    )


def _line(axes: Axes, x: list[float], y: list[float], index: int, label: str) -> None:
    series = index % len(SERIES)
    axes.plot(
        x,
        y,
        color=SERIES[series],
        marker=MARKS[series],
        markevery=max(1, len(x) // 8),
        linestyle=DASHES[series],
        label=clean(label, 24),
        clip_on=False,
    )
