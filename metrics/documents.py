"""One guarded way to read the documents that users hand over: YAML, JSON, CSV and Parquet.

A document is a file somebody else may have written. Its size, depth, number of nodes, length of
numbers and encoding are bounded before anything is built of it, and whatever is wrong with it
becomes one sentence: which file, what, and what to do.

It stands in `metrics` because it is the one package every other may import.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from reid_audit.metrics.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MEBIBYTE = 2**20
MAX_SETTINGS_BYTES = MEBIBYTE
"""Of a YAML file: what people write by hand is a hundredth of it."""
MAX_JSON_BYTES = 256 * MEBIBYTE
MAX_TABLE_BYTES = 1024 * MEBIBYTE
MAX_TABLE_ROWS = 20_000_000
MAX_DEPTH = 64
"""Levels of lists and mappings within each other."""
MAX_NODES = 200_000
"""Values of a YAML file, each alias counted as all that it stands for."""
MAX_DIGITS = 400
"""Length of a number; Python's own limit, far above, would raise an error without a place."""

_Value = TypeVar("_Value")


class _Problem(Exception):
    """What is wrong with a document, without the document's name."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; None when it is empty.

    Raises:
        InputError: missing, unreadable, above 1 MiB, not UTF-8, not YAML, nested deeper than 64
            levels, above 200,000 values with aliases written out, or a number, date or key that
            cannot be.
    """
    return _read(path, "YAML", MAX_SETTINGS_BYTES, lambda content: _parse_yaml(_utf8(content)))


def yaml_of(text: str, where: str) -> Any:
    """The content of YAML text; errors name `where`.

    >>> yaml_of("seed: 3", "a note")
    {'seed': 3}

    Raises:
        InputError: as `read_yaml`.
    """
    return _explained(where, "YAML", lambda: _parse_yaml(text))


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: missing, unreadable, too large, not UTF-8, not JSON, nested deeper than 64
            levels, or with numbers that are too long or no numbers (NaN, Infinity).
    """
    return _read(path, "JSON", max_bytes, lambda content: _parse_json(_utf8(content)))


def read_json_text(path: Path, max_bytes: int = MAX_JSON_BYTES) -> str:
    """The text of a JSON file whose parser bounds depth and numbers itself, as pydantic's does.

    Raises:
        InputError: missing, unreadable, too large, or not UTF-8.
    """
    return _read(path, "JSON", max_bytes, _utf8)


@dataclass(frozen=True)
class Table:
    """Rows of a table, every cell text without spaces around it, what is missing an empty one."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Number of each row as a spreadsheet counts it (the header is row 1), and its cells."""
    encoding: str
    """`windows-1252` where it was guessed, since the file is no Unicode text."""


def read_csv(path: Path) -> Table:
    """A table as spreadsheets write it: cells separated by commas, semicolons, tabs or bars; UTF-8
    with or without a mark, UTF-16, or Windows-1252. Empty rows and empty unnamed columns are
    passed over; columns' names are read without case.

    Raises:
        InputError: missing, unreadable, too large, an encoding that is none of these, a column
            named twice, or a row with more cells than there are columns.
    """
    return _read(path, "CSV", MAX_TABLE_BYTES, _parse_csv)


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet table.

    Raises:
        InputError: missing, unreadable, damaged, or above 20 million rows or 1 GiB unpacked.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_file(path, MAX_TABLE_BYTES)
    try:
        with pq.ParquetFile(path) as file:
            facts = file.metadata
            unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
            if not 0 <= facts.num_rows <= MAX_TABLE_ROWS or not 0 <= unpacked <= MAX_TABLE_BYTES:
                raise InputError(
                    f"{path}: a table of {facts.num_rows} rows and {unpacked} bytes is above the "
                    f"limit of {MAX_TABLE_ROWS} rows and {MAX_TABLE_BYTES} bytes; divide it."
                )
            # Notes of pandas' own in the file may be damaged as well, and are not needed.
            table: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
            return table
    except InputError:
        raise
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        MemoryError,
    ) as error:  # a flipped byte may surface as any of them
        raise InputError(
            f"{path}: not a readable Parquet table ({_first_line(error)}); write it anew."
        ) from error


def _read(path: Path, kind: str, max_bytes: int, parse: Callable[[bytes], _Value]) -> _Value:
    _check_file(path, max_bytes)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check its permissions."
        ) from error
    return _explained(str(path), kind, lambda: parse(content))


def _explained(where: str, kind: str, parse: Callable[[], _Value]) -> _Value:
    try:
        return parse()
    except _Problem as problem:
        raise InputError(f"{where}: not readable as {kind}: {problem}.") from None
    except RecursionError:
        raise InputError(
            f"{where}: not readable as {kind}: nested too deeply; flatten it."
        ) from None


def _check_file(path: Path, max_bytes: int) -> None:
    """Whether there is a regular file of a size worth reading; a pipe would never end."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; correct the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        told = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{str(path)[:200]!r}: cannot be read ({told}); correct the path.") from (
            error
        )
    if not stat.S_ISREG(facts.st_mode):
        raise InputError(f"{path}: not a file; give the path of one.")
    if facts.st_size > max_bytes:
        raise InputError(
            f"{path}: {facts.st_size} bytes is above the limit of {max_bytes}; divide it."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Problem(f"line {line} is not UTF-8; save it in that encoding") from None


# ---- YAML ----------------------------------------------------------------------------------------


def _parse_yaml(text: str) -> Any:
    try:
        _check_yaml(yaml.parse(text, Loader=_Parser))
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise _Problem(f"{line}{error.problem or error.context}; repair it") from None
    except yaml.YAMLError as error:
        raise _Problem(f"{_first_line(error)}; repair it") from None


# The parser in C is 25 times as fast; a megabyte takes the other one a minute.
_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc, valid-type]
    """Says where a value is that cannot be made, and refuses a key that stands twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise _Problem(
                f"line {node.start_mark.line + 1}: {str(node.value)[:40]!r} cannot be read as "
                f"{node.tag.rpartition(':')[2]}; correct it, or put it into quotes"
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _Problem(
                        f"line {key.start_mark.line + 1}: {key.value[:40]!r} stands twice; keep "
                        "one of them"
                    )
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _check_yaml(events: Iterator[yaml.Event]) -> None:
    """Bounds on a stream of YAML events, of which nothing is built yet."""
    open_at: list[tuple[str | None, int]] = []
    size_of: dict[str, int] = {}
    nodes = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_at.append((event.anchor, nodes))
            nodes += 1
            if len(open_at) > MAX_DEPTH:
                raise _Problem(f"line {line}: nested deeper than {MAX_DEPTH} levels; flatten it")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_at.pop()
            if anchor is not None:
                size_of[anchor] = nodes - before
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            if event.anchor is not None:
                size_of[event.anchor] = 1
            if event.implicit[0] and len(event.value) > MAX_DIGITS and _is_number(event.value):
                raise _Problem(
                    f"line {line}: a number of {len(event.value)} digits; shorten it, or put it "
                    "into quotes"
                )
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in size_of:
                raise _Problem(f"line {line}: alias {event.anchor!r} stands for nothing")
            nodes += size_of[event.anchor]
        if nodes > MAX_NODES:
            raise _Problem(
                f"line {line}: above {MAX_NODES} values with aliases written out; shorten it"
            )


def _is_number(text: str) -> bool:
    return text[0] in "+-.0123456789" and all(c in "+-._:0123456789abcdefABCDEFxXoO" for c in text)


# ---- JSON ----------------------------------------------------------------------------------------


def _parse_json(text: str) -> Any:
    try:
        content = json.loads(text, parse_int=_integer, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise _Problem(f"line {error.lineno}: {error.msg}; repair it") from None
    level, depth = [content], 0
    while level := [
        child
        for node in level
        if isinstance(node, dict | list)
        for child in (node.values() if isinstance(node, dict) else node)
    ]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _Problem(f"nested deeper than {MAX_DEPTH} levels; flatten it")
    return content


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Problem(f"a number of {len(digits)} digits; shorten it")
    return int(digits)


def _no_number(name: str) -> float:
    raise _Problem(f"{name} is no number; write null where a value is unknown")


# ---- CSV -----------------------------------------------------------------------------------------

_DELIMITERS = ",;\t|"


def _parse_csv(content: bytes) -> Table:
    text, encoding = _decoded(content)
    lines = text.splitlines(keepends=True)
    hint = lines[0].strip().lower() if lines else ""
    if hint.startswith("sep=") and len(hint) == 5:  # a spreadsheet's note to itself
        delimiter, skipped = lines[0].strip()[4], 1
    else:
        skipped = next((i for i, line in enumerate(lines) if line.strip()), 0)
        delimiter = _delimiter(lines[skipped]) if lines else ","
    reader = csv.reader(
        io.StringIO("".join(lines[skipped:]), newline=""),
        delimiter=delimiter,
        skipinitialspace=True,
    )
    try:
        header, *records = list(reader) or [[]]
    except csv.Error as error:
        raise _Problem(f"line {reader.line_num + skipped}: {error}; repair it") from None
    columns = [name.strip().lower().replace(" ", "_") for name in header]
    for name in columns:
        if name and columns.count(name) > 1:
            raise _Problem(f"column {name!r} stands twice; keep one of them")
    rows = []
    for number, cells in enumerate(records, start=skipped + 2):
        stripped = [cell.strip() for cell in cells]
        if not any(stripped):
            continue
        for cell, name in zip(stripped, columns + [""] * len(stripped), strict=False):
            if cell and not name:
                raise _Problem(
                    f"row {number}: {cell[:40]!r} stands in no column; put cells that hold "
                    f"{delimiter!r} into quotes"
                )
        padded = stripped + [""] * (len(columns) - len(stripped))
        rows.append((number, {n: c for n, c in zip(columns, padded, strict=False) if n}))
    return Table(tuple(name for name in columns if name), tuple(rows), encoding)


def _decoded(content: bytes) -> tuple[str, str]:
    """Text and encoding of a table. A mark or zero bytes show UTF-16; what is no UTF-8 is read as
    Windows-1252, the encoding that spreadsheets in the West save without being asked."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content[:2]:
        encodings = ["utf-16-be" if content[:1] == b"\0" else "utf-16-le"]
    else:
        encodings = ["utf-8-sig", "windows-1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise _Problem("an encoding that cannot be told; save it as UTF-8")


def _delimiter(header: str) -> str:
    """The one that divides the header into most columns."""
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
