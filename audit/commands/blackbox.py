"""Anonymising by a tool that is not ours: another program, or a function of the caller's."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_audit.audit.data import decode
from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import atomic

Tool = str | Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""A command with `{in}` and `{out}`, or a function from a picture `(H, W, 3)` uint8 to one."""


def anonymize_with(tool: Tool, source: Path, target: Path, option: str = "--anonymizer") -> Path:
    """Have a tool anonymise the pictures below a folder; what an earlier run made is kept.

    Args:
        tool: a function, whose pictures are written as PNG; or a command. In a command `{in}` and
            `{out}` stand for the two folders; with `{file}` instead of `{in}` it is started once
            for each picture, and `{out}` is the picture to write. It is started without a shell,
            so that no name of a file is ever read as code.
        option: where the tool was named, for messages.

    Raises:
        InputError: a placeholder is missing, or the tool cannot be started, fails or writes
            nothing.
    """
    if isinstance(tool, str) and "{file}" not in tool:
        return anonymize_by_command(tool, source, target, option)
    pictures = sorted(p for p in source.rglob("*") if p.suffix.lower() in PICTURE_ENDINGS)
    if not pictures:
        raise InputError(f"{source}: no picture there to anonymise.")
    for path in pictures:
        made = target / path.relative_to(source)
        made.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(tool, str):
            if not made.exists():
                _start(_words(tool, "{file}", option), {"{file}": path, "{out}": made}, option)
            if not made.exists():
                raise InputError(f"{option} {tool!r}: wrote no picture into {{out}}.")
            continue
        made = made.with_suffix(".png")
        if not made.exists():
            picture = np.asarray(tool(decode(path)))
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise InputError(
                    f"{option}: the function must return (H, W, 3) uint8, not "
                    f"{picture.shape} {picture.dtype}."
                )
            with atomic(made) as temporary:
                Image.fromarray(picture).save(temporary, "PNG")
    return target


def anonymize_by_command(
    command: str, source: Path, target: Path, option: str = "--command"
) -> Path:
    """Have another program anonymise a folder: `{in}` and `{out}` in the command stand for the two
    folders. It is started without a shell, so no name of a file is ever read as code.

    Raises:
        InputError: a placeholder is missing, the program is not there, fails, or writes nothing.
    """
    words = _words(command, "{in}", option)
    if any(target.rglob("*")):
        return target  # an earlier run's
    target.mkdir(parents=True, exist_ok=True)
    _start(words, {"{in}": source, "{out}": target}, option)
    if not any(path.suffix.lower() in PICTURE_ENDINGS for path in target.rglob("*")):
        raise InputError(f"{option}: {words[0]!r} wrote no picture into {{out}}.")
    return target


def anonymized_originals(
    command: str, data: Path | None, originals: Path | None, anonymized: Path | None, output: Path
) -> tuple[Path, Path]:
    """The folder of originals of an audit, and the one that a command made from it, beside the
    run's own: `OUTPUT-anonymized-` and a digest of the command.

    Raises:
        InputError: anonymised pictures are given as well, there is no folder of originals, or as
            `anonymize_with`.
    """
    option = "--anonymizer"
    check_command(command, option)
    if anonymized is not None:
        raise InputError(f"{option}, --anonymized: give one of the two.")
    source = originals if originals is not None else data and data / "originals"
    if source is None or not source.is_dir():
        raise InputError(f"{option}: needs a folder of originals: --originals, or DATA/originals.")
    digest = hashlib.sha256(f"{command} {source.resolve()}".encode()).hexdigest()[:8]
    target = output.with_name(f"{output.name}-anonymized-{digest}")
    return source, anonymize_with(command, source, target, option)


def check_command(command: str, option: str) -> None:
    """Refuse a command without its placeholders before anything is done.

    Raises:
        InputError: see there.
    """
    _words(command, "{file}" if "{file}" in command else "{in}", option)


def _words(command: str, asked: str, option: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{option} {command!r}: cannot be read ({error}).") from None
    if not all(any(place in word for word in words) for place in (asked, "{out}")):
        what = "folders" if asked == "{in}" else "pictures"
        raise InputError(f"{option} {command!r}: write {asked} and {{out}} where the {what} go.")
    return words


def _start(words: Sequence[str], places: dict[str, Path], option: str) -> None:
    filled = []
    for word in words:
        for place, path in places.items():
            word = word.replace(place, str(path.resolve()))
        filled.append(word)
    try:
        done = subprocess.run(filled, check=False, capture_output=True, text=True)
    except OSError as error:
        raise InputError(f"{option}: {words[0]!r} cannot be started ({error.strerror}).") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        detail = f": {last[0]}" if last else ""
        raise InputError(f"{option}: {words[0]!r} ended with {done.returncode}{detail}.")
