"""A scan says how long it will take, and keeps to the time it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import Context
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import names
from reid_audit.audit.config import resolve
from reid_audit.audit.evaluation.verdict import Evidence, decide
from reid_audit.audit.results.schema import Results, read_results
from reid_audit.audit.scan.duration import EFFORTS, Clock
from reid_audit.audit.scan.schedule import WORTH
from reid_audit.audit.trials.units import OutOfTime
from reid_audit.metrics.errors import InputError

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("45", 45), ("0.5h", 1800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert resolve({"time_limit": text}).time_limit == seconds


@pytest.mark.parametrize("text", ["soon", "20 minutes", "0", "-5m", ""])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="time"):
        resolve({"time_limit": text})


def test_every_built_in_attack_has_an_effort_and_a_place() -> None:
    assert set(WORTH) == set(EFFORTS) == {name for name in names() if ":" not in name}


class Time:
    """Seconds that a test sets."""

    value = 0.0

    def __call__(self) -> float:
        return self.value


def test_a_clock_learns_how_slow_the_machine_is() -> None:
    now = Time()
    clock = Clock(100.0, now)
    assert clock.fits(90.0) and not clock.fits(110.0)
    clock.ran(10.0, 30.0)
    now.value = 30.0
    assert clock.left == 70.0 and clock.slowness == 3.0
    assert clock.fits(20.0) and not clock.fits(25.0)
    assert clock.fits(None), "of unknown length, while time is left"
    now.value = 100.0
    assert not clock.fits(None)
    assert Clock(None, now).fits(1e9)


def test_an_attack_is_stopped_at_the_limit(stand_in: Recognizer) -> None:
    now, told = Time(), []
    clock = Clock(10.0, now)
    quiet = Context(ForwardModel(parse("none"), ()), stand_in)
    context = clock.watched(quiet.replace(progress=lambda *step: told.append(step)))
    context.progress("training", 1, 3)
    now.value = 11.0
    with pytest.raises(OutOfTime, match="10 s"):
        context.progress("training", 2, 3)
    context.progress("training", 3, 3)  # what is done is done
    assert len(told) == 3


def test_nothing_is_bounded_without_what_was_left_out() -> None:
    nobody = np.zeros(100)
    weak = Evidence("naive", "dlib", "c1", 0.0, 0.03, nobody, nobody)
    assert decide([weak], [], 0.05, 0.05).outcome == "BOUNDED"
    cut = decide([weak], [], 0.05, 0.05, ("student",))
    assert cut.outcome == "INCONCLUSIVE" and cut.left_out == ["student"]
    assert "student" in cut.reasons[-1]
    named = replace(weak, attacked=np.ones(100), ira=1.0, upper=1.0)
    assert decide([named], [], 0.05, 0.05, ("student",)).outcome == "LEAK_DEMONSTRATED"


@pytest.fixture
def scanned(
    cli: Cli, layout: Callable[..., Path], plumbing: None, tmp_path: Path
) -> Callable[..., tuple[str, Results]]:
    data = layout(tmp_path / "data")

    def scan(*options: object) -> tuple[str, Results]:
        attacks = "ridge,naive,wiener"
        run = tmp_path / "run"
        code, _, told = cli(
            "scan", data, "-o", run, "--attacks", attacks, "--recognizers", "dlib", *options
        )
        assert code == 0
        return told, read_results(run / "results.json")

    return scan


@pytest.mark.slow
def test_what_was_left_out_is_listed_and_done_when_there_is_time(
    scanned: Callable[..., tuple[str, Results]],
) -> None:
    told, results = scanned("--time-limit", "0.001s")
    assert "will take about" in told and "naive" in told and "worthiest first" in told
    assert results.verdict.outcome == "INCONCLUSIVE"
    assert {a.name for a in results.attacks if a.left_out} == {"naive", "ridge", "wiener"}
    assert all("time limit" in (a.reason or "") for a in results.attacks)
    (finding,) = (f for f in results.findings if f.id == "attacks.left-out")
    assert "ridge (1 of 1 times)" in finding.evidence
    told, results = scanned()
    assert "worthiest" not in told
    assert not any(a.left_out for a in results.attacks)
    assert {a.status for a in results.attacks} == {"ok"}
    assert results.verdict.left_out == []
