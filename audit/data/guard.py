"""Foreign files are opened first in processes of their own, whose time and memory are bounded.

What a file does there, to a decoder or to the searcher for leaks, is a problem of that file, which
is left out and listed; the run goes on. What passes has shown that it can be read within bounds.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Timer
from types import TracebackType
from typing import Any, Self

import numpy as np

from reid_audit.attacks.residue import Residue, Severity
from reid_audit.audit.data.limits import max_mebibytes, max_pixels, max_seconds
from reid_audit.audit.data.screening import FileFacts
from reid_audit.metrics.errors import InputError

PATIENCE = 60.0
"""Seconds on the clock in which an answer is waited for at least; ten times the processor time that
is allowed where that is longer: a disk may be slow and a machine busy."""
UNSEARCHED = "unsearched"
"""Kind of the residue that says that a file could not be searched."""


class Guard:
    """Some processes that open files; each is asked by one thread at a time.

    Processes start when they are needed. One that dies or stays silent is replaced.

    Args:
        workers: processes; None is one per core.

    Raises:
        InputError: a variable that sets a limit is no positive number.
    """

    def __init__(self, workers: int | None = None) -> None:
        max_pixels()
        self._limits = max_seconds(), max_mebibytes()
        self._free: SimpleQueue[_Process | None] = SimpleQueue()
        for _ in range(workers or os.cpu_count() or 1):
            self._free.put(None)
        self._started: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._started:
            process.end()

    def facts(self, path: Path) -> FileFacts:
        """Digest, size and fingerprint of a file, or why it cannot be used."""
        told = self._ask({"ask": "facts", "path": str(path)})
        if told.get("problem"):
            return FileFacts(problem=told["problem"])
        marks = told["fingerprint"]
        return FileFacts(
            told["sha256"],
            tuple(told["size"]),
            None if marks is None else np.frombuffer(base64.b64decode(marks), "<f4"),
        )

    def residues(self, path: Path, *, regions: Sequence[Sequence[float]]) -> tuple[Residue, ...]:
        """What a file gives away beside its pixels; one that cannot be searched within the bounds
        has a residue that says so.

        Raises:
            InputError: it cannot be read as a picture.
        """
        boxes = [list(map(float, region)) for region in regions]
        told = self._ask({"ask": "residues", "path": str(path), "regions": boxes})
        if told.get("died"):
            return (
                Residue(
                    UNSEARCHED,
                    Severity.MEDIUM,
                    f"The file could not be searched: it {told['problem']}",
                ),
            )
        if "problem" in told:
            raise InputError(f"{path}: {told['problem']}")
        return tuple(
            Residue(kind, Severity(severity), evidence, extent)
            for kind, severity, evidence, extent in told["residues"]
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._free.get()
        try:
            if process is None:
                process = _Process(*self._limits)
                self._started.append(process)
            told = process.ask(request)
            if told is None:
                problem, process = process.why(), None
                return {"problem": problem, "died": True}
            return told
        finally:
            self._free.put(process)


class _Process:
    """One worker process."""

    def __init__(self, seconds: float, mebibytes: float) -> None:
        self.seconds, self.mebibytes, self.silent = seconds, mebibytes, False
        self.patience = max(PATIENCE, 10 * seconds)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reid_audit.audit.data.worker", str(seconds), str(mebibytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries print of damaged files, paths among it
            text=True,
            encoding="ascii",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            process_group=0,  # Ctrl-C is for the parent, which ends it
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise InputError(
                "A process that reads files could not be started; run `reid-audit doctor`."
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None when the process died instead, or had to be ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        timer = Timer(self.patience, self._lose_patience)
        timer.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            return None
        finally:
            timer.cancel()
        return json.loads(line) if line.endswith("\n") else None

    def _lose_patience(self) -> None:
        self.silent = True
        self.process.kill()

    def why(self) -> str:
        """Why the process died, as the problem of the file that it was asked about."""
        code = self.process.wait()
        if self.silent:
            return f"gave no answer for {self.patience:g} s; check the disk."
        if code == -signal.SIGPROF:
            return (
                f"takes more than {self.seconds:g} s of processor time; remove or rewrite it, or "
                "raise REID_AUDIT_MAX_SECONDS."
            )
        if code == -signal.SIGKILL:
            return "takes more memory than there is; scale it down."
        return (
            f"breaks its decoder (code {code}), or takes more than {self.mebibytes:g} MiB; remove "
            "or rewrite it, or raise REID_AUDIT_MAX_MEBIBYTES."
        )

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # a request that nobody took
                    continue
