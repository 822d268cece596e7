"""Documents that users hand over: read as meant, or refused in one sentence."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.metrics.documents import (
    read_csv,
    read_json,
    read_json_text,
    read_parquet,
    read_yaml,
    yaml_of,
)
from reid_audit.metrics.errors import InputError

BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""43 million values in 400 bytes."""


def one_sentence(error: InputError) -> str:
    told = str(error)
    assert "\n" not in told and len(told) < 500
    return told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "above 200000 values with aliases written out"),
        ("seed: &a [*a]", "stands for nothing|undefined alias"),
        ("a: " + "[" * 1000 + "]" * 1000, "nested deeper|nesting depth"),
        ("a: " + "{b: " * 300 + "}" * 300, "nested deeper than 64 levels"),
        ("a: " + "[" * 100_000, "nested deeper|nesting depth"),
        ("seed: " + "9" * 5000, "line 1: a number of 5000 digits"),
        ("b: 1\nseed: 0x" + "f" * 5000, "line 2: a number of 5002 digits"),
        ("expires: 2027-02-30", "line 1: '2027-02-30' cannot be read as timestamp"),
        ("a: !!int ''", "cannot be read as int"),
        ("a: !!bool maybe", "cannot be read as bool"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("? [a, b]\n: 1", "line 1: .*unhashable"),
        ("seed: 1\nseed: 2", "line 2: 'seed' stands twice"),
        ("a: [1", "line 2: "),
        ("a: \0", "not readable as YAML"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(InputError, match=sentence) as refused:
        read_yaml(path)
    assert time.monotonic() - started < 5
    assert one_sentence(refused.value).startswith(str(path))


def test_yaml_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("base: &b {k: 81}\nother: *b\nname: 1_0\nlong: '" + "9" * 5000 + "'\n")
    content = read_yaml(path)
    assert content["other"] == {"k": 81} and content["name"] == 10
    assert content["long"] == "9" * 5000
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9")
    assert read_yaml(path) == {"a": "é"}
    path.write_text("")
    assert read_yaml(path) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_what_was_written_is_read(content: object) -> None:
    assert yaml_of(yaml.safe_dump(content), "here") == content


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        yaml_of(text, "here")
    except InputError as error:
        assert str(error).startswith("here: ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested (too deeply|deeper than 64 levels)"),
        ("[" * 70 + "]" * 70, "nested deeper than 64 levels"),
        ('{"a": ' + "9" * 5000 + "}", "a number of 5000 digits"),
        ('{"a":\n NaN}', "NaN is no number"),
        ('{"a":\n 1', "line 2: "),
        ("", "line 1: "),
    ],
)
def test_json_that_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as refused:
        read_json(path)
    one_sentence(refused.value)


READERS: list[Callable[[Path], object]] = [
    read_yaml,
    read_json,
    read_json_text,
    read_csv,
    read_parquet,
]


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, sentence in [
        (tmp_path / "none", "no such file"),
        (tmp_path, "not a file"),
        (tmp_path / "pipe", "not a file"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / "a\0b", "cannot be read"),
        (tmp_path / ("a" * 10_000), "cannot be read"),
    ]:
        with pytest.raises(InputError, match=sentence) as refused:
            read(path)
        one_sentence(refused.value)


@pytest.mark.parametrize("read", [read_yaml, read_json, read_json_text])
def test_text_that_is_not_utf_8(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b'{"a":\n "Zo\xeb"}')
    with pytest.raises(InputError, match="line 2 is not UTF-8; save it"):
        read(path)


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("#" * 2**20 + "\n")
    with pytest.raises(InputError, match="above the limit of 1048576"):
        read_yaml(path)


ROWS = [{"image_id": "a", "identity": "Zoë"}, {"image_id": "b", "identity": "José; Ana, x"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_in_any_dialect(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame(ROWS).to_csv(path, sep=delimiter, encoding=encoding, index=False)
    table = read_csv(path)
    assert [row for _, row in table.rows] == ROWS
    assert [number for number, _ in table.rows] == [2, 3]
    assert (table.encoding == "windows-1252") == (encoding == "cp1252")


def test_what_spreadsheets_add(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=;\r\nImage ID;Role;;\r\n\r\n 1 ;probe;;\r\n;;;\r\n2\r\n")
    table = read_csv(path)
    assert table.columns == ("image_id", "role")
    rows = [(4, {"image_id": "1", "role": "probe"}), (6, {"image_id": "2", "role": ""})]
    assert list(table.rows) == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a,b\n1,2,3", "row 2: '3' stands in no column; put cells that hold ',' into quotes"),
        (b"a,A\n1,2", "column 'a' stands twice"),
        (b"a,b\n\x81\xff,2", "an encoding that cannot be told; save it as UTF-8"),
        (b'a,b\n"' + b"x" * 200_000 + b'",1', "field larger than field limit"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_csv(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        table = read_csv(path)
    except InputError as error:
        one_sentence(error)
    else:
        assert all(set(row) == set(table.columns) for _, row in table.rows)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("table") / "a.parquet"
    pd.DataFrame({"name": ["Zoë", "Ana"] * 20, "value": [1.5, math.pi] * 20}).to_parquet(path)
    return path.read_bytes()


def test_parquet(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(whole)
    assert list(read_parquet(path)["name"][:2]) == ["Zoë", "Ana"]


@given(st.data())
def test_flipped_bytes_of_a_parquet_table(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.parquet"
    path.write_bytes(bytes(content)[: data.draw(st.integers(0, len(whole)))])
    try:
        read_parquet(path)
    except InputError as error:
        one_sentence(error)
