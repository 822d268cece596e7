"""The engine that is this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from reid_audit.audit.data.guard import Guard

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 16
"""Tasks that a process is handed at a time where there are many; large ones are few."""


@dataclass(frozen=True)
class Local:
    """Processes of this machine; `workers` None is one per core."""

    workers: int | None = None

    @property
    def slots(self) -> int:
        """Processes."""
        return self.workers or os.cpu_count() or 1

    def opener(self) -> Guard:
        """Processes of their own for foreign files."""
        return Guard(self.slots)

    def map(self, work: Callable[[T], R], tasks: Sequence[T], *, worth: bool) -> Iterator[R]:
        """`work` of every task, in their order; see `Engine.map`."""
        if not worth or self.slots < 2:
            yield from map(work, tasks)
            return
        with ProcessPoolExecutor(self.slots, get_context("spawn"), one_thread) as pool:
            yield from pool.map(work, tasks, chunksize=at_once(len(tasks), self.slots))


def at_once(tasks: int, slots: int) -> int:
    """How many tasks are handed over together, so that the last ones do not keep all waiting."""
    return min(AT_ONCE, max(1, tasks // (8 * slots)))


def one_thread() -> None:
    """A process that shares the cores with others keeps to one."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
