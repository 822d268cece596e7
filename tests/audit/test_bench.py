"""The grid: configuration, samples, resuming, tables. Mostly with a stand-in recogniser."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reid_audit.attacks.anonymisation import Identification, ToolSample
from reid_audit.attacks.networks.distillation import POSES
from reid_audit.attacks.operators import Chain, parse
from reid_audit.audit.bench import plan
from reid_audit.audit.bench.config import Sample, presets, resolve
from reid_audit.audit.bench.run import estimated, run_bench
from reid_audit.audit.bench.sample import Probe, draw
from reid_audit.audit.bench.shards import parse_shard
from reid_audit.audit.bench.table import Row, by_belief, leaders, read_rows
from reid_audit.audit.data import Dataset, Item
from reid_audit.metrics.errors import InputError

Layout = Callable[..., Path]

GRID: dict[str, Any] = {
    "title": "Tiny <b>grid</b>",
    "sample": {"people": 6, "background": 12},
    "defences": [
        {
            "method": "gaussian:sigma={}w",
            "strengths": [0.03, 0.06],
            "beliefs": ["matched", "gaussian:sigma=.05w"],
        },
        {"method": "solid", "region": "face"},
    ],
    "attacks": ["naive", "ridge"],
    "worlds": ["closed", "open"],
    "device": "cpu",
}
PLANNED = (2 * 2 + 1) * 2 + 3
"""Beliefs and settings times ridge closed and open; naive believes nothing."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, layout: Layout) -> Path:
    return layout(tmp_path_factory.mktemp("data"))


@pytest.fixture
def plumbing(plumbing: None, monkeypatch: pytest.MonkeyPatch, stand_in: Any) -> None:
    """The bench loads its recognisers itself."""
    monkeypatch.setattr("reid_audit.audit.bench.run.load_recognizer", lambda spec, device: stand_in)


def grid(folder: Path, data: Path, **changes: Any) -> Path:
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump({**GRID, "data": str(data), **changes}))
    return path


def measure(folder: Path, data: Path, told: Any = lambda *_: None, **changes: Any) -> list[Row]:
    return run_bench(resolve(grid(folder, data, **changes)), folder / "out", told)


def comparable(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows without what may differ."""
    return [row.model_dump(exclude={"seconds"}) for row in rows]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A folder and the rows that `measured` finds in it, once for all tests."""
    return tmp_path_factory.mktemp("first"), []


@pytest.fixture
def measured(data: Path, plumbing: None, first: tuple[Path, list[Row]]) -> list[Row]:
    folder, rows = first
    if not rows:
        rows += measure(folder, data)
    return rows


def test_every_measurement_is_a_row(measured: list[Row]) -> None:
    assert len(measured) == PLANNED
    assert {row.status for row in measured} == {"ok"}
    for row in measured:
        assert row.people == row.gallery_people == row.n_people == 6
        assert row.probes == row.n == 12
        assert row.background_pictures == 12 and row.gallery_pictures == 12
        assert row.chance == pytest.approx(1 / 6) and row.ceiling is not None
        assert row.low is not None and row.high is not None and row.ira is not None
        assert row.low <= row.ira <= row.high
        assert row.of_ceiling == pytest.approx(row.ira / row.ceiling)
        assert row.seconds is not None and row.seed == 0
    blurred = [row for row in measured if row.method.startswith("gaussian")]
    told = [row.sigma_over_face_width for row in blurred]
    assert told == [pytest.approx(0.03, rel=0.02)] * 5 + [pytest.approx(0.06, rel=0.02)] * 5
    naive = next(row for row in measured if row.attack == "naive")
    assert naive.psnr is not None and naive.idd is not None
    solid = [row for row in measured if row.method.startswith("solid")]
    assert all(row.effective_resolution == 0 and row.region == "face" for row in solid)


def test_tables_hold_the_rows(measured: list[Row], first: tuple[Path, list[Row]]) -> None:
    out = first[0] / "out"
    content = json.loads((out / "bench.json").read_text())
    assert content["complete"] and comparable(read_rows(out / "bench.json")) == comparable(measured)
    with (out / "bench.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["attack"] for line in lines] == [row.attack for row in measured]
    assert [float(line["ira"]) for line in lines] == [row.ira for row in measured]
    page, text = (out / "bench.html").read_text(), (out / "bench.md").read_text()
    for shown in (page, text):
        assert "Leaderboard" in shown and "Adaptivity" in shown and f"All {PLANNED}" in shown
        assert all(f"{row.ira:.3f}" in shown for row in measured)
    assert "<b>grid" not in page and "&lt;b&gt;grid" in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_the_leaderboard_names_the_strongest_attack(measured: list[Row]) -> None:
    best = leaders(measured)
    assert len(best) == 3
    for leader in best:
        rivals = [r.ira or 0 for r in measured if r.setting == leader.setting]
        assert leader.ira == max(rivals)
    shares = [row.of_ceiling or 0 for row in best]
    assert shares == sorted(shares) and best[0].method.startswith("solid")


def test_beliefs_stand_side_by_side(measured: list[Row]) -> None:
    varied = by_belief(measured)
    assert len(varied) == 2 * 2  # two strengths, ridge in two worlds
    for row, found in varied:
        wrong = [name for name in found if name != "matched"]
        assert len(wrong) == 1 and wrong[0].startswith("gaussian:") and row.attack == "ridge"


@pytest.mark.parametrize("stop", ["measuring face spectra", "ridge on", "bench"])
def test_a_killed_bench_goes_on(
    measured: list[Row], data: Path, plumbing: None, tmp_path: Path, stop: str
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith(stop) and done:
            raise KeyboardInterrupt

    blurred = {**GRID["defences"][0], "beliefs": ["matched"]}
    short = {"defences": [blurred], "worlds": ["closed"]}
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, data, interrupt, **short)
    table = tmp_path / "out" / "bench.json"
    if stop == "bench":
        assert not json.loads(table.read_text())["complete"]
        assert len(read_rows(table)) == 2
        assert "2 of 4" in (tmp_path / "out" / "bench.md").read_text()
    told: list[str] = []
    again = measure(tmp_path, data, lambda what, done, total: told.append(what), **short)
    same = [r for r in measured if r.belief == "matched" and r.knowledge != "open world"]
    assert comparable(again) == comparable([r for r in same if r.method.startswith("gaussian")])
    assert "embedding clear faces" not in told


def test_parts_measured_apart_come_together(
    measured: list[Row], data: Path, plumbing: None, tmp_path: Path
) -> None:
    config = resolve(grid(tmp_path, data))
    parts = [
        run_bench(config, tmp_path / f"{i}", lambda *_: None, parse_shard(f"{i}/2")) for i in (1, 2)
    ]
    assert 0 < len(parts[0]) < PLANNED and len(parts[0]) + len(parts[1]) == PLANNED
    told: list[str] = []
    together = run_bench(
        config,
        tmp_path / "all",
        lambda what, done, total: told.append(what),
        others=(tmp_path / "1", tmp_path / "2"),
    )
    assert {row.model_copy(update={"seconds": None}).model_dump_json() for row in together} == {
        row.model_copy(update={"seconds": None}).model_dump_json() for row in measured
    }
    assert not [what for what in told if " on " in what]
    with pytest.raises(InputError, match=r"--rows .* holds no rows"):
        run_bench(config, tmp_path / "all", lambda *_: None, others=(tmp_path,))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/0"])
def test_a_part_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="write I/N"):
        parse_shard(text)


def test_a_finished_bench_measures_nothing_and_a_longer_grid_only_what_is_new(
    data: Path, plumbing: None, tmp_path: Path
) -> None:
    short = {"defences": ["gaussian:sigma=.05w"], "worlds": ["closed"], "attacks": ["naive"]}
    first = measure(tmp_path, data, **short)
    told: list[str] = []
    again = measure(tmp_path, data, lambda what, done, total: told.append(what), **short)
    assert again == first and set(told) <= {"bench", "finding faces in originals"}
    told.clear()
    longer = measure(
        tmp_path,
        data,
        lambda what, done, total: told.append(what),
        **{**short, "attacks": ["naive", "degraded-gallery"]},
    )
    assert longer[0] == first[0] and len(longer) == 2
    assert not any(what.startswith("naive on") for what in told)


def test_the_weights_of_networks_are_counted(data: Path, plumbing: None, tmp_path: Path) -> None:
    rows = measure(
        tmp_path,
        data,
        defences=["gaussian:sigma=.05w"],
        attacks=["naive", "student"],
        worlds=["closed"],
        student_epochs=1,
    )
    # The stand-in's convolution, batch norm and linear layer, and the bridge of 32 to 32.
    expected = 12 * 3 * 25 + 12 + 2 * 12 + 768 * 32 + 32 * 32 + 32
    assert [row.parameters for row in rows] == [None, expected]
    assert rows[1].network_evaluations == 12 * 2 * (1 + len(POSES))  # with their mirror images


def test_what_failed_is_tried_again(
    data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reid_audit.attacks.direct.naive import Naive

    short = {"defences": ["gaussian:sigma=.05w"], "worlds": ["closed"], "attacks": ["naive"]}
    with monkeypatch.context() as broken:
        broken.setattr(Naive, "run", lambda *_: 1 / 0)
        (row,) = measure(tmp_path, data, **short)
    assert row.status == "failed" and row.reason and row.ira is None
    assert "ZeroDivisionError" in (tmp_path / "out" / "bench.md").read_text()
    (row,) = measure(tmp_path, data, **short)
    assert row.status == "ok"


def test_an_estimated_method_is_used(data: Path, plumbing: None, tmp_path: Path) -> None:
    rows = measure(
        tmp_path,
        data,
        defences=[{"method": "pixelate:b=8", "beliefs": ["matched", "estimated"]}],
        worlds=["closed"],
    )
    told = [(row.attack, row.belief) for row in rows]
    assert told == [("naive", "matched"), ("ridge", "matched"), ("ridge", "estimated")]
    assert rows[2].assumed and rows[2].assumed.startswith("pixelate:b=8")
    assert rows[2].ira == rows[1].ira


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], None),
        (["solid", *["box:k=9", "box:k=11", "box:k=13"] * 2], "box:k=11"),
        (
            [f"gaussian:sigma={s}|jpeg:q=75" for s in (4, 4.4, 4.2)],
            "gaussian:k=25,sigma=4.197|jpeg:q=75",
        ),
        ([f"gaussian:sigma={s}|jpeg:q=75" for s in np.linspace(3, 7, 16)], "gaussian:k=19..43,"),
    ],
)
def test_pictures_agree_on_a_method(specs: list[str], expected: str | None) -> None:
    samples = []
    for spec in specs:
        operator = parse(spec)
        step = operator.steps[0] if isinstance(operator, Chain) else operator
        lengths = dict(step.parameters)
        if step.family == "box":
            lengths = {"box_x": lengths["k"], "box_y": lengths["k"]}
        quality = 75 if "jpeg" in spec else None
        answer = Identification(
            (0, 0, 96, 96), step.family, parameters=lengths, quality=quality, confidence=0.9,
            spec=str(step),
        )  # fmt: skip
        samples.append(ToolSample(answer, (96, 96)))
    operator = estimated(samples)
    assert operator is None if expected is None else str(operator).startswith(expected)


def test_a_method_that_cannot_be_identified_is_said(
    data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid_audit.audit.bench.run.estimated", lambda samples: None)
    rows = measure(
        tmp_path,
        data,
        defences=[{"method": "gaussian:sigma=.05w", "beliefs": "estimated"}],
        worlds=["closed"],
    )
    assert [row.status for row in rows] == ["ok", "skipped"]
    assert rows[1].reason == "the method could not be identified" and rows[1].assumed is None


def test_samples_vary(data: Path, plumbing: None, tmp_path: Path) -> None:
    rows = measure(
        tmp_path,
        data,
        defences=["gaussian:sigma=.05w"],
        attacks=["naive"],
        worlds=["closed"],
        sample={"people": 5, "strangers": 0.2},
        vary={"pictures": [1, 2], "distractors": [0, 3], "face_width": [None, 32]},
    )
    assert len(rows) == 8
    told = {(r.gallery_people, r.gallery_pictures, round(r.face_width)) for r in rows}
    width = max(w for *_, w in told)
    # Four of the five people are known; each person has two gallery or four background pictures.
    assert told == {
        (people, pictures, w)
        for people, pictures in ((4, 4), (4, 8), (7, 7), (7, 14))
        for w in (32, width)
    }
    assert {(r.people, r.strangers, r.n, r.probes) for r in rows} == {(4, 1, 8, 10)}
    assert all(row.ood_auroc is not None for row in rows)


def test_people_who_do_not_exist_stand_in_for_data(plumbing: None, tmp_path: Path) -> None:
    config = resolve(
        preset="closed-world",
        given={"attacks": "naive", "sample.people": 3, "sample.background": 4, "device": "cpu"},
    )
    rows = run_bench(config, tmp_path / "out", lambda *_: None)
    assert [row.data for row in rows] == ["people who do not exist"] * 2
    assert all(row.people == 3 and row.gallery_people == 4 for row in rows)


def item(identity: str, number: int, role: Any, folder: Path) -> Item:
    path = folder / f"{identity}-{number}.png"
    path.touch()
    return Item(f"{identity}/{number}", identity, role, path)


@pytest.fixture
def crowd(tmp_path: Path) -> tuple[Dataset, list[Probe]]:
    """Twelve people with a gallery picture, each turned a little more than the one before."""
    names = [f"p{n:02d}" for n in range(12)]
    gallery = tuple(item(name, 0, "gallery", tmp_path) for name in names)
    others = tuple(item(f"b{n}", k, "background", tmp_path) for n in range(9) for k in range(2))
    probes = []
    for turn, name in enumerate(names):
        landmarks = np.array([[30, 40], [60, 40], [45 + turn, 55], [35, 70], [55, 70]], np.float32)
        probes.append(Probe(item(name, 1, "probe", tmp_path), landmarks, (20.0, 20.0, 70.0, 85.0)))
    return Dataset(gallery, tuple(p.item for p in probes), others), probes


def test_smaller_samples_are_parts_of_larger_ones(crowd: tuple[Dataset, list[Probe]]) -> None:
    def drawn(**settings: Any) -> Any:
        return draw(*crowd, Sample(**settings), seed=3)

    few, many = drawn(people=4, distractors=2), drawn(people=9, distractors=5)
    assert {p.item.image_id for p in few.probes} < {p.item.image_id for p in many.probes}
    assert {i.image_id for i in few.gallery} < {i.image_id for i in many.gallery}
    assert len(few.gallery) == 4 + 2 * 2 and len(many.gallery) == 9 + 5 * 2
    assert few.key != many.key and few.key == drawn(people=4, distractors=2).key
    assert len(drawn(background=5).background) == 6  # people are taken whole
    assert draw(*crowd, Sample(people=4), seed=4).probes != few.probes


def test_side_faces_are_the_most_turned_third(crowd: tuple[Dataset, list[Probe]]) -> None:
    turned = {
        pose: {p.item.identity for p in draw(*crowd, Sample(pose=pose), seed=0).probes}
        for pose in ("frontal", "side", "any")
    }
    assert turned["frontal"] == {f"p{n:02d}" for n in range(4)}
    assert turned["side"] == {f"p{n:02d}" for n in range(8, 12)}
    assert len(turned["any"]) == 12


@pytest.mark.parametrize("name", presets())
def test_presets_can_be_measured(name: str) -> None:
    config = resolve(preset=name)
    plan.check(config)
    assert config.about and config.title and list(plan.grid(config))
    for setting in plan.settings(config):
        for width in (32, 94, 150):
            plan.in_pixels(setting.method, width)


@pytest.mark.parametrize(
    ("method", "width", "expected"),
    [
        ("gaussian:sigma=.0833w", 150, "gaussian:k=81,sigma=12.49"),
        ("gaussian:k=.54w", 150, "gaussian:k=81"),
        ("box:k=.3w", 94, "box:k=29"),
        ("pixelate:b=.001w", 94, "pixelate:b=1"),
        ("gaussian:sigma=0.04w..0.08w|jpeg:q=60..90", 100, "gaussian:kx=25..51,ky=25..51,sx=4..8"),
        ("jpeg:q=75", 94, "jpeg:q=75"),
    ],
)
def test_lengths_in_face_widths(method: str, width: float, expected: str) -> None:
    assert str(plan.in_pixels(method, width)).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"atacks": ["naive"]}, "atacks: no such setting, did you mean 'attacks'"),
        ({"sample": {"peple": 3}}, "sample.peple: no such setting, did you mean 'people'"),
        ({"sample": {"people": 1}}, "sample.people"),
        ({"defences": []}, "defences"),
        ({"defences": [{"metod": "solid"}]}, "defences.0"),
        ({"worlds": ["ajar"]}, "worlds.0"),
        ({"vary": {"pictres": [1]}}, "'pictres' is no field of sample, did you mean 'pictures'"),
        ({"vary": {"pictures": [0]}}, "vary"),
        ({"attacks": ["rigde"]}, "did you mean 'ridge'"),
        ({"defences": ["gausian:k=3"]}, "defences: 'gausian:k=3': no operator"),
        ({"defences": ["gaussian:k={}"]}, "defences.0.method"),
        ({"defences": [{"method": "solid", "strengths": [1]}]}, "defences.0.method"),
        ({"beliefs": ["guessed"]}, "beliefs: 'guessed'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], told: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        plan.check(resolve(grid(tmp_path, data, **changes)))
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_a_missing_checkpoint_is_named_before_anything_is_measured(
    data: Path, plumbing: None, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="absent"):
        measure(tmp_path, data, checkpoints={"student": str(tmp_path / "absent")})
    assert not (tmp_path / "out").exists()


def test_a_file_changes_a_preset_and_the_command_line_both(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("sample: {pictures: 3}\nseeds: 5\ndata: people.csv\n")
    config = resolve(file, "heavier-blur", {"sample.people": 7, "attacks": "naive, ridge"})
    assert (config.sample.people, config.sample.pictures, config.sample.distractors) == (7, 3, None)
    assert config.seeds == (5,) and config.attacks == ("naive", "ridge")
    assert config.data == str(tmp_path / "people.csv")


def test_the_command(
    cli: Any, data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("bench", "--preset", "list")
    assert code == 0 and "closed-world: " in out and len(out.splitlines()) == len(presets())
    file = grid(tmp_path, data, defences=["gaussian:sigma=.05w"], worlds=["closed"])
    command = ("bench", "-c", file, "-o", tmp_path / "run", "--attacks", "naive", "--seed", "4")
    code, out, err = cli(*command, "--seed", "5", "--json")
    assert code == 0 and [row["seed"] for row in json.loads(out)["rows"]] == [4, 5]
    assert "naive" in err and "bench.html" in err
    for arguments, told in (
        (("bench",), "--preset"),
        (("bench", "--preset", "closed-wold"), "did you mean 'closed-world'"),
        (("bench", "-c", tmp_path / "absent.yaml"), "absent.yaml"),
        (("bench", "--preset", "tools", "--data", tmp_path / "absent"), "absent"),
        ((*command[:4], data), "no bench"),
    ):
        code, out, err = cli(*arguments)
        assert code == 2 and not out and told in err


def test_a_manifest_of_clear_probes(data: Path, plumbing: None, tmp_path: Path) -> None:
    rows = ["image_id,identity,role,path"]
    for folder, role in (
        ("gallery", "gallery"),
        ("originals", "probe"),
        ("background", "background"),
    ):
        shutil.copytree(data / folder, tmp_path / folder)
        for number, path in enumerate(sorted((tmp_path / folder).glob("*/*.png"))):
            name = path.parent.name.replace(",", "")
            rows.append(f"{role}{number},{name},{role},{path.relative_to(tmp_path).as_posix()}")
    (tmp_path / "people.csv").write_text("\n".join(rows))
    (row,) = measure(
        tmp_path,
        tmp_path / "people.csv",
        **{"defences": ["gaussian:sigma=.05w"], "worlds": ["closed"], "attacks": ["naive"]},
    )
    assert row.data == "people.csv" and row.probes == 12
