"""Roles as a table: one row per picture, CSV or Parquet."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reid_audit.audit.data.folders import Bounds
from reid_audit.audit.data.items import ROLES, Box, Item
from reid_audit.metrics.errors import InputError

REQUIRED = ("image_id", "identity", "role", "path")
OPTIONAL = ("original", "face_box", "stratum")
MANIFEST_ENDINGS = (".csv", ".parquet")


def read_manifest(path: Path, bounds: Bounds) -> tuple[Item, ...]:
    """Items of a manifest in its order, paths relative to its folder.

    Files are not looked at. An empty identity means that nobody is named.

    Raises:
        InputError: unreadable table, missing or unknown column, unknown role, image_id used
            twice, unreadable face_box, or a path that leads out of `bounds`.
    """
    table = _read_table(path)
    _check_columns(path, [str(column) for column in table.columns])
    twice = table["image_id"][table["image_id"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: image_id {twice.iloc[0]!r} stands twice; make each unique.")
    rows = table.reindex(columns=[*REQUIRED, *OPTIONAL], fill_value="").to_dict("records")
    return tuple(
        _item(row, path.parent, bounds, f"{path}, row {number}")
        for number, row in enumerate(rows, start=2)
    )


def _item(row: Mapping[Any, str], folder: Path, bounds: Bounds, where: str) -> Item:
    role = next((role for role in ROLES if role == row["role"]), None)
    if role is None:
        raise InputError(f"{where}: role {row['role']!r} is none of {', '.join(ROLES)}.")
    for column in ("image_id", "path"):
        if not row[column]:
            raise InputError(f"{where}: {column} is empty; fill it in or drop the row.")
    if role == "gallery" and not row["identity"]:
        raise InputError(f"{where}: identity is empty; a gallery picture needs a person.")
    paths = {}
    for column in ("path", "original"):
        paths[column] = folder / row[column]
        if row[column] and not bounds.holds(paths[column]):
            raise InputError(
                f"{where}: {column} {row[column]!r} leads outside {bounds.folder}; "
                "move the file in, or widen with --root."
            )
    return Item(
        image_id=row["image_id"],
        identity=row["identity"] or None,
        role=role,
        path=paths["path"],
        original=paths["original"] if row["original"] else None,
        face_box=parse_box(row["face_box"], where) if row["face_box"] else None,
        stratum=row["stratum"] or None,
    )


def parse_box(text: str, where: str) -> Box:
    """Read `x0,y0,x1,y1` (commas, semicolons or spaces, brackets allowed).

    >>> parse_box("[10; 20.4; 110, 140]", "doc")
    (10, 20, 110, 140)

    Raises:
        InputError: not four numbers, or an empty box.
    """
    parts = [part for part in re.split(r"[\s,;\[\]()]+", text) if part]
    try:
        x0, y0, x1, y1 = (round(float(part)) for part in parts)
    except (ValueError, OverflowError):
        raise InputError(f"{where}: face_box {text!r} is not x0,y0,x1,y1 in pixels.") from None
    if x0 >= x1 or y0 >= y1 or x0 < 0 or y0 < 0:
        raise InputError(f"{where}: face_box {text!r} is empty; x0 < x1 and y0 < y1 are needed.")
    return x0, y0, x1, y1


def _read_table(path: Path) -> pd.DataFrame:
    """Every cell as text, what is missing as an empty one."""
    try:
        if path.suffix.lower() == ".csv":
            # All as text: an identity "001" is not the number 1, a person called "NA" exists.
            return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest; correct the path.") from None
    except (OSError, ValueError, pd.errors.ParserError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a readable {path.suffix[1:]} table ({first_line}); repair it."
        ) from error
    if "face_box" in table:
        table["face_box"] = table["face_box"].map(
            lambda box: " ".join(map(str, box)) if pd.api.types.is_list_like(box) else box
        )
    return table.astype(object).where(table.notna(), "").astype(str)


def _check_columns(path: Path, columns: list[str]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    for column in columns:
        if column not in known:
            nearest = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}."
            raise InputError(f"{path}: unknown column {column!r}; {hint}")
    for column in REQUIRED:
        if column not in columns:
            raise InputError(f"{path}: column {column!r} is missing; add it.")
