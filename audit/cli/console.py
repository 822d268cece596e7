"""What every command shares: machine output on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[str, int, int], None]


def people() -> Console:
    """Console for people; plain text where stderr is no terminal."""
    return Console(stderr=True, highlight=False)


def out(text: str) -> None:
    """One line of output for programs or pipes."""
    click.echo(text)


def out_json(value: Any) -> None:
    """A JSON value on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def progress() -> Iterator[Report]:
    """A function `(what, done, total)` that shows progress on a terminal, and one line per finished
    step elsewhere."""
    if not sys.stderr.isatty():
        yield _plain
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=people(), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.remove_task(tasks.pop(what))
                bars.console.print(f"[dim]{what}: {total}[/dim]")

        yield report


def _plain(what: str, done: int, total: int) -> None:
    if done >= total:
        click.echo(f"{what}: {total}", err=True)
