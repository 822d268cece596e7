"""Which recognisers an audit uses when nobody says: the strongest that are installed.

An attacker picks the best network there is. What a weaker one costs an audit was measured on LFW
(benchmarks/lfw.md), and a run that could do no better says so.
"""

from __future__ import annotations

from pathlib import Path

from reid_audit.attacks.recognition.cache import weights_folder
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.weights import catalogue

AUTO = "auto"
"""In the place of a recogniser: the strongest installed one that attackers can be trained on."""

TRAINABLE = ("edgeface-s", "edgeface-xs", "facenet-vggface2", "dlib")
"""Strongest first. dlib comes with the program."""
WEAK = frozenset({"dlib", "facenet-casia", "facenet-vggface2"})
"""Recognisers that modern ones leave far behind on blurred faces."""
WHAT_A_FETCH_CHANGES = (
    "Among 4,034 people of LFW under a blur of .083 face widths, a linear map names 52.3 % with "
    "dlib (95 % CI 47.8 to 56.9 %) and 93.5 % with EdgeFace-XS (91.0 to 95.5 %), 299 people each."
)


def installed(name: str, folder: Path | None = None) -> bool:
    """Whether a recogniser of the catalogue can be loaded; dlib always can."""
    known = catalogue()
    return name not in known or known[name].at(folder or weights_folder()).is_file()


def strongest(folder: Path | None = None) -> str:
    """The strongest installed recogniser that attackers can learn with."""
    return next(name for name in TRAINABLE if installed(name, folder))


def with_recognizers(config: AuditConfig, folder: Path | None = None) -> AuditConfig:
    """The configuration with `auto` replaced by what is installed.

    >>> with_recognizers(AuditConfig(recognizers=("auto",)), Path("nothing here")).recognizers
    ('dlib',)
    """
    if AUTO not in config.recognizers:
        return config
    named = (strongest(folder) if name == AUTO else name for name in config.recognizers)
    return config.model_copy(update={"recognizers": tuple(dict.fromkeys(named))})
