"""The weights cache against a web server on this machine: resume, corruption, no connection."""

import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reid_audit.attacks.recognition.cache import ARCFACE_FILES, EDGEFACE_FILES, FACENET_FILES
from reid_audit.audit import weights
from reid_audit.metrics.errors import InputError, IntegrityError, MissingWeights

CONTENT = bytes(range(256)) * 4096


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `breaks_after` bytes it hangs up; `requests` are the ranges asked for."""

    breaks_after: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.server.breaks_after])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def entry(server: Server, sha256: str | None = hashlib.sha256(CONTENT).hexdigest()):
    return weights.Weights(
        name="test",
        url=f"http://127.0.0.1:{server.server_port}/test.pt",
        file="test.pt",
        sha256=sha256,
        size=len(CONTENT),
        licence="none",
        purpose="tests",
    )


def test_fetches_verifies_and_reports_progress(server, tmp_path):
    seen = []
    path = weights.fetch(entry(server), tmp_path, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert weights.check(entry(server), tmp_path) == "ok"
    weights.fetch(entry(server), tmp_path)
    assert len(server.requests) == 1, "what is there is not fetched again"


def test_goes_on_where_the_connection_broke(server, tmp_path):
    server.breaks_after = 300_000
    with pytest.raises(MissingWeights, match="300,000 of 1,048,576 bytes"):
        weights.fetch(entry(server), tmp_path)
    assert weights.check(entry(server), tmp_path) == "missing"
    server.breaks_after = None
    assert weights.fetch(entry(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("ranges", [True, False])
def test_starts_over_when_the_server_cannot_resume(server, tmp_path, ranges):
    server.ranges = ranges
    size = len(CONTENT) if ranges else 1000
    (tmp_path / "test.pt.part").write_bytes(b"?" * size)
    assert weights.fetch(entry(server), tmp_path).read_bytes() == CONTENT


def test_refuses_what_is_not_the_pinned_file(server, tmp_path):
    with pytest.raises(IntegrityError, match="nothing was installed"):
        weights.fetch(entry(server, "0" * 64), tmp_path)
    assert not list(tmp_path.iterdir())


def test_first_fetch_pins_what_the_catalogue_does_not(server, tmp_path):
    (tmp_path / "test.pt.part").write_bytes(b"something else")
    loose = entry(server, None)
    path = weights.fetch(loose, tmp_path)
    assert path.read_bytes() == CONTENT
    path.write_bytes(CONTENT[1:])
    assert weights.check(loose, tmp_path) == "corrupt"
    (tmp_path / "test.pt.sha256").unlink()
    assert weights.check(loose, tmp_path) == "unverified"


def test_offline_is_one_sentence_that_says_what_to_do(server, tmp_path):
    gone = entry(server).model_copy(update={"url": "http://127.0.0.1:9/test.pt"})
    with pytest.raises(MissingWeights, match=r"could not be fetched.*try again"):
        weights.fetch(gone, tmp_path)


def test_path_gives_verified_files_only(tmp_path, monkeypatch):
    monkeypatch.setenv("REID_AUDIT_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="reid-audit weights fetch lpips-alexnet"):
        weights.path("lpips-alexnet")
    (tmp_path / weights.find("lpips-alexnet").file).write_bytes(b"not it")
    with pytest.raises(IntegrityError, match="differs from its SHA-256"):
        weights.path("lpips-alexnet")
    with pytest.raises(InputError, match="choose of edgeface-s"):
        weights.path("lpips")


def test_catalogue_agrees_with_what_publishers_and_our_loaders_say():
    known = weights.catalogue()
    for item in known.values():
        assert item.url.startswith("https://")
        assert item.url.endswith(".zip" if item.member else f"/{item.file}")
    for name in ("lpips-alexnet", "inception-fid"):
        prefix = Path(known[name].file).stem.rsplit("-", 1)[1]
        assert known[name].sha256.startswith(prefix), "publishers put the digest in the name"
    ours = FACENET_FILES | EDGEFACE_FILES | ARCFACE_FILES
    assert {name: known[name].file for name in ours} == ours


def test_loads_no_torch():
    code = "import reid_audit.audit.weights, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_git_blob_pins_what_has_no_digest(server, tmp_path):
    header = b"blob %d\0" % len(CONTENT)
    name = hashlib.sha1(header + CONTENT).hexdigest()
    pinned = entry(server, None).model_copy(update={"git_blob": name})
    path = weights.fetch(pinned, tmp_path)
    assert path.read_bytes() == CONTENT and weights.check(pinned, tmp_path) == "ok"
    other = entry(server, None).model_copy(update={"git_blob": "0" * 40})
    with pytest.raises(IntegrityError, match="git blob"):
        weights.fetch(other, tmp_path / "other")
    assert not list((tmp_path / "other").glob("*.pt"))


def test_git_names_the_same_blob(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    told = subprocess.run(["git", "hash-object", file], capture_output=True, text=True, check=True)
    assert weights._git_blob(file) == told.stdout.strip()


def test_one_member_of_an_archive_is_kept(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("folder/net.onnx", b"network")
        archive.writestr("other", b"other")
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", buffer.getvalue())
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wanted = entry(server, None).model_copy(update={"member": "folder/net.onnx"})
        assert weights.fetch(wanted, tmp_path).read_bytes() == b"network"
        absent = wanted.model_copy(update={"member": "absent.onnx", "file": "absent.pt"})
        with pytest.raises(IntegrityError, match=r"no archive with absent\.onnx"):
            weights.fetch(absent, tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["test.pt", "test.pt.sha256"]
    finally:
        server.shutdown()
        server.server_close()
