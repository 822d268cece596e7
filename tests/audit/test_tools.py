"""The catalogue on the command line: ranked, one by one, applied, and recognised."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.operators.tools import tools

Cli = Callable[..., tuple[int, str, str]]


def test_the_ranking_has_every_tool_those_that_leave_most_first(cli: Cli) -> None:
    code, out, _ = cli("tools", "--face-width", "60", "--picture", "640x480", "--json")
    told = json.loads(out)
    rows = told["tools"]
    assert code == 0 and told["picture"] == [640, 480]
    assert {row["name"] for row in rows} == {tool.name for tool in tools()}
    left = [row["effective_resolution"] for row in rows]
    assert left == sorted(left, reverse=True) and left[-1] == 0
    assert rows[0]["status"] == "fail" and rows[-1]["words"] == "No detail is left"


def test_leakage_of_one_tool_says_where_it_was_read(cli: Cli) -> None:
    code, out, _ = cli("leakage", "--tool", "pyimagesearch", "--face-width", "120")
    assert code == 0
    assert "cv-gaussian:k=39,ky=51" in out and "aws-samples" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("leakage", "--tool", "pyimagesearh"), "did you mean pyimagesearch"),
        (("leakage", "--tool", "deface-blur", "--method", "solid"), "one of the two"),
        (("leakage", "--tool", "deface-blur", "--chart"), "--face-width"),
        (("tools", "--picture", "big"), "1920x1080"),
        (("tools", "--picture", "100x100"), "does not fit"),
    ],
)
def test_mistakes_are_2_and_one_sentence(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    code, out, err = cli(*arguments)
    assert code == 2 and not out and says in err


def test_a_tool_is_applied_with_its_own_region_and_named_again(cli: Cli, tmp_path: Path) -> None:
    """Blocks of 20 pixels on a face's box enlarged by 30 %: deface's mosaic."""
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(frame).save(tmp_path / "in.png")
    target = tmp_path / "out.png"
    box = "box:150,100,250,220"
    code, _, err = cli(
        "anonymize", str(tmp_path / "in.png"), str(target), "--method", "deface-mosaic",
        "--region", box,
    )  # fmt: skip
    assert code == 0, err
    changed = (np.asarray(Image.open(target)) != frame).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (columns[0], rows[0]) == (120, 64)
    code, out, _ = cli("identify", str(target), "--json")
    found = json.loads(out)["results"][0]
    assert found["family"] == "pixelate"
    # Another tool's blocks of 20 pixels cannot be told from them without the original.
    assert set(found["tools_that_fit"]) == {"deface-mosaic", "supervision-pixelate-20"}
    assert found["tool"] is None
