"""A verified cache of weights: what exists, how it is fetched, whether it is what it should be.

Nothing is fetched during a scan: a scan asks `path` and reports what is missing.
"""

import hashlib
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from reid_audit.attacks.recognition.cache import weights_folder
from reid_audit.metrics.errors import InputError, IntegrityError, MissingWeights
from reid_audit.metrics.files import write_text, writing

CHUNK = 2**20
TIMEOUT = 30  # seconds without a byte

Progress = Callable[[int, int | None], None]
State = Literal["missing", "unverified", "ok", "corrupt"]


class Weights(BaseModel):
    """One entry of the catalogue.

    Attributes:
        name: what commands call it.
        url: where its publisher keeps it.
        file: its name in the cache.
        sha256: its digest; None where the first fetch decides, after `git_blob` where known.
        git_blob: what git calls the file's content: pins the bytes where no SHA-256 is published.
        member: path inside the fetched ZIP archive of the file that is kept.
        size: bytes, where known.
        licence: of the weights.
        purpose: what needs them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str
    file: str
    sha256: str | None
    size: int | None
    git_blob: str | None = None
    member: str | None = None
    licence: str
    purpose: str

    def at(self, folder: Path | None = None) -> Path:
        """Where the file belongs."""
        return (folder or weights_folder()) / self.file


def catalogue() -> dict[str, Weights]:
    """Every known file by name."""
    entries = yaml.safe_load(files("reid_audit.audit").joinpath("weights.yaml").read_text("utf-8"))
    return {name: Weights(name=name, **entry) for name, entry in entries.items()}


def find(name: str) -> Weights:
    """The entry of that name.

    Raises:
        InputError: there is none.
    """
    known = catalogue()
    if name not in known:
        raise InputError(f"There are no weights named {name!r}: choose of {', '.join(known)}.")
    return known[name]


def check(weights: Weights, folder: Path | None = None) -> State:
    """Whether the file is there and is what it should be.

    "unverified" is a file that somebody put there and that no digest is known for.
    """
    path = weights.at(folder)
    if not path.is_file():
        return "missing"
    expected = weights.sha256 or _recorded(path)
    if expected is None:
        return "unverified"
    return "ok" if _sha256(path) == expected else "corrupt"


def path(name: str, folder: Path | None = None) -> Path:
    """The verified file of that name.

    Raises:
        MissingWeights: it was not fetched; the message says how.
        IntegrityError: it differs from its digest.
    """
    weights = find(name)
    state = check(weights, folder)
    if state == "missing":
        raise MissingWeights(
            f"The weights {name} are not installed: run `reid-audit weights fetch {name}`."
        )
    if state == "corrupt":
        raise IntegrityError(
            f"{weights.file} differs from its SHA-256: delete it and run "
            f"`reid-audit weights fetch {name}`."
        )
    return weights.at(folder)


def fetch(weights: Weights, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Download a file unless it is there; a pinned one goes on where an earlier attempt ended.

    The file appears under its name only once it is complete and verified.

    Args:
        weights: entry of the catalogue.
        folder: cache folder (default: the user's).
        progress: called with bytes so far and bytes in all (None: unknown).

    Raises:
        MissingWeights: the server cannot be reached or breaks off; what came is kept.
        IntegrityError: what came is not the pinned file; it is deleted.
    """
    target = weights.at(folder)
    if check(weights, folder) == "ok":
        return target
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if weights.sha256 is None and weights.git_blob is None:
        part.unlink(missing_ok=True)  # without a pin nothing would show a wrong seam
    try:
        total = _download(weights.url, part, progress)
    except (OSError, HTTPException) as error:
        raise MissingWeights(
            f"{weights.name} could not be fetched from {weights.url} ({_reason(error)}): "
            f"try again when online, or put the file at {target}."
        ) from None
    size = part.stat().st_size
    if total is not None and size < total:
        raise MissingWeights(
            f"The connection broke after {size:,} of {total:,} bytes of {weights.name}: "
            "run the command again to go on from there."
        )
    if weights.member is not None:
        _unpack(part, weights)
    digest = _sha256(part)
    for kind, got, pinned in (
        ("SHA-256", digest, weights.sha256),
        ("git blob", _git_blob(part), weights.git_blob),
    ):
        if pinned not in (None, got):
            part.unlink()
            raise IntegrityError(
                f"What {weights.url} gave for {weights.name} has {kind} {got}, not the pinned "
                f"{pinned}: nothing was installed."
            )
    with writing(target):
        part.replace(target)
    write_text(_record(target), f"{digest}  {target.name}\n")
    return target


def _download(url: str, part: Path, progress: Progress | None) -> int | None:
    """Append what is missing to `part`; returns the size the whole file should have."""
    with _open(url, part.stat().st_size if part.exists() else 0) as response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        done = part.stat().st_size if resumed else 0
        length = response.headers.get("Content-Length", "")
        # What is no number says nothing; the digest decides anyhow.
        total = done + int(length) if re.fullmatch(r"\d{1,15}", length) else None
        with part.open("ab" if resumed else "wb") as sink:
            while chunk := response.read(CHUNK):
                with writing(part):
                    sink.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    return total


def _open(url: str, start: int) -> HTTPResponse:
    """The answer to a request from byte `start` on, or to one for all if nothing follows it."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response: HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return _open(url, 0)
    return response


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _record(path: Path) -> Path:
    """Beside each fetched file, in the format of sha256sum."""
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    record = _record(path)
    return record.read_text("utf-8").split()[0] if record.is_file() else None


def _unpack(archive: Path, weights: Weights) -> None:
    """Replace a fetched archive by its one member that is wanted.

    Raises:
        IntegrityError: it is no ZIP archive, or the member is missing.
    """
    assert weights.member is not None
    unpacked = archive.with_suffix(".member")
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(weights.member) as source,
            unpacked.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        unpacked.unlink(missing_ok=True)
        archive.unlink()
        raise IntegrityError(
            f"What {weights.url} gave for {weights.name} is no archive with {weights.member}: "
            "nothing was installed."
        ) from error
    unpacked.replace(archive)


def _git_blob(path: Path) -> str:
    """What git calls a file's content: SHA-1 over a header with the length, and the bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
