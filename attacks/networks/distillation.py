"""Embedding distillation: training a pretrained recogniser to see through an anonymisation.

The identity in a degraded face is what its clear embedding would have been; the least-squares
answer is the conditional mean of that embedding given the picture, and a network learns it in one
pass. Starting from a pretrained recogniser is what makes it work: from scratch it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from reid_audit.attacks.descent import descend
from reid_audit.attacks.interface import Context
from reid_audit.attacks.recognition.interface import Recognizer, equal_batches
from reid_audit.attacks.vectors import unit
from reid_audit.metrics.errors import TrainingFailed

VERSION = 6
"""Counts changes after which equal data give another network."""
EPOCHS = 9
BATCH = 64
RATE = 6e-4
RATE_WITHOUT_NORM = 1e-4
"""For networks like dlib's, whose layers nothing rescales (benchmarks/tried.md, attackers that
learn)."""
SETTLED = 60
"""Steps after which a network has made up for what the first ones spoil (Adam's have full size
whatever the gradient); fewer steps are made smaller (benchmarks/tried.md)."""
TEMPERATURE = 0.05
CONTRAST = 0.5  # weight of the contrastive term beside 1 - cosine
NEGATIVES = 16384
"""Other people's embeddings that each face is told from: all of them, up to this many
(benchmarks/tried.md)."""

CONSTANT = 0.99
"""Length of the mean of a network's unit answers from which they hardly depend on the face
(benchmarks/tried.md)."""
WATCHED = 256
"""Faces on which that is looked at."""

TURN, SCALE, SHIFT = 3.0, 0.03, 0.012
"""Standard deviations of how a face is moved while a student learns: degrees, the logarithm of its
scale, and its place in shares of the side."""
POSES = (
    (0, 0.96, 0, 0),
    (0, 1.04, 0, 0),
    (3, 1, 0.012, 0),
    (-3, 1, -0.012, 0),
    (0, 1, 0, 0.015),
    (0, 1, 0, -0.015),
)
"""Degrees, scale, shares of the side to the right and down, as `jitter` draws them."""


class Network(nn.Module):
    """Start network, then a linear bridge `(D, d)` into the teacher's centred space."""

    def __init__(self, start: Recognizer, weight: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.trunk = start.module()
        self.preprocess = start.preprocess
        self.batch_size = start.batch_size
        self.bridge = nn.Linear(weight.shape[1], weight.shape[0])
        self.bridge.load_state_dict(
            {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(np.asarray(bias))}
        )
        self.to(start.device).to(memory_format=torch.channels_last)

    def forward(self, faces: Tensor) -> Tensor:
        """uint8 `(B, 3, S, S)` -> float32 unit vectors `(B, D)` about the teacher's mean face."""
        prepared = self.preprocess(faces).contiguous(memory_format=torch.channels_last)
        return normalize(self.bridge(normalize(self.trunk(prepared))).float())

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Unit vectors `(N, D)` of crops `(N, S, S, 3)` uint8, each face averaged with its mirror
        image."""
        parts = [np.empty((0, self.bridge.out_features), np.float32)]
        with torch.inference_mode():
            for batch, count in equal_batches(crops, self.batch_size):
                faces = self.faces(batch)
                both = normalize(self(faces) + self(faces.flip(3)))
                parts.append(both[:count].cpu().numpy())
        return np.concatenate(parts)

    def embed_posed(self, crops: np.ndarray) -> np.ndarray:
        """The same, averaged over POSES of each face: a network's answer to a restored face changes
        when it is moved by a pixel."""
        total = self.embed(crops)
        for by in POSES if len(crops) else ():
            total += self.embed(np.stack([pose(face, *by) for face in crops]))
        return unit(total)

    def faces(self, crops: np.ndarray) -> Tensor:
        """`(N, S, S, 3)` uint8 -> `(N, 3, S, S)` uint8 where the network runs."""
        return torch.from_numpy(crops).permute(0, 3, 1, 2).to(self.device)

    @property
    def device(self) -> torch.device:
        """Where the network's weights lie."""
        return self.bridge.weight.device

    def rate(self, steps: int) -> float:
        """Highest learning rate of so many steps that fine-tunes the trunk instead of replacing
        it."""
        norms = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
        normalised = any(isinstance(module, norms) for module in self.trunk.modules())
        return (RATE if normalised else RATE_WITHOUT_NORM) * min(1.0, steps / SETTLED)

    def train(self, mode: bool = True) -> Self:
        """Batch norm keeps its statistics: small batches of one operator would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


Crops = Callable[[int], np.ndarray]
"""What the faces look like in an epoch: `(N, S, S, 3)` uint8."""


def distill(
    network: Network,
    crops: Crops,
    target: np.ndarray,
    people: np.ndarray,
    rows: np.ndarray,
    context: Context,
    epochs: int = EPOCHS,
) -> None:
    """Train in place on the `rows` of each epoch's crops towards unit `target[rows]`.

    (1 - cosine) + InfoNCE against the targets of all other people, AdamW with warm-up and cosine
    decay; faces are mirrored and moved a little, each by its own random numbers, so the batch size
    of anything else changes nothing here.

    Raises:
        TrainingFailed: the loss is no number any more.

    Args:
        people: `(N,)` who each row of the crops and of `target` shows.
        epochs: how often each face is seen.
    """
    order = np.random.default_rng([context.seed, 1])
    per_epoch = max(1, len(rows) // BATCH)
    steps = epochs * per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), lr=network.rate(steps), weight_decay=0.01)
    warm_up = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm_up, 0.5 * (1 + np.cos(np.pi * i / steps))),
    )
    torch.manual_seed(context.seed)  # dropout and drop-path inside the start network
    network.train()
    faces_now, permutation, negatives = np.empty(0), rows, torch.empty(0)

    def loss(step: int) -> Tensor:
        nonlocal faces_now, permutation, negatives
        if step % per_epoch == 0:
            faces_now, permutation = crops(step // per_epoch), order.permutation(rows)
            negatives = torch.from_numpy(target[permutation[:NEGATIVES]]).to(network.device)
        chosen = permutation[(step % per_epoch) * BATCH :][:BATCH]
        faces = network.faces(np.stack([jitter(faces_now[i], order) for i in chosen]))
        wanted = torch.from_numpy(target[chosen]).to(network.device)
        with half_precision(network.device):
            embedded = network(faces)
        same = torch.from_numpy(people[chosen, None] == people[permutation[:NEGATIVES]])
        return contrastive(embedded, wanted, negatives, same.to(network.device))

    def progress(done: int) -> None:
        context.progress("training the student", done, steps)

    descend(loss, optimizer, steps, schedule, progress)
    network.eval()


def contrastive(embedded: Tensor, wanted: Tensor, negatives: Tensor, same: Tensor) -> Tensor:
    """Mean over faces of (1 - cosine) to the wanted answer, and InfoNCE against other people's.

    Args:
        embedded, wanted: unit vectors `(B, d)`.
        negatives: unit vectors `(M, d)`.
        same: `(B, M)`, where a negative shows the face's own person and so is none.
    """
    similarity = (embedded * wanted).sum(dim=1)
    against = (embedded @ negatives.T).masked_fill(same, -1.0)
    logits = torch.cat([similarity[:, None], against], dim=1) / TEMPERATURE
    own = torch.zeros(len(embedded), dtype=torch.long, device=embedded.device)
    return (1 - similarity).mean() + CONTRAST * cross_entropy(logits, own)


def refuse_constant(network: Network, crops: np.ndarray) -> None:
    """Make sure that a trained network still tells faces `(N, S, S, 3)` apart: one that broke down
    names nobody, and must not look like pictures that show nobody.

    Raises:
        TrainingFailed: it answers all of them alike.
    """
    watched = np.asarray(crops[:: max(1, len(crops) // WATCHED)])
    if len(watched) > 1 and np.linalg.norm(network.embed(watched).mean(axis=0)) > CONSTANT:
        raise TrainingFailed(
            "the network learnt to answer every face alike: its training broke down, or nothing "
            "tells these faces apart; it is evidence of neither, and another seed may mend it"
        )


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where that is faster than float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=half_is_faster(device))


def half_is_faster(device: torch.device) -> bool:
    """Whether a device multiplies matrices in bfloat16."""
    if device.type == "cpu":
        # With AMX 2.4 times as fast as float32, with AVX-512's own products 1.5 times; with
        # AVX-512 alone 1.4 times as slow, emulated several times. Older releases of torch do not
        # tell.
        tell = getattr(torch.cpu, "get_capabilities", None)
        able: dict[str, bool] = tell() if tell is not None else {}
        return able.get("amx_bf16", False) or able.get("avx512_bf16", False)
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def jitter(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror at random and move by a few pixels, degrees and per cent; `(S, S, 3)` uint8."""
    angle, scale = rng.normal(0, TURN), float(np.exp(rng.normal(0, SCALE)))
    posed = pose(face, angle, scale, *rng.normal(0, SHIFT, 2))
    return posed[:, ::-1] if rng.random() < 0.5 else posed


def pose(face: np.ndarray, degrees: float, scale: float, right: float, down: float) -> np.ndarray:
    """A crop `(S, S, 3)` uint8 turned, scaled, and moved by shares of its side."""
    side = face.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, scale)
    matrix[:, 2] += right * side, down * side
    return cv2.warpAffine(np.asarray(face), matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
