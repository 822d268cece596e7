"""A report compared byte for byte, so that no change of what people read passes unseen.

After an intended change: `REGENERATE=1 python -m pytest tests/reports/test_golden.py`, then read
the difference before committing it.
"""

import os
import re

import matplotlib
import pytest

from reid_audit.audit.results.schema import dump_results, read_results
from reid_audit.reports.pages.html import render_html

DRAWN_WITH = "3.11"


@pytest.fixture(scope="module")
def golden(results, data):
    small = results.model_copy(
        update={
            "attacks": [
                a
                for a in results.attacks
                if a.condition in ("heavy", "solid")
                and a.name in ("naive", "wiener", "student", "revelio")
                and a.recognizer == "edgeface-xs"
            ],
            "conditions": [c for c in results.conditions if c.id in ("heavy", "solid")],
        }
    )
    if os.environ.get("REGENERATE"):
        data.mkdir(exist_ok=True)
        (data / "results.json").write_text(dump_results(small), encoding="utf-8")
        page = render_html(small)
        (data / "report.html").write_text(page, encoding="utf-8")
    return read_results(data / "results.json"), (data / "report.html").read_text(encoding="utf-8")


def undrawn(page):
    return re.sub(r"<svg viewBox.*?</svg>", "", page, flags=re.S)


def test_the_words_and_numbers_are_those_of_the_golden_report(golden):
    results, expected = golden
    assert undrawn(render_html(results)) == undrawn(expected)


@pytest.mark.slow
@pytest.mark.skipif(
    not matplotlib.__version__.startswith(DRAWN_WITH + "."),
    reason=f"the golden figures were drawn with matplotlib {DRAWN_WITH}",
)
def test_the_whole_file_is_that_of_the_golden_report(golden):
    results, expected = golden
    assert render_html(results) == expected
