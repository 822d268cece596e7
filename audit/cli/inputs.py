"""Inputs that are named by path or by URL, as every command takes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from reid_audit.audit.cli.console import escape, people, progress

LOCAL = click.Path(path_type=Path)
"""A path on this machine; whether it exists is for the command to say."""
Input = Path | str | None
"""A path, a URL, or nothing."""


def path(value: str) -> Path | str:
    """A path, or a URL as text; the name is what help texts show."""
    from reid_audit.audit.data.remote import is_url

    return value if is_url(value) else Path(value)


def fetched(folder: Path, **inputs: Input) -> dict[str, Path | None]:
    """The inputs as local files; those named by URL are fetched into `folder`.

    Raises:
        InputError, DiskFull: as `audit.data.remote.fetch`.
    """
    urls = {name: given for name, given in inputs.items() if isinstance(given, str)}
    local = {name: given for name, given in inputs.items() if not isinstance(given, str)}
    if urls:
        from reid_audit.audit.data.remote import fetch

        def remark(text: str) -> None:
            people().print(escape(text))

        with progress() as report:
            for name, url in urls.items():
                local[name] = fetch(url, folder, remark, report)
    return local


@contextmanager
def fetched_for_now(**inputs: Input) -> Iterator[dict[str, Path | None]]:
    """As `fetched`, for as long as the context lasts."""
    with TemporaryDirectory(prefix="reid-audit-") as folder:
        yield fetched(Path(folder), **inputs)
