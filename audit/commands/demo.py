"""The demo: people who do not exist, anonymised in several ways, audited with the whole suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from reid_audit.audit.config import SHIPPED, AuditConfig, resolve
from reid_audit.audit.data import Dataset, load
from reid_audit.audit.people import attributes, cast
from reid_audit.metrics.errors import InputError

Progress = Callable[[str, int, int], None]

PEOPLE, PICTURES, GALLERY = 64, 4, 2
BACKGROUND, BACKGROUND_PICTURES = 40, 4
METHODS = {
    "gaussian-light": "gaussian:sigma=3.5",
    "gaussian-heavy": "gaussian:sigma=7",
    "pixelate": "pixelate:b=10",
    "solid": "solid",
}

RESTORED, SHOWN = "gaussian-heavy", 12
RESTORERS = ("wiener", "mmse", "revelio", "revelio-vote")
REVELIO = {name: {"rounds": 5, "steps": 4} for name in ("revelio", "revelio-vote")}
"""Half the rounds and half the steps of its defaults, for the sake of time."""


def make_demo(output: Path, seed: int, progress: Progress) -> tuple[Dataset, AuditConfig]:
    """Draw the people, anonymise their probes by every method, and write the manifest.

    Files that are there already are kept, so a second demo starts at once.

    Raises:
        InputError: the folder holds something else.
    """
    from reid_audit.attacks.operators import parse
    from reid_audit.audit.commands.anonymize import anonymize

    if output.is_dir() and not (output / "people").is_dir() and any(output.iterdir()):
        raise InputError(f"{output}: holds files that are no demo; name a new folder with -o.")
    known = [seed * 10_000 + number for number in range(PEOPLE)]
    strangers = [seed * 10_000 + 5_000 + number for number in range(BACKGROUND)]
    total = PEOPLE * PICTURES + BACKGROUND * BACKGROUND_PICTURES
    clear = cast(
        output / "people" / "known",
        known,
        range(PICTURES),
        progress=lambda done: progress("drawing people", done, total),
    )
    background = cast(
        output / "people" / "background",
        strangers,
        range(BACKGROUND_PICTURES),
        progress=lambda done: progress("drawing people", len(clear) + done, total),
    )
    rows = [_row(path, "gallery", path) for path in sorted(clear) if int(path.stem) < GALLERY]
    rows += [_row(path, "background", path) for path in background]
    probes = [path for path in sorted(clear) if int(path.stem) >= GALLERY]
    known_folder = output / "people" / "known"
    for method, spec in METHODS.items():
        folder = output / "anonymized" / method
        if not (folder / "anonymized.json").exists():
            told = partial(progress, f"anonymising ({method})")
            anonymize(known_folder, folder, parse(spec), "image", seed, progress=told)
        for original in probes:
            made = folder / original.relative_to(known_folder)
            row = _row(original, "probe", made)
            rows.append({**row, "image_id": f"{method}/{row['image_id']}", "original": original})
    table = pd.DataFrame(rows)
    for column in ("path", "original"):
        table[column] = [p and p.relative_to(output).as_posix() for p in table[column]]
    table.to_csv(output / "manifest.csv", index=False)
    config = resolve(
        {
            "seed": seed,
            "minimum_ceiling": 0.8,
            "checkpoints": {"student": SHIPPED},
            "authorization": "demonstration on procedural people",
        }
    )
    return load(output / "manifest.csv"), config


def restoring(dataset: Dataset, config: AuditConfig, output: Path) -> tuple[Dataset, AuditConfig]:
    """The attackers that restore pictures, Revelio among them, on a few of the demo's probes: their
    networks need seconds for each. Its restricted sheet shows what they restore; nobody is real.

    Args:
        output: the demo's folder, whose first run's intermediate arrays are used again.
    """
    probes = [p for p in dataset.probes if p.image_id.startswith(f"{RESTORED}/")]
    first = tuple(p for p in probes if p.path.stem == str(GALLERY).zfill(len(p.path.stem)))
    settings = {
        **config.model_dump(exclude_unset=True),
        "attacks": RESTORERS,
        "checkpoints": {},
        "options": REVELIO,
        "evidence": "restricted",
        "cache": str(output / "run" / "work" / "cache"),
    }
    return replace(dataset, probes=first[:SHOWN]), resolve(settings)


def _row(clear: Path, role: str, path: Path) -> dict[str, object]:
    """A line of the manifest about a picture drawn at `clear` and now standing at `path`."""
    who = clear.parent.name
    true = attributes(int(who.rpartition("-")[2]), int(clear.stem))
    return {
        "image_id": f"{who}/{clear.stem}",
        "identity": who,
        "role": role,
        "path": path,
        "original": None,
        **{f"attribute_{name}": value for name, value in true.items()},
    }
