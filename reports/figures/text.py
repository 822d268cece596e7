"""Words and numbers that several figures share."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from reid_audit.audit.results.schema import Estimate
from reid_audit.reports.text.language import Language


def columns(language: Language, *names: str) -> list[str]:
    """Headings of a figure's data table."""
    return [language(f"figures.table.{name}") for name in names]


def rates(estimate: Estimate, language: Language) -> list[str]:
    """Value, low and high as cells; empty where there is no interval."""
    ends = (estimate.low, estimate.high)
    return [
        language.percent(estimate.value),
        *("" if end is None else language.percent(end) for end in ends),
    ]


def rate_text(estimate: Estimate, language: Language) -> str:
    """`95.9 %  (89.9–98.4 %)`."""
    interval = language.interval(estimate)
    rate = language.percent(estimate.value)
    return f"{rate}  ({interval})" if interval else rate


def rate_axis(axes: Axes, language: Language, along: str = "x") -> None:
    """Scale an axis to shares of people."""
    axis = axes.xaxis if along == "x" else axes.yaxis
    (axes.set_xlim if along == "x" else axes.set_ylim)(-0.02, 1.02)
    axis.set_major_formatter(FuncFormatter(lambda share, _: language.declared(share)))
    axis.set_label_text(language("figures.rate_axis"))
