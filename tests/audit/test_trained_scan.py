"""From `train` to `scan`: fine-tuned recognisers, and anonymisers that nobody can name."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reid_audit.attacks.recognition.interface import Recognizer

Layout = Callable[..., Path]
Cli = Callable[..., tuple[int, str, str]]
SCAN = ("--device", "cpu", "--workers", "1", "--json")
TRAIN = ("--size", "tiny", "--steps", "3", "--batch", "4", "--device", "cpu")

BLACK_BOX = """
import sys, pathlib
import cv2, numpy as np
source, target = map(pathlib.Path, sys.argv[1:])
for path in source.rglob("*.png"):
    picture = cv2.imread(str(path))
    height, width = picture.shape[:2]
    swirled = cv2.warpPolar(picture, (96, 96), (width / 2, height / 2), width, 0)
    columns = enumerate(swirled.swapaxes(0, 1))
    rolled = np.stack([np.roll(column, 40 - i // 2, 0) for i, column in columns])
    flags = cv2.WARP_INVERSE_MAP
    back = cv2.warpPolar(
        rolled.swapaxes(0, 1), (width, height), (width / 2, height / 2), width, flags
    )
    to = target / path.relative_to(source)
    to.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(to), cv2.medianBlur(back, 5))
"""


@pytest.fixture
def recognizers(
    plumbing: None, stand_in: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, Recognizer]:
    """What training and scans load: `first`, and `second`, which is another network to them."""
    known = {"first": stand_in, "second": replace(stand_in, name="second", digest="2" * 64)}
    for module in (
        "reid_audit.audit.scan.scan",
        "reid_audit.audit.checkpoints",
        "reid_audit.audit.commands.train",
    ):
        monkeypatch.setattr(f"{module}.load_recognizer", lambda spec, device: known[spec])
    return known


@pytest.fixture
def train(cli: Cli, tmp_path: Path, recognizers: object) -> Callable[..., str]:
    """A function (attack, data, arguments) that trains, and gives what a scan is told of it."""

    def run(kind: str, data: Path, *arguments: object) -> str:
        out = tmp_path / f"trained-{kind}"
        assert cli("train", kind, data, "-o", out, *TRAIN, *arguments)[0] == 0
        return f"--checkpoint={kind}={out}"

    return run


def attacked(told: str) -> dict[str, dict[str, Any]]:
    """Results of a scan with one recogniser, by attack."""
    return {attack["name"]: attack for attack in json.loads(told)["attacks"]}


def test_fine_tuned_recognisers_are_scanned_with(
    cli: Cli, train: Callable[..., str], layout: Layout, tmp_path: Path
) -> None:
    data, run = layout(tmp_path / "data"), tmp_path / "run"
    given = [train(kind, data, "--recognizer", "first") for kind in ("student", "parrot")]
    said = ("scan", data, "--attacks", "student,parrot", *given, *SCAN)

    code, _, err = cli(*said, "--recognizers", "second", "-o", run)
    assert code == 2 and "made from stand-in" in err and len(err.strip().splitlines()) == 1
    assert not run.exists()

    code, out, _ = cli(*said, "--recognizers", "first", "--worlds", "closed,open", "-o", run)
    assert code == 0
    found = attacked(out)
    # They learnt before the run, from people that the run does not know: it is all one world.
    assert len(json.loads(out)["attacks"]) == 2
    assert {a["knowledge"] for a in found.values()} == {"gallery and setting"}
    for name in ("student", "parrot"):
        assert found[name]["status"] == "ok", found[name]["reason"]
        assert found[name]["cost"]["parameters"] > 1000
        assert found[name]["cost"]["network_evaluations"] == 2 * 16

    code, out, _ = cli(*said, "--recognizers", "first,second", "-o", tmp_path / "both")
    reasons = {(a["name"], a["recognizer"]): a["reason"] for a in json.loads(out)["attacks"]}
    assert "taught by stand-in, not by second" in reasons["student", "second"]
    assert reasons["student", "stand-in"] is None
    assert reasons["parrot", "second"] is None  # its own network tells people apart


def test_a_second_teacher_lets_a_student_be_scored_by_it(
    cli: Cli, train: Callable[..., str], layout: Layout, tmp_path: Path
) -> None:
    data = layout(tmp_path / "data")
    given = train("student", data, "--recognizer", "first", "--recognizer", "second")
    said = ("--recognizers", "first,second", "--attacks", "student", given)
    code, out, _ = cli("scan", data, *said, *SCAN, "-o", tmp_path / "run")
    assert code == 0
    assert [attack["status"] for attack in json.loads(out)["attacks"]] == ["ok", "ok"]
    code, _, err = cli("train", "mmse", data, "-o", tmp_path / "x", *["--recognizer", "first"] * 2)
    assert code == 2 and "takes one" in err


def test_an_anonymiser_that_nobody_can_name_is_attacked_by_what_learnt_from_pairs(
    cli: Cli, train: Callable[..., str], layout: Layout, tmp_path: Path
) -> None:
    data, tool = layout(tmp_path / "data"), tmp_path / "tool.py"
    tool.write_text(BLACK_BOX)
    command = ("--command", f"{sys.executable} {tool} {{in}} {{out}}")
    people = data / "background"
    given = [train("mmse", people, *command)]
    for kind in ("student", "parrot"):
        given.append(train(kind, people, *command, "--recognizer", "first"))
    shutil.rmtree(data / "anonymized")
    from reid_audit.audit.commands.blackbox import anonymize_by_command

    anonymize_by_command(command[1], data / "originals", data / "anonymized")
    said = ("--attacks", "naive,wiener,mmse,student,parrot", "--recognizers", "first")
    code, out, _ = cli(
        *("scan", data, *said, *given, "--method", "unknown", *SCAN, "-o", tmp_path / "run")
    )
    assert code == 0
    results = json.loads(out)
    assert [c["anonymizer"]["family"] for c in results["conditions"]] == ["unknown"]
    assert "stated to be unknown" in results["anonymizer"]["reason"]
    found = attacked(out)
    assert found["wiener"]["status"] == "skipped"
    for name in ("naive", "mmse", "student", "parrot"):
        assert found[name]["status"] == "ok", (name, found[name]["reason"])
    assert found["mmse"]["metrics"]["psnr"]["n"] == 16
    # What was learnt for a known operator cannot be used without one, and the reason says how.
    code, out, _ = cli(
        *("scan", data, "--attacks", "mmse", "--recognizers", "first", "--method", "unknown"),
        *(*SCAN, "-o", tmp_path / "shipped"),
    )
    assert "on pairs" in attacked(out)["mmse"]["reason"]
