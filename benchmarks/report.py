"""How long reports are, and size and opening time of the report of a large run.

    python -m benchmarks.report [--probes 10000] [--output FOLDER]
    python -m benchmarks.report --count REPORT.html ...

The second counts words, tables and printed pages of reports that are there. The first makes up a
large run by the audit's own functions.

Ranks and embeddings are drawn at random; everything after them (estimates, curves, verdict,
findings, report) is what an audit does. Opening is timed in Chromium where node, Chromium and the
npm packages playwright-core and axe-core are installed (see tests/reports/test_in_a_browser.py).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import astuple, dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from reid_audit.audit.evaluation.curves import det_curve, idd_curves
from reid_audit.audit.evaluation.estimates import (
    Settings,
    _cmc,
    _identification,
    _strata,
    _worst_off,
    chance,
    rank_1,
)
from reid_audit.audit.publishing.pdf import BROWSERS, print_pdf
from reid_audit.audit.results.schema import (
    Anonymizer,
    AttackResult,
    Condition,
    Controls,
    Cost,
    Count,
    Data,
    Excluded,
    ProbeCount,
    Results,
    Run,
    Stage,
    Verdict,
    dump_results,
)
from reid_audit.audit.trials.scoring import identification_rows
from reid_audit.reports.pages.html import render_html

CONDITIONS, ATTACKS, RECOGNIZERS, GALLERY = 4, 10, 2, 2000
AXE = Path(__file__).parents[1] / "tests" / "reports" / "axe.cjs"


def trials(probes: int, strength: float, rng: np.random.Generator) -> pd.DataFrame:
    """Trials of an attack; four probes of each person, every tenth person a stranger."""
    people = np.arange(probes) // 4
    mates = np.where(people % 10 == 9, -1, people % GALLERY)
    parts = []
    for start in range(0, probes, 1000):
        own = mates[start : start + 1000]
        scores = rng.standard_normal((len(own), GALLERY), dtype=np.float32)
        known = np.flatnonzero(own >= 0)
        scores[known, own[known]] += strength
        parts.append(identification_rows(scores, own))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(
        kind="attack",
        image=[f"I-{number:012x}" for number in range(probes)],
        draw=np.arange(probes),
        identity=[f"P-{person:012x}" for person in people],
        stratum=[f"group {person % 8}" for person in people],
    )


def attack(condition: str, probes: int, rng: np.random.Generator) -> AttackResult:
    """One attack's figures; the others of a condition repeat them, being as long."""
    settings = Settings(0.05, 0, 10)
    frame = trials(probes, float(rng.uniform(0, 6)), rng)
    mated = frame[frame.mated]
    both = pd.concat([frame, *(frame.assign(kind=k) for k in ("context-only", "solid-fill"))])
    det = det_curve(frame)
    clear = rng.standard_normal((probes, 128))
    found = clear + rng.standard_normal(clear.shape)
    return AttackResult(
        name="a0",
        condition=condition,
        knowledge="gallery and setting",
        metrics=_identification(both, settings),
        curves={
            "cmc": _cmc(mated),
            **idd_curves(found, clear, frame.identity.tolist()),
            **({"det": det} if det else {}),
        },
        strata=_strata(mated, settings),
        worst_off=_worst_off(mated),
        cost=Cost(seconds=float(rng.uniform(1, 100))),
    )


def large_run(probes: int) -> Results:
    rng = np.random.default_rng(0)
    names = [f"a{number}" for number in range(ATTACKS)]
    recognizers = [f"r{number}" for number in range(RECOGNIZERS)]
    anonymizers = [
        Anonymizer(family="gaussian", spec=f"gaussian:k={k}", sigma_over_face_width=k / 900)
        for k in (21, 45, 81, 121)[:CONDITIONS]
    ]
    attacks, conditions = [], []
    for number, anonymizer in enumerate(anonymizers, start=1):
        place = f"c{number}"
        found = attack(place, probes // CONDITIONS, rng)
        attacks += [
            found.model_copy(update={"name": name, "title": f"Attack {name}", "recognizer": by})
            for by in recognizers
            for name in names
        ]
        blind = trials(400, 0.0, rng)
        ceiling = rank_1(trials(400, 8.0, rng), Settings(0.05, 0, 10))
        controls = Controls(
            chance=chance(GALLERY),
            clear_ceiling=ceiling,
            known_weak=ceiling,
            context_only=rank_1(blind, Settings(0.05, 0, 10)),
        )
        counted = ProbeCount(identities=probes // 16, images=probes // CONDITIONS)
        conditions.append(
            Condition(
                id=place,
                title=f"Gaussian blur ({anonymizer.spec}, whole picture)",
                anonymizer=anonymizer,
                probes=counted,
                controls=dict.fromkeys(recognizers, controls),
                verdict=Verdict(outcome="LEAK_DEMONSTRATED", threshold=0.05),
            )
        )
    return Results(
        verdict=Verdict(outcome="LEAK_DEMONSTRATED", threshold=0.05, worst_condition="c1"),
        data=Data(
            gallery=Count(identities=GALLERY, images=2 * GALLERY),
            probes=ProbeCount(identities=probes // 4, images=probes),
            background=Count(identities=1000, images=5000),
            stages=[Stage(name="files found", count=probes)],
            excluded=[
                Excluded(image=f"I-{number:012x}", role="probe", reason="unreadable")
                for number in range(probes // 10)
            ],
        ),
        anonymizer=anonymizers[0],
        controls=conditions[0].controls["r0"],
        attacks=attacks,
        findings=[],
        conditions=conditions,
        run=Run(version="benchmark"),
    )


def opening(page: Path) -> dict[str, float]:
    """Milliseconds until the page is loaded, by look; empty without the tools."""
    chromium, node = shutil.which("chromium"), shutil.which("node")
    if not (chromium and node):
        return {}
    told = subprocess.run([node, AXE, page, chromium], capture_output=True, text=True)
    if told.returncode:
        return {}
    return {look["name"]: look["milliseconds"] for look in json.loads(told.stdout)}


@dataclass(frozen=True)
class Length:
    """How much there is to read: words of the whole file (drawings left out), words before anything
    is unfolded, tables, and A4 pages with and without the annex (None without Chromium)."""

    words: int
    shown: int
    tables: int
    pages: int | None
    without_annex: int | None


class _Words(HTMLParser):
    """Counts words and tables; `depth` says how many folded parts surround a text."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.shown, self.tables = 0, 0, 0
        self.folded, self.unread, self.summary = 0, 0, 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tables += tag == "table"
        self.folded += tag == "details"
        self.summary += tag == "summary"
        self.unread += tag in ("style", "svg", "title")

    def handle_endtag(self, tag: str) -> None:
        self.folded -= tag == "details"
        self.summary -= tag == "summary"
        self.unread -= tag in ("style", "svg", "title")

    def handle_data(self, data: str) -> None:
        if self.unread:
            return
        count = len(data.split())
        self.words += count
        # The summary of a part that stands open itself is read without unfolding.
        self.shown += count if self.folded <= bool(self.summary) else 0


def length(page: str) -> Length:
    """Count a report."""
    counter = _Words()
    counter.feed(page)
    pages = without = None
    if any(map(shutil.which, BROWSERS)):
        pages = _pages(page)
        hidden = "<style>@media print { .annex-start { display: none } }</style></head>"
        without = _pages(page.replace("</head>", hidden, 1))
    return Length(counter.words, counter.shown, counter.tables, pages, without)


def _pages(page: str) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", print_pdf(page)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=Path, nargs="+", metavar="REPORT.html")
    parser.add_argument("--probes", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.count:
        print("| report | words | before unfolding | tables | A4 pages | without annex |")
        print("|---|---|---|---|---|---|")
        for path in options.count:
            found = length(path.read_text(encoding="utf-8"))
            print(f"| {path.parent.name}/{path.name} | {' | '.join(map(str, astuple(found)))} |")
        return
    results = large_run(options.probes)
    started = time.process_time()
    page = render_html(results)
    seconds = time.process_time() - started
    folder = options.output or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(dump_results(results), encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    print(f"probes {options.probes}, results {len(results.attacks)}")
    print(
        f"report.html {len(page.encode()) / 1e6:.2f} MB, rendered in {seconds:.1f} s of processor"
    )
    for name, milliseconds in opening(folder / "report.html").items():
        print(f"opened in Chromium, {name}: {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
