"""The notebooks run from top to bottom, and hold no picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_and_shows_no_face(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for cell in code:
        exec(compile("".join(cell["source"]), path.name, "exec"), names)
        assert all(set(output.get("data", {})) <= {"text/plain"} for output in cell["outputs"])
    printed = "".join(
        line for cell in code for output in cell["outputs"] for line in output.get("text", [])
    )
    assert capsys.readouterr().out == printed


def test_there_is_one() -> None:
    assert NOTEBOOKS
