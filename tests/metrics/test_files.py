"""Files appear whole or not at all, and what the system refuses is said in a sentence."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_audit.attacks.checkpoint import write_tensors
from reid_audit.metrics.cache import array_to_fill, entry, kept_array, load_array, save_arrays
from reid_audit.metrics.errors import InputError, Unwritable
from reid_audit.metrics.files import atomic, create, write_bytes, write_text

BIG = np.zeros(1 << 16, np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to write more to one file, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / ("long" * 60)
    write_text(path, "ä\r\n")
    assert path.read_bytes() == b"\xc3\xa4\r\n"
    write_bytes(path, b"b")
    assert contents(path.parent) == {path.name: b"b"}


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = write_text(tmp_path / "file", "old")
    with pytest.raises(error), atomic(path) as temporary:
        temporary.write_text("new")
        raise error
    assert contents(tmp_path) == {"file": b"old"}


def test_permissions_hold_from_the_first_byte_on_and_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with atomic(path, mode=0o600) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600
        temporary.write_bytes(b"a")
    write_bytes(path, b"b")
    assert path.stat().st_mode & 0o777 == 0o600
    umask = os.umask(0o027)
    try:
        assert write_bytes(tmp_path / "usual", b"").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(umask)


def test_the_first_to_create_wins(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with ThreadPool(8) as pool:
        pool.map(lambda number: create(path, bytes([number]) * 4, 0o600), range(32))
    first = path.read_bytes()
    create(path, b"late")
    assert len(set(first)) == 1 and len(first) == 4
    assert contents(tmp_path) == {"secret": first}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_a_sentence_for_every_way_of_writing(tmp_path: Path) -> None:
    ways = {
        "bytes": lambda path: write_bytes(path, BIG.tobytes()),
        "array": lambda path: kept_array(path, lambda: BIG),
        "arrays": lambda path: save_arrays(path, {"a": BIG}),
        "tensors": lambda path: write_tensors(path, {"a": torch.from_numpy(BIG)}),
        "mapped": lambda path: array_to_fill(path, BIG.shape).__enter__(),
    }
    for name, write in ways.items():
        with largest_file(1 << 12), pytest.raises(Unwritable, match=re.escape(f"{name}: cannot")):
            write(tmp_path / name)
        assert contents(tmp_path) == {}, name


def test_a_device_without_room(tmp_path: Path) -> None:
    """/dev/full answers every write with "no space left on device"."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(Unwritable, match=r"picture\.png: cannot be written, the disk is full"),
        atomic(tmp_path / "picture.png"),
        Path("/dev/full").open("wb", buffering=0) as device,
    ):
        device.write(b"a")


def test_other_files_errors_are_not_explained_away(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "copy"):
        (tmp_path / "source").read_bytes()


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written \(file exists\); name another"):
        write_text(tmp_path / "file" / "below", "")
    if os.geteuid() == 0:
        return  # everything is allowed to root
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(Unwritable, match="make the folder writable"):
        write_text(closed / "file", "")


def test_arrays_are_made_once_and_again_where_the_file_is_damaged(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return np.arange(6.0)

    path = entry(tmp_path, "crops", ["faces", "seed 0"])
    assert path is not None and path != entry(tmp_path, "crops", ["faces", "seed 1"])
    for _ in range(2):
        np.testing.assert_array_equal(kept_array(path, make), np.arange(6.0))
    assert len(made) == 1
    path.write_bytes(path.read_bytes()[:-9])
    assert load_array(path) is None
    np.testing.assert_array_equal(kept_array(path, make), np.arange(6.0))
    np.testing.assert_array_equal(kept_array(None, make), np.arange(6.0))
    assert len(made) == 3


def test_an_array_on_the_disk_is_kept_when_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "array.npy"
    with pytest.raises(ZeroDivisionError), array_to_fill(path, (4, 3)):
        raise ZeroDivisionError
    assert load_array(path) is None
    with array_to_fill(path, (4, 3)) as array:
        array[1] = 7
    kept = load_array(path, mapped=True)
    assert kept is not None and kept.sum() == 21 and not kept.flags.writeable


def test_errors_need_no_heavy_package() -> None:
    code = "import sys, reid_audit.metrics.files; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
