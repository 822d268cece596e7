"""One scan on this machine and on a Ray cluster of it: what each took, and whether they are equal.

    python -m benchmarks.engines --out FOLDER DATA --attacks naive,wiener,ridge

What stands after DATA goes to both scans. Prints a Markdown table, and ends with 1 where results
differ in anything but times, costs and memory, or trials in a byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ENGINES = ("local", "ray")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    print("| engine | s | trials.parquet | results.json without times |")
    print("|---|---|---|---|")
    told = set()
    for engine in ENGINES:
        run = given.out / engine
        command = [sys.executable, "-m", "reid_audit", "scan", str(given.data), "-o", str(run)]
        started = time.perf_counter()
        subprocess.run([*command, "--engine", engine, *given.rest], check=True)
        seconds = time.perf_counter() - started
        trials = hashlib.sha256((run / "trials.parquet").read_bytes()).hexdigest()[:12]
        results = hashlib.sha256(json.dumps(comparable(run)).encode()).hexdigest()[:12]
        told.add((trials, results))
        print(f"| {engine} | {seconds:.0f} | {trials} | {results} |", flush=True)
    return int(len(told) > 1)


def comparable(run: Path) -> dict[str, Any]:
    """A run's results without what may differ: times, costs and memory."""
    content: dict[str, Any] = json.loads((run / "results.json").read_text())
    del content["run"]
    for attack in content["attacks"]:
        del attack["cost"]
    return content


if __name__ == "__main__":
    sys.exit(main())
