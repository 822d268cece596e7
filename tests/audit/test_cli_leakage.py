"""`reid-audit leakage`: the chart of settings, bit depth, and settings that cannot be."""

import json

import pytest

from reid_audit.audit.cli import main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["leakage", "--face-width", "60", *arguments])
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    return int(ended.value.code or 0), told.out, told.err


def test_chart_falls_with_strength(capsys: pytest.CaptureFixture[str]) -> None:
    code, told, _ = call(capsys, "--method", "gaussian:k=21", "--chart", "--json")
    curve = json.loads(told)["curve"]
    left = [point["effective_resolution"] for point in curve]
    assert code == 0 and len(curve) > 5
    assert left == sorted(left, reverse=True)
    assert "gaussian:k=21 " in call(capsys, "--method", "gaussian:k=21", "--chart")[1]


def test_more_bits_leave_more(capsys: pytest.CaptureFixture[str]) -> None:
    left = [
        json.loads(call(capsys, "--method", "gaussian:k=41", "--bit-depth", bits, "--json")[1])
        for bits in ("6", "8", "16")
    ]
    assert [answer["bit_depth"] for answer in left] == [6, 8, 16]
    resolutions = [answer["effective_resolution"] for answer in left]
    assert resolutions == sorted(resolutions) and resolutions[0] < resolutions[2]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--method", "gausian:k=3"), "gaussian"),
        (("--method", "gaussian:k=3:4"), "k must be a whole number"),
        (("--method", "gaussian:k"), "write NAME:key=value"),
        (("--method", "gaussian:k=4"), "odd"),
        (("--method", "pixelate:b=0"), "at least 1"),
        (("--method", "gaussian:k=3", "--bit-depth", "0"), "1..32"),
    ],
)
def test_impossible_settings(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], hint: str
) -> None:
    code, _, told = call(capsys, *arguments)
    assert code == 2
    assert hint in " ".join(told.split())
