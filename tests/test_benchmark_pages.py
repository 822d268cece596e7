"""The tables of the benchmark pages are what their CSV files hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.table import filled

PAGES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_match_their_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, f"run `python -m benchmarks.table fill`: {page.name} is stale"
