"""The engine that is a Ray cluster: tasks go to its machines, results come back to this process.

Ray tells nobody of its use, starts no dashboard, and gets no text from us for its logs: what our
work raises travels as a value, and what libraries print is dropped. Every machine needs this tool,
the same weights, and the pictures under the same paths; none writes into the run folder.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from reid_audit.attacks.residue import Residue
from reid_audit.audit.data.guard import Guard
from reid_audit.audit.data.screening import FileFacts
from reid_audit.audit.engine.local import at_once, one_thread
from reid_audit.metrics.errors import InputError, IntegrityError

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 45.0
"""Seconds in which a cluster must answer. Ray itself would wait for minutes."""
LIMITS = "REID_AUDIT_MAX_"
"""Variables of the environment that hold on every machine as they do here."""
IN_FLIGHT = 2
"""Chunks handed over for each slot, so that none waits for this process."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what it would print on our stdout
    "RAY_SCHEDULER_EVENTS": "0",
}
_JOIN = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"


@contextmanager
def open_cluster(address: str | None, workers: int | None) -> Iterator[Cluster]:
    """Join a Ray cluster, or start one of this machine that ends with the context.

    Args:
        address: HOST:PORT of the cluster's head, or auto for the one that this machine is in.
        workers: cores of a cluster that is started; None is all.

    Raises:
        InputError: Ray is not installed, no cluster answers at the address, or a machine has
            another installation.
        IntegrityError: a machine was lost, and its work could not be done elsewhere.
    """
    ray = _imported(own=address is None)
    if address is not None:
        _check_address(address)
    threads = _threads()
    before = signal.getsignal(signal.SIGTERM)
    # Ray opens its folder to everybody, hence it lies in one that is not. Sockets want short names.
    with tempfile.TemporaryDirectory(prefix="ra-", ignore_cleanup_errors=True) as folder:
        try:
            if address is None:
                _start(ray, Path(folder) / "r", max(workers or os.cpu_count() or 1, threads))
            else:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            _handle_sigterm(before)  # Ray's handler ends a run without a word
            check_cores(ray.nodes(), threads)
            slots = int(ray.cluster_resources()["CPU"])
            limits = {name: v for name, v in os.environ.items() if name.startswith(LIMITS)}
            yield Cluster(ray, slots, threads, limits)
        except ray.exceptions.RayTaskError as error:  # ours are handed over as values
            raise InputError(
                f"A machine of the Ray cluster cannot run this work ({_cause(error)}); install the "
                "same version of reid-audit on all of them."
            ) from None
        except ray.exceptions.RayError as error:
            raise IntegrityError(
                f"Work was lost on the Ray cluster ({type(error).__name__}), most often because a "
                "machine ran out of memory; repeat the same command to go on from here."
            ) from None
        finally:
            ray.shutdown()
            _handle_sigterm(before)


@dataclass(frozen=True, eq=False)
class Cluster:
    """A cluster that this process has joined; made by `open_cluster`.

    slots: cores of all machines. threads: those of a task that is given several, as many as
    libraries use here, so that sums are added up in the same order. limits: variables of the
    environment that bound what a file may cost.
    """

    ray: Any
    slots: int
    threads: int
    limits: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def opener(self) -> Iterator[Openers]:
        """What opens foreign files, on every core of the cluster."""
        actor = self.ray.remote(num_cpus=1)(_Opener)
        actors = [actor.remote(self.limits) for _ in range(self.slots)]
        try:
            yield Openers(self.ray, actors)
        finally:
            for made in actors:
                self.ray.kill(made)

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, worth: bool) -> Iterator[R]:
        """`work` of every task, in their order; see `Engine.map`."""
        if not worth:
            yield from map(work, tasks)
            return
        chunk = at_once(len(tasks), self.slots)
        remote = self.ray.remote(num_cpus=1)(_all_of)
        waiting: deque[Any] = deque()
        for start in range(0, len(tasks), chunk):
            waiting.append(remote.remote(self.limits, work, tasks[start : start + chunk]))
            if len(waiting) >= IN_FLIGHT * self.slots:
                yield from _given(self.ray.get(waiting.popleft()))
        while waiting:
            yield from _given(self.ray.get(waiting.popleft()))

    def share(self, value: object) -> Any:
        """Lay a large value where every machine can get it once; what stands for it in a task."""
        return self.ray.put(value)

    def stream(
        self,
        work: Callable[..., Iterator[R]],
        tasks: Iterable[tuple[Any, ...]],
        *,
        gpu: bool = False,
        until: float = float("inf"),
    ) -> Iterator[R]:
        """What `work(*task)` yields, as it comes, of all tasks; each has `threads` cores.

        Args:
            tasks: arguments, taken when there is room for one more task.
            gpu: whether each task also needs a graphics card.
            until: time, by `time.monotonic`, at which what is left is given up.

        Raises:
            InputError: a graphics card is needed, and no machine of the cluster offers one.
        """
        if gpu and not self.ray.cluster_resources().get("GPU"):
            raise InputError(
                "--device cuda: no machine of the Ray cluster offers a graphics card; add one, or "
                "--device cpu."
            )
        remote = self.ray.remote(
            num_cpus=self.threads, num_gpus=1 if gpu else 0, num_returns="streaming"
        )(_each_of)
        queue = iter(tasks)
        running: list[Any] = []
        room = max(1, self.slots // self.threads)
        try:
            while True:
                for task in islice(queue, room - len(running)):
                    running.append(remote.remote(self.limits, self.threads, work, *task))
                left = until - time.monotonic()
                if not running or left <= 0:
                    return
                ready, _ = self.ray.wait(running, timeout=min(left, PATIENCE))
                for stream in ready:
                    try:
                        yield _given(self.ray.get(next(stream)))
                    except StopIteration:
                        running.remove(stream)
        finally:
            for stream in running:
                self.ray.cancel(stream)


@dataclass(frozen=True, eq=False)
class Openers:
    """Guards on the cluster's machines, each asked by one thread at a time."""

    ray: Any
    actors: Sequence[Any]
    free: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for actor in self.actors:
            self.free.put(actor)

    def facts(self, path: Path) -> FileFacts:
        """Digest, size and fingerprint of a file, or why it cannot be used."""
        facts: FileFacts = self._ask("facts", path)
        return facts

    def residues(self, path: Path, *, regions: Sequence[Sequence[float]]) -> tuple[Residue, ...]:
        """What a file gives away beside its pixels; errors as `Guard.residues`."""
        residues: tuple[Residue, ...] = self._ask("residues", path, regions=regions)
        return residues

    def _ask(self, what: str, *arguments: Any, **named: Any) -> Any:
        actor = self.free.get()
        try:
            return _given(self.ray.get(actor.ask.remote(what, *arguments, **named)))
        finally:
            self.free.put(actor)


class _Opener:
    """A guard of one process, which ends with the process that holds it."""

    def __init__(self, limits: Mapping[str, str]) -> None:
        _be_quiet(limits)
        self.guard = Guard(1)

    def ask(self, what: str, *arguments: Any, **named: Any) -> Any:
        return _value(partial(getattr(self.guard, what), *arguments, **named))


@dataclass(frozen=True)
class _Raised:
    """What our work raised. Ray would write its text, which may hold a path, into a log."""

    error: Exception


def _value(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return _Raised(error)


def _given(value: Any) -> Any:
    if isinstance(value, _Raised):
        raise value.error
    return value


def _all_of(limits: Mapping[str, str], work: Callable[[T], R], tasks: Sequence[T]) -> Any:
    _be_quiet(limits)
    one_thread()
    return _value(lambda: list(map(work, tasks)))


def _each_of(
    limits: Mapping[str, str], threads: int, work: Callable[..., Iterator[R]], *task: Any
) -> Iterator[R | _Raised]:
    import torch
    from threadpoolctl import threadpool_limits

    _be_quiet(limits)
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        try:
            yield from work(*task)
        except Exception as error:
            yield _Raised(error)


def _be_quiet(limits: Mapping[str, str]) -> None:
    """Drop what libraries print in this process of a cluster: Ray keeps it in files."""
    os.environ.update(limits)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _cause(error: Exception) -> str:
    return type(getattr(error, "cause", None) or error).__name__


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def check_cores(nodes: Iterable[Mapping[str, Any]], threads: int) -> None:
    """Whether a machine of the cluster has the cores of a task: Ray would wait for one for ever.

    Raises:
        InputError: none has.
    """
    most = max((int(n["Resources"].get("CPU", 0)) for n in nodes if n["Alive"]), default=0)
    if most < threads:
        raise InputError(
            f"No machine of the Ray cluster has {threads} cores, over which sums are spread here; "
            f"set OMP_NUM_THREADS={max(most, 1)}, or less, and repeat the command."
        )


def _handle_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _imported(own: bool) -> Any:
    """Ray, which reads its settings when it is imported. A cluster of our `own` asks for a token:
    its ports are open to other users and machines."""
    os.environ.update(_QUIET)
    if own and "ray" not in sys.modules:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ImportError:
        raise InputError(
            "--engine ray: Ray is not installed; run pip install 'reid-audit[ray]'."
        ) from None
    return ray


def _start(ray: Any, folder: Path, cores: int) -> None:
    """A cluster of this machine alone."""
    ray.init(
        address="local",
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=str(folder),
        _node_ip_address="127.0.0.1",
    )


def _check_address(address: str) -> None:
    """Join the cluster from another process first: where nothing answers, Ray does not return."""
    if "://" in address:
        raise InputError(
            f"--address {address}: give HOST:PORT of the cluster's head, or auto, and run this on "
            "a machine of the cluster."
        )
    command = [sys.executable, "-c", _JOIN, address]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE)
        joined, told = ended.returncode == 0, ended.stderr
    except subprocess.TimeoutExpired as error:
        joined, told = False, error.stderr or b""
    if joined:
        return
    if b"InvalidAuthToken" in told:
        raise InputError(
            f"--address {address}: the Ray cluster asks for a token; set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN_PATH to the token's file unless it is ~/.ray/auth_token."
        )
    raise InputError(
        f"--address {address}: no Ray cluster could be joined within {PATIENCE:g} s; correct it, "
        "and run this on a machine that was added to the cluster by `ray start`, with the same "
        "versions of Python and Ray."
    )
