"""Which files to mend first, as a finished run's restricted folder lists them.

Read wherever a report is rendered, also where no network library is installed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from reid_audit.audit.run_directory import EVIDENCE
from reid_audit.metrics.errors import InputError

FIRST = "mend-first.csv"


def read_first(run: Path) -> dict[str, str]:
    """Files to mend first of a finished run, by pseudonym, from its restricted folder.

    Raises:
        InputError: the run has no such list.
    """
    path = run / EVIDENCE / FIRST
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise InputError(
            f"{path}: no list of files there; scan with --evidence restricted to have one."
        ) from None
    rows = csv.DictReader(io.StringIO(text))
    return {row["picture"]: row["file"] for row in rows if row["file"]}
