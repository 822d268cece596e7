"""Commands are run as a user runs them, in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

EXPECTED = (0, 1, 2, 3, 4, 5)
"""Exit codes of a command that knows what happened; 70 is an internal error."""


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[int, str, str]]:
    """A function (arguments) that gives exit code, stdout and stderr, and holds every command to
    an expected code and, where it fails, to one sentence."""
    from reid_audit.audit.cli import main

    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("REID_AUDIT_SECRET", str(home / "key"))
    monkeypatch.setattr("tempfile.tempdir", str(home))

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        code = int(ended.value.code or 0)
        assert "Traceback" not in told.out + told.err
        assert code in EXPECTED, (code, told.err, [p.read_text() for p in home.glob("*.log")])
        if code >= 2:
            last = told.err.strip().splitlines()[-1]
            assert last.startswith(("reid-audit: ", "Error: ")) and len(last) < 2000, told.err
        return code, told.out, told.err

    return call
