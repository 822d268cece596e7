"""However a command ends, there is one sentence, an exit code and no traceback."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from reid_audit.audit.cli.door import guarded
from reid_audit.metrics.errors import InputError, IntegrityError, NothingToAudit


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def system(number: int, name: str | None = "/data/out") -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (InputError("a.png: bad; replace it."), 2, "a.png: bad; replace it."),
        (IntegrityError("b differs."), 3, "b differs."),
        (NothingToAudit("nothing."), 5, "nothing."),
        (system(errno.ENOSPC), 3, "/data/out: no space is left"),
        (system(errno.EROFS), 2, "/data/out: the file system is read-only"),
        (system(errno.EACCES), 2, "/data/out: access is denied"),
        (system(errno.EEXIST), 2, "a file stands where a folder is needed"),
        (system(errno.ENOTDIR), 2, "a part of the path is a file"),
        (system(errno.ELOOP), 2, "links lead in a circle"),
        (system(errno.ENOSPC, None), 3, "reid-audit: no space"),
        (MemoryError(), 3, "not enough memory"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), 2, "cannot be encoded"),
        (BrokenExecutor("Jane"), 3, "lower --workers"),
        (RecursionError(), 2, "nested too deeply"),
        (KeyboardInterrupt(), 130, "repeat the same command"),
        (click.exceptions.Abort(), 130, "repeat the same command"),
        (click.UsageError("no such option"), 2, "no such option"),
    ],
)
def test_what_is_expected_is_one_sentence(
    error: BaseException, code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == code
    captured = capsys.readouterr()
    assert hint in captured.err and not captured.out and "Traceback" not in captured.err


@pytest.mark.parametrize(
    "error", [KeyError("Jane Roe"), ValueError("/home/jane/a.png"), OSError("Jane"), TypeError("x")]
)
def test_what_is_not_expected_is_an_internal_error_whose_log_tells_nobody(
    error: Exception,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def outer() -> int:
        try:
            raise LookupError("Jane Roe")
        except LookupError:
            raise error  # noqa: B904 - what led to it is kept as context

    assert guarded(outer) == 70
    told = capsys.readouterr().err
    (log,) = tmp_path.glob("*.log")
    assert str(log) in told and type(error).__name__ in told
    text = log.read_text()
    assert "in outer" in text and re.search(r"test_door\.py:\d+", text) and "LookupError" in text
    for secret in ("Jane", "jane", str(Path(__file__).parent)):
        assert secret not in text and secret not in told
    assert log.stat().st_mode & 0o077 == 0


def test_a_name_that_is_no_utf8_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(InputError("a\udcff.png: bad; rename it."))) == 2
    assert "a\\udcff.png" in capsys.readouterr().err


def test_sigterm_ends_as_an_interrupt_and_leaves_no_unfinished_file(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from reid_audit.audit.cli.door import guarded\n"
        "from reid_audit.metrics.files import atomic\n"
        "def command():\n"
        "    with atomic(Path(sys.argv[1]) / 'results.json') as file:\n"
        "        file.write_text('half'); print('ready', flush=True)\n"
        # In short naps: a signal that comes just before one is heard after it.
        "        for _ in range(1200): time.sleep(0.05)\n"
        "sys.exit(guarded(command))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and "repeat the same command" in err
    assert time.monotonic() - start < 30 and not list(tmp_path.iterdir())


def test_a_sigterm_that_a_destructor_swallowed_leaves_the_next_one_to_end_the_command() -> None:
    lost = []

    class Swallows:
        def __del__(self) -> None:  # what is raised in here, Python prints and drops
            os.kill(os.getpid(), signal.SIGTERM)
            lost.append(time.sleep(0))

    def command() -> None:
        Swallows()
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the second signal was ignored")

    assert guarded(command) == 143


@pytest.mark.slow
def test_identify_says_that_a_file_could_not_be_read(
    cli: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    code, out, err = cli("identify", tmp_path)
    assert code == 3 and "1 of 2 files could not be read" in err and "good.png" in out
    (line,) = [line for line in out.splitlines() if "bad.png" in line]
    assert line.count("bad.png") == 1
    code, out, _ = cli("identify", tmp_path, "--json")
    assert code == 3 and out.count('"path"') == 2


def test_waiting_threads_sleep_before_torch_is_loaded() -> None:
    program = (
        "import os, sys\n"
        "from reid_audit.audit.cli import main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main(['--version'])\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("OMP_WAIT_POLICY", None)
    for stated, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        if stated:
            environment["OMP_WAIT_POLICY"] = stated
        told = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
        assert told.splitlines()[-1] == expected
