"""Engines: how work is split, what is refused, and that a Ray cluster gives what this machine does.

Clusters are started in processes of their own, of two cores, and end with them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from benchmarks.engines import comparable
from reid_audit.audit.engine import open_engine
from reid_audit.audit.engine.cluster import check_cores
from reid_audit.audit.scan.apart import Ask, split
from reid_audit.metrics.errors import InputError

ROOT = str(Path(__file__).resolve().parents[2])
Cli = Callable[..., tuple[int, str, str]]
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'reid-audit[ray]'"
)


def asks(conditions: int, attacks: int, shards: int) -> list[Ask]:
    every = tuple(range(4 * n, 4 * n + 4) for n in range(shards))
    return [
        Ask((f"c{condition}", "dlib", "closed", f"a{attack}"), every, shards, 1.0)
        for condition, attack in product(range(conditions), range(attacks))
    ]


@pytest.mark.parametrize("slots", [1, 2, 5, 64, 1000])
@pytest.mark.parametrize("given", [(1, 1, 1), (1, 6, 1), (1, 3, 50), (4, 7, 3)])
def test_every_shard_is_dealt_out_once(given: tuple[int, int, int], slots: int) -> None:
    every = asks(*given)
    parts = list(split(every, slots))
    dealt = [(ask.key, shard) for part in parts for ask in part for shard in ask.shards]
    assert sorted(dealt, key=repr) == sorted(
        ((ask.key, shard) for ask in every for shard in ask.shards), key=repr
    )
    assert all(len({ask.key[:2] for ask in part}) == 1 for part in parts)
    conditions, attacks, shards = given
    assert len(parts) >= min(slots, conditions * attacks * shards)
    if slots <= conditions:
        assert len(parts) == conditions, "no attack is fitted twice without need"


def test_nothing_to_do_is_no_part() -> None:
    assert list(split([], 4)) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("local", "127.0.0.1:6379"), "add --engine ray"),
        (("ray", "ray://127.0.0.1:10001"), "give HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(given: tuple[str, str], told: str) -> None:
    if given[0] == "ray" and find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with pytest.raises(InputError, match=told), open_engine(*given, None):  # type: ignore[arg-type]
        pass


def test_a_cluster_whose_machines_are_too_small_is_refused() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
        {"Alive": True, "Resources": {}},
    ]
    check_cores(nodes, 4)
    with pytest.raises(InputError, match="OMP_NUM_THREADS=4"):
        check_cores(nodes, 5)


def test_an_extra_that_is_absent_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, layout: Callable[..., Path], cli: Cli
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    data = layout(tmp_path / "data")
    code, _, told = cli("scan", data, "-o", tmp_path / "run", "--engine", "ray")
    assert code == 2 and told.count("\n") == 1
    assert "pip install 'reid-audit[ray]'" in told
    assert not (tmp_path / "run").exists()


def python(script: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": ROOT, **variables},
    )


@needs_ray
@pytest.mark.slow
def test_where_no_cluster_answers_one_sentence_says_so_in_time() -> None:
    with socket.socket() as listening:  # takes connections and says nothing
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        script = (
            "import reid_audit.audit.engine.cluster as c, sys; c.PATIENCE = 10\n"
            "from reid_audit.metrics.errors import InputError\n"
            "try:\n"
            "    with c.open_cluster(sys.argv[1], None): pass\n"
            "except InputError as error: print(error)\n"
        )
        started = time.monotonic()
        ended = python(script, address)
    assert time.monotonic() - started < 60
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"--address {address}: no Ray cluster could be joined")
    assert ended.stdout.count("\n") == 1


WORK = """
import os, sys, tempfile
from functools import partial
from pathlib import Path
from reid_audit.audit.engine.cluster import open_cluster
from reid_audit.metrics.errors import InputError, IntegrityError

def square(number, text):
    print(text); os.write(2, text.encode())
    if number == 13:
        raise InputError(text)
    if number == 99:
        os._exit(1)
    return number * number

def count(shared, first):
    for number in range(3):
        yield shared["times"] * (first + number)

def main(address, text):
    with open_cluster(address or None, 2) as cluster:
        work = partial(square, text=text)
        print(list(cluster.map(work, range(5), worth=True)))
        shared = cluster.share({"times": 10})
        print(sorted(cluster.stream(count, [(shared, 0), (shared, 100)])))
        try:
            list(cluster.map(work, [1, 13], worth=True))
        except InputError as error:
            print("raised", str(error) == text)
        with cluster.opener() as opener:
            print(opener.facts(Path(text)).problem)
        logs = [p for p in Path(tempfile.gettempdir()).rglob("*") if p.is_file()]
        print(len(logs) > 5, [p.name for p in logs if text.encode() in p.read_bytes()])
        if not address:
            list(cluster.map(work, [1, 99], worth=True))
"""


@needs_ray
@pytest.mark.slow
def test_a_cluster_works_and_its_logs_hold_no_text_of_ours(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    script = (
        "import sys, work\n"
        "from reid_audit.metrics.errors import IntegrityError\n"
        "try: work.main('', sys.argv[1])\n"
        "except IntegrityError as error: print('lost', 'go on from here' in str(error))\n"
    )
    temporary = Path("/tmp") / f"re-{os.getpid()}"  # sockets want short names
    temporary.mkdir(mode=0o700)
    try:
        secret = str(tmp_path / "Ada Lovelace.png")
        path = os.pathsep.join([ROOT, str(tmp_path)])
        ended = python(script, secret, TMPDIR=str(temporary), PYTHONPATH=path)
        left = list(temporary.glob("ra-*"))
    finally:
        subprocess.run(["rm", "-rf", str(temporary)], check=True)
    assert ended.stdout.splitlines() == [
        "[0, 1, 4, 9, 16]",
        "[0, 10, 20, 1000, 1010, 1020]",
        "raised True",
        "no such file; correct the path.",
        "True []",
        "lost True",
    ], ended.stderr
    assert left == []


@needs_ray
@pytest.mark.slow
def test_a_scan_on_a_cluster_equals_one_here_and_goes_on_after_its_end(
    tmp_path: Path, layout: Callable[..., Path]
) -> None:
    data = layout(tmp_path / "data")

    def start(run: str, *more: str) -> subprocess.Popen[bytes]:
        options = ["--attacks", "naive,ridge", "--recognizers", "dlib", "--batch-size", "5"]
        command = [sys.executable, "-m", "reid_audit", "scan", data, "-o", tmp_path / run]
        return subprocess.Popen(
            [*command, *options, *more],
            env={**os.environ, "PYTHONPATH": ROOT},
            stderr=subprocess.PIPE,
        )

    assert start("here").wait() == 0
    killed = start("ray", "--engine", "ray")
    units = tmp_path / "ray" / "work"
    while killed.poll() is None and not list(units.glob("*.parquet")):
        time.sleep(0.05)
    killed.send_signal(signal.SIGTERM)
    assert killed.wait() in (0, 143)  # 0: it was ready already
    assert start("ray", "--engine", "ray").wait() == 0
    trials = [(tmp_path / run / "trials.parquet").read_bytes() for run in ("here", "ray")]
    assert trials[0] == trials[1]
    told = [json.dumps(comparable(tmp_path / run)) for run in ("here", "ray")]
    assert told[0] == told[1]
