"""What a file does to its reader is that file's problem, and nobody else's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.residue import inspect
from reid_audit.audit.data.guard import Guard
from reid_audit.audit.data.screening import examine
from reid_audit.metrics.errors import InputError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(path := tmp_path / "a.png")
    return path


def big(folder: Path, side: int) -> Path:
    Image.new("RGB", (side, side)).save(path := folder / f"{side}.png")
    return path


def test_the_guard_says_what_its_readers_say(picture: Path, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"no picture")
    bad = tmp_path / os.fsdecode(b"\xff.png")
    with Guard(1) as guard:
        facts, plain = guard.facts(picture), examine(picture)
        assert (facts.sha256, facts.size) == (plain.sha256, (96, 64))
        np.testing.assert_array_equal(facts.fingerprint, plain.fingerprint)
        assert guard.facts(bad).problem == examine(bad).problem
        picture.write_bytes(picture.read_bytes() + b"and more")
        assert guard.residues(picture, regions=[(0, 0, 9, 9)]) == inspect(picture)
        with pytest.raises(InputError, match="not a readable picture"):
            guard.residues(bad, regions=())


def test_a_limit_of_processor_time(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REID_AUDIT_MAX_SECONDS", "0.15")
    with Guard(1) as guard:
        assert guard.facts(picture).problem is None
        slow = big(tmp_path, 8000)
        assert "takes more than 0.15 s" in (guard.facts(slow).problem or "")
        assert guard.facts(picture).problem is None  # another process
        (residue,) = guard.residues(slow, regions=())
        assert residue.kind == "unsearched" and "REID_AUDIT_MAX_SECONDS" in residue.evidence


def test_a_limit_of_memory(picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REID_AUDIT_MAX_MEBIBYTES", "64")
    with Guard(1) as guard:
        assert "memory" in (guard.facts(big(tmp_path, 7000)).problem or "")
        assert guard.facts(picture).problem is None


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGSEGV, "breaks its decoder"), (signal.SIGSTOP, "no answer for")]
)
def test_a_reader_that_dies_or_stays_silent(
    number: int, told: str, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid_audit.audit.data.guard.PATIENCE", 3.0)
    monkeypatch.setenv("REID_AUDIT_MAX_SECONDS", "0.3")
    with Guard(1) as guard:
        assert guard.facts(picture).problem is None
        reader = guard._started[-1].process
        reader.send_signal(number)
        assert told in (guard.facts(picture).problem or "")
        assert reader.poll() is not None
        assert guard.facts(picture).problem is None


def test_no_reader_is_left(picture: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Guard(2) as guard:
        guard.facts(picture)
        raise KeyboardInterrupt
    assert [p.process.poll() for p in guard._started] == [-signal.SIGKILL]


@pytest.mark.parametrize("name", ["SECONDS", "MEBIBYTES", "MEGAPIXELS"])
def test_limits_are_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"REID_AUDIT_MAX_{name}", "plenty")
    with pytest.raises(InputError, match=f"REID_AUDIT_MAX_{name}='plenty' is no positive number"):
        Guard(1)
