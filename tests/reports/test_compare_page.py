"""The comparison page and the restricted sheet."""

from base64 import b64encode

import pytest

from reid_audit.audit.results.comparison import (
    Change,
    ComparedRun,
    Comparison,
    PairedDifference,
    Trend,
)
from reid_audit.audit.results.schema import Estimate, InputError
from reid_audit.reports.pages.compare import render_compare, render_compare_json
from reid_audit.reports.pages.picture_sheet import Picture, Row, render_sheet
from reid_audit.reports.text.wording import violations

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def comparison(results):
    def rate(value):
        return Estimate(value=value, low=value - 0.05, high=value + 0.04, n=97, n_identities=97)

    def difference(low, value, high):
        return Estimate(value=value, low=low, high=high, n=90, n_identities=90, method="bootstrap")

    runs = [
        ComparedRun(label=label, title=results.title, verdict=results.verdict, version="0.1.0")
        for label in ("before", "after", "<script>x</script>")
    ]
    return Comparison(
        runs=runs,
        differences=[
            PairedDifference(
                run="after",
                attack=attack,
                condition="heavy",
                baseline=rate(0.9),
                later=rate(0.9 + change[1]),
                difference=difference(*change),
                only_baseline=7,
                p_adjusted={"student": 0.0002}.get(attack),
            )
            for attack, change in {
                "student": (-0.31, -0.2, -0.1),
                "ridge": (-0.05, 0.01, 0.06),
                "wiener": (0.02, 0.04, 0.08),
            }.items()
        ],
        trends=[Trend(attack="student", rates=[rate(0.9), rate(0.7), Estimate(reason="failed")])],
        changes=[Change(name="method", values=["gaussian:k=37", "gaussian:k=81", None])],
    )


def test_differences_are_read_by_their_intervals(comparison, read_page):
    page = read_page(render_compare(comparison))
    tables = [t for t in page.all("table") if "Paired differences" in t.text()]
    rows = {r.all("th")[0].text(): r.text() for t in tables for r in t.all("tr") if r.all("td")}
    assert "Reveals less" in rows["student"] and "heavy after" in rows["student"]
    assert "−20.0 (−31.0…−10.0)" in rows["student"]
    assert "No change shown" in rows["ridge"]
    assert "Reveals more" in rows["wiener"]
    assert "<0.001" in rows["student"]
    assert len(page.all("figure")) == 2
    assert not page.all("script")
    assert not violations(page.text(skip=("style",)))


def test_a_comparison_is_told_in_the_language(comparison, read_page):
    page = read_page(render_compare(comparison, "fr"))
    (root,) = page.all("html")
    assert root.attrs["lang"] == "fr"
    words = page.text(skip=("style",))
    assert "Révèle moins que la référence." in words
    assert "Reveals" not in words and "baseline" not in words


def test_a_comparison_reads_back(comparison):
    assert Comparison.model_validate_json(render_compare_json(comparison)) == comparison


def test_the_restricted_sheet_is_marked_and_holds_the_pictures(read_page):
    uri = "data:image/jpeg;base64," + b64encode(b"jpeg").decode()
    pictures = [Picture("Original", PNG), Picture('Anonymised "<b>', uri)]
    page = read_page(render_sheet([Row("person-3f2a", pictures, note="rank 1")]))
    assert page.text(skip=("style",)).count("RESTRICTED") >= 3
    sources = [img.attrs["src"] for img in page.all("img")]
    assert sources == ["data:image/png;base64," + b64encode(PNG).decode(), uri]
    assert not page.all("b")


@pytest.mark.parametrize("source", ["http://x/y.png", "data:text/html;base64,AAAA", 'x" onerror="'])
def test_the_restricted_sheet_takes_only_embedded_pictures(source):
    with pytest.raises(InputError, match="base64"):
        render_sheet([Row("person", [Picture("Original", source)])])


def test_runs_without_common_people_say_so_first_and_compare_nothing(comparison, read_page):
    note = "after and before have no people in common, so nothing is compared person by person."
    bare = comparison.model_copy(update={"differences": [], "notes": [note]})
    page = read_page(render_compare(bare))
    section = next(s for s in page.all("section") if "What changed in the results" in s.text())
    assert section.text().startswith(f"What changed in the results {note}")
    assert not section.all("table") and "McNemar" not in section.text()
