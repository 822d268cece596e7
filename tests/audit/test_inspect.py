"""The inventory alone: counts, files, gate."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.recognition.cache import CENTERFACE_FILE, VARIABLE
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.evaluation.coverage import count_faces, with_coverage
from reid_audit.audit.probes import faces
from reid_audit.audit.results import schema

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pictures(tmp_path: Path, layout: Callable[..., Path]) -> Path:
    """Blurred pictures beside their originals, one of them as it was."""
    root = layout(tmp_path / "data", "gaussian:sigma=6")
    person = sorted(p for p in (root / "anonymized").iterdir() if p.is_dir())[0]
    file = sorted(person.glob("*.png"))[0]
    Image.open(root / "originals" / person.name / file.name).save(file)
    return root


def test_the_inventory_counts_lists_and_gates(
    pictures: Path, plumbing: None, cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "inventory"
    code, told, _ = cli(
        "inspect", pictures, "--json", "-o", out, "--workers", 1, "--fail-on", "missed_faces > 0"
    )
    assert code == 1
    counts = json.loads(told)["counts"]
    assert counts["found"] == 16 and counts["missed"] == 1
    assert counts["covered"] + counts["partial"] == 15
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    rows = list(csv.DictReader((out / "faces.csv").open()))
    assert len(rows) == 16 and rows[0]["state"] == "missed"
    assert "data:image/png" in (out / "contact-sheet.html").read_text()
    code, _, error = cli("inspect", pictures, "--fail-on", "mised_faces > 0")
    assert code == 2 and "missed_faces" in error


def test_originals_are_searched_by_both_detectors(
    pictures: Path, in_process: None, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anonymised pictures, here those of which the original is gone, by the first alone."""
    looked: list[str] = []

    class Looker:
        def __init__(self, name: str) -> None:
            self.name = name

        def detect(self, shown: list[np.ndarray], smallest: float) -> list[list[Detection]]:
            looked.append(self.name)
            points = np.array([[60, 60], [90, 60], [75, 80], [63, 100], [87, 100]], np.float32)
            return [[Detection(np.array([45, 35, 105, 115], np.float32), points, 0.9)]]

    monkeypatch.setattr(faces, "_scene_detector", lambda device: Looker("both"))
    monkeypatch.setattr(faces, "_detector", lambda device: Looker("one"))
    assert cli("inspect", pictures, "--workers", 1)[0] == 0
    assert set(looked) == {"both"}
    looked.clear()
    shutil.rmtree(pictures / "originals")
    assert cli("inspect", pictures, "--workers", 1)[0] == 0
    assert set(looked) == {"one"}


def test_the_second_detector_is_told_of(
    pictures: Path, plumbing: None, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for fetched in (False, True):
        if fetched:
            (tmp_path / CENTERFACE_FILE).write_bytes(b"")
        _, told, _ = cli("inspect", pictures, "--json", "--workers", 1)
        assert json.loads(told)["detectors"] == ["MTCNN", "CenterFace"][: 1 + fetched]


def test_what_was_left_out_is_named(pictures: Path, plumbing: None, cli: Cli) -> None:
    (pictures / "anonymized" / "notes.docx").write_text("no picture")
    code, told, people = cli("inspect", pictures, "--workers", 1)
    assert code == 0 and "left out: 1" in told and "notes.docx: " in people.replace("\n", "")


def test_clear_faces_are_never_bounded() -> None:
    bounded = schema.Verdict(outcome="BOUNDED", threshold=0.05, bounded=True)
    assert with_coverage(bounded, schema.Faces(found=3, covered=3)) == bounded
    for counted in (schema.Faces(found=3, missed=1), schema.Faces(found=3, partial=2)):
        verdict = with_coverage(bounded, counted)
        assert verdict.outcome == "INCONCLUSIVE" and not verdict.bounded
        assert "the 3 faces in these pictures" in verdict.reasons[0]


def test_faces_are_counted_by_size_and_open_ones_named_by_pseudonym() -> None:
    from reid_audit.audit.data import Item, Pseudonyms
    from reid_audit.audit.probes.pairs import UPRIGHT, Pair
    from reid_audit.audit.probes.scene import Scene, SceneFace

    points = np.array([[82, 90], [118, 90], [100, 112], [85, 132], [115, 132]], np.float32)

    def face(state: str, scale: float) -> SceneFace:
        return SceneFace(points * scale, state, 0.0, "originals", None, None, None)  # type: ignore[arg-type]

    path, lost = Path("ada/a.png"), Path("bo/b.png")
    pair = Pair("same", UPRIGHT, False, 1.0, 0.0)
    scenes = {
        path: Scene((400, 400), pair, (face("covered", 1), face("missed", 0.2), face("missed", 1))),
        lost: Scene((400, 400), None, (face("unmatched", 1),)),
    }
    items = {p: (Item(str(p), "ada", "probe", p),) for p in scenes}
    names = Pseudonyms(b"a key of thirty-two bytes length!")
    counted = count_faces(scenes, items, names, 20, ["MTCNN"])
    assert (counted.found, counted.covered, counted.missed) == (4, 1, 2)
    assert counted.without_original == 1 and counted.detectors == ["MTCNN"]
    assert [(band.name, band.found) for band in counted.by_size] == [
        ("0 to 20", 1),
        ("80 to 160", 3),
    ]
    assert [round(one.width) for one in counted.open] == sorted(
        (round(one.width) for one in counted.open), reverse=True
    )
    assert all(one.image == names.image("ada/a.png") for one in counted.open)
