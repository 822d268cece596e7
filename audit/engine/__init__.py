"""Where a scan's work is done: in processes of this machine, or on the machines of a Ray cluster.

Both do the same work and give equal results; the process that the user started alone writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from reid_audit.attacks.residue import Residue
from reid_audit.audit.data.screening import FileFacts
from reid_audit.audit.engine.local import Local
from reid_audit.metrics.errors import InputError

__all__ = ["Engine", "EngineName", "Local", "open_engine"]

EngineName = Literal["local", "ray"]
T = TypeVar("T")
R = TypeVar("R")


class Opener(Protocol):
    """Opens foreign files where they can break nothing; see `audit.data.guard.Guard`."""

    def facts(self, path: Path) -> FileFacts:
        """Digest, size and fingerprint of a file, or why it cannot be used."""
        ...

    def residues(self, path: Path, *, regions: Sequence[Sequence[float]]) -> tuple[Residue, ...]:
        """What a file gives away beside its pixels."""
        ...


class Engine(Protocol):
    """What does the work on single files and pictures."""

    @property
    def slots(self) -> int:
        """Tasks of one core that run at the same time."""
        ...

    def opener(self) -> AbstractContextManager[Opener]:
        """What opens foreign files, asked by as many threads as there are slots."""
        ...

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, worth: bool) -> Iterator[R]:
        """`work` of every task, in their order.

        Args:
            work: a function that another process can import, or a `partial` of one.
            worth: whether they are worth other processes; else they are done here.
        """
        ...


def open_engine(
    name: EngineName, address: str | None, workers: int | None
) -> AbstractContextManager[Engine]:
    """The engine of a run, which ends with the context.

    Args:
        address: of a running Ray cluster, HOST:PORT or auto; None starts one on this machine.
        workers: processes on this machine; None is one per core.

    Raises:
        InputError: an address without Ray, Ray is not installed, or no cluster answers.
    """
    if name == "local":
        if address is not None:
            raise InputError("--address names a Ray cluster; add --engine ray.")
        return nullcontext(Local(workers))
    from reid_audit.audit.engine.cluster import open_cluster

    return open_cluster(address, workers)
