"""The comparison of runs for people and for machines; the statistics come ready with the data."""

from __future__ import annotations

from audit.schema_compare import Comparison
from reports.figures import comparison as figures
from reports.figures.canvas import Absent, Drawing, style
from reports.html import environment, stylesheet
from reports.language import load


def render_compare(comparison: Comparison) -> str:
    """One HTML file like the report's: no script, no network."""
    language = load("en")
    with style():
        drawings = [
            figures.differences(comparison, language, "differences"),
            figures.trend(comparison, language, "trend"),
        ]
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            c=comparison,
            t=language,
            css=stylesheet(),
            label=figures.label,
            figures=[figure for figure in drawings if isinstance(figure, Drawing)],
            absent=[figure for figure in drawings if isinstance(figure, Absent)],
        )
    )


def render_compare_json(comparison: Comparison) -> str:
    """Canonical `comparison.json`."""
    return comparison.model_dump_json(indent=2) + "\n"
