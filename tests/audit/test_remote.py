"""Inputs that a URL names: fetched once, pinned, and refused in words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from reid_audit.audit.data.remote import fetch
from reid_audit.metrics.errors import DiskFull, InputError

Cli = Callable[..., tuple[int, str, str]]
FILES = {"gallery/Ada/1.png": b"clear", "anonymized/Ada/2.png": b"blurred", "anonymized.json": b""}


@pytest.fixture
def store() -> Iterator[Any]:
    """An empty store in memory, of which FILES are laid under `bucket`."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for name, content in FILES.items():
        memory.pipe(f"/bucket/{name}", content)
    yield memory
    memory.store.clear()


def get(folder: Path, url: str = "memory://bucket") -> tuple[Path, list[str], list[int]]:
    """What is fetched: the local place, what is said, and how many files come."""
    told: list[str] = []
    came: list[int] = []
    place = fetch(url, folder, told.append, lambda what, done, total: came.append(done))
    return place, told, came


def content(place: Path) -> dict[str, bytes]:
    return {
        p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()
    }


def test_what_a_url_names_becomes_a_folder_of_its_owner(store: Any, tmp_path: Path) -> None:
    place, told, came = get(tmp_path / "run" / "work" / "inputs")
    assert content(place) == FILES
    assert told == ["Fetching memory://bucket: 3 files, 0.0 MB."] and came == [1, 2, 3]
    for folder in (tmp_path / "run", tmp_path / "run" / "work", place):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_only_what_changed_is_fetched_again(store: Any, tmp_path: Path) -> None:
    get(tmp_path)
    assert get(tmp_path)[1:] == ([], [])
    store.pipe("/bucket/gallery/Ada/1.png", b"other")  # of equal size: its version tells
    store.rm("/bucket/anonymized.json")
    store.pipe("/bucket/gallery/Bo/1.png", b"new")
    place, _, came = get(tmp_path)
    assert came == [1, 2]
    assert content(place) == {
        "gallery/Ada/1.png": b"other",
        "anonymized/Ada/2.png": b"blurred",
        "gallery/Bo/1.png": b"new",
    }
    (place / "gallery/Bo/1.png").write_bytes(b"cut")  # of equal size, and nothing tells
    (place / "gallery/Ada/1.png").unlink()
    assert get(tmp_path)[2] == [1]


def test_what_was_fetched_before_an_interruption_is_not_fetched_again(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid_audit.audit.data.remote.AT_ONCE", 1)
    whole = MemoryFileSystem.get_file

    def broken(self: Any, name: str, target: str, **kwargs: Any) -> None:
        if name.endswith("1.png"):
            raise ConnectionResetError("secret")
        whole(self, name, target, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "get_file", broken)
    with pytest.raises(InputError, match=r"cannot be read \(ConnectionResetError\)") as error:
        get(tmp_path)
    assert "secret" not in str(error.value)
    monkeypatch.setattr(MemoryFileSystem, "get_file", whole)
    place, _, came = get(tmp_path)
    assert came == [1] and content(place) == FILES


def test_a_manifest_brings_its_folder(store: Any, tmp_path: Path) -> None:
    store.pipe("/bucket/manifest.csv", b"image_id,path")
    place, _, _ = get(tmp_path, "memory://bucket/manifest.csv")
    assert place.name == "manifest.csv" and place.read_bytes() == b"image_id,path"
    assert (place.parent / "gallery/Ada/1.png").read_bytes() == b"clear"


def test_local_files_are_not_copied(tmp_path: Path) -> None:
    assert get(tmp_path / "inputs", f"file://{tmp_path}")[0] == tmp_path
    assert not (tmp_path / "inputs").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memory://nowhere", "holds no file"),
        ("memory://bucket/gallery/Ada/1.png", "is a file"),
        ("nonsense://key:secret@bucket", "nonsense://bucket: no such protocol"),
        ("memory://evil", "leads out of it"),
    ],
)
def test_what_cannot_be_fetched_is_said(store: Any, tmp_path: Path, url: str, told: str) -> None:
    store.store["/evil/../../x.png"] = store.store["/bucket/gallery/Ada/1.png"]
    with pytest.raises(InputError, match=told):
        get(tmp_path, url)
    assert not any(tmp_path.rglob("*.png"))


def test_a_file_that_changes_meanwhile_is_noticed(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MemoryFileSystem.get_file

    def meddling(self: Any, name: str, target: str, **kwargs: Any) -> None:
        whole(self, name, target, **kwargs)
        self.pipe(name, self.cat(name))  # as large, of another version

    monkeypatch.setattr(MemoryFileSystem, "get_file", meddling)
    with pytest.raises(InputError, match="changed while it was fetched"):
        get(tmp_path)


def test_more_than_is_allowed_or_fits_is_not_begun(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REID_AUDIT_MAX_FETCHED_GIBIBYTES", "1e-9")
    with pytest.raises(InputError, match="more than is fetched"):
        get(tmp_path)
    monkeypatch.delenv("REID_AUDIT_MAX_FETCHED_GIBIBYTES")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(DiskFull, match="free some"):
        get(tmp_path)
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError("secret"), "access is denied"),
        (FileNotFoundError("secret"), "no such bucket"),
        (RuntimeError("secret"), r"\(RuntimeError\)"),
        (ImportError("secret"), "pip install 'reid-audit"),
    ],
)
def test_what_a_store_raises_is_one_sentence(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "find", broken)
    with pytest.raises(InputError, match=told) as raised:
        get(tmp_path, "memory://key:word@bucket")
    assert "secret" not in str(raised.value) and "word" not in str(raised.value)


def test_commands_take_urls(
    store: Any, tmp_path: Path, layout: Callable[..., Path], in_process: None, cli: Cli
) -> None:
    data = layout(tmp_path / "data")
    store.store.clear()
    store.put(f"{data}/", "/bucket/", recursive=True)
    local = cli("validate", data, "--json")
    code, out, told = cli("validate", "memory://bucket", "--json")
    assert code == 0 and out == local[1] and "Fetching memory://bucket" in told
    assert cli("validate", "memory://nowhere")[0] == 2


S3 = """
import os, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
import boto3
host, port = server.get_host_and_port()
endpoint = f"http://127.0.0.1:{port}"
os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
               "AWS_DEFAULT_REGION": "us-east-1"}
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="faces")
for top, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(top, name)
        s3.upload_file(path, "faces", "set/" + os.path.relpath(path, sys.argv[1]))
import subprocess
def call(*words, **env):
    ended = subprocess.run([sys.executable, "-m", "reid_audit", *words], text=True,
                           capture_output=True, env={**os.environ, **env})
    print(ended.returncode, ended.stderr.strip().count("\\n"), ended.stderr.strip())
call("validate", "s3://faces/set", "--json")
call("validate", "s3://absent/set")
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    del os.environ[name]
call("validate", "s3://faces/set", AWS_EC2_METADATA_DISABLED="true", HOME=sys.argv[2])
call("validate", "s3://faces/set", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="a",
     AWS_SECRET_ACCESS_KEY="b")
server.stop()
"""


@pytest.mark.slow
def test_s3_by_a_server_of_its_own(tmp_path: Path, layout: Callable[..., Path]) -> None:
    for package in ("moto", "s3fs", "boto3"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'reid-audit[dev,remote]'")
    data = layout(tmp_path / "data")
    (tmp_path / "home").mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", S3, str(data), str(tmp_path / "home")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stderr
    assert told[0].startswith("0 ") and "Fetching s3://faces/set: " in told[0]
    refused = "\n".join(told)
    assert "2 0 reid-audit: s3://absent/set: no such bucket" in refused
    assert "2 0 reid-audit: s3://faces/set: cannot be read (NoCredentialsError)" in refused
    assert "2 0 reid-audit: s3://faces/set: cannot be read (EndpointConnectionError)" in refused
