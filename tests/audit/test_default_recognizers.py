"""Which recogniser is used when nobody says, from what lies in the weights folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_audit.attacks.recognition.cache import STRONGEST_FIRST, strongest
from reid_audit.audit.config import resolve
from reid_audit.audit.weights import find


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder."""
    monkeypatch.setenv("REID_AUDIT_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("profile", ["quick", "standard", "full"])
def test_dlib_comes_along(profile: str) -> None:
    assert strongest() == "dlib"
    assert resolve({"profile": profile}).recognizers == ("dlib",)


@pytest.mark.parametrize("name", STRONGEST_FIRST)
def test_what_was_fetched_is_preferred(name: str, folder: Path) -> None:
    find(name).at(folder).write_bytes(b"weights")
    assert resolve({}).recognizers == (name,)


def test_a_stated_recognizer_is_kept(folder: Path) -> None:
    find("edgeface-s").at(folder).write_bytes(b"weights")
    assert resolve({"recognizers": "dlib,auto"}).recognizers == ("dlib", "edgeface-s")
    assert resolve({"recognizers": "dlib"}).recognizers == ("dlib",)


@pytest.mark.parametrize(
    ("fetched", "recognizer", "judge"),
    [
        ((), "dlib", None),
        (("edgeface-s",), "edgeface-s", "dlib"),
        (("edgeface-xs", "arcface-r50"), "edgeface-xs", "arcface-r50"),
        (("edgeface-s", "edgeface-xs", "facenet-vggface2"), "edgeface-s", "facenet-vggface2"),
        (("facenet-vggface2",), "facenet-vggface2", "dlib"),
        (("arcface-r100",), "dlib", "arcface-r100"),
    ],
)
def test_a_network_of_another_make_judges(
    folder: Path, fetched: tuple[str, ...], recognizer: str, judge: str | None
) -> None:
    for name in fetched:
        find(name).at(folder).write_bytes(b"weights")
    config = resolve({})
    assert (config.recognizers, config.judge) == ((recognizer,), judge)


def test_a_judge_can_be_named_or_refused(folder: Path) -> None:
    find("edgeface-s").at(folder).write_bytes(b"weights")
    assert resolve({"judge": "none"}).judge is None
    assert resolve({"recognizers": "edgeface-s"}).judge is None
    assert resolve({"recognizers": "edgeface-s", "judge": "auto"}).judge == "dlib"
    assert resolve({"recognizers": "edgeface-s,dlib", "judge": "dlib"}).judge is None
