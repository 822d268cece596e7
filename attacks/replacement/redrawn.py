"""A replaced face drawn back: a U-Net learns from other people's pairs what originals look like.

Where a tool moves identities by no linear map, its pictures may still hold what they were made of.
The network sees the output and answers the original, and is judged by the recogniser as well where
that can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid_audit.attacks.descent import descend
from reid_audit.attacks.interface import Progress
from reid_audit.attacks.networks.distillation import half_precision
from reid_audit.attacks.networks.frame import FrameEmbedder, crop_transform, to_crops
from reid_audit.attacks.networks.unet import UNet
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.replacement.inversion import folds

FEWEST = 100
"""Pairs from which a network learns more than they are."""
SIZE, FRAME = "light", 64
STEPS, BATCH, RATE = 200, 16, 2e-3
IDENTITY = 0.1
"""Weight of 1 - cosine to the original's identity beside the mean squared error."""
HALVES = 2
"""Networks: each learns from one half of the people and answers for the other."""

Frames = NDArray[np.uint8]


def redrawn(
    outputs: Frames,
    originals: Frames,
    people: NDArray[Any],
    recognizer: Recognizer,
    seed: int = 0,
    steps: int = STEPS,
    progress: Progress = lambda what, done, total: None,
) -> NDArray[np.float32]:
    """Embeddings `(N, d)` of the originals as they are drawn from the outputs.

    Args:
        outputs, originals: `(N, FRAME, FRAME, 3)` in the frame of `attacks.networks.frame`.
        people: `(N,)` names or numbers of those whom the originals show; nobody is answered for by
            a network that saw them.
        seed: of the networks' weights and of what each step looks at.
    """
    made = np.zeros((len(outputs), recognizer.dimension), np.float32)
    seen, truth = _tensor(outputs), _tensor(originals)
    embedder = FrameEmbedder(recognizer, FRAME) if recognizer.trainable else None
    theta = crop_transform(recognizer.template, FRAME)
    for number, (asked, known) in enumerate(folds(people, HALVES)):

        def told(step: int, before: int = number * steps) -> None:
            progress("learning to draw originals", before + step, HALVES * steps)

        network = _trained(seen[known], truth[known], embedder, seed + number, steps, told)
        for rows in np.array_split(asked, max(1, len(asked) // BATCH)):
            with torch.inference_mode():
                faces = _drawn(network, seen[rows])
                crops = (255 * to_crops(faces, theta, recognizer.template.size)).round()
            made[rows] = recognizer.embed(crops.clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
    return made


def _trained(
    seen: Tensor,
    truth: Tensor,
    embedder: FrameEmbedder | None,
    seed: int,
    steps: int,
    told: Callable[[int], None],
) -> nn.Module:
    """A network that draws the originals `truth` from `seen`, both `(N, 3, S, S)`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = UNet(SIZE, inputs=3)
    rng = np.random.default_rng(seed)

    def loss(step: int) -> Tensor:
        rows = rng.choice(len(seen), min(BATCH, len(seen)), replace=False)
        flip = [3] if rng.random() < 0.5 else []
        clear = truth[rows].flip(flip)
        with half_precision(clear.device):
            faces = _drawn(network, seen[rows].flip(flip)).float()
            error = (faces - clear).square().mean() * 4  # of values from -1 to 1
            if embedder is None:
                return error
            return error + IDENTITY * embedder.distance(faces, clear)

    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    network.train()
    descend(loss, optimizer, steps, schedule, told)
    return network.eval()


def _drawn(network: nn.Module, seen: Tensor) -> Tensor:
    """Originals `(B, 3, S, S)` as guessed; before any training the outputs themselves."""
    answer: Tensor = seen + network(seen * 2 - 1, seen.new_zeros(len(seen))) / 2
    return answer


def _tensor(frames: Frames) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
