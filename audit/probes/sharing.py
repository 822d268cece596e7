"""Work on pictures, shared out among processes where it is worth their start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from reid_audit.audit.data.decode import stated_pixels

Task = TypeVar("Task")
Answer = TypeVar("Answer")

ENOUGH = 32e6
"""Pixels of all pictures together from which other processes are started: each costs the time in
which one looks at a sixth of that."""
AT_ONCE = 16
"""Tasks that a process is handed at a time where there are many; large ones are few."""


def worth_processes(pictures: Sequence[Path], workers: int, beside: float) -> bool:
    """Whether work on these files is shared out. `beside`: what each costs however small it is, in
    pixels."""
    return workers > 1 and sum(stated_pixels(path) + beside for path in pictures) >= ENOUGH


def shared_out(
    work: Callable[[Task], Answer],
    tasks: Sequence[Task],
    workers: int,
    start: Callable[..., None],
    *arguments: Any,
) -> Iterator[Answer]:
    """Answers in the order of the tasks. `start` is called with `arguments` in every process."""
    at_once = min(AT_ONCE, max(1, len(tasks) // (8 * workers)))
    with ProcessPoolExecutor(workers, get_context("spawn"), start, arguments) as pool:
        yield from pool.map(work, tasks, chunksize=at_once)


def one_thread() -> None:
    """A process that shares the cores with others keeps to one."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
