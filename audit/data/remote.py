"""Pictures that a URL names: fetched into a folder before anything else, then read as files.

A file is fetched again only where its size, or what its store says of its version, has changed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from reid_audit.audit.data.limits import max_fetched_bytes
from reid_audit.audit.data.manifest import MANIFEST_ENDINGS
from reid_audit.metrics.errors import DiskFull, InputError, ReidAuditError
from reid_audit.metrics.files import atomic, write_text, writing

Progress = Callable[[str, int, int], None]

VERSIONS = (
    *("ETag", "etag", "md5Hash", "content_md5", "checksum", "crc32c", "mtime", "LastModified"),
    *("last_modified", "updated", "created"),
)
"""Names under which file systems tell a file's version, the most telling first."""
INDEX = "fetched.json"
AT_ONCE, THREADS = 256, 8
"""Files after which the index is written, and those that are under way at the same time."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "retries": {"max_attempts": 2}}}
}
"""By protocol: an address where nobody answers is given up within a minute."""


def is_url(text: str) -> bool:
    """Whether a text names something by protocol.

    >>> is_url("s3://bucket/gallery"), is_url("data/gallery"), is_url("C:/data")
    (True, False, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", text) is not None


def shown(url: str) -> str:
    """A URL as it may be printed, without a password.

    >>> shown("s3://key:secret@bucket/folder")
    's3://bucket/folder'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class Stored:
    """A file of a store: its name there, its size in bytes and its version."""

    name: str
    size: int
    version: str

    @property
    def pin(self) -> list[Any]:
        """What tells whether it has changed."""
        return [self.size, self.version]


def fetch(url: str, folder: Path, remark: Callable[[str], None], progress: Progress) -> Path:
    """The files below a URL, as a folder; of a manifest, the folder that it stands in as well.

    Args:
        url: a folder or manifest in the notation of fsspec, such as `s3://bucket/folder`.
        folder: under which fetched files are kept, open to its owner alone.
        remark: is told, in a sentence, what is fetched.

    Returns:
        The local folder or manifest. A URL of local files is not copied.

    Raises:
        InputError: nothing there, no access, no file system for the protocol, too much data, or it
            changed while it was fetched.
        DiskFull: there is no room for it.
    """
    with _in_words(url):
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        store, root = url_to_fs(url, **SETTINGS.get(urlsplit(url).scheme, {}))
        if isinstance(store, LocalFileSystem):
            return Path(root)
        is_manifest = root.lower().endswith(MANIFEST_ENDINGS)
        above, _, name = root.rstrip("/").rpartition("/")
        place = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        _mirror(store, above if is_manifest else root, place, url, remark, progress)
    return place / name if is_manifest else place


def _mirror(
    store: Any, root: str, place: Path, url: str, remark: Callable[[str], None], progress: Progress
) -> None:
    files = _listed(store, root, url)
    if not files:
        raise InputError(f"{shown(url)}: holds no file; correct the URL.")
    size = sum(file.size for file in files.values())
    if size > max_fetched_bytes():
        raise InputError(
            f"{shown(url)}: holds {_gigabytes(size)}, more than is fetched; name a smaller part, "
            "or raise REID_AUDIT_MAX_FETCHED_GIBIBYTES."
        )
    _make_private(place)
    index = place.with_name(f"{place.name}-{INDEX}")
    kept = _kept(index, place)
    for gone in kept.keys() - files.keys():
        (place / gone).unlink(missing_ok=True)
    kept = {name: pin for name, pin in kept.items() if name in files}
    missing = [name for name, file in files.items() if kept.get(name) != file.pin]
    needed, free = sum(files[name].size for name in missing), shutil.disk_usage(place).free
    if needed > free:
        raise DiskFull(
            f"{shown(url)}: needs {_gigabytes(needed)}, and {_gigabytes(free)} are free beside the "
            "run; free some, or name another folder with -o."
        )
    if missing:
        remark(f"Fetching {shown(url)}: {len(missing)} files, {_gigabytes(needed)}.")

    def get(name: str) -> None:
        with atomic(place / name, 0o600) as temporary:
            with _in_words(url):
                store.get_file(files[name].name, str(temporary))
            if files[name].size != temporary.stat().st_size:
                raise _changed(url)

    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        with ThreadPoolExecutor(THREADS) as pool:
            for done, _ in enumerate(pool.map(get, some), start=start + 1):
                progress("fetching files", done, len(missing))
        kept |= {name: files[name].pin for name in some}
        write_text(index, json.dumps(kept), 0o600)
    if missing and _listed(store, root, url) != files:
        raise _changed(url)


def _make_private(folder: Path) -> None:
    """A folder, it and all that are made above it open to their owner alone."""
    with writing(folder):
        for part in reversed((folder, *folder.parents)):
            if not part.exists():
                part.mkdir(mode=0o700)


def _listed(store: Any, root: str, url: str) -> dict[str, Stored]:
    """Every file below `root` by its path from there."""
    store.invalidate_cache()
    files = {}
    for name, told in sorted(store.find(root, detail=True).items()):
        relative = name[len(root) :].lstrip("/") if name.startswith(root) else ""
        if not relative:
            raise InputError(f"{shown(url)}: is a file; give the URL of a folder or manifest.")
        if ".." in PurePosixPath(relative).parts or "\0" in relative:
            raise InputError(f"{shown(url)}: holds a name that leads out of it; rename that file.")
        version = next((str(told[key]) for key in VERSIONS if told.get(key) is not None), "")
        files[relative] = Stored(name, int(told.get("size") or 0), version)
    return files


def _kept(index: Path, place: Path) -> dict[str, list[Any]]:
    """Pins of the files that were fetched before and are still there as they were."""
    try:
        pins = json.loads(index.read_text(encoding="utf-8"))
        return {
            name: pin
            for name, pin in pins.items()
            if (place / name).is_file() and (place / name).stat().st_size == pin[0]
        }
    except (OSError, ValueError, AttributeError, TypeError, IndexError):
        return {}


@contextmanager
def _in_words(url: str) -> Iterator[None]:
    """What a file system raises, as sentences that quote nothing of it: it may hold a secret."""
    try:
        yield
    except ReidAuditError:
        raise
    except ImportError:
        raise InputError(
            f"{shown(url)}: its file system is not installed; run pip install "
            "'reid-audit[remote]' for s3://, or the package that fsspec names for others."
        ) from None
    except PermissionError:
        raise InputError(
            f"{shown(url)}: access is denied; check the credentials (for s3:// as AWS's own tools "
            "take them) and what they may read."
        ) from None
    except FileNotFoundError:
        raise InputError(f"{shown(url)}: no such bucket, folder or file; correct the URL.") from (
            None
        )
    except ValueError as error:
        if "rotocol" in str(error):
            raise InputError(f"{shown(url)}: no such protocol; correct the URL.") from None
        raise _unread(url, error) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # here, where it is written
        raise _unread(url, error) from None


def _unread(url: str, error: Exception) -> InputError:
    return InputError(
        f"{shown(url)}: cannot be read ({type(error).__name__}); check credentials, region and "
        "network, and repeat the command."
    )


def _changed(url: str) -> InputError:
    return InputError(f"{shown(url)}: changed while it was fetched; repeat the command.")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
