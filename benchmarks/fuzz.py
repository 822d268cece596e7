"""Coverage-guided fuzzing of what opens foreign files, by atheris (extra `fuzz`); as Markdown.

    python -m benchmarks.fuzz --folder WORK [--seconds 600] [--targets ingest residue]

`ingest` decodes, digests and fingerprints a file as a scan does, `residue` searches it for leaks;
both may raise `InputError` and nothing else. Seeds are the sound files of `benchmarks.hostile`.
What raises anything else is kept in WORK and fuzzing goes on; what ends the process, takes longer
than 20 s or more than 4 GiB is kept by libFuzzer, and the process is started again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS_EACH, MEBIBYTES = 20, 4096
TARGETS = {
    "ingest": ("reid_audit.audit.data", "PIL"),
    "residue": ("reid_audit.attacks.residue", "PIL"),
}
"""What is fuzzed, and the packages whose branches guide it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given, more = parser.parse_known_args()
    if given.child is not None:
        child(given.child, given.folder, more)
        return
    print("| target | executions | exceptions, by place | ended the process | hangs | memory |")
    print("|---|---|---|---|---|---|")
    for target in given.targets:
        row = fuzzed(target, given.folder / target, given.seconds)
        print(f"| {target} | {' | '.join(map(str, row))} |", flush=True)


def fuzzed(target: str, folder: Path, seconds: int) -> tuple[int, int, int, int, int]:
    """Run one target for a time; counts, as the table has them."""
    import reid_audit.audit.data  # noqa: F401, makes Pillow know all formats
    from benchmarks.hostile import whole

    corpus, raised = folder / "corpus", folder / "raised"
    corpus.mkdir(parents=True, exist_ok=True)
    raised.mkdir(exist_ok=True)
    for name, content in whole().items():
        (corpus / name).write_bytes(content)
    executions, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 1:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--folder", str(folder)]
        command += ["--child", target, f"-max_total_time={int(left)}", f"-timeout={SECONDS_EACH}"]
        command += [f"-rss_limit_mb={MEBIBYTES}", "-max_len=65536", "-print_final_stats=1"]
        command += [f"-artifact_prefix={folder}/", "-seed=1", str(corpus)]
        told = subprocess.run(command, capture_output=True, text=True, errors="replace").stderr
        counted = re.findall(r"number_of_executed_units:\s*(\d+)|^#(\d+)", told, re.MULTILINE)
        executions += max((int(a or b) for a, b in counted), default=0)
        if not counted:
            raise SystemExit(told[-2000:])
    kept = [len(list(folder.glob(f"{kind}-*"))) for kind in ("crash", "timeout", "oom")]
    return executions, len(list(raised.iterdir())), kept[0], kept[1], kept[2]


def child(target: str, folder: Path, arguments: list[str]) -> None:
    """The process that is fuzzed."""
    import atheris

    with atheris.instrument_imports(include=list(TARGETS[target])):
        work = _work(target)
    from reid_audit.metrics.errors import InputError

    place = folder / "input"

    def once(content: bytes) -> None:
        place.write_bytes(content)
        try:
            work(place)
        except InputError:
            return
        except Exception as error:
            _keep(error, content, folder / "raised")

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


def _work(target: str) -> Callable[[Path], Any]:
    if target == "ingest":
        from reid_audit.audit.data.screening import examine

        return examine
    from reid_audit.attacks.residue import inspect

    return lambda path: inspect(path, regions=[[0, 0, 8, 8]])


def _keep(error: Exception, content: bytes, folder: Path) -> None:
    """The first input that raises an error of this kind at this place."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_globals.get('__name__')}-{trace.tb_lineno}" if trace else "nowhere"
    path = folder / f"{type(error).__name__}-{where}"
    if not path.exists():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
