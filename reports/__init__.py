"""Results in, readable reports out; sees no picture and imports no torch.

>>> sorted(FORMATS)
['csv', 'html', 'json', 'junit', 'parquet', 'sarif']
"""

from __future__ import annotations

from collections.abc import Callable

from reid_audit.audit.results.schema import InputError, Results
from reid_audit.reports.machine import (
    render_csv,
    render_json,
    render_junit,
    render_parquet,
    render_sarif,
    schema_json,
)
from reid_audit.reports.text.names import clean

__all__ = ["ENDINGS", "FORMATS", "render", "schema_json"]

ENDINGS = {"junit": "junit.xml"}
"""How a file of a format is called behind its point, where that is not the format's name."""


def _html(results: Results) -> str:
    from reid_audit.reports.pages.html import (
        render_html,  # loads matplotlib, which the other formats do not need
    )

    return render_html(results)


FORMATS: dict[str, Callable[[Results], str | bytes]] = {
    "html": _html,
    "json": render_json,
    "csv": render_csv,
    "parquet": render_parquet,
    "sarif": render_sarif,
    "junit": render_junit,
}


def render(results: Results, format: str = "html") -> str | bytes:
    """A report in one of `FORMATS`.

    Raises:
        InputError: the format is unknown.
    """
    if format not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"report format {clean(format)!r} is unknown; choose from: {known}.")
    return FORMATS[format](results)
