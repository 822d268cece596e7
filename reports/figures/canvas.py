"""From a matplotlib figure to an inline SVG that follows the page's colours.

Matplotlib knows no CSS variables, so figures are drawn in marker colours that are exchanged here;
ids are kept only where something refers to them, and carry the figure's own prefix, because two
inlined drawings would otherwise share clip paths. Equal figures give equal bytes.
"""

from __future__ import annotations

import re
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reid_audit.reports.text.names import clean

INK, MUTED, GRID, LIMIT, PAPER = "#0f0f01", "#0f0f02", "#0f0f03", "#0f0f04", "#0f0f05"
SERIES = ["#0f0f11", "#0f0f12", "#0f0f13", "#0f0f14", "#0f0f15", "#0f0f16", "#0f0f17", "#0f0f18"]
DASHES = ["-", "--", "-.", ":", (0, (6, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3, 2, 3))]
MARKS = ["o", "D", "s", "^", "v", "P", "X", "h"]
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--rule",
    LIMIT: "--limit",
    PAPER: "--paper",
} | {colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)}
WIDTH = 4.7
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reid-audit",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "path.simplify": False,
}


@dataclass(frozen=True)
class Drawing:
    """A figure as the template places it: picture, words and numbers."""

    id: str
    title: str
    about: str
    svg: Markup
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Absent:
    """A figure that was not drawn, and why."""

    title: str
    reason: str


def style() -> AbstractContextManager[None]:
    """The context in which figures must be made and written."""
    return matplotlib.rc_context(_STYLE)


def panel(
    plot: float, left: float = 0.72, bottom: float = 0.5, above: float = 0.15
) -> tuple[Figure, Axes]:
    """Axes `plot` inches high with fixed margins, so that nothing depends on a layout engine."""
    height = bottom + plot + above
    figure = Figure(figsize=(WIDTH, height))
    place = (left / WIDTH, bottom / height, 1 - (left + 0.15) / WIDTH, plot / height)
    return figure, figure.add_axes(place)


def legend(axes: Axes, columns: int = 2) -> None:
    """A legend above the axes, where it hides no data."""
    place = axes.get_position()
    start = -place.x0 / place.width
    axes.legend(loc="lower left", bbox_to_anchor=(start, 1.0), ncols=columns, borderaxespad=0.3)


def drawn(
    figure: Figure, name: str, title: str, about: str, columns: list[str], rows: list[list[str]]
) -> Drawing:
    """A finished figure with its words and the numbers that it shows, one row a line of a table
    with these `columns`."""
    return Drawing(name, title, about, inline(figure, name, title, about), columns, rows)


def inline(figure: Figure, name: str, title: str, about: str) -> Markup:
    """The figure as an accessible `<svg>` element."""
    stream = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_themed(stream.getvalue(), name, title, about))


def _themed(svg: str, name: str, title: str, about: str) -> str:
    body = svg[svg.index("<svg") :]
    size = re.search(r'viewBox="[^"]+"', body)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r"<[^>]+>", lambda tag: _tag(tag.group(), name), body)
    used = set(re.findall(rf"#({name}-[\w.-]+)", body))
    body = re.sub(r' id="([^"]*)"', lambda m: m.group() if m.group(1) in used else "", body)
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    return (
        f'<svg {size.group() if size else ""} role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(clean(title))}</title>'
        f'<desc id="{name}-d">{escape(clean(about, 1000))}</desc>{body}</svg>'
    )


def _tag(tag: str, name: str) -> str:
    """One tag with the page's colours and font, prefixed ids and two decimals."""
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var({variable})")
    tag = re.sub(r'font: (?:(\d+) )?([\d.]+)px [^;"]*', _font, tag)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", tag)


def _font(match: re.Match[str]) -> str:
    weight, size = match.groups()
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")
