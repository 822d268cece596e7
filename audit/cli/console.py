"""What every command shares: machine output on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape as rich_escape
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


_MISLEADING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows."""


def visible(text: str) -> str:
    r"""The text with control characters and turns of direction spelt out: a file's name may hold
    them, and a terminal would obey.

    >>> visible("a\x1b[31mb\u202e\tc")
    'a\\u001b[31mb\\u202e\tc'
    """
    return "".join(
        f"\\u{ord(char):04x}"
        if char in _MISLEADING or (unicodedata.category(char) == "Cc" and char not in "\n\t")
        else char
        for char in text
    )


def escape(text: str) -> str:
    """A text as it stands, for places where rich reads mark-up."""
    return rich_escape(visible(text))


def people() -> Console:
    """Console for people; plain text where stderr is no terminal."""
    return Console(stderr=True, highlight=False)


def out(text: str) -> None:
    """One line of output for programs or pipes; bytes of a name that are no UTF-8 are spelt out."""
    click.echo(visible(text).encode("utf-8", "backslashreplace").decode())


def out_json(value: Any) -> None:
    """A JSON value on stdout."""
    out(json.dumps(value, indent=2, ensure_ascii=False))


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
