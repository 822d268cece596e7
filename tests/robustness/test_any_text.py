"""Documents and expressions that users write: whatever stands in them is read, or refused in one
sentence that names the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid_audit.attacks.operators import parse
from reid_audit.audit.bench.config import resolve as resolve_bench
from reid_audit.audit.config import load_config, resolve
from reid_audit.audit.data.folders import Bounds
from reid_audit.audit.data.manifest import read_manifest
from reid_audit.audit.data.sidecar import read_sidecar
from reid_audit.audit.evaluation.gate import check_expression
from reid_audit.audit.evaluation.waivers import load_waivers
from reid_audit.audit.results.schema import dump_results, read_results
from reid_audit.metrics.errors import ReidAuditError

MANIFEST = """image_id,identity,role,path,original,face_box,stratum
a,Ada,gallery,a.png,,"10,20,30,40",indoor
b,Ada,probe,a.png,a.png,"-5; 2,5; 20; 40",
c,,probe,a.png,,,
"""
CONFIG = """seed: 3
attacks: [naive, ridge]
method: gaussian:sigma=7.8
options: {student: {epochs: 3}}
threshold: 0.05
fail_on: "ira > 0.05"
"""
WAIVERS = """- finding: residue.*
  title: "*room*"
  reason: reading room only
  expires: 2027-03-31
"""
BENCH = """sample: {people: 8}
defences: ["gaussian:k=21", "pixelate:b=8"]
attacks: [naive]
seeds: [0]
"""
SIDECAR = json.dumps(
    {
        "spec": "box:k=5",
        "pictures": [{"path": "a/b.png", "region": [[1, 2, 30, 40]], "face_width": 20.5}],
    }
)
GATE = "ira > 0.05 and verdict == LEAK_DEMONSTRATED or missed_faces >= 1"
SPEC = "gaussian:k=21..41,sigma=7.8|ellipse:soft=.1|jpeg:q=75"
RESULTS = (Path(__file__).parents[1] / "reports" / "data" / "results.json").read_text()

LONGEST = 3000
"""Characters of a sentence that quotes what it refuses, five hundred digits among it."""
PIECES = (
    *("", " ", "\n", "\t", "\0", ",", ";", ":", "|", "=", "..", '"', "'", "-", "[", "]", "{", "}"),
    *("nan", "inf", "-inf", "1e999", "1e-999", "0x1F", "9" * 500, "-1", "0", "1", "2.5", "null"),
    *("true", "~", "*", "&a ", "*a", "!!python/object:os.system", "<<: ", "# ", "---\n", "\ufeff"),
    *("2027-13-99", "0000-00-00", "../../x", "/etc/passwd", "https://a/b", "and", "or", "==", ">"),
    *("é", "\u202e", "😀", "%s", "{0}", "seed", "gallery", "probe", "ira", "k", "sigma"),
)


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """A sound text with up to four parts cut out, doubled, or replaced by what surprises."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        put = draw(st.sampled_from(PIECES) | st.text(max_size=6) | st.just(text[start:end] * 2))
        text = text[:start] + put + text[end:]
    return text


def read_or_refused(read: Callable[[], object]) -> object | None:
    try:
        return read()
    except ReidAuditError as error:
        told = str(error)
        assert told and "\n" not in told.strip() and len(told) < LONGEST, told
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    made = tmp_path_factory.mktemp("documents")
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(made / "a.png")
    return made


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    return folder / name


examples = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_texts_are_sound(folder: Path) -> None:
    assert len(read_manifest(written(folder, "m.csv", MANIFEST), Bounds(folder))) == 3
    assert load_config(written(folder, "c.yaml", CONFIG)).seed == 3
    assert load_waivers(str(written(folder, "w.yaml", WAIVERS)))
    assert resolve_bench(written(folder, "b.yaml", BENCH))
    assert read_results(written(folder, "r.json", RESULTS))
    written(folder, "anonymized.json", SIDECAR)
    assert read_sidecar(folder)
    check_expression(GATE)
    assert parse(SPEC)


@examples
@given(changed(MANIFEST))
def test_manifests(folder: Path, text: str) -> None:
    path = written(folder, "manifest.csv", text)
    items = read_or_refused(lambda: read_manifest(path, Bounds(folder)))
    for item in items or ():
        assert item.role in ("gallery", "probe", "background", "spare")
        assert item.path.resolve().is_relative_to(folder.resolve())
        if item.face_box is not None:
            x0, y0, x1, y1 = item.face_box
            assert -1e6 <= x0 < x1 <= 1e6 and -1e6 <= y0 < y1 <= 1e6


@examples
@given(changed(CONFIG))
def test_configurations(folder: Path, text: str) -> None:
    path = written(folder, "audit.yaml", text)
    config = read_or_refused(lambda: resolve({}, {}, path))
    if config is not None and config.fail_on is not None:
        read_or_refused(lambda: check_expression(config.fail_on))


@examples
@given(changed(WAIVERS))
def test_waivers(folder: Path, text: str) -> None:
    path = written(folder, "waivers.yaml", text)
    for entry in read_or_refused(lambda: load_waivers(str(path))) or ():
        assert entry.reason.strip() and entry.finding.strip() and entry.expires.year >= 1


@examples
@given(changed(BENCH))
def test_grids(folder: Path, text: str) -> None:
    path = written(folder, "bench.yaml", text)
    read_or_refused(lambda: resolve_bench(path))


@examples
@given(changed(SIDECAR))
def test_sidecars(folder: Path, text: str) -> None:
    written(folder, "anonymized.json", text)
    sidecar = read_or_refused(lambda: read_sidecar(folder))
    for picture in sidecar.pictures if sidecar is not None else ():
        assert (folder / picture.path).resolve().is_relative_to(folder.resolve())


@settings(examples, max_examples=40)
@given(changed(RESULTS))
def test_results(folder: Path, text: str) -> None:
    path = written(folder, "results.json", text)
    results = read_or_refused(lambda: read_results(path))
    if results is not None:
        json.loads(dump_results(results), parse_constant=lambda name: pytest.fail(name))


@examples
@given(changed(GATE))
def test_gates(text: str) -> None:
    read_or_refused(lambda: check_expression(text))


@examples
@given(changed(SPEC))
def test_specs(text: str) -> None:
    operator = read_or_refused(lambda: parse(text))
    if operator is None:
        return
    picture = np.full((24, 20, 3), 90, np.uint8)
    rng = np.random.default_rng(0)
    made = read_or_refused(lambda: operator.apply(picture, rng))
    assert made is None or (made.dtype == np.uint8 and made.shape[2] == 3)
    read_or_refused(lambda: parse(str(operator)))
