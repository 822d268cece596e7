"""The restricted picture sheet: original, anonymised and restored faces for those entitled.

It is a file of its own. Nothing here is reachable from the report, whose data hold no picture.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reid_audit.audit.results.schema import InputError
from reid_audit.reports.pages.html import environment, stylesheet
from reid_audit.reports.text.language import load

_DATA_URI = re.compile(r"data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Picture:
    """A face as PNG bytes or as a `data:` URI, with what it shows."""

    caption: str
    image: bytes | str

    @property
    def source(self) -> Markup:
        """The picture as a `data:` URI.

        Raises:
            InputError: the URI would make the page fetch something.
        """
        if isinstance(self.image, bytes):
            return Markup("data:image/png;base64,") + b64encode(self.image).decode()
        if not _DATA_URI.fullmatch(self.image):
            raise InputError("evidence picture: give PNG bytes or a base64 data:image URI.")
        return Markup(self.image)


@dataclass(frozen=True)
class Row:
    """One probe, by pseudonym: its pictures and what the attack answered."""

    label: str
    pictures: Sequence[Picture]
    note: str = ""


def render_sheet(rows: Sequence[Row], title: str = "Restricted evidence") -> str:
    """The sheet as one HTML file under a banner that says who may see it.

    Raises:
        InputError: a picture is neither PNG bytes nor a base64 `data:` URI.
    """
    template = environment().get_template("evidence.html.j2")
    return template.render(rows=rows, title=title, t=load("en"), css=stylesheet())
