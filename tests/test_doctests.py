"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("attacks", "audit", "metrics", "reports", "benchmarks")


def modules_with_examples() -> list[str]:
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text("utf-8"):
                dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                dotted = dotted.removesuffix(".__init__")
                found.append(dotted if folder == "benchmarks" else f"reid_audit.{dotted}")
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str) -> None:
    tried = doctest.testmod(import_module(name))
    assert tried.attempted and not tried.failed
