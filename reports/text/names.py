"""Names that users chose, made harmless for every place a report shows them.

Escaping for HTML is the template's work, quoting for CSV that of `reports.rows`; what is removed
here misleads a reader in any medium: control characters, direction overrides, endless length.
"""

from __future__ import annotations

import unicodedata

LONGEST = 300
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_ISOLATE, _END = "\u2068", "\u2069"


def clean(text: object, longest: int = LONGEST) -> str:
    r"""One line of visible characters, at most `longest` of them.

    >>> clean("a\n\x1b[31mb\u202e")
    'a [31mb'
    >>> clean("x" * 9, longest=5)
    'xxxx…'
    """
    spaced = "".join(" " if char.isspace() else char for char in str(text))
    visible = "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))
    line = " ".join(visible.split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in line):
        line = f"{_ISOLATE}{line}{_END}"
    return line
