"""Attacks by name: ours and those of installed packages."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points

from attacks.interface import Attack
from metrics.errors import InputError

# In the order of the ladder, weakest first; named, so that listing them loads no network library.
_BUILT_IN = {
    "naive": "attacks.direct.naive:Naive",
    "degraded-gallery": "attacks.direct.degraded_gallery:DegradedGallery",
    "wiener": "attacks.restoration.wiener:Wiener",
    "parrot": "attacks.direct.parrot:Parrot",
    "parrot-tuned": "attacks.direct.parrot:TunedParrot",
    "fantomas": "attacks.restoration.fantomas:Fantomas",
    "ridge": "attacks.direct.ridge:Ridge",
    "mmse": "attacks.restoration.mmse:Mmse",
    "flow": "attacks.restoration.flow:Flow",
    "posterior": "attacks.restoration.posterior:Posterior",
    "revelio": "attacks.restoration.revelio.attack:Revelio",
    "revelio-vote": "attacks.restoration.revelio.attack:RevelioVote",
    "student": "attacks.direct.student:Student",
    "fusion": "attacks.direct.fusion:Fusion",
}
GROUP = "reid_audit.attacks"


def names() -> tuple[str, ...]:
    """Every attack that can be asked for, ours in the order of the ladder."""
    added = sorted(entry.name for entry in entry_points(group=GROUP))
    return (*_BUILT_IN, *(name for name in added if name not in _BUILT_IN))


def attack_class(name: str) -> type[Attack]:
    """The class of an attack.

    Raises:
        InputError: no attack of that name; the nearest is named. `external:NAME` without its file.
    """
    if name.startswith("external:"):
        from attacks.restoration.external import external_class

        return external_class(name)
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return entry.load()
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose among {', '.join(names())}."
    raise InputError(f"no attack {name!r}; {hint}")
