"""The page of a bench: one HTML file in the style of the reports that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid_audit.audit.bench import figures, plane
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.table import (
    EVERYTHING,
    HEADINGS,
    LEADERBOARD,
    Section,
    cells,
    csv_text,
    json_text,
    leaders,
    markdown,
    progress_text,
    sections,
)
from reid_audit.metrics.files import write_text
from reid_audit.reports.figures.canvas import Drawing, style
from reid_audit.reports.pages.html import environment, stylesheet
from reid_audit.reports.text.language import load

ALWAYS = ("defence", "attack", "IRA", "95 % interval")
"""Columns that stay where all their cells are equal."""
LEADING = (*ALWAYS, "sigma / face width", "recogniser", "n", "of ceiling", "chance")
"""Columns of the leaderboard; the others stand with every measurement."""


def write_bench(rows: Sequence[Row], title: str, about: str, planned: int, out: Path) -> None:
    """Write `bench.json`, `bench.csv`, `bench.md` and `bench.html`; `planned` rows are complete."""
    texts = {
        "json": json_text(rows, title, about, planned),
        "csv": csv_text(rows),
        "md": markdown(rows, title, about, planned),
        "html": html(rows, title, about, planned),
    }
    for ending, text in texts.items():
        write_text(out / f"bench.{ending}", text)


def html(rows: Sequence[Row], title: str, about: str, planned: int) -> str:
    """The page: settings that all rows share once, figures, the leaderboard, and every measurement
    folded away."""
    shared = shared_settings(rows)
    with style():
        drawings = _drawings(rows)
    return (
        environment()
        .get_template("bench.html.j2")
        .render(
            t=load("en"),
            css=stylesheet(),
            title=title,
            about=about.strip(),
            progress=progress_text(rows, planned),
            shared={name: cell for name, cell in shared.items() if cell != "-"},
            drawings=drawings,
            sections=[_without(section, shared) for section in sections(rows)],
            folded=EVERYTHING,
        )
    )


def shared_settings(rows: Sequence[Row]) -> dict[str, str]:
    """Heading and cell of the columns whose cells are equal in every measurement, of which there
    are two or more."""
    if len(rows) < 2:
        return {}
    columns = zip(HEADINGS, zip(*map(cells, rows), strict=True), strict=True)
    alike = {heading: column[0] for heading, column in columns if len(set(column)) == 1}
    return {heading: cell for heading, cell in alike.items() if heading not in ALWAYS}


def _drawings(rows: Sequence[Row]) -> list[Drawing]:
    marks = plane.marks(rows)
    every = (
        figures.strength(rows),
        figures.remaining(leaders(rows)),
        figures.plane(marks) if marks else None,
    )
    return [drawing for drawing in every if drawing]


def _without(section: Section, shared: dict[str, str]) -> Section:
    """A section without the columns that the page states once."""
    title, headings, body = section
    kept = [
        place
        for place, heading in enumerate(headings)
        if heading not in shared and (title != LEADERBOARD or heading in LEADING)
    ]
    return title, tuple(headings[p] for p in kept), [[line[p] for p in kept] for line in body]
