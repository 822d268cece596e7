"""Faults of the machine: whatever stops a scan, the repeated command comes to the same results."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reid_audit.audit.run_directory import verify

Cli = Callable[..., tuple[int, str, str]]
Layout = Callable[..., Path]
SETTINGS = ("--attacks", "naive,wiener", "--device", "cpu", "--workers", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, layout: Layout) -> Path:
    return layout(tmp_path_factory.mktemp("data"))


@pytest.fixture
def scan(cli: Cli, data: Path, plumbing: None) -> Callable[[Path], tuple[int, str]]:
    """A function (run) that scans into it and gives exit code and stderr."""

    def call(run: Path) -> tuple[int, str]:
        code, _, err = cli("scan", data, "-o", run, *SETTINGS)
        return code, err

    return call


def outcome(run: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a run found, without what may differ: times."""
    content = json.loads((run / "results.json").read_text())
    del content["run"]
    for attack in content["attacks"]:
        del attack["cost"]
    return content, pd.read_parquet(run / "trials.parquet")


def assert_equal(run: Path, sound: Path) -> None:
    (results, trials), (expected, wanted) = outcome(run), outcome(sound)
    assert results == expected
    pd.testing.assert_frame_equal(trials, wanted)
    assert verify(run) == []


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> Iterator[None]:
    """Within it, `after` files can be finished, and the writing of the next fails at its end."""
    finished = 0
    sync = os.fsync

    def fsync(file: int) -> None:
        nonlocal finished
        finished += 1
        if finished > after:
            raise error
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ERRORS = [
    (KeyboardInterrupt(), 130, "Interrupted; repeat the same command"),
    (FULL, 3, "the disk is full"),
    (OSError(errno.EROFS, os.strerror(errno.EROFS)), 2, "cannot be written"),
    (OSError(errno.EIO, os.strerror(errno.EIO)), 2, "cannot be written"),
]


@pytest.mark.parametrize(("error", "code", "told"), ERRORS[:2])
def test_stopped_at_every_few_files_and_repeated(
    error: BaseException,
    code: int,
    told: str,
    scan: Callable[[Path], tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, sound = tmp_path / "run", tmp_path / "sound"
    assert scan(sound)[0] == 0
    stops = 0
    while True:
        with failing(monkeypatch, 6, error):
            ended, err = scan(run)
        if ended == 0:
            break
        stops += 1
        assert ended == code and told in err and stops < 100
        assert not list(run.rglob("*.tmp"))
        assert not (run / "SHA256SUMS").exists() or not verify(run)
    assert stops >= 8
    print(f"stopped {stops} times")
    assert_equal(run, sound)


@pytest.mark.parametrize(("error", "code", "told"), ERRORS)
def test_nothing_can_be_written(
    error: BaseException,
    code: int,
    told: str,
    scan: Callable[[Path], tuple[int, str]],
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert scan(tmp_path / "run")[0] == 0
    with failing(monkeypatch, 0, error):
        for arguments in (
            ("report", tmp_path / "run", "-f", "html,sarif", "-o", tmp_path / "out"),
            ("compare", tmp_path / "run", tmp_path / "run", "-o", tmp_path / "out"),
            ("anonymize", "data", tmp_path / "out", "--method", "solid", "--region", "image"),
        ):
            if arguments[1] == "data":
                shutil.copy(next(iter((tmp_path / "run").rglob("*.html"))), tmp_path / "x")
                arguments = ("anonymize", _picture(tmp_path), *arguments[2:])
            ended, _, err = cli(*arguments)
            assert ended == code and told in err
        assert not list(tmp_path.rglob("*.tmp"))


def _picture(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (32, 32)).save(path := folder / "a.png")
    return path


def test_an_output_path_that_is_a_file(
    scan: Callable[[Path], tuple[int, str]], cli: Cli, tmp_path: Path
) -> None:
    assert scan(tmp_path / "run")[0] == 0
    (file := tmp_path / "file").write_text("mine")
    picture = _picture(tmp_path)
    for out in (file, file / "below"):
        ended, err = scan(out)
        assert ended == 2 and str(file) in err
        for arguments in (
            ("report", tmp_path / "run", "-o", out),
            ("compare", tmp_path / "run", tmp_path / "run", "-o", out),
            ("anonymize", picture, out, "--method", "solid", "--region", "image"),
            ("inspect", "--anonymized", tmp_path, "-o", out),
            ("demo", "-o", out),
        ):
            ended, _, err = cli(*arguments)
            assert ended == 2 and str(file) in err, arguments
    assert file.read_text() == "mine"


@pytest.mark.parametrize("role", ["gallery", "background", "anonymized"])
def test_a_picture_that_vanishes(
    role: str,
    scan: Callable[[Path], tuple[int, str]],
    data: Path,
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told by its name to the person at the terminal, and no result is made of its lack."""
    from reid_audit.audit.probes import material

    victim = sorted((data / role).rglob("*.png"))[0]
    hidden = tmp_path / "hidden.png"
    sound = tmp_path / "sound"
    assert scan(sound)[0] == 0
    group = material.group_probes

    def vanish(*arguments: Any) -> Any:
        shutil.move(victim, hidden)
        return group(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(material, "group_probes", vanish)
        ended, err = scan(tmp_path / "run")
    shutil.move(hidden, victim)
    assert ended == 2 and victim.name in err and "no such file" in err
    assert not (tmp_path / "run" / "results.json").exists()
    assert scan(tmp_path / "run")[0] == 0
    assert_equal(tmp_path / "run", sound)


def test_damaged_intermediate_files_are_made_again(
    scan: Callable[[Path], tuple[int, str]], tmp_path: Path
) -> None:
    run, sound = tmp_path / "run", tmp_path / "sound"
    assert scan(sound)[0] == 0 and scan(run)[0] == 0
    kept = [p for p in (run / "work").rglob("*") if p.is_file()]
    assert len(kept) > 20
    for number, path in enumerate(kept):
        content = path.read_bytes()
        path.write_bytes((b"", content[: len(content) // 2], b"\0" * len(content))[number % 3])
    (run / "results.json").unlink()
    ended, err = scan(run)
    assert ended == 0, err
    assert_equal(run, sound)
