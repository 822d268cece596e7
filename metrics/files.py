"""Files that appear whole or not at all.

They stand in `metrics` because it is the one package every other may import.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reid_audit.metrics.errors import DiskFull, Unwritable

LEFTOVERS = ".*.tmp"
"""Names of unfinished files, which only a killed process leaves behind."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def atomic(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Give an empty file to write to, which takes the place of `path` when all went well.

    The bytes are on the disk before the name is. After an exception or an interruption the old file
    stands as it was and the unfinished one is gone. Missing folders are made.

    Args:
        mode: permissions, which hold from the first byte on; default: those of the old file, else
            as the process's umask has it.

    Raises:
        Unwritable: the disk is full, or writing there is not allowed.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.tmp")
        if mode is None and path.exists():
            mode = path.stat().st_mode & 0o777
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode))
    try:
        with writing(path, temporary):
            yield temporary
        with writing(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, mode: int | None = None) -> Path:
    """Write a UTF-8 file whole, line ends as they are in `text`; errors as `atomic`."""
    return write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes, mode: int | None = None) -> Path:
    """Write a file whole; errors as `atomic`."""
    with atomic(path, mode) as temporary:
        temporary.write_bytes(content)
    return path


def create(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file whole unless there is one: of several processes that try, the first wins.

    Raises:
        Unwritable: the disk is full, or writing there is not allowed.
    """
    draft = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.draft.tmp")
    try:
        write_bytes(draft, content, mode)
        with writing(path), suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn a system error in writing `path` into a sentence; errors about files other than it and
    its `temporary` stand-in pass on.

    Raises:
        Unwritable: what the system refused, and what to do.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        own = {None, str(path), str(path.parent), str(temporary)}
        if temporary is not None and (None if name is None else str(name)) not in own:
            raise
        kind = DiskFull if error.errno in _FULL else Unwritable
        raise kind(_sentence(path, error)) from error


def _sentence(path: Path, error: OSError) -> str:
    reason = (error.strerror or "the system wrote a part of it only").lower()
    if error.errno in _FULL:
        return f"{path}: cannot be written, the disk is full; free space or name another folder."
    if error.errno in _FORBIDDEN:
        return (
            f"{path}: cannot be written ({reason}); make the folder writable or name another one."
        )
    return f"{path}: cannot be written ({reason}); name another folder."
