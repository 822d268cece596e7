"""Checkpoints: a folder with `weights.safetensors` and the card that says what they are.

Nothing is ever unpickled: a file in another format is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from reid_audit.metrics.documents import read_json
from reid_audit.metrics.errors import InputError, MissingWeights
from reid_audit.metrics.files import atomic, write_text

WEIGHTS, CARD = "weights.safetensors", "card.json"
SHIPPED = Path(__file__).parent / "checkpoints"
GAIN = "source.gain"
"""Beside the network's tensors in a checkpoint learnt from pairs: the linear restoration that came
before it, `(3, side, side)` per DCT-I mode."""
VERSION = 1


@dataclass(frozen=True)
class Card:
    """What a checkpoint is, learnt from, cost and is worth.

    name: of the attack. config: from which the network is built. data: digest, number of faces and
    people, what they are. operators: range it was trained through. training: settings, steps,
    seed, seconds, device, processes. metrics: on development identities. licence: of the weights.
    """

    name: str
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    operators: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    licence: str
    parameters: int
    version: int = VERSION

    def markdown(self) -> str:
        """The card for people."""
        lines = [f"# {self.name}", "", f"{self.parameters:,} parameters. Licence: {self.licence}."]
        for title in ("data", "operators", "training", "metrics", "config"):
            lines += ["", f"## {title.capitalize()}", "", "| | |", "|---|---|"]
            lines += [f"| {key} | {_text(value)} |" for key, value in getattr(self, title).items()]
        return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " - ".join(map(_text, value))
    return str(value)


@dataclass(frozen=True)
class Checkpoint:
    """Trained weights and their card; equal content, equal `digest`, and it prints as that."""

    folder: Path = field(compare=False, repr=False)
    card: Card = field(compare=False, repr=False)
    digest: str

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> Checkpoint:
        """Read a checkpoint of the attack `name` (any, if None).

        Raises:
            InputError: no checkpoint, a format that would have to be unpickled, another version
                or attack.
        """
        path = Path(folder)
        if path.is_file() or not (path / CARD).is_file() or not (path / WEIGHTS).is_file():
            raise InputError(
                f"{path}: no checkpoint; give a folder with {WEIGHTS} and {CARD}, as "
                "`reid-audit train` writes it (other formats are never opened)."
            )
        content = read_json(path / CARD)
        try:
            card = Card(**content)
        except TypeError as error:
            raise InputError(f"{path / CARD}: not a model card of this program.") from error
        if card.version != VERSION or (name is not None and card.name != name):
            raise InputError(
                f"{path}: holds {card.name} (version {card.version}), "
                f"not {name or card.name} (version {VERSION})."
            )
        return cls(path, card, hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest())

    @property
    def from_pairs(self) -> bool:
        """Whether it learnt from pairs of a black box, and so needs to know no operator."""
        return "kind" in self.card.operators

    @property
    def gain(self) -> Tensor | None:
        """The linear restoration learnt from pairs, `(3, side, side)`; None where the operator
        tells it."""
        return self._tensors.get(GAIN)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The network's tensors by name, float32.

        Raises:
            InputError: the file is not safetensors.
        """
        return {name: value for name, value in self._tensors.items() if name != GAIN}

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        """Everything in the file.

        Raises:
            InputError: the file is not safetensors.
        """
        try:
            tensors = load((self.folder / WEIGHTS).read_bytes())
        except SafetensorError as error:
            raise InputError(f"{self.folder / WEIGHTS}: not a safetensors file.") from error
        return {
            name: value.float() if value.is_floating_point() else value
            for name, value in tensors.items()
        }

    def fill(self, network: nn.Module) -> nn.Module:
        """Load the weights into a network, all of them, for inference.

        Raises:
            InputError: they do not fit.
        """
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise InputError(
                f"{self.folder}: the weights do not fit the card's network."
            ) from error
        return network.eval().requires_grad_(False)


def write_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], card: Card, half: bool = False
) -> Checkpoint:
    """Write weights and card, each whole or not at all; `half` stores 16-bit floats.

    Raises:
        Unwritable: the disk is full, or writing there is not allowed.
    """
    kept = {
        name: value.half() if half and value.is_floating_point() else value
        for name, value in weights.items()
    }
    write_tensors(folder / WEIGHTS, kept)
    write_text(folder / CARD, json.dumps(asdict(card), indent=1) + "\n")
    write_text(folder / "card.md", card.markdown())
    return Checkpoint.open(folder)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors of any device and memory layout as safetensors.

    Raises:
        Unwritable: the disk is full, or writing there is not allowed.
    """
    kept = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic(path) as temporary:
        try:
            save_file(kept, temporary, metadata)
        except SafetensorError as error:  # the system's error is in its text alone
            number = re.search(r"os error (\d+)", str(error))
            code = int(number[1]) if number else errno.EIO
            raise OSError(code, os.strerror(code)) from error


def find(name: str, given: Checkpoint | Path | str | None = None) -> Checkpoint:
    """The checkpoint of an attack: the one given, else the one that comes with the program.

    Raises:
        MissingWeights: none was given and none is shipped.
        InputError: what was given is none of this attack.
    """
    if isinstance(given, Checkpoint):
        return given
    if given is not None:
        return Checkpoint.open(Path(given), name)
    if not (SHIPPED / name / WEIGHTS).is_file():
        raise MissingWeights(
            f"There is no checkpoint of {name}: train one with `reid-audit train {name} DATA -o "
            f"OUT` and name it with --checkpoint {name}=OUT."
        )
    return Checkpoint.open(SHIPPED / name, name)
