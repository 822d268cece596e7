"""A finished run becomes files: results, report, digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from reid_audit.audit.publishing.mend_first import read_first
from reid_audit.audit.publishing.pdf import PDF, print_pdf
from reid_audit.audit.results.comparison import Comparison
from reid_audit.audit.results.schema import Results, dump_results, read_results
from reid_audit.audit.run_directory import RESULTS, Store, seal
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_bytes
from reid_audit.reports import ENDINGS, FORMATS, render
from reid_audit.reports.machine import render_junit, render_sarif
from reid_audit.reports.pages.compare import render_compare, render_compare_json
from reid_audit.reports.pages.html import render_html

REPORT = "report.html"


def publish(results: Results, store: Store) -> Path:
    """Write `results.json` and `report.html` into the run, seal it, and delete the pictures that
    only its making needed; returns the report."""
    text = dump_results(results)
    store.write_text(RESULTS, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = store.write_text(REPORT, render_html(results, results_digest=digest))
    seal(store.path)
    store.drop_pictures()
    return path


def render_run(
    run: Path,
    formats: Sequence[str],
    folder: Path,
    language: str,
    *,
    fail_inconclusive: bool = False,
    name_files: bool = False,
) -> list[Path]:
    """Render a finished run in `formats` into `folder`; returns the files written.

    Args:
        fail_inconclusive: whether what has no conclusion fails in `junit`, instead of being
            skipped.
        name_files: whether `sarif` names the files to mend, from the run's restricted list.

    Raises:
        InputError: an unknown format, or a file of that name that says something else; no
            restricted list.
    """
    results = read_results(run / RESULTS)
    digest = hashlib.sha256((run / RESULTS).read_bytes()).hexdigest()
    written = []
    for name in formats:
        if name not in (*FORMATS, PDF):
            known = ", ".join((*FORMATS, PDF))
            raise InputError(f"-f {name}: no such format; choose of {known}.")
        made: str | bytes
        if name == "html":
            made = render_html(results, language, digest)
        elif name == PDF:
            made = print_pdf(render_html(results, language, digest))
        elif name == "sarif" and name_files:
            made = render_sarif(results, read_first(run))
        elif name == "junit":
            made = render_junit(results, fail_inconclusive)
        else:
            made = render(results, name)
        written.append(_keep(folder / f"report.{ENDINGS.get(name, name)}", made))
    return written


def render_comparison(
    comparison: Comparison, formats: Sequence[str], folder: Path, language: str = "en"
) -> list[Path]:
    """Write a comparison as `comparison.html` in a language, `comparison.json`; returns the files
    written.

    Raises:
        InputError: an unknown format, or a file of that name that says something else.
    """
    renderers: dict[str, Callable[[Comparison], str]] = {
        "html": partial(render_compare, code=language),
        "json": render_compare_json,
    }
    written = []
    for name in formats:
        if name not in renderers:
            raise InputError(f"-f {name}: no such format; choose of {', '.join(renderers)}.")
        written.append(_keep(folder / f"comparison.{name}", renderers[name](comparison)))
    return written


def _keep(path: Path, made: str | bytes) -> Path:
    """Write a file, unless one of that name says something else."""
    content = made if isinstance(made, bytes) else made.encode()
    if path.exists() and path.read_bytes() != content:
        raise InputError(f"{path}: exists and differs; name another folder with -o.")
    return write_bytes(path, content)
