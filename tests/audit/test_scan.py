"""The audit from files to verdict, on people who do not exist.

All but the last test run with a stand-in recogniser and without detection: they check that the
parts fit together, that equal audits are equal, and that nothing is given away.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.registry import names
from reid_audit.audit.config import AuditConfig, resolve
from reid_audit.audit.data import load
from reid_audit.audit.publishing.publish import publish
from reid_audit.audit.results.schema import Results, read_results
from reid_audit.audit.run_directory import open_run, verify
from reid_audit.audit.scan.scan import scan

Layout = Callable[..., Path]
ATTACKS = "naive,wiener,ridge"


def config(**settings: Any) -> AuditConfig:
    return resolve({"attacks": ATTACKS, "minimum_ceiling": 0.5, "device": "cpu", **settings})


def audit(data: Path, run: Path, progress: Any = lambda *_: None, **settings: Any) -> Results:
    with open_run(run, config(**settings)) as store:
        results = scan(load(data), config(**settings), store, progress)
        publish(results, store)
    return results


def comparable(run: Path) -> dict[str, Any]:
    """The stored results without what may differ: times and places."""
    content = json.loads((run / "results.json").read_text())
    del content["run"]
    for attack in content["attacks"]:
        del attack["cost"]
    return content


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, layout: Layout) -> Path:
    return layout(tmp_path_factory.mktemp("data"))


@pytest.fixture
def run(data: Path, plumbing: None, tmp_path: Path) -> Path:
    audit(data, tmp_path / "run")
    return tmp_path / "run"


def test_weak_blur_is_a_leak_and_the_figures_agree(run: Path) -> None:
    results = read_results(run / "results.json")
    trials = pd.read_parquet(run / "trials.parquet")
    assert results.verdict.outcome == "LEAK_DEMONSTRATED"
    assert [attack.name for attack in results.attacks] == ATTACKS.split(",")
    assert {attack.status for attack in results.attacks} == {"ok"}
    assert results.data.probes.identities == 8 and results.data.probes.mated_images == 16
    assert results.data.gallery.images == 16 and results.data.background.images == 32
    assert results.anonymizer.family == "gaussian"
    assert results.anonymizer.sigma_over_face_width == pytest.approx(1.5 / 54, rel=0.1)
    assert results.anonymizer.source == "sidecar"
    for attack in results.attacks:
        rows = trials[(trials.attack == attack.name) & (trials.kind == "attack")]
        assert len(rows) == 16 and rows.mated.all()
        # No ties here, so a hit is a probe that nobody beats.
        assert attack.metrics["ira_image"].value == pytest.approx((rows.better == 0).mean())
        assert attack.metrics["ira"].n == 8
        assert attack.curves["cmc"].y[-1] == pytest.approx(1)
    wiener, ridge = results.attacks[1:]
    assert wiener.metrics["psnr"].value > results.attacks[0].metrics["psnr"].value
    assert ridge.metrics["psnr"].value is None and "original" in ridge.metrics["psnr"].reason


def test_solid_fill_stays_at_chance(run: Path) -> None:
    trials = pd.read_parquet(run / "trials.parquet")
    solid = trials[trials.kind == "solid-fill"]
    for _, rows in solid.groupby("attack"):
        hits = np.where(rows.better > 0, 0, 1 / (rows.ties + 1))
        assert hits.mean() == pytest.approx(1 / 8)
    controls = read_results(run / "results.json").controls
    assert controls.chance.value == controls.solid_fill.value == pytest.approx(1 / 8)


def test_equal_audits_give_equal_results(run: Path, data: Path, tmp_path: Path) -> None:
    audit(data, tmp_path / "again", batch_size=3, workers=1)
    assert comparable(tmp_path / "again") == comparable(run)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "again" / "trials.parquet"),
        pd.read_parquet(run / "trials.parquet"),
    )


@pytest.mark.parametrize("stop", ["embedding clear faces", "measuring face spectra", "wiener on"])
def test_an_interrupted_audit_goes_on(run: Path, data: Path, tmp_path: Path, stop: str) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith(stop):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(data, tmp_path / "stopped", interrupt)
    assert not (tmp_path / "stopped" / "results.json").exists()
    told: list[str] = []
    audit(data, tmp_path / "stopped", lambda what, done, total: told.append(what))
    assert comparable(tmp_path / "stopped") == comparable(run)
    if stop == "wiener on":
        assert "embedding clear faces" not in told


def test_a_finished_audit_is_not_attacked_again(run: Path, data: Path) -> None:
    before, told = comparable(run), list[str]()
    audit(data, run, lambda what, done, total: told.append(what))
    assert comparable(run) == before
    assert not {"embedding clear faces", "anonymising reference faces"} & set(told)


def as_manifest(data: Path, folder: Path, swapped: bool = False) -> Path:
    """The same data as a table; swapped: two people's probes bear each other's names."""
    rows = []
    a, b = sorted(path.name for path in (data / "gallery").iterdir())[:2]
    wrong = {a: b, b: a} if swapped else {}
    for folder_name, role in (("gallery", "gallery"), ("anonymized", "probe")):
        for path in sorted((data / folder_name).glob("*/*.png")):
            person = path.parent.name
            name = wrong.get(person, person) if role == "probe" else person
            rows.append((f"{role}-{len(rows)}", name, role, path.relative_to(data).as_posix()))
    table = pd.DataFrame(rows, columns=["image_id", "identity", "role", "path"])
    table.to_csv(data / f"{folder.name}.csv", index=False)
    return data / f"{folder.name}.csv"


def test_corrected_names_are_not_answered_from_the_former_run(
    layout: Layout, plumbing: None, tmp_path: Path
) -> None:
    data = layout(tmp_path / "data", originals=False)
    wrong, right = (as_manifest(data, tmp_path / name, name == "w") for name in "wr")
    audit(wrong, tmp_path / "run", attacks="naive")
    audit(right, tmp_path / "run", attacks="naive")
    audit(right, tmp_path / "fresh", attacks="naive")
    assert [a["metrics"]["ira_image"] for a in comparable(tmp_path / "run")["attacks"]] == [
        a["metrics"]["ira_image"] for a in comparable(tmp_path / "fresh")["attacks"]
    ]


def test_nothing_names_a_person_or_a_path(run: Path, data: Path) -> None:
    files = [run / name for name in ("results.json", "report.html", "manifest.json")]
    trials = pd.read_parquet(run / "trials.parquet").to_csv()
    people = [folder.name for folder in (data / "gallery").iterdir()]
    told = [name for name in people if len(name) > 3] + [str(data), "/gallery/", "originals/"]
    for text in [*(file.read_text() for file in files), trials]:
        assert not [name for name in told if name in text]


def test_a_changed_byte_is_found(run: Path) -> None:
    assert verify(run) == []
    content = bytearray((run / "results.json").read_bytes())
    content[100] ^= 1
    (run / "results.json").write_bytes(content)
    assert verify(run) == ["results.json: changed since the run was sealed."]


def test_without_originals_the_gallery_gives_the_ceiling(
    layout: Layout, plumbing: None, tmp_path: Path
) -> None:
    results = audit(layout(tmp_path / "data", originals=False), tmp_path / "run")
    assert "leave-one-out" in results.controls.clear_ceiling.method
    assert results.controls.clear_ceiling.n == 8
    for name in ("psnr", "ssim", "idd"):
        figure = results.attacks[1].metrics[name]
        assert figure.value is None and "original" in figure.reason


def test_without_names_there_is_no_verdict(data: Path, plumbing: None, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((data / "anonymized").glob("*/*.png"))[:3]):
        shutil.copy(path, flat / f"{number}.png")
    both = {"gallery": data / "gallery", "anonymized": flat}
    for given, missing in ((both, "name the folders"), ({"anonymized": flat}, "--gallery")):
        run = tmp_path / f"run-{len(given)}"
        settings = config(attacks="naive", method="gaussian:sigma=1.5", region="image")
        with open_run(run, settings) as store:
            results = scan(load(None, **given), settings, store, lambda *_: None)
        assert results.verdict.outcome == "INCONCLUSIVE"
        assert missing in results.verdict.reasons[0]
        assert results.anonymizer.effective_resolution is not None
        assert results.data.probes.mated_images == 0


def test_strangers_are_counted_apart(layout: Layout, plumbing: None, tmp_path: Path) -> None:
    root = layout(tmp_path / "data")
    gone = sorted((root / "gallery").iterdir())[0]
    shutil.rmtree(gone)
    results = audit(root, tmp_path / "run", attacks="naive")
    probes = results.data.probes
    assert (probes.mated_images, probes.nonmated_images) == (14, 2)
    assert (probes.mated_identities, probes.nonmated_identities) == (7, 1)
    ira = results.attacks[0].metrics["ira"]
    assert ira.n_identities == 7
    assert results.attacks[0].metrics["ood_auroc"].value is not None
    both, around = (results.attacks[0].metrics[f"{k}_together"] for k in ("ira", "context"))
    assert both.n_identities == around.n_identities == 7  # two pictures each
    assert (both.value or 0) > (around.value or 0)


def test_a_probes_original_in_the_gallery_is_left_out(
    layout: Layout, plumbing: None, tmp_path: Path
) -> None:
    root = layout(tmp_path / "data")
    person = sorted((root / "gallery").iterdir())[2]
    shutil.copy(root / "originals" / person.name / "2.png", person / "copied.png")
    results = audit(root, tmp_path / "run", attacks="naive")
    assert results.data.gallery.images == 16
    (excluded,) = results.data.excluded
    assert excluded.role == "gallery" and person.name not in excluded.image
    assert "same" in excluded.reason


def test_spare_pictures_teach_in_a_closed_world_alone(
    layout: Layout, plumbing: None, tmp_path: Path
) -> None:
    """More of the gallery's people, among whom nobody is looked up."""

    def distances(name: str) -> dict[str | None, float | None]:
        results = audit(data, tmp_path / name, attacks="ridge", worlds="closed,open")
        assert results.data.spare.images == len(list(data.glob("spare/*/*.png")))
        return {own.knowledge: own.metrics["idd"].value for own in results.attacks}

    data = layout(tmp_path / "data")
    for picture in sorted(data.glob("gallery/*/1.png")):
        target = data / "spare" / picture.parent.name / picture.name
        target.parent.mkdir(parents=True)
        picture.rename(target)
    known = distances("with")
    shutil.rmtree(data / "spare")
    unknown = distances("without")
    assert known["open world"] == unknown["open world"]
    assert known["closed world"] != unknown["closed world"]


def test_solid_pictures_are_never_a_leak(layout: Layout, plumbing: None, tmp_path: Path) -> None:
    results = audit(layout(tmp_path / "data", "solid"), tmp_path / "run")
    assert results.verdict.outcome == "INCONCLUSIVE"  # too few people for a bound
    for attack in results.attacks:
        assert attack.metrics["ira_image"].value == pytest.approx(1 / 8)


def test_the_restricted_sheet_shows_what_every_attack_restored(
    data: Path, plumbing: None, tmp_path: Path
) -> None:
    sheet = tmp_path / "run" / "evidence" / "sheet.html"
    made = []
    for _ in range(2):  # the second time everything is found in the run's folder
        audit(data, tmp_path / "run", attacks="naive,wiener,ridge", evidence="restricted")
        made.append(sheet.read_text())
    assert made[0] == made[1]
    assert made[0].count("<figcaption>restored: Wiener restoration") == 12
    assert made[0].count("<figcaption>original") == 12
    assert "Linear embedding restoration" not in made[0]  # it restores no picture
    assert sheet.stat().st_mode & 0o077 == 0


def test_the_restricted_folder_names_the_files_of_open_faces(
    data: Path, plumbing: None, tmp_path: Path
) -> None:
    """By the names that the report uses, which the file beside them gives away."""
    picture = next((data / "anonymized").glob("*/*.png"))
    shutil.copy(data / "originals" / picture.relative_to(data / "anonymized"), picture)
    results = audit(
        data, tmp_path / "run", attacks="naive", evidence="restricted", method=None, region=None
    )
    table = tmp_path / "run" / "evidence" / "faces.csv"
    rows = list(csv.DictReader(table.open()))
    assert table.stat().st_mode & 0o077 == 0 and len(rows) == results.data.faces.found == 16
    (uncovered,) = results.data.faces.open
    assert (rows[0]["image"], rows[0]["path"]) == (uncovered.image, str(picture))
    assert rows[0]["state"] == "missed" and float(rows[0]["width"]) == uncovered.width
    assert [int(rows[0][name]) for name in ("x0", "y0", "x1", "y1")] == list(uncovered.box)
    assert str(picture) not in (tmp_path / "run" / "report.html").read_text()


def test_an_attack_that_breaks_is_reported_and_gives_nothing_away(
    data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reid_audit.attacks.linear.wiener import Wiener

    def broken(self: Wiener, *arguments: object) -> None:
        raise ValueError(f"{data}/gallery/Zoë {{x}} is no good")

    monkeypatch.setattr(Wiener, "run", broken)
    results = audit(data, tmp_path / "run", attacks="naive,wiener")
    failed = results.attacks[1]
    assert failed.status == "failed" and "ValueError" in failed.reason
    assert "Zoë" not in (tmp_path / "run" / "results.json").read_text()
    assert failed.metrics["ira"].value is None


def test_every_attack_runs_in_both_worlds(
    data: Path, plumbing: None, untrained: dict[str, Checkpoint], tmp_path: Path
) -> None:
    results = audit(
        data,
        tmp_path / "run",
        attacks=",".join(names()),
        worlds="closed,open",
        student_epochs=1,
        checkpoints={name: str(checkpoint.folder) for name, checkpoint in untrained.items()},
        options={"revelio_rounds": 2, "revelio_steps": 2, "posterior_steps": 2},
    )
    assert {(a.name, a.status) for a in results.attacks} == {(name, "ok") for name in names()}
    told = [a.knowledge for a in results.attacks if a.name == "student"]
    assert told == ["closed world", "open world"]
    assert [a.knowledge for a in results.attacks if a.name == "naive"] == ["gallery only"]
    assert results.controls.disjoint_identity.value is not None


@pytest.mark.slow
def test_the_whole_of_it_with_real_detector_and_recogniser(layout: Layout, tmp_path: Path) -> None:
    root = layout(tmp_path / "data", "gaussian:sigma=2")
    results = audit(root, tmp_path / "run", attacks="naive,ridge", minimum_ceiling=0.8)
    assert results.verdict.outcome == "LEAK_DEMONSTRATED"
    assert results.data.frame_sources == {"originals": 16}
    assert results.controls.clear_ceiling.value == 1
    assert results.controls.known_weak.value >= 0.8
    assert results.attacks[1].metrics["ira"].value >= 0.6
    with Image.open(next((root / "anonymized").glob("*/*.png"))) as picture:
        assert picture.size == (96, 96)
