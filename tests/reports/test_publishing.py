"""Files that a finished run is rendered into."""

import shutil

import pytest

from reid_audit.audit.publishing import pdf
from reid_audit.audit.publishing.publish import render_run
from reid_audit.audit.results.schema import InputError, dump_results


@pytest.fixture
def run(results, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text(dump_results(results), encoding="utf-8")
    return folder


def test_files_end_as_their_readers_expect(run, tmp_path):
    made = render_run(run, ["json", "csv", "sarif", "junit"], tmp_path, "en")
    assert [path.name for path in made] == [
        "report.json",
        "report.csv",
        "report.sarif",
        "report.junit.xml",
    ]


def test_without_a_browser_it_says_how_to_print(run, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="print it from any browser"):
        render_run(run, ["pdf"], tmp_path, "en")


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium or Chrome is installed"
)
def test_a_pdf_is_printed_again_with_equal_bytes(run, tmp_path):
    (path,) = render_run(run, ["pdf"], tmp_path, "en")
    first = path.read_bytes()
    assert first.startswith(b"%PDF-")
    render_run(run, ["pdf"], tmp_path, "en")
    assert path.read_bytes() == first


def test_an_unknown_format_names_the_known_ones(run, tmp_path):
    with pytest.raises(InputError, match="junit, pdf"):
        render_run(run, ["docx"], tmp_path, "en")
