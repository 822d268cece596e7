"""What a bench found, as one table: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from reid_audit.audit.bench import beside, plane
from reid_audit.audit.bench.row import Row, recognizer_text
from reid_audit.metrics.documents import read_json
from reid_audit.metrics.errors import InputError, IntegrityError

Section = tuple[str, tuple[str, ...], list[list[str]]]
"""Title, headings, cells."""
LEADERBOARD = "Leaderboard: the strongest attack on each setting"
EVERYTHING = "Every measurement"


def leaders(rows: Iterable[Row]) -> list[Row]:
    """The strongest attack of every setting and recogniser, the best defence first.

    Which attack is the strongest was seen on the very same probes, so read the interval, not the
    order of neighbours.
    """
    best: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = (*row.setting, row.recognizer)
        if row.ira is not None and (key not in best or row.ira > (best[key].ira or 0.0)):
            best[key] = row
    return sorted(best.values(), key=lambda row: (row.of_ceiling or row.ira or 0.0, row.method))


def by_belief(rows: Sequence[Row]) -> list[tuple[Row, dict[str, Row]]]:
    """Attackers whose belief varies: one row of each, and all of them by belief; a wrong belief is
    named by the method believed in."""
    together: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in rows:
        name = str(row.assumed) if row.belief == "mismatched" else row.belief
        together.setdefault(row.attacker, {})[name] = row
    return [(next(iter(f.values())), f) for f in together.values() if len(f) > 1]


def read_rows(path: Path) -> list[Row]:
    """The rows of a `bench.json`.

    Raises:
        IntegrityError: not a table of this version.
    """
    try:
        return [Row.model_validate(row) for row in read_json(path)["rows"]]
    except (InputError, ValueError, KeyError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise IntegrityError(f"{path}: no table of a bench ({first}); run it again.") from error


def json_text(rows: Sequence[Row], title: str, about: str, planned: int) -> str:
    """All rows, every field stated."""
    content = {
        "schema_version": 1,
        "title": title,
        "about": about,
        "complete": len(rows) >= planned,
        "rows": [row.model_dump() for row in rows],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def csv_text(rows: Sequence[Row]) -> str:
    """All rows under the names of their fields."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(Row.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump() for row in rows)
    return buffer.getvalue()


HEADINGS = (
    *("defence", "sigma / face width", "sample", "recogniser", "attack", "knowledge", "belief"),
    *("IRA", "95 % interval", "n", "of ceiling", "chance", "PSNR dB", "IDD rad", "OOD AUROC"),
    *("s", "device", "network passes", "seed"),
)


def cells(row: Row) -> list[str]:
    """A row as text under `HEADINGS`."""
    belief = row.belief if row.belief == "matched" else f"{row.belief}: {row.assumed or 'nothing'}"
    interval = f"{row.low:.3f}-{row.high:.3f}" if None not in (row.low, row.high) else "-"
    failed = [row.status, row.reason or ""]
    rate = [_number(row.ira, 3), interval] if row.status == "ok" else failed
    return [
        row.method,
        _number(row.sigma_over_face_width, 3),
        sample_text(row),
        recognizer_text(row),
        row.attack,
        row.knowledge,
        belief,
        *rate,
        f"{row.n} ({row.n_people})",
        _number(row.of_ceiling, 3),
        _number(row.chance, 4),
        _number(row.psnr, 1),
        _number(row.idd, 2),
        _number(row.ood_auroc, 3),
        _number(row.seconds, 0),
        row.device,
        str(row.network_evaluations or "-"),
        str(row.seed),
    ]


def sample_text(row: Row) -> str:
    """Size of the sample in a line: the figures depend on it."""
    pose = "" if row.pose == "any" else f", {row.pose}"
    strangers = f" + {row.strangers} strangers" if row.strangers else ""
    return (
        f"{row.people}{strangers} of {row.gallery_people} people ({row.gallery_pictures} pictures)"
        f", {row.background_pictures} to learn from, faces {row.face_width:.0f} px{pose}"
    )


def sections(rows: Sequence[Row]) -> list[Section]:
    """The tables of a page: title, headings, cells."""
    best = [cells(row) for row in leaders(rows)]
    told: list[Section] = [(LEADERBOARD, HEADINGS, best)]
    if attacks := plane.marks(rows):
        told.append((plane.TITLE, plane.HEADINGS, plane.table(attacks)))
    if linked := beside.linked(rows):
        told.append(("Linkage of the anonymised pictures", beside.LINKED, linked))
    if traced := beside.traced(rows):
        told.append(("Replaced faces, from pairs", beside.TRACED, traced))
    varied = by_belief(rows)
    if varied:
        names = list(dict.fromkeys(name for _, attacks in varied for name in attacks))
        headings = ("defence", "sample", "recogniser", "attack", "knowledge", *names)
        told.append(
            (
                "Adaptivity: IRA by what the attacker believes",
                headings,
                [
                    [*cells(row)[:1], *cells(row)[2:6]]
                    + [_number(attacks[n].ira, 3) if n in attacks else "" for n in names]
                    for row, attacks in varied
                ],
            )
        )
    told.append((EVERYTHING, HEADINGS, [cells(row) for row in rows]))
    return told


def markdown(rows: Sequence[Row], title: str, about: str, planned: int) -> str:
    """The tables for a README."""
    told = [text for text in (f"# {title}", about.strip(), progress_text(rows, planned)) if text]
    lines = [line for text in told for line in (text, "")]
    for heading, columns, body in sections(rows):
        lines += [f"## {heading}", ""]
        lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in body]
        lines.append("")
    return "\n".join(lines)


def progress_text(rows: Sequence[Row], planned: int) -> str:
    """How much of the grid the table holds."""
    if len(rows) >= planned:
        return f"All {planned} measurements."
    return f"{len(rows)} of {planned} measurements; repeat the same command to go on."


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
