"""Runs compared: people paired across different data, honest where nobody can be paired."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid_audit.audit.cli import main
from reid_audit.audit.commands.compare import compare
from reid_audit.audit.config import AuditConfig, dump_config
from reid_audit.audit.data import Pseudonyms, run_key, user_secret
from reid_audit.audit.results.schema import (
    Anonymizer,
    AttackResult,
    Condition,
    Count,
    Data,
    Estimate,
    ProbeCount,
    Results,
    Run,
    Verdict,
    dump_results,
)
from reid_audit.audit.run_directory import CONFIG, MANIFEST, RESULTS, TRIALS, seal
from reid_audit.metrics.errors import InputError, IntegrityError
from reid_audit.metrics.stats import clopper_pearson, mcnemar_two_sided, paired_difference

PEOPLE = [f"person {number}" for number in range(40)]
Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A function (name, {attack: hits by person}, ...) that writes a sealed run."""

    def make(
        name: str,
        hits: dict[str, Sequence[float]],
        people: Sequence[str] = PEOPLE,
        title: str = "Gaussian blur",
        data: str | None = None,
        secret: bytes | None = None,
        links: bool = True,
        **config: object,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        secret = secret or user_secret()
        names = Pseudonyms(run_key(data or name, secret), secret if links else None)
        rows, attacks = [], []
        for attack, values in hits.items():
            for person, hit in zip(people, values, strict=True):
                rows.append(
                    {
                        "mated": True,
                        "failed": False,
                        "better": int(not hit),
                        "ties": 0,
                        "gallery": 50,
                        "kind": "attack",
                        "attack": attack,
                        "recognizer": "dlib",
                        "condition": "c1",
                        "world": None,
                        "image": names.image(f"{name}/{person}"),
                        "draw": 0,
                        "identity": names.person(person),
                        "link": names.link(person),
                    }
                )
            n = len(people)
            found = clopper_pearson(float(sum(values)), n, n_identities=n).to_dict()
            rate = Estimate(**{k: v for k, v in found.items() if k in Estimate.model_fields})
            attacks.append(
                AttackResult(name=attack, recognizer="dlib", condition="c1", metrics={"ira": rate})
            )
        verdict = Verdict(outcome="LEAK_DEMONSTRATED", threshold=0.05)
        anonymizer = Anonymizer(family="gaussian", effective_resolution=20.0)
        probes = ProbeCount(identities=len(people), images=len(people))
        results = Results(
            verdict=verdict,
            data=Data(gallery=Count(identities=50), probes=probes, background=Count()),
            anonymizer=anonymizer,
            controls={},
            attacks=attacks,
            findings=[],
            conditions=[Condition(id="c1", title=title, anonymizer=anonymizer, probes=probes)],
            run=Run(version="1"),
        )
        frame = pd.DataFrame(rows).drop(columns=[] if links else ["link"])
        frame.to_parquet(folder / TRIALS, index=False)
        (folder / RESULTS).write_text(dump_results(results))
        (folder / CONFIG).write_text(dump_config(AuditConfig(**config)))
        manifest = {
            "tool": {"name": "reid-audit", "version": "1"},
            "packages": {"numpy": "2"},
            "weights": {"dlib": "f" * 64},
            "data": {"probes": name},
            "python": "3.11",
            "device": "cpu",
        }
        (folder / MANIFEST).write_text(json.dumps(manifest))
        seal(folder)
        return folder

    return make


def some(count: int, of: int = 40) -> list[float]:
    return [1.0] * count + [0.0] * (of - count)


def test_people_of_different_data_are_paired(made: Made) -> None:
    before, after = some(30), [0.0] * 5 + some(10, of=35)
    first = made("first", {"naive": before, "gone": before})
    second = made("second", {"naive": after[::-1], "new": after}, people=PEOPLE[::-1], seed=3)
    found = compare([first, second])
    (difference,) = found.differences
    assert difference.run == "second" and difference.difference.n_identities == 40
    wanted = paired_difference(after, before)
    assert difference.difference.value == pytest.approx(wanted.value)
    assert difference.difference.low == pytest.approx(wanted.low)
    assert difference.p_value == pytest.approx(mcnemar_two_sided(after, before))
    assert (difference.baseline.value, difference.later.value) == (0.75, 0.25)
    changed = {change.name: change.values for change in found.changes}
    assert changed["setting: seed"] == ["0", "3"]
    assert "package: numpy" not in changed and "setting: profile" not in changed


def test_only_the_people_in_both_runs_count(made: Made) -> None:
    first = made("first", {"naive": some(20)})
    second = made("second", {"naive": some(5, of=25)}, people=PEOPLE[:25])
    (difference,) = compare([first, second]).differences
    assert (difference.only_baseline, difference.only_later) == (15, 0)
    assert difference.baseline.value == 20 / 25 and difference.later.value == 5 / 25


def test_equal_data_needs_no_links(made: Made) -> None:
    runs = [made(n, {"naive": some(20)}, data="same", links=False) for n in ("one", "two")]
    (difference,) = compare(runs).differences
    assert difference.difference.value == 0 and difference.difference.n_identities == 40
    assert difference.p_value == 1


def test_runs_of_another_secret_stay_strangers(made: Made) -> None:
    first = made("first", {"naive": some(20)})
    second = made("second", {"naive": some(5)}, secret=b"x" * 32)
    found = compare([first, second])
    assert not found.differences
    assert "no people in common" in found.notes[0]


def test_two_settings_of_one_tool_answer_each_other(made: Made) -> None:
    first = made("first", {"naive": some(20)}, title="Blur, k 21")
    second = made("second", {"naive": some(5)}, title="Blur, k 81")
    found = compare([first, second])
    assert found.differences[0].condition == "Blur, k 21 → Blur, k 81"
    assert {"anonymisation"} <= {change.name for change in found.changes}


def test_a_trend_over_three_runs_follows_the_strongest(made: Made) -> None:
    runs = [
        made(name, {"naive": some(naive), "ridge": some(ridge)})
        for name, naive, ridge in (("a", 30, 20), ("b", 10, 20), ("c", 1, 2))
    ]
    found = compare(runs)
    assert [d.run for d in found.differences] == ["b", "b", "c", "c"]
    strongest = next(line for line in found.trends if line.strongest)
    assert [rate.value for rate in strongest.rates] == [30 / 40, 20 / 40, 2 / 40]
    assert all(
        d.p_adjusted is not None and d.p_value is not None and d.p_adjusted >= d.p_value
        for d in found.differences
    )


def test_links_tell_nothing_without_the_secret(made: Made) -> None:
    frames = [pd.read_parquet(made(n, {"naive": some(1)}) / TRIALS) for n in ("one", "two")]
    assert not set(frames[0].link) & set(frames[1].link)
    assert len(set(frames[0].link)) == len(PEOPLE)


def test_a_changed_run_is_refused(made: Made) -> None:
    runs = [made(n, {"naive": some(20)}) for n in ("one", "two")]
    (runs[1] / "notes.txt").write_text("a file beside the run does no harm")
    assert compare(runs).differences
    text = (runs[1] / RESULTS).read_text()
    (runs[1] / RESULTS).write_text(text.replace("0.05", "0.06"))
    with pytest.raises(IntegrityError, match=r"results\.json: changed"):
        compare(runs)


def test_mistakes_are_named(made: Made) -> None:
    run = made("run", {"naive": some(20)})
    for folders, labels, hint in (
        ([run], [], "at least two"),
        ([run, run], ["a"], "one for each of the 2"),
        ([run, run], ["a", "a"], "same name"),
    ):
        with pytest.raises(InputError, match=hint):
            compare(folders, labels)


def test_the_command_writes_page_and_data(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    runs = [
        made(name, {"naive": (rng.random(40) < rate).astype(float).tolist()})
        for name, rate in (("a", 0.9), ("b", 0.1))
    ]
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "compare",
                *map(str, runs),
                "-o",
                str(tmp_path / "out"),
                "--label",
                "<b>",
                "--label",
                "x",
            ]
        )
    assert not ended.value.code
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "of 1 comparisons with the baseline, 1 reveal less" in page
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [run["label"] for run in found["runs"]] == ["<b>", "x"]
