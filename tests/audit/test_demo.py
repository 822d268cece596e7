"""The demo in small: the same steps, fewer people."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reid_audit.audit.commands import demo
from reid_audit.audit.config import resolve
from reid_audit.audit.people import cast
from reid_audit.audit.publishing.publish import publish
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.scan import scan
from reid_audit.metrics.errors import InputError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six people and four strangers, 96 pixels, drawn in this process."""

    def draw(root: Path, people: list[int], pictures: range, **options: object) -> list[Path]:
        return cast(root, people, pictures, size=96, hard=0.2, workers=1)

    monkeypatch.setattr(demo, "cast", draw)
    monkeypatch.setattr(demo, "PEOPLE", 6)
    monkeypatch.setattr(demo, "PICTURES", 3)
    monkeypatch.setattr(demo, "BACKGROUND", 3)
    monkeypatch.setattr(demo, "BACKGROUND_PICTURES", 2)
    methods = {"weak": "gaussian:sigma=1.5", "blocks": "pixelate:b=12", "solid": "solid"}
    monkeypatch.setattr(demo, "METHODS", methods)


def test_every_method_becomes_a_condition(small: None, plumbing: None, tmp_path: Path) -> None:
    dataset, chosen = demo.make_demo(tmp_path / "demo", 0, lambda *_: None)
    assert chosen.authorization and len(dataset.probes) == 6 * 3
    assert all(probe.original is not None for probe in dataset.probes)
    table = pd.read_csv(tmp_path / "demo" / "manifest.csv")
    assert not table.path.str.startswith("/").any()

    settings = resolve({"attacks": "naive,wiener", "minimum_ceiling": 0.5, "device": "cpu"})
    with open_run(tmp_path / "demo" / "run", settings) as store:
        results = scan(dataset, settings, store, lambda *_: None)
        publish(results, store)
    by_family = {c.anonymizer.family: c for c in results.conditions}
    assert set(by_family) == {"gaussian", "pixelate", "solid"}
    assert len(results.attacks) == 3 * 2
    assert by_family["solid"].verdict.outcome == "INCONCLUSIVE"
    assert not by_family["solid"].verdict.leak
    gravest = [c.verdict.outcome for c in results.conditions]
    expected = "LEAK_DEMONSTRATED" if "LEAK_DEMONSTRATED" in gravest else "INCONCLUSIVE"
    assert results.verdict.outcome == expected


def test_restorers_get_one_heavily_blurred_picture_of_a_few_people(
    small: None, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "RESTORED", "weak")
    monkeypatch.setattr(demo, "SHOWN", 3)
    monkeypatch.setattr(demo, "RESTORERS", ("wiener",))
    dataset, config = demo.make_demo(tmp_path, 0, lambda *_: None)
    few, chosen = demo.restoring(dataset, config, tmp_path)
    assert len({probe.identity for probe in few.probes}) == len(few.probes) == 3
    assert few.gallery == dataset.gallery and chosen.seed == config.seed
    with open_run(tmp_path / "restored", chosen) as store:
        results = scan(few, chosen, store, lambda *_: None)
    assert [attack.name for attack in results.attacks] == ["wiener"]
    sheet = (tmp_path / "restored" / "evidence" / "sheet.html").read_text()
    assert sheet.count("<figcaption>restored") == 3


def test_a_second_demo_draws_nothing_again(small: None, tmp_path: Path) -> None:
    demo.make_demo(tmp_path, 0, lambda *_: None)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    demo.make_demo(tmp_path, 0, lambda *_: None)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")} == before


def test_other_peoples_files_are_left_alone(small: None, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match="no demo"):
        demo.make_demo(tmp_path, 0, lambda *_: None)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
