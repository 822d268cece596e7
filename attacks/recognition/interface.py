"""What a face recogniser is to the rest of the program."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid_audit.attacks.recognition.align import Template
from reid_audit.attacks.recognition.similarity import Distance, Embeddings, similarity
from reid_audit.metrics.errors import InputError

CPU = torch.device("cpu")


BATCH = 16
"""Crops that go through a network together; more is no faster on a CPU."""


@dataclass(frozen=True)
class Preprocessing:
    """From uint8 RGB to what a network was trained on: (value - mean) / std per channel.

    Attributes:
        mean, std: per channel of the network's order, in grey levels 0 to 255.
        channels: "RGB" or "BGR".
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str = "RGB"

    def __call__(self, pictures: Tensor) -> Tensor:
        """`(B, 3, S, S)` RGB, 0 to 255, to the network's float32 input of the same shape."""
        if self.channels == "BGR":
            pictures = pictures.flip(1)
        mean, std = (
            torch.tensor(values, device=pictures.device)[:, None, None]
            for values in (self.mean, self.std)
        )
        return (pictures.float() - mean) / std


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A face recogniser: aligned crops in, embeddings out, and how to compare those.

    Attributes:
        name: the spec it was loaded from, without folders.
        digest: SHA-256 over weights and preprocessing; two with one digest give one result.
        template: how crops must be aligned.
        dimension: length of an embedding.
        distance: "cosine" or "euclidean".
        licence: of the weights, as far as known.
        preprocessing: from crops to the network's input.
        forward: the network in inference, `(B, 3, S, S)` float32 to `(B, dimension)`.
        batch_size: crops that go through the network together.
        device: where the network runs.
        build: makes a trainable copy; None where the network is frozen.
    """

    name: str
    digest: str
    template: Template
    dimension: int
    distance: Distance
    licence: str
    preprocessing: Preprocessing
    forward: Callable[[Tensor], Tensor]
    batch_size: int = BATCH
    device: torch.device = CPU
    build: Callable[[], nn.Module] | None = None

    def embed(self, crops: NDArray[np.uint8]) -> Embeddings:
        """Embeddings of aligned RGB crops.

        Args:
            crops: `(B, S, S, 3)` uint8, S = `template.size`.

        Returns:
            `(B, dimension)` float32, as the network gives them, not normalised.
        """
        side = self.template.size
        crops = np.asarray(crops)
        if crops.dtype != np.uint8 or crops.shape[1:] != (side, side, 3):
            raise ValueError(
                f"{self.name} takes uint8 crops (B, {side}, {side}, 3), "
                f"not {crops.dtype} {crops.shape}."
            )
        result = [np.empty((0, self.dimension), np.float32)]
        with torch.inference_mode():
            for batch, count in equal_batches(crops, self.batch_size):
                pictures = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
                embedded = self.forward(self.preprocess(pictures))[:count]
                result.append(embedded.float().cpu().numpy())
        return np.concatenate(result)

    def similarity(self, a: Embeddings, b: Embeddings) -> Embeddings:
        """`(A, B)`, higher is more alike: cosine, or minus the Euclidean distance."""
        return similarity(a, b, self.distance)

    @property
    def trainable(self) -> bool:
        """Whether `module` gives a network to fine-tune."""
        return self.build is not None

    def module(self) -> nn.Module:
        """A fresh copy of the network on the CPU, in eval mode, every parameter trainable.

        It takes what `preprocess` returns.

        Raises:
            InputError: the recogniser is frozen.
        """
        if self.build is None:
            raise InputError(
                f"Recogniser {self.name} is frozen and cannot be fine-tuned: give one as "
                "timm:ARCHITECTURE:FILE, or dlib."
            )
        return self.build().eval().requires_grad_(True)

    def preprocess(self, pictures: Tensor) -> Tensor:
        """`(B, 3, S, S)` RGB uint8 (or float, 0 to 255) to the network's input; differentiable."""
        return self.preprocessing(pictures)


def equal_batches(rows: NDArray[np.uint8], size: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Batches of exactly `size` rows, the last filled up with its last row, and how many count.

    Networks round differently in batches of different size. In equal ones a face has the same
    embedding whatever stands beside it, so sharding and resuming change no score.
    """
    for start in range(0, len(rows), size):
        batch = np.array(rows[start : start + size])  # a copy: torch takes no read-only memory
        count = len(batch)
        if count < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
        yield batch, count


def digest(weights: bytes, preprocessing: Preprocessing, template: Template) -> str:
    """SHA-256 over everything that decides what embeddings come out."""
    rules = json.dumps([asdict(preprocessing), asdict(template)], sort_keys=True)
    return hashlib.sha256(hashlib.sha256(weights).digest() + rules.encode()).hexdigest()
