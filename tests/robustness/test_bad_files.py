"""Bad files by the hundred: each is read or left out with a reason, and no command breaks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import hostile
from reid_audit.attacks.anonymisation import read_encoded
from reid_audit.attacks.pictures import read_picture
from reid_audit.attacks.residue import inspect
from reid_audit.audit.data.decode import decode, is_picture
from reid_audit.audit.data.screening import examine
from reid_audit.metrics.errors import InputError

Command = Callable[..., tuple[int, str, str]]
MANY = 40
"""Files of a kind that one run of the tests tries; `python -m benchmarks.robustness` tries all."""
LARGE = 10_000_000
"""Pixels; damage may make a picture claim them, and decoding them in vain takes seconds."""
READERS = (decode, read_picture, inspect, read_encoded)


def some(paths: list[Path]) -> list[Path]:
    """Evenly picked, so that every format is among them."""
    return [path for path in paths[:: max(1, len(paths) // MANY)] if _claimed(path) < LARGE]


def _claimed(path: Path) -> int:
    try:
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # no picture
        return 0


@pytest.fixture(params=[kind for kind in hostile.KINDS if kind != "bombs"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    written = hostile.write(request.param, tmp_path / "files", 200_000)
    chosen = some(written)
    for path in set(written) - set(chosen):
        path.unlink()
    return chosen


@pytest.mark.filterwarnings("ignore")
def test_every_file_is_read_or_refused_in_a_sentence(files: list[Path]) -> None:
    for path in files:
        is_picture(path)
        for reader in READERS:
            try:
                reader(path)
            except InputError as error:
                told = str(error)
                assert told.startswith(str(path)) and "\n" not in told and len(told) < 600
        assert (problem := examine(path).problem) is None or str(path.parent) not in problem


@pytest.mark.filterwarnings("ignore")
def test_every_file_is_counted(files: list[Path], command: Command) -> None:
    code, out, _ = command("validate", "--anonymized", files[0].parent, "--json")
    if code == 5:
        return
    told = json.loads(out)
    assert code == 0
    assert told["counts"]["probes"] + told["counts"]["left_out"] == len(files)
    assert all(row["reason"] for row in told["excluded"])


def test_bombs_are_left_out_within_seconds(tmp_path: Path, command: Command) -> None:
    paths = hostile.write("bombs", tmp_path)
    started = time.process_time()
    code, out, _ = command("validate", "--anonymized", tmp_path, "--json")
    told = json.loads(out)
    assert code == 0 and time.process_time() - started < 20
    assert told["counts"]["probes"] + told["counts"]["left_out"] == len(paths)
    left_out = {Path(row["path"]).name: row["reason"] for row in told["excluded"]}
    for name in ("claims.png", "claims.jpg", "size.gif", "claims.tif"):
        assert "limit of 80 million pixels" in left_out[name]
    assert "just-allowed.png" not in left_out


def test_odd_entries_of_a_folder(tmp_path: Path, command: Command) -> None:
    entries = hostile.odd_entries(tmp_path / "in")
    assert len(entries) > 30
    for arguments in (
        ("validate", "--anonymized", tmp_path / "in"),
        ("identify", tmp_path / "in", "--json"),
        (
            "anonymize",
            tmp_path / "in",
            tmp_path / "out",
            "--method",
            "box:k=5",
            "--region",
            "image",
        ),
    ):
        code, out, err = command(*arguments)
        assert code in (0, 3) and "\x1b" not in out + err and "\u202e" not in out + err
    sidecar = json.loads((tmp_path / "out" / "anonymized.json").read_text())
    assert len(sidecar["pictures"]) > 20
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "entry", ["pipe.png", "socket.png", "loop.png", "folder.png", "device.png"]
)
def test_an_odd_entry_named_itself(entry: str, tmp_path: Path, command: Command) -> None:
    hostile.odd_entries(tmp_path)
    for arguments in (
        ("identify", tmp_path / entry),
        ("anonymize", tmp_path / entry, tmp_path / "out.png", "--method", "box:k=5"),
        ("validate", tmp_path / entry),
        ("scan", "-c", tmp_path / entry, tmp_path),
        ("report", tmp_path / entry),
    ):
        assert command(*arguments)[0] != 0 or entry == "folder.png"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes of Unix")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_search_takes_time_in_proportion(form: str, tmp_path: Path) -> None:
    for name, content in hostile.trailers(4_000_000):
        if not name.endswith(form.lower()) or name.startswith("boxes"):
            continue
        path = tmp_path / name
        path.write_bytes(content)
        started = time.process_time()
        inspect(path)
        assert time.process_time() - started < 1.5, name
