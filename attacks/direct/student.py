"""Embedding distillation: a recogniser re-trained to see through the anonymisation.

The identity in a restored face is what its clear embedding would have been; the least-squares
answer is the conditional mean of that embedding given the picture, and a network learns it in one
pass. Starting from a pretrained recogniser is what makes it work: from scratch it fails.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge as LeastSquares
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from attacks.interface import AnonymizedFaces, AttackInfo, AttackOutput, Context, Reference
from attacks.recognition.interface import Recognizer, equal_batches
from attacks.vectors import per_person, unit
from attacks.views import View, Views

EPOCHS = 3
BATCH = 64
RATE = 3e-4
RATE_WITHOUT_NORM = 3e-6
"""For networks like dlib's, whose layers nothing rescales: one step at ten times this rate took
the cosine to the clear face from .84 to .17 (procedural people)."""
TEMPERATURE = 0.05
CONTRAST = 0.5  # weight of the contrastive term beside 1 - cosine


class Student:
    """A trainable recogniser, fine-tuned on restored faces towards the clear embedding of the
    scoring recogniser (the teacher): (1 - cosine) + InfoNCE, batch norm frozen, mirrored test-time
    average. Scored like the ridge map: against the clear gallery and against the gallery seen
    through the same operator and the student itself."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="student",
        title="Distilled student",
        version=1,
        needs=frozenset({"gallery", "background", "operator", "trainable"}),
        yields=frozenset({"embeddings", "scores"}),
        trained=True,
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        assert context.trainable is not None, "the caller checks info.needs"
        self.views_, self.start_ = Views.of(reference, context), context.trainable
        clear = unit(self.views_.embeddings(reference.faces, View.CLEAR))
        crops = self.views_.crops(reference.faces, View.RESTORED, self.start_)
        rows, gallery = np.array(reference.training), np.array(reference.gallery)
        self.centre_ = clear[rows].mean(axis=0)
        target = unit(clear - self.centre_)
        self.network_ = Network(self.start_, *self._bridge(reference, clear))
        path = self._checkpoint(reference, context)
        if path is not None and path.exists():
            self.network_.load_state_dict(load_file(path))
        else:
            distill(self.network_, crops, target, rows, context)
            if path is not None:
                _save(self.network_, path)
        self.network_.eval()
        who = reference.gallery_identities, reference.people
        self.clear_templates_ = per_person(target[gallery], *who)
        seen = np.concatenate(
            [self._embed(crops[part]) for part in np.array_split(gallery, len(gallery) // 256 + 1)]
        )
        self.seen_templates_ = per_person(seen, *who)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        found = self._embed(self.views_.probe_crops(probes, View.RESTORED, self.start_))
        scores = (found @ self.clear_templates_.T + found @ self.seen_templates_.T) / 2
        return AttackOutput(
            embeddings=found + self.centre_,
            scores=scores,
            network_evaluations=2 * len(probes),  # the face and its mirror image
        )

    def _bridge(self, reference: Reference, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear map from the start network's space to the teacher's: the identity less the mean
        when they are one network, else least squares on clear faces."""
        if self.start_.digest == self.views_.context.recognizer.digest:
            return np.eye(clear.shape[1], dtype=np.float32), -self.centre_
        rows = list(reference.training)
        own = unit(self.views_.embeddings(reference.faces, View.CLEAR, self.start_))[rows]
        fitted = LeastSquares(alpha=1.0).fit(own, clear[rows] - self.centre_)
        return fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)

    def _embed(self, crops: np.ndarray) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for batch, count in equal_batches(crops, self.start_.batch_size):
                faces = torch.from_numpy(batch).permute(0, 3, 1, 2)
                found.append((self.network_(faces) + self.network_(faces.flip(3)))[:count])
        return normalize(torch.cat(found)).numpy()

    def _checkpoint(self, reference: Reference, context: Context) -> Path | None:
        if context.cache is None:
            return None
        rows = ",".join(map(str, reference.training))
        parts = [reference.faces.key, rows, self.views_.restorer.key, str(context.seed)]
        parts += [self.start_.digest, context.recognizer.digest, str(self.info.version)]
        parts += [str(context.options.get("student_epochs", EPOCHS))]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
        return context.cache / f"student-{digest}.safetensors"


class Network(nn.Module):
    """Start network, then a linear bridge `(D, d)` into the teacher's centred space."""

    def __init__(self, start: Recognizer, weight: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.trunk = start.module().to(memory_format=torch.channels_last)
        self.preprocess = start.preprocess
        self.bridge = nn.Linear(weight.shape[1], weight.shape[0])
        self.bridge.load_state_dict(
            {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(np.asarray(bias))}
        )

    def forward(self, faces: Tensor) -> Tensor:
        """uint8 `(B, 3, S, S)` -> unit vectors `(B, D)` about the teacher's mean face."""
        prepared = self.preprocess(faces).contiguous(memory_format=torch.channels_last)
        return normalize(self.bridge(normalize(self.trunk(prepared))))

    @property
    def rate(self) -> float:
        """Learning rate that fine-tunes the trunk instead of replacing it."""
        norms = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
        normalised = any(isinstance(module, norms) for module in self.trunk.modules())
        return RATE if normalised else RATE_WITHOUT_NORM

    def train(self, mode: bool = True) -> Self:
        """Batch norm keeps its statistics: small batches of one operator would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def distill(
    network: Network, crops: np.ndarray, target: np.ndarray, rows: np.ndarray, context: Context
) -> None:
    """Train in place on `crops[rows]` (uint8) towards unit `target[rows]`.

    AdamW with warm-up and cosine decay; faces are mirrored and moved a little, each by its own
    random numbers, so the batch size of anything else changes nothing here.
    """
    epochs = int(context.options.get("student_epochs", EPOCHS))
    order = np.random.default_rng([context.seed, 1])
    per_epoch = max(1, len(rows) // BATCH)
    steps = epochs * per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), lr=network.rate, weight_decay=0.01)
    warm_up = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm_up, 0.5 * (1 + np.cos(np.pi * i / steps))),
    )
    torch.manual_seed(context.seed)  # dropout and drop-path inside the start network
    network.train()
    for step in range(steps):
        if step % per_epoch == 0:
            permutation = order.permutation(rows)
        chosen = permutation[(step % per_epoch) * BATCH :][:BATCH]
        faces = np.stack([jitter(crops[i], order) for i in chosen])
        wanted = torch.from_numpy(target[chosen])
        found = network(torch.from_numpy(faces).permute(0, 3, 1, 2))
        similarity = found @ wanted.T
        own = torch.arange(len(chosen))
        loss = (1 - similarity.diagonal()).mean() + CONTRAST * cross_entropy(
            similarity / TEMPERATURE, own
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        context.progress("training the student", step + 1, steps)
    network.eval()


def jitter(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror at random and move by a few pixels, degrees and per cent; `(S, S, 3)` uint8."""
    side = face.shape[0]
    angle, scale = rng.normal(0, 3), np.exp(rng.normal(0, 0.03))
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, scale)
    matrix[:, 2] += rng.normal(0, 0.012 * side, 2)
    moved = cv2.warpAffine(np.asarray(face), matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    return moved[:, ::-1] if rng.random() < 0.5 else moved


def _save(network: Network, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    # safetensors takes no channels-last memory.
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, temporary)
    temporary.replace(path)
