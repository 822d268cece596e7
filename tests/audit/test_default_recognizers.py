"""Which recogniser is used when nobody says, from what lies in the weights folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_audit.audit.config import AuditConfig, resolve
from reid_audit.audit.recognizers import TRAINABLE, strongest, with_recognizers
from reid_audit.audit.weights import find


def test_dlib_comes_along(tmp_path: Path) -> None:
    assert strongest(tmp_path) == "dlib"
    assert with_recognizers(resolve({}), tmp_path).recognizers == ("dlib",)


@pytest.mark.parametrize("name", TRAINABLE[:-1])
def test_what_was_fetched_is_preferred(name: str, tmp_path: Path) -> None:
    find(name).at(tmp_path).write_bytes(b"weights")
    assert with_recognizers(resolve({}), tmp_path).recognizers == (name,)


def test_a_stated_recognizer_is_kept(tmp_path: Path) -> None:
    find("edgeface-s").at(tmp_path).write_bytes(b"weights")
    stated = AuditConfig(recognizers=("dlib", "auto"))
    assert with_recognizers(stated, tmp_path).recognizers == ("dlib", "edgeface-s")
    assert with_recognizers(AuditConfig(), tmp_path).recognizers == ("dlib",)
