"""Recognisers by name: built in, from files, or from other packages.

Other packages add their own through the entry-point group `reid_audit.recognizers`: a name, and a
function `(argument, settings) -> Recognizer` whose argument is what follows `NAME:` in the spec.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import torch

from reid_audit.attacks.recognition import networks
from reid_audit.attacks.recognition.cache import ARCFACE_FILES, EDGEFACE_FILES, FACENET_FILES
from reid_audit.attacks.recognition.interface import Preprocessing, Recognizer
from reid_audit.attacks.recognition.networks import Settings
from reid_audit.metrics.errors import InputError

__all__ = ["Preprocessing", "Recognizer", "Settings", "load_recognizer", "registry"]

GROUP = "reid_audit.recognizers"
Builder = Callable[[str, Settings], Recognizer]


def _named(
    load: Callable[[str, Settings], Recognizer], name: str, argument: str, settings: Settings
) -> Recognizer:
    """A network of the catalogue: its name says all, an argument says nothing."""
    return load(name, settings)


BUILT_IN: dict[str, Builder] = {
    "dlib": networks.load_dlib,
    **{name: partial(_named, networks.load_edgeface, name) for name in EDGEFACE_FILES},
    **{name: partial(_named, networks.load_arcface, name) for name in ARCFACE_FILES},
    **{name: partial(_named, networks.load_facenet, name) for name in FACENET_FILES},
    "onnx": networks.load_onnx,
    "timm": networks.load_timm,
}


def registry() -> dict[str, Callable[[], Builder]]:
    """What can be loaded: names, each with a function that imports the builder."""
    added = {point.name: point.load for point in entry_points(group=GROUP)}
    return added | {name: partial(BUILT_IN.__getitem__, name) for name in BUILT_IN}


def load_recognizer(
    spec: str, device: str | torch.device = "cpu", weights_dir: Path | None = None
) -> Recognizer:
    """The recogniser that a spec names.

    Args:
        spec: `dlib`, a network of the catalogue (`reid-audit weights list`) such as `edgeface-s`,
            `onnx:FILE`, `timm:ARCHITECTURE:FILE`, or what an installed package adds.
        device: where it runs (ONNX: always the CPU).
        weights_dir: where fetched weights lie; default: the user's cache.

    Raises:
        InputError: unknown name, missing or unusable file.
        MissingWeights: the weights were not fetched yet.
    """
    kind, _, argument = spec.partition(":")
    known = registry()
    if kind not in known:
        near = get_close_matches(kind, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(sorted(known))}."
        raise InputError(f"There is no recogniser {kind!r}: {hint}")
    return known[kind]()(argument, Settings(torch.device(device), weights_dir))
