"""Trials as they are kept: pseudonyms and strata, and no row of anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import pandas as pd

from reid_audit.audit.data import Item
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.run_directory import TRIALS, Store
from reid_audit.audit.trials.units import Outcome
from reid_audit.metrics.files import atomic


class Names(Protocol):
    """What people and pictures are called in a table."""

    def person(self, identity: str) -> str:
        """What an identity is called."""
        ...

    def image(self, image_id: str) -> str:
        """What a picture's id is written as."""
        ...

    def link(self, identity: str) -> str | None:
        """What joins one person's rows between runs, or None where nothing may."""
        ...


class _OwnNames:
    """Everybody's own name: for tables that stay in memory."""

    def person(self, identity: str) -> str:
        return identity

    def image(self, image_id: str) -> str:
        return image_id

    def link(self, identity: str) -> None:
        return None


OWN_NAMES: Names = _OwnNames()


def named(outcome: Outcome, group: Group, names: Names) -> Outcome:
    """The outcome with names and strata instead of rows of the group."""
    if outcome.trials.empty:
        return outcome
    faces = [group.faces[row] for row in outcome.trials.probe]
    trials = with_names(outcome.trials.drop(columns="probe"), faces, names)
    return replace(outcome, trials=trials)


def with_names(trials: pd.DataFrame, faces: Sequence[Face], names: Names) -> pd.DataFrame:
    """Trials with columns image, identity (both as `names` has them), draw, link and stratum.

    draw: the picture's place among its person's by a digest of its id, from which one of them is
    drawn: pseudonyms differ from user to user, figures must not.
    """
    items = [face.item for face in faces]
    people = [names.person(item.identity) if item.identity else None for item in items]
    return trials.assign(
        image=[names.image(item.image_id) for item in items],
        identity=pd.Series(people, index=trials.index, dtype=object),
        draw=_places(items),
        link=pd.Series(
            [names.link(item.identity) if item.identity else None for item in items],
            index=trials.index,
            dtype=object,
        ),
        stratum=pd.Series([item.stratum for item in items], index=trials.index, dtype=object),
    )


def _places(items: Sequence[Item]) -> list[int]:
    ids: dict[str | None, set[str]] = {}
    for item in items:
        ids.setdefault(item.identity, set()).add(item.image_id)

    def digest(image: str) -> bytes:
        return hashlib.blake2b(image.encode(), digest_size=8).digest()

    place = {
        image: number
        for own in ids.values()
        for number, image in enumerate(sorted(own, key=digest))
    }
    return [place[item.image_id] for item in items]


def write_trials(store: Store, trials: Sequence[pd.DataFrame]) -> None:
    """Write the trials of all attacks, one row each, into the run directory's Parquet file."""
    merged = pd.concat(trials, ignore_index=True) if trials else pd.DataFrame()
    with atomic(store.path / TRIALS) as temporary:
        merged.to_parquet(temporary, index=False)
