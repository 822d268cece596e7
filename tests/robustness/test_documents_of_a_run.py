"""Finished runs that somebody else has had in hands: refused in a sentence, by every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
SOUND = (Path(__file__).parents[1] / "reports" / "data" / "results.json").read_bytes()


def nested(levels: int) -> bytes:
    return b'{"findings": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\xff",
        SOUND[:-200],
        SOUND.replace(b'"verdict"', b'"verdcit"', 1),
        SOUND.replace(b"{", b"{\xff", 1),
        nested(100_000),
        b'{"schema_version": ' + b"9" * 5000 + b"}",
        b"[]",
        b"null",
        json.dumps({"schema_version": 999}).encode(),
    ],
)
def test_results_that_are_none(content: bytes, tmp_path: Path, command: Command) -> None:
    (run := tmp_path / "run").mkdir()
    (run / "results.json").write_bytes(content)
    for arguments in (
        ("report", run, "-f", "html,json,csv,sarif,junit", "-o", tmp_path / "out"),
        ("compare", run, run, "-o", tmp_path / "out"),
        ("verify", run),
        ("clean", run),
    ):
        code, _, err = command(*arguments)
        assert code in (2, 3) and str(run) in err.replace("\n", "")
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "0" * 64,
        f"{'0' * 64}  ../../etc/passwd",
        f"{'0' * 64}  a\0b",
        "\udcff",
        "é" * 64 + "  a",
    ],
)
def test_lists_of_digests_that_are_none(line: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(line.encode("utf-8", "surrogateescape") + b"\n")
    assert command("verify", tmp_path)[0] == 3


@pytest.mark.parametrize(
    "content", [b"", b"\xff", nested(100_000), b"{}", b'{"name": 3}', b"[1]", b"9" * 6000]
)
def test_checkpoints_that_are_none(content: bytes, tmp_path: Path, command: Command) -> None:
    from PIL import Image

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_bytes(content)
    (tmp_path / "model" / "weights.safetensors").write_bytes(content)
    (folder := tmp_path / "a").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    code, _, err = command(
        *("scan", "--anonymized", folder, "-o", tmp_path / "run", "--attacks", "student"),
        *("--checkpoint", f"student={tmp_path / 'model'}"),
    )
    assert code == 2 and "model" in err
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("name", ["config.resolved.yaml", "manifest.json"])
@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[1]", b"a: [", nested(200)])
def test_settings_of_a_run_that_are_none(name: str, content: bytes, tmp_path: Path) -> None:
    from reid_audit.audit.commands.compare import _settings
    from reid_audit.audit.config import resolve
    from reid_audit.audit.results.schema import read_results
    from reid_audit.audit.run_directory import open_run
    from reid_audit.metrics.errors import ReidAuditError

    with open_run(tmp_path / "run", resolve({})) as store:
        store.write_manifest(device="cpu", seeds={}, data={}, weights={})
        store.write_text("results.json", SOUND.decode())
    results = read_results(tmp_path / "run" / "results.json")
    assert _settings(tmp_path / "run", results)["device"] == "cpu"
    (tmp_path / "run" / name).write_bytes(content)
    if (name, content) == ("config.resolved.yaml", b"{}"):
        return  # says nothing, as it may
    with pytest.raises(ReidAuditError, match=r"run(/|:)"):
        _settings(tmp_path / "run", results)
