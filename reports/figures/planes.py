"""Figures over two quantities: strength of the blur, and cost, against identification; estimated
against true size."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reid_audit.audit.results.schema import AttackResult, Condition, Results
from reid_audit.reports.figures.canvas import (
    DASHES,
    INK,
    LIMIT,
    MARKS,
    MUTED,
    SERIES,
    Absent,
    Drawing,
    drawn,
    legend,
    panel,
)
from reid_audit.reports.figures.text import columns, rate_axis, rates
from reid_audit.reports.text.language import Language, catalogue
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.summary import (
    attacks_on,
    conditions,
    rate,
    recognizer,
    scored,
    share,
    strongest,
    title,
    variant,
)


def strength(results: Results, language: Language, name: str) -> Drawing | Absent:
    """Rates over sigma / face width with interval bands, and the paper's points beside them."""
    heading = language("figures.strength.title")
    sized = [(_sigma(c), c) for c in conditions(results) if _sigma(c) > 0]
    blurred = sorted(sized, key=lambda pair: pair[0])
    lines = _lines(results, blurred)
    if not lines:
        return Absent(heading, language("figures.strength.missing"))
    figure, axes = panel(2.9, above=0.9)
    table = []
    for index, points in enumerate(lines):
        _line(axes, points, index % len(SERIES), language)
        table += [
            [title(attack, language), language.decimal(sigma), *rates(rate(attack), language)]
            for sigma, attack in points
        ]
    table += _paper(axes, language)
    axes.axhline(results.verdict.threshold, color=LIMIT, linestyle="--", linewidth=1.2)
    axes.set_xlim(0, 1.15 * max(axes.dataLim.x1, blurred[-1][0]))
    axes.set_xlabel(language("figures.strength.x"))
    rate_axis(axes, language, "y")
    legend(axes)
    about = language("figures.strength.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "attack", "sigma", "rate", "low", "high"),
        table,
    )


def _sigma(condition: Condition) -> float:
    return condition.anonymizer.sigma_over_face_width or 0.0


def _lines(
    results: Results, blurred: list[tuple[float, Condition]]
) -> list[list[tuple[float, AttackResult]]]:
    """For each attack, its best recogniser's result at each strength."""
    variants = dict.fromkeys(variant(a) for _, c in blurred for a in attacks_on(results, c))
    lines = []
    for known in variants:
        points = []
        for sigma, condition in blurred:
            same = [a for a in attacks_on(results, condition) if variant(a) == known]
            best = strongest(same)
            if best is not None:
                points.append((sigma, best))
        if points:
            lines.append(points)
    return lines


def _line(
    axes: Axes, points: list[tuple[float, AttackResult]], series: int, language: Language
) -> None:
    x = [sigma for sigma, _ in points]
    rates = [rate(attack) for _, attack in points]
    axes.plot(
        x,
        [share(attack) for _, attack in points],
        color=SERIES[series],
        marker=MARKS[series],
        linestyle=DASHES[series],
        label=clean(title(points[0][1], language), 24),
        clip_on=False,
    )
    bounded = [
        (at, e.low, e.high)
        for at, e in zip(x, rates, strict=True)
        if e.low is not None and e.high is not None
    ]
    at, low, high = ([point[axis] for point in bounded] for axis in range(3))
    axes.fill_between(at, low, high, color=SERIES[series], alpha=0.13, linewidth=0)
    axes.vlines(at, low, high, color=SERIES[series], linewidth=1)


def _paper(axes: Axes, language: Language) -> list[list[str]]:
    """Draw the published points; their rows for the data table."""
    published = language("figures.strength.paper")
    points = catalogue("paper.yaml")["points"]
    axes.plot(
        [point["strength"] for point in points],
        [point["rate"] for point in points],
        color=INK,
        marker="x",
        markersize=6,
        linestyle="none",
        label=published,
        clip_on=False,
    )
    for point in points:
        axes.annotate(
            point["series"],
            (point["strength"], point["rate"]),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=7.5,
            color=MUTED,
        )
    return [
        [
            f"{point['series']} ({published})",
            language.decimal(point["strength"]),
            language.percent(point["rate"]),
            "",
            "",
        ]
        for point in points
    ]


def cost(results: Results, language: Language, name: str) -> Drawing | Absent:
    """Seconds an attack took against its rate by the recogniser that identified most; the mark
    tells the condition."""
    heading = language("figures.cost.title")
    figure, axes = panel(2.9, above=0.5)
    table = []
    for index, condition in enumerate(conditions(results)):
        best: dict[str, AttackResult] = {}
        for attack in sorted(scored(attacks_on(results, condition)), key=share):
            best[title(attack, language)] = attack
        timed = [attack for attack in best.values() if attack.cost.seconds > 0]
        axes.plot(
            [attack.cost.seconds for attack in timed],
            [share(attack) for attack in timed],
            color=SERIES[index % len(SERIES)],
            marker=MARKS[index % len(MARKS)],
            linestyle="none",
            label=clean(condition.anonymizer.spec or condition.title, 28),
            clip_on=False,
        )
        table += [
            [
                title(attack, language),
                recognizer(attack.recognizer),
                clean(condition.title, 80),
                language.decimal(attack.cost.seconds),
                language.percent(rate(attack).value),
            ]
            for attack in timed
        ]
    if not table:
        return Absent(heading, language("figures.cost.missing"))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(language("figures.cost.x"))
    rate_axis(axes, language, "y")
    legend(axes, columns=2)
    about = language("figures.cost.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "attack", "recognizer", "condition", "seconds", "rate"),
        table,
    )


def estimator(results: Results, language: Language, name: str) -> Drawing | Absent:
    """Sizes estimated from the pixels alone against those a record states."""
    heading = language("figures.estimator.title")
    known = [
        (condition, condition.unaided.true_size, condition.unaided.sizes)
        for condition in conditions(results)
        if condition.unaided and condition.unaided.true_size is not None
    ]
    pairs = [(true, size) for _, true, sizes in known for size in sizes]
    if not pairs:
        return Absent(heading, language("figures.estimator.missing"))
    figure, axes = panel(2.9, above=0.3 + 0.2 * ((len(known) + 1) // 2))
    high = 1.1 * max(map(max, pairs))
    axes.plot([0, high], [0, high], color=MUTED, linewidth=1)
    table = []
    for index, (condition, true, sizes) in enumerate(known):
        axes.plot(
            [true] * len(sizes),
            sizes,
            color=SERIES[index % len(SERIES)],
            marker=MARKS[index % len(MARKS)],
            markersize=4,
            linestyle="none",
            label=clean(condition.anonymizer.spec or condition.title, 28),
        )
        table += [
            [clean(condition.title, 80), language.decimal(true), language.decimal(size)]
            for size in sizes
        ]
    axes.set_xlim(0, high)
    axes.set_ylim(0, high)
    axes.set_xlabel(language("figures.estimator.x"))
    axes.set_ylabel(language("figures.estimator.y"))
    legend(axes)
    about = language("figures.estimator.about")
    return drawn(
        figure,
        name,
        heading,
        about,
        columns(language, "condition", "true_size", "estimated"),
        table,
    )
