"""What bad files do to the readers, and what many files do to memory; as Markdown.

    python -m benchmarks.robustness files [--mebibytes 4096] [--seconds 20] [--kinds KIND ...]
    python -m benchmarks.robustness memory FOLDER [--counts 1000 10000] [--commands inspect scan]

`files` opens every file of `benchmarks.hostile` as a scan does (decode, digest, fingerprint, search
for leaks), each in a process of its own under the guard's limits. `memory` runs commands over
folders of many small pictures: 50 people who do not exist, blurred, in ever other places and light.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks import hostile
from reid_audit.attacks.operators import parse
from reid_audit.audit.data.limits import MAX_MEBIBYTES, MAX_SECONDS
from reid_audit.audit.data.worker import answer, limit_memory
from reid_audit.audit.people import cast


@dataclass(frozen=True)
class Trial:
    """One file: what came of it, and what it cost (processor seconds, MiB beyond the start)."""

    name: str
    outcome: str
    seconds: float
    mebibytes: float


def tried(path: Path, seconds: float, mebibytes: float) -> Trial:
    """Open one file in a child process."""
    own, other = os.pipe()
    before = psutil.Process().memory_info().rss
    child = os.fork()
    if child == 0:
        os.close(own)
        os._exit(_child(path, seconds, mebibytes, other))
    os.close(other)
    with os.fdopen(own, "rb") as pipe:
        outcome = pipe.read().decode()
    _, status, used = os.wait4(child, 0)
    if not outcome:
        stopped = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
        outcome = "stopped by the limit of time" if stopped else "broke its process"
    return Trial(
        path.name,
        outcome,
        used.ru_utime + used.ru_stime,
        max(0, used.ru_maxrss * 1024 - before) / 2**20,
    )


def _child(path: Path, seconds: float, mebibytes: float, pipe: int) -> int:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    limit_memory(int(mebibytes * 2**20))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        facts = answer({"ask": "facts", "path": str(path)})
        leaks = answer({"ask": "residues", "path": str(path), "regions": []})
        refused = facts.get("problem") or leaks.get("problem")
        os.write(pipe, b"left out" if refused else b"read")
    except BaseException as error:  # what a user would see as a traceback
        os.write(pipe, f"traceback ({type(error).__name__})".encode())
    return 0


def files(seconds: float, mebibytes: float, kinds: list[str]) -> None:
    """The table of bad files."""
    warnings.simplefilter("ignore")
    print("| kind | files | read | left out | stopped | tracebacks | most CPU s | most MiB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds or (*hostile.KINDS, "names and entries"):
            made = Path(folder) / kind
            paths = (
                hostile.write(kind, made, 30_000_000)
                if kind in hostile.KINDS
                else hostile.odd_entries(made)
            )
            trials = [tried(path, seconds, mebibytes) for path in paths]
            for path in paths:
                if path.is_file() and not path.is_symlink():
                    path.unlink()
            _row(kind, trials)


def _row(kind: str, trials: list[Trial]) -> None:
    count = Counter(trial.outcome.partition(" (")[0] for trial in trials)
    stopped = count["stopped by the limit of time"] + count["broke its process"]
    slowest = max(trials, key=lambda trial: trial.seconds)
    largest = max(trials, key=lambda trial: trial.mebibytes)
    print(
        f"| {kind} | {len(trials)} | {count['read']} | {count['left out']} | {stopped} | "
        f"{count['traceback']} | {slowest.seconds:.2f} ({slowest.name}) | "
        f"{largest.mebibytes:.0f} ({largest.name}) |",
        flush=True,
    )


# ---- memory ------------------------------------------------------------------------------------


PEOPLE, SIDE, BLUR = 50, 128, "gaussian:sigma=2"


def memory(folder: Path, counts: list[int], commands: list[str]) -> None:
    """Peak memory of commands over folders of `counts` small pictures."""
    print(
        "| command | " + " | ".join(f"{count:,} pictures, MiB" for count in counts) + " | ratio |"
    )
    print("|---|" + "---|" * (len(counts) + 1))
    for count in counts:
        _pictures(folder, count)
    for name in commands:
        peaks = []
        for count in counts:
            given = ["--anonymized", str(folder / str(count)), "--workers", "1"]
            run = folder / f"run-{count}"
            shutil.rmtree(run, ignore_errors=True)
            if name == "scan":
                given += ["--gallery", str(folder / "gallery"), "-o", str(run)]
                given += ["--attacks", "naive,wiener", "--recognizers", "dlib", "--judge", "none"]
                given += ["--method", BLUR, "--region", "image"]
            peaks.append(_peak([name, *(given[:2] if name == "validate" else given)]))
        cells = " | ".join(f"{peak:.0f}" for peak in peaks)
        print(f"| {name} | {cells} | {peaks[-1] / peaks[0]:.3f} |", flush=True)


def _pictures(folder: Path, count: int) -> None:
    """A gallery of one picture a person, and `count` blurred ones that all differ."""
    cast(folder / "gallery", range(PEOPLE), [0], size=SIDE, workers=1)
    clear = cast(folder / "others", range(PEOPLE), [1], size=SIDE, workers=1)
    operator = parse(BLUR)
    faces = {path.parent.name: np.asarray(Image.open(path).convert("RGB")) for path in clear}
    for number in range(count):
        who = sorted(faces)[number % PEOPLE]
        path = folder / str(count) / who / f"{number:05d}.png"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        moved = np.roll(faces[who], rng.integers(-6, 7, 2), (0, 1)) * rng.uniform(0.7, 1.0, 3)
        path.parent.mkdir(parents=True, exist_ok=True)
        blurred = operator.apply(moved.astype(np.uint8), rng)
        Image.fromarray(blurred).save(path, compress_level=1)


def _peak(arguments: list[str]) -> float:
    """MiB resident at most in the command's own process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reid_audit", *arguments, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments}: ended with status {status}")
    return used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["files", "memory"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
    parser.add_argument("--mebibytes", type=float, default=MAX_MEBIBYTES)
    parser.add_argument("--kinds", nargs="*", default=[])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--commands", nargs="+", default=["validate", "inspect", "scan"])
    given = parser.parse_args()
    if given.what == "files":
        files(given.seconds, given.mebibytes, given.kinds)
    else:
        memory(given.folder, given.counts, given.commands)


if __name__ == "__main__":
    main()
