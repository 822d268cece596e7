"""The comparison of runs for people and for machines; the statistics come ready with the data."""

from __future__ import annotations

from collections import Counter

from reid_audit.audit.results.comparison import Comparison, PairedDifference
from reid_audit.reports.figures import comparison as figures
from reid_audit.reports.figures.canvas import Absent, Drawing, style
from reid_audit.reports.pages.html import environment, quoted, stylesheet
from reid_audit.reports.text.language import load


def render_compare(comparison: Comparison, code: str = "en") -> str:
    """One HTML file like the report's, in the language of that code: no script, no network.

    Raises:
        InputError: there is no catalogue for the language.
    """
    language = load(code)
    with style():
        paired = figures.differences(comparison, language, "differences")
        trend = figures.trend(comparison, language, "trend")
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            c=comparison,
            t=language,
            quoted=quoted(language),
            css=stylesheet(),
            attack_of=figures.attack_of,
            reading=reading,
            tallies=[
                (
                    run.label,
                    Counter(reading(d) for d in comparison.differences if d.run == run.label),
                )
                for run in comparison.runs[1:]
            ],
            figures=[paired] if isinstance(paired, Drawing) else [],
            trend=[trend] if isinstance(trend, Drawing) else [],
            absent=[figure for figure in (paired, trend) if isinstance(figure, Absent)],
        )
    )


def reading(test: PairedDifference, level: float = 0.05) -> str:
    """Key of the words for a difference: `less` or `more` where the data show one even among so
    many comparisons, `maybe_less` or `maybe_more` where it shows alone, `none`, or `unpaired`."""
    ends = test.difference
    if ends.value is None or ends.low is None or ends.high is None:
        return "unpaired"
    if ends.low <= 0 <= ends.high:
        return "none"
    way = "less" if ends.value < 0 else "more"
    return way if test.p_adjusted is None or test.p_adjusted < level else f"maybe_{way}"


def render_compare_json(comparison: Comparison) -> str:
    """Canonical `comparison.json`."""
    return comparison.model_dump_json(indent=2) + "\n"
