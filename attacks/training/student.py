"""Distilling a student once, over a range of operators, instead of in every audit.

One network serves all operators of the range: it sees the anonymised face beside the linearly
restored one and is told the strength of the blur. With several teachers its answers stand side by
side, one for each recogniser that may score them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from reid_audit.attacks.networks.distillation import contrastive
from reid_audit.attacks.networks.frame import crop_transform, to_crops
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.networks.unet import preset
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.attacks.training.source import middle
from reid_audit.attacks.training.trunk import WideTrunk, described, random_moves, rate
from reid_audit.metrics.errors import InputError

MEAN_FACES = 256
"""Faces that a teacher's mean is taken over, about."""
BATCH = 64


class StudentNetwork(nn.Module):
    """What the teachers would have answered to the clear face: `(B, sum of dimensions)`, the part
    of each teacher of length one. The first teacher is the network that it starts from, the
    others' spaces are reached by linear maps."""

    def __init__(self, start: Recognizer, size: int, dimensions: Sequence[int]) -> None:
        super().__init__()
        self.trunk = WideTrunk(start, size)
        self.bridges = nn.ModuleList(nn.Linear(dimensions[0], d) for d in dimensions[1:])

    def forward(self, observed: Observed, moves: Tensor | None = None) -> Tensor:
        """Embeddings `(B, sum of dimensions)`, one teacher's space after the other; the crops moved
        where that is wanted."""
        own = self.trunk(observed, moves)
        return torch.cat([own, *(normalize(bridge(own).float()) for bridge in self.bridges)], 1)


class StudentObjective:
    """(1 - cosine) to the clear embedding, and InfoNCE against the other people of the batch; the
    mean over the teachers. Cosines are about the teacher's mean face, where one is known: some
    recognisers (dlib's) put all faces on one side, and told apart about the origin a student would
    leave that side altogether.

    InfoNCE compares the faces that are computed together, so here, unlike elsewhere, splitting a
    batch over processes or parts changes the loss.

    Args:
        recognizers: the network to start from, which is the first teacher, and further teachers.
        pack: faces whose mean each teacher's cosines are taken about; without it, the origin.

    Raises:
        InputError: no recogniser to start from, or a frozen one.
    """

    name = "student"

    def __init__(
        self, size: str = "small", *recognizers: Recognizer, pack: Pack | None = None
    ) -> None:
        if not recognizers:
            raise InputError(
                "student: name the recogniser to start from, e.g. --recognizer "
                "timm:ARCHITECTURE:FILE or dlib."
            )
        self.size = preset(size).size
        self.teachers = [Teacher(recognizer, self.size, pack) for recognizer in recognizers]
        self.dimensions = [recognizer.dimension for recognizer in recognizers]
        self.network: nn.Module = StudentNetwork(recognizers[0], self.size, self.dimensions)
        self.rate = rate(self.network)
        self.config: Mapping[str, Any] = {
            "size": size,
            "start": described(recognizers[0]),
            "teachers": [described(recognizer) for recognizer in recognizers],
        }

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """`loss` as `contrastive` has it, against the other people of the batch, and of it
        `distance`, 1 - cosine; means over the teachers. The student sees moved crops, its teachers
        those in place."""
        assert observed.people is not None, "training faces say whom they show"
        same = observed.people[:, None] == observed.people[None]
        losses, distances = [], []
        answers = self.network(observed, random_moves(noise)).float().split(self.dimensions, dim=1)
        for teacher, embedded in zip(self.teachers, answers, strict=True):
            answer, truth = teacher.centred(embedded), teacher.centred(teacher(clear))
            losses.append(contrastive(answer, truth, truth, same))
            distances.append((1 - (answer * truth).sum(dim=1)).mean())
        loss, distance = (torch.stack(parts).mean() for parts in (losses, distances))
        return {"loss": loss, "distance": distance}

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """The linear estimate, as it is: a student restores embeddings, not pictures."""
        return observed.restored

    def judge(self, clear: Tensor, observed: Observed) -> dict[str, float]:
        """Mean cosine to the first teacher's clear embedding, about its mean face: of the student,
        and of the teacher itself on the linearly restored picture, where the student started."""
        teacher, width = self.teachers[0], self.dimensions[0]
        truth = teacher.centred(teacher(clear))
        embedded = {
            "cosine start": teacher(observed.restored),
            "cosine student": self.network(observed)[:, :width],
        }
        return {
            name: float(cosine_similarity(teacher.centred(e), truth).mean())
            for name, e in embedded.items()
        }


class Teacher:
    """A recogniser's unit embeddings `(B, d)` of frames `(B, 3, S, S)` in [0, 1], without
    gradients; frozen ones may teach as well."""

    def __init__(self, recognizer: Recognizer, size: int, pack: Pack | None = None) -> None:
        self.recognizer = recognizer
        self.theta = crop_transform(recognizer.template, size)
        self.centre = torch.zeros(recognizer.dimension)
        if pack is not None:
            rows = pack.training[:: max(1, len(pack.training) // MEAN_FACES)]
            frames = torch.from_numpy(np.array(pack.faces[rows])).permute(0, 3, 1, 2).float() / 255
            parts = middle(frames, size).split(BATCH)
            self.centre = torch.cat([self(part) for part in parts]).mean(dim=0).cpu()

    def centred(self, embeddings: Tensor) -> Tensor:
        """Directions `(B, d)` from the mean face."""
        return normalize(embeddings - self.centre.to(embeddings.device))

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Unit embeddings `(B, d)` of frames `(B, 3, S, S)` in [0, 1]."""
        recognizer = self.recognizer
        crops = to_crops(frames, self.theta.to(frames.device), recognizer.template.size)
        prepared = recognizer.preprocess(crops * 255).to(recognizer.device)
        # Some frozen networks take single pictures only.
        parts = prepared.split(len(prepared) if recognizer.batch_size > 1 else 1)
        embedded = torch.cat([recognizer.forward(part) for part in parts])
        return normalize(embedded.float().to(frames.device))
