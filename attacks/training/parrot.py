"""Parrot recognition trained end to end: a recogniser fine-tuned to tell people apart as they look
anonymised (McPherson, Shokri, Shmatikov 2016), with an ArcFace head that is dropped afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid_audit.attacks.networks.arcface import margin_loss
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.networks.unet import preset
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.attacks.training.source import middle
from reid_audit.attacks.training.trunk import Trunk, described, random_moves, rate
from reid_audit.attacks.vectors import per_person
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.verification import auroc

BATCH = 64
"""Frames embedded together before training."""


class ParrotEmbedder(nn.Module):
    """Unit embeddings `(B, d)` of frames `(B, 3, S, S)` in [0, 1], or of the anonymised ones that
    were observed, about the mean face: anonymised faces are alike, and what they share says
    nothing about who it is. All that a checkpoint holds."""

    def __init__(self, start: Recognizer, size: int) -> None:
        super().__init__()
        self.trunk = Trunk(start, size)
        self.register_buffer("centre", torch.zeros(start.dimension))

    def forward(self, seen: Tensor | Observed, moves: Tensor | None = None) -> Tensor:
        """Unit embeddings `(B, d)`, the crops moved where that is wanted."""
        frames = seen.anonymized if isinstance(seen, Observed) else seen
        return normalize(self.trunk(frames, moves) - self.centre)


class ParrotNetwork(nn.Module):
    """The embedder and its head; cosines `(B, people)` to the class weights."""

    def __init__(self, embedder: ParrotEmbedder, people: np.ndarray) -> None:
        super().__init__()
        self.embedder = embedder
        self.head = nn.Parameter(torch.from_numpy(people).float())

    def forward(self, frames: Tensor, moves: Tensor | None = None) -> Tensor:
        """Cosines `(B, people)`."""
        answer: Tensor = self.embedder(frames, moves) @ normalize(self.head).T
        return answer


class ParrotObjective:
    """Cross entropy with an additive angular margin over the people to train on.

    Trained on pairs of a black box it learns clear faces as well, under the same class weights:
    a gallery cannot be put through a box that is not at hand, so it is compared as it is.

    Raises:
        InputError: no recogniser to start from, or a frozen one.
    """

    name = "parrot"

    def __init__(self, size: str, recognizer: Recognizer | None, pack: Pack) -> None:
        if recognizer is None:
            raise InputError(
                "parrot: name the recogniser to start from, e.g. --recognizer "
                "timm:ARCHITECTURE:FILE or dlib."
            )
        self.size = preset(size).size
        self.start = Trunk(recognizer, self.size).requires_grad_(False).eval()
        self.kept = ParrotEmbedder(recognizer, self.size)
        self.clear_as_well = pack.anonymized is not None
        # Class weights begin where the people are, so that the first steps spoil nothing.
        embedded = np.concatenate(list(self._embed(pack)))
        self.kept.centre = torch.from_numpy(embedded.mean(axis=0))
        shown = [pack.identities[row] for row in pack.training]
        people = per_person(
            embedded - embedded.mean(axis=0), shown, pack.people[: pack.trained_people]
        )
        self.network: nn.Module = ParrotNetwork(self.kept, people)
        self.rate = rate(self.network)
        self.config: Mapping[str, Any] = {"size": size, "start": described(recognizer)}

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Cross entropy under the margin."""
        assert observed.people is not None, "training faces say whom they show"
        frames, people = observed.anonymized, observed.people
        if self.clear_as_well:
            frames, people = torch.cat([frames, clear]), torch.cat([people, people])
        moves = random_moves(noise)
        if self.clear_as_well:
            moves = torch.cat([moves, moves])
        return {"loss": margin_loss(self.network(frames, moves).float(), people)}

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """The linear estimate, as it is: a parrot restores nothing."""
        return observed.restored

    def judge(self, clear: Tensor, observed: Observed) -> dict[str, float]:
        """How surely two anonymised pictures of one development person are more alike than two of
        different people: with the parrot, and with the recogniser that it started from."""
        assert observed.people is not None
        people = observed.people.cpu().numpy()
        first, second = np.triu_indices(len(people), 1)
        mated = people[first] == people[second]
        if not mated.any() or mated.all():
            return {}
        separation = {}
        for name, network in (("start", self.start.to(clear.device)), ("parrot", self.kept)):
            embeddings = network(observed.anonymized).cpu().numpy()
            alike = (embeddings[first] * embeddings[second]).sum(axis=1)
            separation[f"auroc {name}"] = float(auroc(alike[mated], alike[~mated]))
        return separation

    def _embed(self, pack: Pack) -> Iterator[np.ndarray]:
        """The start network's embeddings of the faces to train on, clear ones where the anonymised
        are not drawn yet."""
        faces = pack.faces if pack.anonymized is None else pack.anonymized
        for start in range(0, len(pack.training), BATCH):
            crops = np.ascontiguousarray(faces[pack.training[start : start + BATCH]])
            frames = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                yield self.start(middle(frames, self.size)).numpy()
