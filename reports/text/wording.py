"""What a report must never claim, in any of its languages.

The evidence bounds tested attacks; it cannot certify a law, a state of the data or the future.
"""

from __future__ import annotations

import re

_FORBIDDEN = (
    r"GDPR[- ]compliant",
    r"DSGVO[- ]konform",
    r"conforme au RGPD",
    r"\banonymous\b",
    r"\banonym\b",
    r"\banonymes?\b",
    r"\bsafe(ly|ty)?\b",
    r"\birreversibl[ey]\b",
    r"\b(un|ir)umkehrbar\b",
    r"\birréversibles?\b",
)


def violations(text: str) -> list[str]:
    """The forbidden claims a text contains.

    >>> violations("The pictures are safe and GDPR compliant.")
    ['GDPR compliant', 'safe']
    >>> violations("None of 97 people; rates up to 3.8 % remain compatible.")
    []
    """
    matches = (match.group() for rule in _FORBIDDEN for match in re.finditer(rule, text, re.I))
    return list(matches)
