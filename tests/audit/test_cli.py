"""The command line as its users meet it: exit codes, one sentence, machine output on stdout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

Layout = Callable[..., Path]
SCAN = ("--attacks", "naive", "--device", "cpu", "--workers", "1")


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, layout: Layout) -> Path:
    return layout(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["scan", "--nonsense"], ["info"], ["leakage"], ["scan", "--seed", "x"]],
)
def test_mistakes_on_the_command_line_are_2(cli: Cli, arguments: list[str]) -> None:
    code, out, err = cli(*arguments)
    assert code == 2 and not out and "Error" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan", "{}"],
        ["validate", "{}"],
        ["identify", "{}"],
        ["report", "{}"],
        ["verify", "{}"],
        ["scan", "-c", "{}"],
        ["anonymize", "{}", "out", "--method", "solid"],
    ],
)
def test_what_is_missing_is_named_in_one_sentence(
    cli: Cli, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = str(tmp_path / "absent")
    code, out, err = cli(*(argument.format(missing) for argument in arguments))
    assert code == 2 and not out
    assert missing in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["info", "rigde"], "ridge"),
        (["leakage", "--method", "gausian:k=3"], "gaussian"),
        (["leakage", "--method", "gaussian:k=81", "--face-width", "2"], "--face-width"),
        (["scan", "--fail-on", "irra > 0.05"], "did you mean 'ira'"),
        (["scan", "--threshold", "5"], "--threshold"),
    ],
)
def test_bad_values_are_named(cli: Cli, arguments: list[str], hint: str) -> None:
    code, out, err = cli(*arguments)
    assert code == 2 and not out and hint in err


def test_nothing_to_audit_is_5(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "gallery" / "ada").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(tmp_path / "gallery" / "ada" / "1.png")
    code, _, err = cli("scan", tmp_path, "-o", tmp_path / "run")
    assert code == 5 and "--anonymized" in err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli("identify", empty)[0] == 5


def test_scan_gate_verify_and_report(cli: Cli, data: Path, plumbing: None, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, out, err = cli("scan", data, "-o", run, *SCAN, "--json")
    assert code == 0 and "LEAK DEMONSTRATED" in err
    results = json.loads(out)
    assert out == (run / "results.json").read_text()
    assert list(results)[:2] == ["schema_version", "title"]
    for key in ("verdict", "data", "anonymizer", "controls", "attacks", "findings"):
        assert key in results
    jsonschema.validate(results, json.loads(cli("schema")[1]))

    assert cli("scan", data, "-o", run, *SCAN, "--fail-on", "ira > 0.05")[0] == 1
    assert cli("scan", data, "-o", run, *SCAN, "--fail-on", "ira > 0.9999 and ira < 0.5")[0] == 0
    code, _, err = cli("scan", data, "-o", run, *SCAN, "--seed", "9")
    assert code == 2 and "seed: 0 -> 9" in err

    assert cli("verify", run)[0] == 0
    code, out, _ = cli("report", run, "-f", "json,csv,sarif,html", "-o", tmp_path / "again")
    assert code == 0 and len(out.splitlines()) == 4
    assert all(Path(line).stat().st_size for line in out.splitlines())
    assert cli("report", run, "-f", "docx", "-o", tmp_path / "again")[0] == 2
    with (run / "report.html").open("a") as file:
        file.write(" ")
    code, _, err = cli("verify", run)
    assert code == 3 and "report.html: changed" in err


def test_a_gate_on_an_inconclusive_run_is_4(
    cli: Cli, layout: Layout, plumbing: None, tmp_path: Path
) -> None:
    solid = layout(tmp_path / "data", "solid")
    options = ("-o", tmp_path / "run", *SCAN, "--fail-on", "verdict == LEAK_DEMONSTRATED")
    code, _, err = cli("scan", solid, *options)
    assert code == 4 and "INCONCLUSIVE" in err


def test_an_interrupt_is_130_and_says_how_to_go_on(
    cli: Cli, data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reid_audit.audit.scan.condition.run_attack", interrupt)
    code, _, err = cli("scan", data, "-o", tmp_path / "run", *SCAN)
    assert code == 130 and "repeat the same command" in err


def test_a_wrong_checkpoint_is_refused_before_anything_is_written(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, _, err = cli("scan", data, "-o", run, "--checkpoint", f"mmse={tmp_path / 'nowhere'}")
    assert code == 2 and "no checkpoint" in err and not run.exists()
    code, _, err = cli("scan", data, "-o", run, "--checkpoint", "mmse")
    assert code == 2 and "--checkpoint: " in err and not run.exists()
    assert cli("scan", data, "-o", run, "--attacks", "rigde")[0] == 2 and not run.exists()


def test_a_manifest_may_lead_out_of_its_folder_where_root_allows(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    one, two = sorted((data / "originals").glob("*/*.png"))[:2]
    (tmp_path / "lists").mkdir()
    shutil.copytree(one.parent, tmp_path / "faces")
    manifest = tmp_path / "lists" / "people.csv"
    rows = [f"a,x,probe,../faces/{one.name}", f"b,x,probe,{tmp_path / 'faces' / two.name}"]
    manifest.write_text("\n".join(["image_id,identity,role,path", *rows]))
    said = ("anonymize", manifest, tmp_path / "out", "--method", "solid", "--region", "image")
    code, _, err = cli(*said)
    assert code == 2 and "--root" in err
    assert cli(*said, "--root", tmp_path)[0] == 0
    written = {p.name for p in (tmp_path / "out" / "faces").iterdir()}
    assert {one.name, two.name} <= written
    said = ("validate", manifest, "--root", tmp_path, "--anonymized", tmp_path / "out", "--json")
    assert json.loads(cli(*said)[1])["counts"]["probes"] == 2


def test_validate_counts(cli: Cli, data: Path) -> None:
    code, out, _ = cli("validate", data, "--json")
    counts = json.loads(out)["counts"]
    assert code == 0
    assert (counts["gallery"], counts["probes"], counts["mated_probes"]) == (16, 16, 16)
    assert (counts["background"], counts["probes_with_original"], counts["left_out"]) == (32, 16, 0)
    assert "mated probes: 16" in cli("validate", data)[1]


def test_list_and_info(cli: Cli) -> None:
    found = json.loads(cli("list", "--json")[1])
    assert set(found) == {"attacks", "operators", "recognizers"}
    for name in (*found["attacks"], found["operators"][0]):
        facts = json.loads(cli("info", name, "--json")[1])
        assert facts["name"] == name and facts["about"]
    assert "ridge" in cli("list")[1] and "needs:" in cli("info", "ridge")[1]
    told = cli("info", "pixelate")[1]
    assert "parameter b: a whole number; needed" in told and "default mean" in told
    assert "Raises" not in cli("info", "gaussian")[1]


def test_leakage_tells_the_limit_and_the_weakest_setting(cli: Cli) -> None:
    answer = json.loads(
        cli(
            "leakage",
            "--method",
            "gaussian:k=21",
            "--face-width",
            "94",
            "--target-er",
            "6",
            "--json",
        )[1]
    )
    assert answer["effective_resolution"] > 6 and answer["face_width"] == 94
    stronger = answer["weakest_setting"]
    again = json.loads(cli("leakage", "--method", stronger, "--face-width", "94", "--json")[1])
    assert again["effective_resolution"] <= 6
    assert "94 px" in cli("leakage", "--method", "pixelate:b=16", "--face-width", "94")[1]


def test_identify_tells_family_parameters_and_place(cli: Cli, data: Path, tmp_path: Path) -> None:
    picture = next((data / "originals").glob("*/*.png"))
    (tmp_path / "in").mkdir()
    shutil.copy(picture, tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    assert (
        cli("anonymize", tmp_path / "in", out, "--method", "pixelate:b=8", "--region", "image")[0]
        == 0
    )
    code, told, _ = cli("identify", out, "--json")
    (found,) = json.loads(told)["results"]
    assert code == 0
    keys = {"path", "region", "family", "parameters", "noise", "codec", "effective_resolution"}
    assert keys | {"confidence"} <= set(found)
    assert found["family"] == "pixelate" and len(found["region"]) == 4


def test_help_of_every_command(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    for name in (
        "demo",
        "scan",
        "identify",
        "leakage",
        "anonymize",
        "report",
        "verify",
        "validate",
    ):
        assert name in out and cli(name, "--help")[0] == 0
    assert cli("--version")[0] == 0


def test_settings_from_environment_and_file(
    cli: Cli, data: Path, plumbing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"attacks": ["naive"], "device": "cpu", "seed": 4}
    file = tmp_path / "audit.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    monkeypatch.setenv("REID_AUDIT_THRESHOLD", "0.2")
    code, out, _ = cli("scan", data, "-c", file, "-o", tmp_path / "run", "--json")
    results = json.loads(out)
    assert code == 0 and results["seed"] == 4 and results["verdict"]["threshold"] == 0.2


def test_a_film_is_refused_with_what_to_do(cli: Cli, tmp_path: Path) -> None:
    film = tmp_path / "v.mp4"
    film.write_bytes(b"\0\0\0\x18ftypmp42")
    code, out, told = cli("identify", film)
    assert code == 2 and not out and "ffmpeg" in told


def test_one_broken_file_among_several_is_never_success(cli: Cli, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    code, out, told = cli("identify", tmp_path)
    assert code == 3 and "good.png" in out and "1 of 2 files" in told


def test_what_is_misspelt_is_answered_with_the_nearest(cli: Cli) -> None:
    code, _, told = cli("info", "gausian")
    assert code == 2 and "'gaussian'" in told
    code, _, told = cli("scan", "nowhere", "--fail-on", "missed_face > 0")
    assert code == 2 and "'missed_faces'" in told
