"""The process that opens foreign files for `audit.data.guard`: a line asks, a line answers.

It bounds itself: processor time by a timer whose signal ends it, memory by a limit on its address
space. Whatever else a file does to a decoder, this process dies of it and no other.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from reid_audit.attacks.residue import inspect
from reid_audit.audit.data.screening import examine
from reid_audit.metrics.errors import InputError

MEBIBYTE = 2**20


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What was asked about one file, as JSON values; a `problem` where it cannot be told."""
    path = Path(request["path"])
    try:
        if request["ask"] == "residues":
            residues = inspect(path, regions=request["regions"])
            return {"residues": [[r.kind, r.severity, r.evidence, r.extent] for r in residues]}
        facts = examine(path)
    except InputError as error:
        return {"problem": str(error).removeprefix(f"{path}: ")}
    except MemoryError:
        return {"problem": "takes too much memory; scale it down."}
    marks = None
    if facts.fingerprint is not None:
        marks = base64.b64encode(facts.fingerprint.astype("<f4").tobytes()).decode()
    return {
        "sha256": facts.sha256,
        "size": facts.size,
        "fingerprint": marks,
        "problem": facts.problem,
    }


def serve(seconds: float, mebibytes: float) -> None:
    """Answer until the questions end.

    Args:
        seconds: processor time for each, after which the process is ended by SIGPROF.
        mebibytes: memory beyond what the process has at its start.
    """
    warnings.simplefilter("ignore")  # decoders warn of what is reported as a problem anyhow
    limit_memory(int(mebibytes * MEBIBYTE))
    # Decoders in C print to stdout at will; answers go where they cannot.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        told = answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def limit_memory(more: int) -> None:
    """Bound the address space to what is used now and `more` bytes."""
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux: its limits on address space are not kept either
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = used + more if hard == resource.RLIM_INFINITY else min(used + more, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


if __name__ == "__main__":
    serve(float(sys.argv[1]), float(sys.argv[2]))
