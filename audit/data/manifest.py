"""Roles as a table: one row per picture, CSV or Parquet."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from reid_audit.audit.data.folders import Bounds
from reid_audit.audit.data.items import ROLES, Box, Item
from reid_audit.metrics.documents import Table, read_csv, read_parquet
from reid_audit.metrics.errors import InputError

REQUIRED = ("image_id", "identity", "role", "path")
OPTIONAL = ("original", "face_box", "stratum")
ATTRIBUTE = "attribute_"
"""Beginning of the columns that say something of the face: `attribute_sex`, `attribute_age`."""
MANIFEST_ENDINGS = (".csv", ".tsv", ".parquet")

CORNERS = (("x0", "y0", "x1", "y1"), ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"))
SIZES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"))
"""Columns that give a box in four cells, instead of `face_box`: its corners, or corner and size."""
FURTHEST = 1e6
"""Pixels; a coordinate beyond is a mistake, not a box that reaches over the border."""
LONGEST_PATH = 4096
SLENDER = 2.5
"""Longer side in shorter ones beyond which a box is no face's."""


def read_manifest(path: Path, bounds: Bounds) -> tuple[Item, ...]:
    """Items of a manifest in its order, paths relative to its folder.

    No picture is opened. An empty identity means that nobody is named. Boxes may reach beyond the
    picture; `audit.data.screening` cuts them.

    Raises:
        InputError: unreadable table, missing or unknown column, unknown role, image_id used
            twice, unreadable face_box, boxes that no face has, or a path that leads out of
            `bounds` or to something that is no file; the message names the row.
    """
    table = _read_table(path)
    box_columns = _box_columns(table.columns)
    _check_columns(path, table.columns, box_columns)
    seen: set[str] = set()
    items = []
    for number, row in table.rows:
        item = _item(row, path.parent, bounds, number, f"{path}, row {number}", box_columns)
        if item.image_id in seen:
            raise InputError(f"{path}: image_id {item.image_id!r} stands twice; make each unique.")
        seen.add(item.image_id)
        items.append(item)
    _check_encoding(path, table, items)
    if not box_columns:
        _check_corners(path, [item.face_box for item in items if item.face_box is not None])
    return tuple(items)


def _item(
    row: Mapping[str, str],
    folder: Path,
    bounds: Bounds,
    number: int,
    where: str,
    box_columns: Sequence[str],
) -> Item:
    role = next((role for role in ROLES if role == row["role"].lower()), None)
    if role is None:
        raise InputError(f"{where}: role {row['role'][:80]!r} is none of {', '.join(ROLES)}.")
    for column in ("image_id", "path"):
        if not row[column]:
            raise InputError(f"{where}: {column} is empty; fill it in or drop the row.")
    if role == "gallery" and not row["identity"]:
        raise InputError(f"{where}: identity is empty; a gallery picture needs a person.")
    path = _path(row["path"], folder, bounds, f"{where}: path")
    original = row.get("original")
    return Item(
        image_id=row["image_id"],
        identity=row["identity"] or None,
        role=role,
        path=path,
        original=_path(original, folder, bounds, f"{where}: original") if original else None,
        face_box=_box(row, box_columns, where),
        stratum=row.get("stratum") or None,
        attributes=tuple(
            sorted(
                (name.removeprefix(ATTRIBUTE), value)
                for name, value in row.items()
                if name.startswith(ATTRIBUTE) and value
            )
        ),
        row=number,
    )


def _path(text: str, folder: Path, bounds: Bounds, where: str) -> Path:
    """The file that a cell names, written with slashes of either kind.

    Raises:
        InputError: it is an address on the net, cannot be a path, leads out of `bounds`, or stands
            for a folder, pipe or device. A file that is missing is told when it is read.
    """
    if "://" in text:
        raise InputError(
            f"{where} {text[:80]!r} is an address; fetch the file, and give its path here."
        )
    if "\0" in text or len(text) > LONGEST_PATH:
        raise InputError(f"{where} {text[:40]!r}... cannot be a path; correct it.")
    path = folder / text
    try:
        if not path.exists():
            path = _variant(text, folder) or path
        inside = bounds.holds(path)
        wrong = path.exists() and not path.is_file()
        loops = path.is_symlink() and not path.exists()
    except OSError as error:
        raise InputError(
            f"{where} {text[:80]!r} cannot be read ({error.strerror}); correct it."
        ) from None
    if loops:
        raise InputError(f"{where} {text[:80]!r} is a link that leads nowhere; repair it.")
    if not inside:
        raise InputError(
            f"{where} {text[:80]!r} leads outside {bounds.folder}; "
            "move the file in, or widen with --root."
        )
    if wrong:
        raise InputError(f"{where} {text[:80]!r} is no file; give the path of a picture.")
    return path


def _variant(text: str, folder: Path) -> Path | None:
    """The same path as other systems write it: backslashes, accents composed or apart."""
    slashed = text.replace("\\", "/")
    forms = (slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD")))
    return next((folder / form for form in forms if (folder / form).exists()), None)


def _box(row: Mapping[str, str], columns: Sequence[str], where: str) -> Box | None:
    if row.get("face_box"):
        return parse_box(row["face_box"], where)
    cells = [row[column].replace(",", ".") for column in columns]
    if not any(cells):
        return None
    name = ",".join(columns)
    try:
        a, b, c, d = (float(cell) for cell in cells)
    except ValueError:
        raise InputError(f"{where}: {name} {' '.join(cells)[:80]!r} are not four numbers.") from (
            None
        )
    if tuple(columns) in SIZES:
        c, d = a + c, b + d
    return _checked((a, b, c, d), f"{where}: {name}")


def parse_box(text: str, where: str) -> Box:
    """Read `x0,y0,x1,y1` (commas, semicolons or spaces, brackets allowed; decimal commas where
    something else divides the numbers). It may reach beyond the picture's border.

    >>> parse_box("[10; 20.4; 110, 140]", "doc")
    (10, 20, 110, 140)
    >>> parse_box("-5,2; 20,4; 110; 140", "doc")
    (-5, 20, 110, 140)

    Raises:
        InputError: not four numbers, an empty box, or coordinates beyond a million pixels.
    """
    bare = re.sub(r"[\[\]()]", " ", text)
    wide = [part.strip(",") for part in re.split(r"[\s;]+", bare) if part.strip(",")]
    parts = [part.replace(",", ".") for part in wide]
    if len(parts) != 4:
        parts = [part for part in re.split(r"[\s,;]+", bare) if part]
    try:
        x0, y0, x1, y1 = (float(part) for part in parts)
    except ValueError:
        raise InputError(f"{where}: face_box {text[:80]!r} is not x0,y0,x1,y1 in pixels.") from None
    return _checked((x0, y0, x1, y1), f"{where}: face_box", text)


def _checked(box: tuple[float, float, float, float], where: str, text: str | None = None) -> Box:
    told = repr((text or ",".join(f"{v:g}" for v in box))[:80])
    if not all(math.isfinite(value) and abs(value) <= FURTHEST for value in box):
        raise InputError(f"{where} {told} lies outside any picture; give pixels.")
    x0, y0, x1, y1 = (round(value) for value in box)
    if x0 >= x1 or y0 >= y1:
        raise InputError(
            f"{where} {told} is empty; x0 < x1 and y0 < y1 are needed. If these are x,y,width,"
            "height, give them in columns x, y, w and h."
        )
    return x0, y0, x1, y1


def _check_corners(path: Path, boxes: Sequence[Box]) -> None:
    """Corner and size written as two corners make boxes that no face has, though each is one."""
    slender = sum(_slender(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes)
    as_sizes = sum(not _slender(width, height) for _, _, width, height in boxes)
    if 2 * slender > len(boxes) and 2 * as_sizes > len(boxes):
        raise InputError(
            f"{path}: {slender} of {len(boxes)} values of face_box, read as x0,y0,x1,y1, are too "
            "slender for a face. If they are x,y,width,height, give them in columns x, y, w and h."
        )


def _slender(width: int, height: int) -> bool:
    return width <= 0 or height <= 0 or max(width, height) > SLENDER * min(width, height)


def _read_table(path: Path) -> Table:
    if path.suffix.lower() != ".parquet":
        return read_csv(path)
    frame = read_parquet(path)
    frame.columns = [str(name).strip().lower().replace(" ", "_") for name in frame.columns]
    if frame.columns.has_duplicates:
        raise InputError(f"{path}: a column stands twice; keep one of them.")
    for name in frame.columns:
        frame[name] = frame[name].map(_cell).astype(object)
    rows = tuple(enumerate(frame.to_dict("records"), start=2))
    return Table(tuple(frame.columns), rows, "utf-8")  # type: ignore[arg-type]


def _cell(value: object) -> str:
    if pd.api.types.is_list_like(value):
        return " ".join(map(str, value))  # type: ignore[call-overload]
    return "" if pd.isna(value) else str(value)  # type: ignore[call-overload]


def _box_columns(columns: Sequence[str]) -> tuple[str, ...]:
    if "face_box" in columns:
        return ()
    kinds = (kind for kind in (*SIZES, *CORNERS) if set(kind) <= set(columns))
    return next(kinds, ())


def _check_columns(path: Path, columns: Sequence[str], box_columns: Sequence[str]) -> None:
    known = (*REQUIRED, *OPTIONAL, *box_columns)
    for column in columns:
        if column == ATTRIBUTE:
            raise InputError(f"{path}: column {column!r} names no attribute; attribute_sex does.")
        if column not in known and not column.startswith(ATTRIBUTE):
            nearest = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}."
            raise InputError(f"{path}: unknown column {column[:80]!r}; {hint}")
    for column in REQUIRED:
        if column not in columns:
            raise InputError(f"{path}: column {column!r} is missing; add it.")


def _check_encoding(path: Path, table: Table, items: Sequence[Item]) -> None:
    """A guessed encoding is believed when the paths that it decides about lead to files."""
    if table.encoding != "windows-1252":
        return
    for item in items:
        if not str(item.path).isascii() and not item.path.exists():
            raise InputError(
                f"{path}, row {item.row}: the table is not UTF-8, and read as Windows-1252 its "
                "paths lead to no file; save it with the encoding UTF-8."
            )
