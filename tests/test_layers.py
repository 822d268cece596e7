"""The layers contract of pyproject.toml names every module: one that it leaves out is unchecked."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("folder", ["attacks", "audit"])
def test_every_room_has_a_floor(folder: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    named = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    rooms = {
        f"reid_audit.{folder}.{room.name}" for room in pkgutil.iter_modules([str(ROOT / folder)])
    }
    assert rooms <= named
    assert "ignore_imports" not in contract
