"""People told by clustering: the threshold, the clusters, and who is looked up among whom."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.config import resolve
from reid_audit.audit.data import load
from reid_audit.audit.data.screening import examine
from reid_audit.audit.probes import clustering
from reid_audit.audit.probes.clustering import pseudo_identities, threshold_at
from reid_audit.audit.publishing.publish import publish
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.identities import asked_for, picture_of
from reid_audit.audit.scan.scan import scan
from reid_audit.metrics.errors import InputError

Layout = Callable[..., Path]


def gaussians(people: int, pictures: int, spread: float, seed: int = 0) -> np.ndarray:
    """Embeddings `(people * pictures, 64)`, person by person."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 1, 64))
    faces = centres + spread * rng.normal(size=(people, pictures, 64))
    return faces.reshape(-1, 64).astype(np.float32)


def test_the_threshold_keeps_the_rate() -> None:
    impostors = np.random.default_rng(0).permutation(np.arange(10_000) / 10_000)
    for rate in (0.001, 0.01, 0.25):
        threshold = threshold_at(impostors, rate)
        assert (impostors >= threshold).mean() == pytest.approx(rate)
    assert (impostors >= threshold_at(impostors, 1e-9)).sum() == 0


def test_people_are_told_apart_at_the_stated_rate(stand_in: Recognizer) -> None:
    faces, strangers = gaussians(12, 5, 0.4), gaussians(100, 1, 0.4, seed=1)
    told = pseudo_identities(faces, [str(i) for i in range(60)], stand_in, 1e-3, strangers)
    assert told.labels.tolist() == np.repeat(np.arange(12), 5).tolist()
    assert told.impostor_pairs == 100 * 99 // 2 and not told.published
    assert told.false_matches == 4  # of 4,950 at one in a thousand
    # Cosines of people who are strangers to each other are normal with deviation 1 / sqrt(64).
    assert told.threshold == pytest.approx(3.09 / 8, abs=0.06)


def test_two_faces_of_one_picture_are_two_people(stand_in: Recognizer) -> None:
    """Even twins, whom the recogniser takes for one."""
    faces = np.repeat(gaussians(1, 1, 0.1), 6, 0)
    twins = pseudo_identities(faces, list("aabbcc"), replace(stand_in, name="dlib"), 1e-3)
    first = twins.labels.reshape(3, 2)
    assert (first[:, 0] != first[:, 1]).all()
    others = gaussians(60, 1, 0.1, seed=2)
    pictures = [*"aabbcc", *(["crowd"] * 60)]
    told = pseudo_identities(np.concatenate([faces, others]), pictures, stand_in, 5e-3)
    assert told.impostor_pairs == 3 + 60 * 59 // 2
    assert len(set(told.labels[6:])) == 60


def test_the_published_threshold_stands_in_for_missing_impostors(stand_in: Recognizer) -> None:
    dlib = replace(stand_in, name="dlib", distance="euclidean")
    faces = np.zeros((4, 64), np.float32)
    faces[:, 0] = 0, 0.59, 5, 5.61
    told = pseudo_identities(faces, list("abcd"), dlib)
    assert told.published and told.threshold == -0.6 and told.impostor_pairs == 0
    assert told.labels.tolist() == [0, 0, 1, 2]
    with pytest.raises(InputError, match="stand-in has no published threshold: give --background"):
        pseudo_identities(faces, list("abcd"), stand_in)


def test_more_faces_than_can_be_paired_are_refused(
    stand_in: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clustering, "MOST_FACES", 3)
    with pytest.raises(InputError, match="4 faces of originals are more than the 3"):
        pseudo_identities(np.zeros((4, 64), np.float32), list("abcd"), stand_in)


def test_at_least_half_of_each_persons_pictures_stay_in_the_gallery() -> None:
    rng = np.random.default_rng(0)
    faces = [(f"p{person}", int(place)) for person in range(20) for place in rng.choice(30, 5)]
    faces += [("alone", 99)]
    people, pictures = zip(*faces, strict=True)
    asked = asked_for(people, pictures, seed=3)
    assert asked and 99 not in asked and asked == asked_for(people, pictures, seed=3)
    for person in set(people):
        where = {place for name, place in faces if name == person}
        assert len(where & asked) <= len(where) / 2
    assert asked_for(["a", "a"], [1, 1], 0) == frozenset()
    assert len(asked_for(["a", "a"], [1, 2], 0)) == 1


def test_copies_show_one_picture(cast_folder: Path, tmp_path: Path) -> None:
    person, other = sorted(cast_folder.iterdir())[:2]
    first, second = person / "000.png", other / "000.png"
    copy = tmp_path / "copy.png"
    shutil.copy(first, copy)
    facts = {path: examine(path) for path in (first, second, copy)}
    places = picture_of(set(facts), facts)
    assert places[first] == places[copy] != places[second]


@pytest.fixture
def pairs(layout: Layout, tmp_path: Path) -> Path:
    """Originals and outputs, all in one folder each, and people as background; no gallery."""
    root = layout(tmp_path / "laid")
    for folder in ("originals", "anonymized"):
        for number, path in enumerate(sorted((root / folder).glob("*/*.png"))):
            target = tmp_path / "pairs" / folder / f"{number:02d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return tmp_path / "pairs"


def audit(data: Path, run: Path, identities: str = "auto") -> Results:
    settings = resolve(
        {
            "attacks": "naive,ridge",
            "minimum_ceiling": 0.5,
            "device": "cpu",
            "method": "gaussian:sigma=1.5",
            "region": "image",
            "identities": identities,
        }
    )
    with open_run(run, settings) as store:
        results = scan(load(data), settings, store, lambda *_: None)
        publish(results, store)
    return results


@pytest.mark.slow
def test_covered_faces_are_looked_up_among_the_other_pictures(
    pairs: Path,
    plumbing: None,
    stand_in: Recognizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clustering, "PUBLISHED", {"stand-in": 0.9})
    results = audit(pairs, tmp_path / "run")
    data = results.data
    assert data.identities == "clustered" and data.clustering is not None
    told = data.clustering
    assert (told.threshold_source, told.threshold) == ("published", 0.9)
    assert told.false_match_rate.value is None and told.expected_wrong_pairs is None
    assert told.faces == 16 and told.people >= 2
    # Every picture is a probe or in the gallery, and no probe's own original is.
    assert data.gallery.images + data.probes.images == 16
    assert data.probes.mated_images == data.probes.images >= told.people / 2
    trials = pd.read_parquet(tmp_path / "run" / "trials.parquet")
    attacked = trials[(trials.attack == "naive") & (trials.kind == "attack")]
    assert len(attacked) == data.probes.images and attacked.mated.all()
    assert results.attacks[0].metrics["ira"].n == data.probes.mated_identities
    assert results.linkage[0].rank_1.n == 16  # of all pictures, whatever became of them here
    (sentence,) = [line for line in results.limitations if "Nobody named" in line]
    assert "published threshold" in sentence and "not known" in sentence
    for name in ("results.json", "report.html"):
        assert "person-" not in (tmp_path / "run" / name).read_text()
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["data"]["identities"] == "clustered"


@pytest.mark.slow
def test_whom_clustering_does_not_know_nobody_can_look_up(
    pairs: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clustering, "PUBLISHED", {"stand-in": 1.1})
    results = audit(pairs, tmp_path / "run")
    assert results.verdict.outcome == "INCONCLUSIVE" and not results.attacks
    assert "recognised nobody" in results.verdict.reasons[0]
    assert results.data.clustering is not None and results.data.clustering.people == 0
    assert results.linkage


@pytest.mark.slow
def test_a_gallery_is_searched_in_an_audit_of_its_own(
    layout: Layout,
    pairs: Path,
    plumbing: None,
    stand_in: Recognizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The people of half of the pictures are named; the audit by labels is what it is without
    clustering, and the audit by clustering what it is without the gallery."""
    monkeypatch.setattr(clustering, "PUBLISHED", {"stand-in": 0.9})
    full = layout(tmp_path / "full")
    for folder in sorted((full / "anonymized").iterdir())[4:]:
        if folder.is_dir():
            folder.rename(full / "anonymized" / f"unknown-{folder.name}")
            (full / "originals" / folder.name).rename(full / "originals" / f"unknown-{folder.name}")
    both = audit(full, tmp_path / "both")
    alone = audit(full, tmp_path / "labels", identities="labels")
    assert both.data.identities == "both" and both.data.clustering is not None
    assert both.data.gallery == alone.data.gallery and both.data.probes == alone.data.probes
    named, told = both.conditions
    assert (named.id, told.id) == ("c1", "c1-auto") and "clustering" in told.title
    of = {(result.condition, result.name): result.metrics["ira"].value for result in both.attacks}
    assert len(of) == 4
    for result in alone.attacks:
        assert of["c1", result.name] == result.metrics["ira"].value
    assert told.probes.mated_images and told.probes.mated_images < 16
    trials = pd.read_parquet(tmp_path / "both" / "trials.parquet")
    assert set(trials.condition) == {"c1", "c1-auto"}
    ids = {finding.id for finding in both.findings}
    assert {"reidentification.c1", "reidentification.c1-auto"} <= ids


def test_no_originals_is_refused(pairs: Path, tmp_path: Path) -> None:
    shutil.rmtree(pairs / "originals")
    with pytest.raises(InputError, match="no picture has one: give them with --originals"):
        audit(pairs, tmp_path / "run")
