"""A run can be killed anywhere, resumed, and checked to the last byte."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.run_directory import open_run, seal, unit_key, verify
from reid_audit.metrics.errors import InputError, IntegrityError

CONFIG = AuditConfig()

# An audit of 20 units; after `stop` of them it dies as a machine does that loses power.
WORKER = """
import os, signal, sys
from pathlib import Path
import pandas as pd
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.run_directory import open_run, seal, unit_key
from reid_audit.metrics.cache import array_to_fill
from reid_audit.metrics.files import atomic

run, stop = Path(sys.argv[1]), int(sys.argv[2])
with open_run(run, AuditConfig()) as store:
    done, keys = 0, [unit_key(unit=i) for i in range(20)]
    for i, key in enumerate(keys):
        if store.load(key) is None:
            if done == stop:
                half = array_to_fill(run / "work" / "cache" / "crops.npy", (9, 9))
                with half, atomic(run / "work" / "half") as temporary:
                    temporary.write_bytes(b"half")
                    os.kill(os.getpid(), signal.SIGKILL)
            store.save(key, pd.DataFrame({"i": [i] * 3, "score": [i / 7] * 3}), {"mean": i / 7})
            done += 1
    store.write_text("results.json", str(keys))
print(done)
seal(run)
"""


def work(run: Path, stop: int = -1) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-c", WORKER, str(run), str(stop)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": root},
    )


def contents(run: Path) -> dict[str, bytes]:
    paths = (p for p in run.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(run).as_posix(): p.read_bytes() for p in paths}


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    assert work(tmp_path / "a", stop=7).returncode == -signal.SIGKILL
    with pytest.raises(IntegrityError, match="not finished"):
        verify(tmp_path / "a")
    resumed, whole = work(tmp_path / "a"), work(tmp_path / "b")
    assert (resumed.stdout, whole.stdout) == ("13\n", "20\n"), resumed.stderr
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert verify(tmp_path / "a") == []


def test_units(tmp_path: Path) -> None:
    trials = pd.DataFrame({"image": ["I-1", "I-2"], "rank": [1, 4]})
    with open_run(tmp_path / "run", CONFIG) as store:
        assert not store.resumed
        store.save("k", trials, {"seconds": 1.5})
        store.save("empty", trials[:0])
        unit = store.load("k")
        assert unit is not None and unit.facts == {"seconds": 1.5}
        pd.testing.assert_frame_equal(unit.trials, trials)
        assert store.load("other") is None
        (store.path / "work" / "k.parquet").write_bytes(b"PAR1 damaged")
        assert store.load("k") is None
    with open_run(tmp_path / "run", CONFIG) as store:
        assert store.resumed


def test_key_depends_on_everything_and_on_no_order() -> None:
    assert unit_key(a=1, b=[2]) == unit_key(b=[2], a=1)
    assert len({unit_key(a=1, b=2), unit_key(a=2, b=1), unit_key(a="1", b=2), unit_key(a=1)}) == 4


def test_other_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG):
        pass
    before = (tmp_path / "config.resolved.yaml").read_bytes()
    with (
        pytest.raises(InputError, match=r"seed: 0 -> 9.*-o"),
        open_run(tmp_path, AuditConfig(seed=9)),
    ):
        pass
    with open_run(tmp_path, AuditConfig(batch_size=1)):
        pass
    assert (tmp_path / "config.resolved.yaml").read_bytes() == before


def test_foreign_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no run of this tool"), open_run(tmp_path, CONFIG):
        pass
    assert contents(tmp_path) == {"thesis.txt": b"mine"}
    with (
        pytest.raises(InputError, match=r"cannot be written .*name another folder"),
        open_run(tmp_path / "thesis.txt", CONFIG),
    ):
        pass


def test_two_runs_at_once(tmp_path: Path) -> None:
    with (
        open_run(tmp_path, CONFIG),
        pytest.raises(InputError, match="another run works on it"),
        open_run(tmp_path, CONFIG),
    ):
        pass
    # A lock file that a dead process left behind locks nothing.
    assert (tmp_path / ".lock").exists()
    with open_run(tmp_path, CONFIG):
        pass


def test_verify_finds_changed_missing_and_extra(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG) as store:
        store.write_text("results.json", "{}\n")
        store.write_text("report.html", "<p>\n")
        store.write_manifest(device="cpu", seeds={"run": 0}, data={}, weights={})
    seal(tmp_path)
    assert verify(tmp_path) == []
    (tmp_path / "results.json").write_text("{ }\n")
    (tmp_path / "report.html").unlink()
    (tmp_path / "notes.txt").write_text("new")
    assert verify(tmp_path) == [
        "report.html: missing.",
        "results.json: changed since the run was sealed.",
        "notes.txt: not part of the sealed run.",
    ]
    (tmp_path / "SHA256SUMS").write_text("what\n")
    with pytest.raises(IntegrityError, match="line 1: damaged"):
        verify(tmp_path)
    with pytest.raises(InputError, match="no such run directory"):
        verify(tmp_path / "none")


def test_sums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG) as store:
        store.save("k", pd.DataFrame({"a": [1]}))
    seal(tmp_path)
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_evidence_is_for_its_owner(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG) as store:
        assert store.evidence().stat().st_mode & 0o777 == 0o700


def test_manifest_names_no_machine(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG) as store:
        text = store.write_manifest(device="cpu", seeds={}, data={}, weights={}).read_text()
    assert os.uname().nodename not in text and str(Path.home()) not in text
    assert '"torch"' in text and '"git_commit"' in text


def test_controls_of_earlier_versions_are_read() -> None:
    from reid_audit.audit.results.schema import Controls

    told = Controls.model_validate({"naive": {"value": 0.5}, "label_permutation": {"value": None}})
    assert told.naive.value == 0.5
