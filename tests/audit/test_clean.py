"""What only the making of a run needed is removed, and nothing else ever is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from reid_audit.audit.commands.clean import clean
from reid_audit.audit.config import dump_config, resolve
from reid_audit.audit.run_directory import LOCK, open_run, seal, verify
from reid_audit.metrics.errors import InputError

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with intermediate files, pictures among them, and a sheet."""
    with open_run(tmp_path / "run", resolve({})) as store:
        cache = store.path / "work" / "cache"
        (cache / "faces").mkdir(parents=True)
        (cache / "faces" / "a.json").write_text("{}")
        for name in ("embeddings-1.npy", "crops-1.npy", "restored-1.npy", "rounds-1.npy"):
            np.save(cache / name, np.zeros(1000, np.uint8))
        store.write_text("results.json", "{}")
        store.write_text("trials.parquet", "x")
        (store.evidence() / "sheet.html").write_text("x")
        seal(store.path)
    return tmp_path / "run"


def test_clean_takes_all_that_a_report_does_not_need(run: Path, cli: Cli) -> None:
    code, out, _ = cli("clean", run)
    assert code == 0 and "5 files" in out and "evidence/ shows faces" in out
    assert "trials.parquet" in out
    assert not any((run / "work").iterdir())
    assert verify(run) == []
    assert cli("clean", run)[1].startswith(f"{run}: 0 files")


def test_a_run_is_for_its_owner(run: Path) -> None:
    assert [p.stat().st_mode & 0o777 for p in (run, run / "work")] == [0o700, 0o700]


def test_pictures_go_when_a_run_is_finished(run: Path) -> None:
    with open_run(run, resolve({})) as store:
        store.drop_pictures()
    kept = {p.name for p in (run / "work").rglob("*") if p.is_file()}
    assert kept == {"a.json", "embeddings-1.npy"}


def test_what_is_no_finished_run_stays(run: Path, tmp_path: Path, cli: Cli) -> None:
    (other := tmp_path / "other" / "work").mkdir(parents=True)
    (other / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="nothing was removed"):
        clean(tmp_path / "other")
    with pytest.raises(InputError, match="no such folder"):
        clean(tmp_path / "none")
    with FileLock(run / LOCK), pytest.raises(InputError, match="another run works on it"):
        clean(run)
    (run / "results.json").unlink()
    code, _, err = cli("clean", run)
    assert code == 2 and "--unfinished" in err and (run / "work" / "cache").is_dir()
    assert cli("clean", run, "--unfinished")[0] == 0 and not (run / "work" / "cache").exists()
    assert (other / "thesis.tex").exists()


def test_a_link_among_the_files_is_not_followed(run: Path, tmp_path: Path) -> None:
    (mine := tmp_path / "mine").mkdir()
    (mine / "photo.png").write_text("x")
    (run / "work" / "cache" / "link").symlink_to(mine)
    clean(run)
    assert (mine / "photo.png").exists()


def test_a_bench_is_cleaned_too(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "probe.png").write_text("x")
    (tmp_path / "bench.resolved.yaml").write_text(dump_config(resolve({})))
    (tmp_path / "bench.json").write_text(json.dumps([]))
    assert clean(tmp_path).files == 1 and (tmp_path / "bench.json").exists()
