"""A finished run becomes files: results, report, digests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from audit.schema import Results, dump_results, read_results
from audit.store import RESULTS, Store, seal
from metrics.errors import InputError
from reports import FORMATS, render
from reports.html import render_html

REPORT = "report.html"


def publish(results: Results, store: Store) -> Path:
    """Write `results.json` and `report.html` into the run and seal it; returns the report."""
    text = dump_results(results)
    store.write_text(RESULTS, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = store.write_text(REPORT, render_html(results, results_digest=digest))
    seal(store.path)
    return path


def render_run(run: Path, formats: Sequence[str], folder: Path, language: str) -> list[Path]:
    """Render a finished run in `formats` into `folder`; returns the files written.

    Raises:
        InputError: an unknown format, or a file of that name that says something else.
    """
    results = read_results(run / RESULTS)
    digest = hashlib.sha256((run / RESULTS).read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"-f {name}: no such format; choose of {', '.join(FORMATS)}.")
        html = name == "html"
        made = render_html(results, language, digest) if html else render(results, name)
        content = made if isinstance(made, bytes) else made.encode()
        path = folder / f"report.{name}"
        if path.exists() and path.read_bytes() != content:
            raise InputError(f"{path}: exists and differs; name another folder with -o.")
        path.write_bytes(content)
        written.append(path)
    return written
