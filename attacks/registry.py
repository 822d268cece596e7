"""Attacks by name: ours and those of installed packages."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points

from reid_audit.attacks.interface import Attack
from reid_audit.attacks.options import NoOptions, Option, declared, read_options
from reid_audit.metrics.errors import InputError

# In the order of the ladder, weakest first; named, so that listing them loads no network library.
_BUILT_IN = {
    "naive": "reid_audit.attacks.direct.naive:Naive",
    "degraded-gallery": "reid_audit.attacks.direct.degraded_gallery:DegradedGallery",
    "wiener": "reid_audit.attacks.linear.wiener:Wiener",
    "parrot": "reid_audit.attacks.direct.parrot:Parrot",
    "parrot-tuned": "reid_audit.attacks.direct.parrot:TunedParrot",
    "fantomas": "reid_audit.attacks.restoration.fantomas:Fantomas",
    "ridge": "reid_audit.attacks.direct.ridge:Ridge",
    "mmse": "reid_audit.attacks.restoration.mmse:Mmse",
    "flow": "reid_audit.attacks.restoration.flow:Flow",
    "posterior": "reid_audit.attacks.restoration.posterior:Posterior",
    "revelio": "reid_audit.attacks.restoration.revelio.attack:Revelio",
    "revelio-vote": "reid_audit.attacks.restoration.revelio.attack:RevelioVote",
    "student": "reid_audit.attacks.direct.student:Student",
    "fusion": "reid_audit.attacks.direct.fusion:Fusion",
}
GROUP = "reid_audit.attacks"


def names() -> tuple[str, ...]:
    """Every attack that can be asked for, ours in the order of the ladder."""
    added = sorted(entry.name for entry in entry_points(group=GROUP))
    return (*_BUILT_IN, *(name for name in added if name not in _BUILT_IN))


def make_attack(name: str, options: Mapping[str, object]) -> Attack:
    """An attack of that name with these options, not fitted.

    Raises:
        InputError: no such attack, or an option that it does not take.
    """
    made = attack_class(name)
    if not hasattr(made, "Options"):  # of another package, with nothing to set
        read_options(NoOptions, options, name)
    return made(**options)


def options_of(attack: type[Attack]) -> tuple[Option, ...]:
    """What can be set about an attack."""
    return declared(getattr(attack, "Options", NoOptions))


def attack_class(name: str) -> type[Attack]:
    """The class of an attack.

    Raises:
        InputError: no attack of that name; the nearest is named. `external:NAME` without its file.
    """
    if name.startswith("external:"):
        from reid_audit.attacks.restoration.external import external_class

        return external_class(name)
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        built_in: type[Attack] = getattr(importlib.import_module(module), attribute)
        return built_in
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            added: type[Attack] = entry.load()
            return added
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose among {', '.join(names())}."
    raise InputError(f"no attack {name!r}; {hint}")
