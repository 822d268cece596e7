"""Commands about the installation: weights, list, info, doctor."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

import click
from rich.table import Table

from reid_audit.audit.cli.console import Report, escape, out, out_json, people, progress
from reid_audit.metrics.errors import InputError, IntegrityError


@click.group()
def weights() -> None:
    """Networks' weights: listed, fetched once into a verified cache, checked."""


@weights.command(name="list")
@click.option("--json", "as_json", is_flag=True)
def list_weights(as_json: bool) -> int:
    """What can be fetched, and what is installed."""
    from reid_audit.audit.weights import catalogue, check

    rows = [
        {
            "name": entry.name,
            "state": str(check(entry)),
            "purpose": entry.purpose,
            "licence": entry.licence,
        }
        for entry in catalogue().values()
    ]
    if as_json:
        out_json(rows)
        return 0
    table = Table(box=None)
    for heading in ("name", "state", "purpose", "licence"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    people().print(table)
    return 0


@weights.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> int:
    """Fetch weights (all by default); interrupted downloads go on where they stopped."""
    from reid_audit.audit.weights import catalogue, find
    from reid_audit.audit.weights import fetch as download

    for name in names or tuple(catalogue()):
        entry = find(name)
        with progress() as report:
            path = download(entry, None, partial(_told, report, f"fetching {name}"))
        out(str(path))
    return 0


def _told(report: Report, what: str, done: int, total: int | None) -> None:
    report(what, done, total or done + 1)


@weights.command(name="verify")
def verify_weights() -> int:
    """Check the digests of everything that is installed."""
    from reid_audit.audit.weights import catalogue, check

    states = {name: str(check(entry)) for name, entry in catalogue().items()}
    for name, state in states.items():
        out(f"{name}: {state}")
    damaged = [name for name, state in states.items() if state not in ("ok", "verified", "missing")]
    if damaged:
        raise IntegrityError(
            f"Weights {', '.join(damaged)} differ from their digest; fetch them again."
        )
    return 0


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True)
def list_all(as_json: bool) -> int:
    """Attacks, operators and recognisers that can be asked for."""
    from reid_audit.attacks.operators import available
    from reid_audit.attacks.recognition.recognizers import registry
    from reid_audit.attacks.registry import names

    listed = {
        "attacks": list(names()),
        "operators": sorted(available()),
        "recognizers": sorted(registry()),
    }
    if as_json:
        out_json(listed)
        return 0
    for kind, entries in listed.items():
        out(f"{kind}: {', '.join(entries)}")
    return 0


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def info(name: str, as_json: bool) -> int:
    """What an attack, operator or recogniser is, needs and yields, and what can be set."""
    from reid_audit.attacks.operators import available
    from reid_audit.attacks.operators.spec import parameters
    from reid_audit.attacks.recognition.recognizers import registry
    from reid_audit.attacks.registry import attack_class, names, options_of

    if name in names() or name.startswith("external:"):
        declared = attack_class(name).info
        facts: dict[str, Any] = {
            "kind": "attack",
            "name": name,
            "title": declared.title,
            "version": declared.version,
            "needs": sorted(declared.needs),
            "yields": sorted(declared.yields),
            "trained": declared.trained,
            "paper": declared.paper,
            "about": _about(attack_class(name)),
            "options": {
                entry.name: {
                    "kind": entry.kind,
                    "default": entry.default,
                    "meaning": entry.meaning,
                }
                for entry in options_of(attack_class(name))
            },
        }
    elif name in available():
        factory = available()[name]
        facts = {
            "kind": "operator",
            "name": name,
            "about": _about(factory),
            "parameters": parameters(name),
        }
    elif name in registry():
        facts = {"kind": "recogniser", "name": name, "about": _about(registry()[name]())}
    else:
        known = (*names(), *sorted(available()), *sorted(registry()))
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see `reid-audit list`."
        raise InputError(f"{name!r} is no attack, operator or recogniser; {hint}")
    if as_json:
        out_json(facts)
        return 0
    options, settable = facts.pop("options", {}), facts.pop("parameters", {})
    for key, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else value
        out(f"{key}: {text if text not in (None, '') else '-'}")
    for key, entry in options.items():
        out(f"option {key}: {entry['meaning']} ({entry['kind']}; default {entry['default']})")
    for key, told in settable.items():
        out(f"parameter {key}: {told}")
    return 0


def _about(thing: Any) -> str:
    """A docstring for users, in one line: without what it says to callers."""
    return " ".join((thing.__doc__ or "").split("Raises:")[0].split("Args:")[0].split())


@click.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(as_json: bool) -> int:
    """Check the installation: packages, detector, recogniser, weights, report."""
    from reid_audit.audit.commands.doctor import examine

    checks = examine()
    if as_json:
        out_json([{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks])
    else:
        for check in checks:
            out(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    if not all(check.ok for check in checks):
        raise IntegrityError("The installation is incomplete; see the lines marked FAIL.")
    return 0


COMMANDS = (weights, list_all, info, doctor)
