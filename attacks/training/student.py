"""Distilling a student once, over a range of operators, instead of in every audit.

Its checkpoint is the start network's own weights, changed so that the linearly restored face has
the embedding of the clear one. An audit fine-tunes it further through the identified operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from attacks.direct.distillation import CONTRAST, TEMPERATURE
from attacks.recognition.interface import Recognizer
from attacks.restoration.frame import FrameEmbedder, crop_transform, to_crops
from attacks.restoration.networks import preset
from attacks.training.noise import Noise
from attacks.training.observe import Observed
from metrics.errors import InputError


class Trunk(nn.Module):
    """The start network on the recogniser's crop of frames `(B, 3, S, S)` in [0, 1]."""

    def __init__(self, recognizer: Recognizer, size: int) -> None:
        super().__init__()
        self.trunk = recognizer.module()
        self.preprocess, self.side = recognizer.preprocess, recognizer.template.size
        self.theta = crop_transform(recognizer.template, size)

    def forward(self, frames: Tensor) -> Tensor:
        crops = to_crops(frames, self.theta.to(frames.device), self.side)
        return normalize(self.trunk(self.preprocess(crops * 255)))

    def train(self, mode: bool = True) -> Trunk:
        """Batch norm keeps its statistics: small batches would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


class StudentObjective:
    """(1 - cosine) to the clear embedding of the start network itself, and InfoNCE.

    InfoNCE compares the faces that are computed together, so here, unlike elsewhere, splitting a
    batch over processes or parts changes the loss.

    Raises:
        InputError: no recogniser to start from, or a frozen one.
    """

    name = "student"

    def __init__(self, size: str = "small", recognizer: Recognizer | None = None) -> None:
        if recognizer is None:
            raise InputError(
                "student: name the recogniser to start from, e.g. --recognizer "
                "timm:ARCHITECTURE:FILE or dlib."
            )
        self.size = preset(size).size
        self.network: nn.Module = Trunk(recognizer, self.size)
        self.teacher = FrameEmbedder(recognizer, self.size)
        self.config: Mapping[str, Any] = {"size": size, "recognizer": recognizer.name}

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = normalize(self.teacher.to(clear.device)(clear).float())
        similarity = self.network(observed.restored).float() @ wanted.T
        own = torch.arange(len(clear), device=clear.device)
        distance = (1 - similarity.diagonal()).mean()
        contrast = cross_entropy(similarity / TEMPERATURE, own)
        return {"loss": distance + CONTRAST * contrast, "distance": distance}

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """The linear estimate, as it is: a student restores embeddings, not pictures."""
        return observed.restored
