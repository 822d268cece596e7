"""One door for errors: however a command ends, the user gets a sentence and an exit code.

What a user can mend is one sentence with its remedy. What nobody expected is told as an internal
error, with a log that may be sent on: it holds function names and line numbers, and no value,
path, name or picture.
"""

from __future__ import annotations

import errno
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from reid_audit.audit.cli.console import visible
from reid_audit.metrics.errors import ReidAuditError

USAGE, INCOMPLETE, INTERNAL, INTERRUPTED, TERMINATED = 2, 3, 70, 130, 143
_GO_ON = "Interrupted; repeat the same command to go on from here."

_SYSTEM: dict[int, tuple[str, int]] = {
    errno.ENOSPC: ("no space is left on the disk; free some and repeat the command", INCOMPLETE),
    errno.EDQUOT: ("the disk quota is used up; free some and repeat the command", INCOMPLETE),
    errno.EROFS: ("the file system is read-only; name a folder that can be written", USAGE),
    errno.EACCES: ("access is denied; change the permissions or name another place", USAGE),
    errno.EPERM: ("the system does not permit it; change the permissions", USAGE),
    errno.EEXIST: ("a file stands where a folder is needed; name another place", USAGE),
    errno.ENOTDIR: ("a part of the path is a file, not a folder; correct the path", USAGE),
    errno.EISDIR: ("this is a folder, where a file is needed; correct the path", USAGE),
    errno.ENOENT: ("no such file or folder; correct the path", USAGE),
    errno.ENAMETOOLONG: ("the name is too long; shorten it", USAGE),
    errno.ELOOP: ("the links lead in a circle; remove one of them", USAGE),
    errno.EMFILE: ("too many files are open; raise the limit (ulimit -n)", INCOMPLETE),
    errno.EIO: ("the disk reports an error; check it and repeat the command", INCOMPLETE),
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: it ends a command as Ctrl-C does, so that files are left whole."""


def guarded(command: Callable[[], object]) -> int:
    """Run a command and give its exit code; whatever it raises has been told on stderr."""
    terminated: list[int] = []
    try:
        with _terminable(terminated):
            code = command()
        return code if isinstance(code, int) else 0
    except ReidAuditError as error:
        return _tell(str(error), error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _tell(_GO_ON, TERMINATED if terminated else INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return USAGE
    except BrokenPipeError:
        _close_output()
        return 0
    except MemoryError:
        return _tell(
            "There is not enough memory; scale the pictures down, or lower --batch-size and "
            "--workers, and repeat the command.",
            INCOMPLETE,
        )
    except BrokenExecutor:
        return _tell(
            "A process that did a part of the work was ended from outside, most often because "
            "memory ran out; lower --workers and repeat the command, which goes on from here.",
            INCOMPLETE,
        )
    except UnicodeError:
        return _tell(
            "A file's name or content holds characters that cannot be encoded; rename the file in "
            "UTF-8, or store it so, and set LANG to a UTF-8 locale.",
            USAGE,
        )
    except RecursionError:
        return _tell("An input is nested too deeply to be read; flatten it.", USAGE)
    except OSError as error:
        if error.errno in _SYSTEM:
            reason, code = _SYSTEM[error.errno]
            return _tell(f"{_place(error)}{reason}.", code)
        return _internal(error)
    except Exception as error:
        return _internal(error)


def _place(error: OSError) -> str:
    name = error.filename2 or error.filename
    return f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""


def _tell(message: str, code: int) -> int:
    text = visible(f"reid-audit: {message}")
    # A name that is not UTF-8 comes as lone surrogates, which no stream takes.
    click.echo(text.encode("utf-8", "backslashreplace").decode(), err=True)
    return code


def _internal(error: Exception) -> int:
    kind = type(error).__name__
    try:
        log = _write_log(error)
    except OSError:
        return _tell(f"Internal error ({kind}); its log could not be written.", INTERNAL)
    return _tell(
        f"Internal error ({kind}); please report it with the file {log}, which holds no picture, "
        "path or name of yours.",
        INTERNAL,
    )


def _write_log(error: Exception) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="reid-audit-error-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(described(error)) + "\n")
    return Path(name)


def described(error: BaseException) -> Iterator[str]:
    """Kind and places of an error and of those that led to it, without any value: an exception's
    text may quote a path, a name or a file's content."""
    from reid_audit.audit.run_directory import tool_version

    yield f"reid-audit {tool_version()}, Python {platform.python_version()}, {platform.system()}"
    cause: BaseException | None = error
    while cause is not None:
        yield f"{type(cause).__module__}.{type(cause).__qualname__}"
        for frame in traceback.extract_tb(cause.__traceback__):
            yield f"  {_module(frame.filename)}:{frame.lineno} in {frame.name}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _module(filename: str) -> str:
    """A source file from its package on: what stands before may name a person's home."""
    parts = Path(filename).parts
    for root in ("site-packages", "dist-packages", "reid_audit"):
        if root in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(root) :])
    return "/".join(parts[-2:]) if parts[-1:] != ("__main__.py",) else parts[-1]


@contextmanager
def _terminable(signals: list[int]) -> Iterator[None]:
    """Within it every SIGTERM raises `Terminated`, and is noted in `signals`, since libraries may
    make a plain interrupt of it; only a process's main thread may set that. What
    is raised inside a destructor is swallowed, so the next signal has to end the run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close_output() -> None:
    """Keep the interpreter from flushing into a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
