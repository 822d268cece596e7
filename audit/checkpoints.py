"""Trained attackers that the user gave: found, and refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid_audit.attacks.checkpoint import Checkpoint, find
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.registry import attack_class
from reid_audit.audit.config import SHIPPED, AuditConfig
from reid_audit.metrics.errors import InputError, NotApplicable


def check(config: AuditConfig) -> None:
    """Refuse what can be refused before anything is read or written.

    Raises:
        InputError: a misspelt attack, a folder that holds no checkpoint of its attack, or one of
            a network that belongs to another recogniser.
    """
    for name in config.attacks:
        attack_class(name)
    given = checkpoints(config)
    if any("start" in checkpoint.card.config for checkpoint in given.values()):
        fit_together(given, [load_recognizer(spec, "cpu") for spec in config.recognizers])


def fit_together(given: Mapping[str, Checkpoint], recognizers: Sequence[Recognizer]) -> None:
    """Refuse a fine-tuned recogniser that none of these can be used with.

    Raises:
        InputError: the network it was made from, or whoever taught it, is missing.
    """
    from reid_audit.attacks.direct.trained import suits

    for name, checkpoint in given.items():
        try:
            suits(checkpoint, recognizers)
        except NotApplicable as error:
            raise InputError(f"--checkpoint {name}: {error}.") from None


def checkpoints(config: AuditConfig) -> dict[str, Checkpoint]:
    """The trained attackers that were given, by attack; a work unit's key holds their digests. The
    folder `shipped` means the one that comes with the program.

    Raises:
        InputError: a folder holds no checkpoint of that attack, or none is shipped.
    """
    return {
        name: find(name, None if folder == SHIPPED else folder)
        for name, folder in sorted(config.checkpoints.items())
    }
