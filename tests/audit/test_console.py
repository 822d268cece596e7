"""What names of files may do to a terminal: nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.audit.cli import main
from reid_audit.audit.cli.console import escape, out_json, visible

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\x9b31m\x7f[bold]x"


def harmless(text: str) -> bool:
    return not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in text)


@given(st.text())
def test_nothing_a_terminal_would_obey_is_left(text: str) -> None:
    shown = visible(text)
    assert harmless(shown) and not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
    assert visible("plain, ünï, 李小龙\n\tx") == "plain, ünï, 李小龙\n\tx"


def test_mark_up_in_a_name_is_text() -> None:
    assert escape("[bold]x") == "\\[bold]x" and harmless(escape(HOSTILE))


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    out_json({"path": HOSTILE})
    told = capsys.readouterr().out
    assert harmless(told) and json.loads(told) == {"path": HOSTILE}


def test_an_error_about_a_hostile_path_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", HOSTILE])
    told = capsys.readouterr().err
    assert "\\u001b[2J" in told and harmless(told)
