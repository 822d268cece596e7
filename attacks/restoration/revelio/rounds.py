"""N restorations of every probe: sampled in the frame, seeded by picture, kept for the next attack.

The two aggregations (vote and mean embedding) need the same rounds, which are by far the most
expensive part; so they are kept on disk by content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reid_audit.attacks.interface import AnonymizedFaces, Context, Picture
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.networks.distillation import half_precision
from reid_audit.attacks.networks.frame import cut, paste
from reid_audit.attacks.recognition.align import crop, face_width
from reid_audit.attacks.restoration.consistency import backproject, explained
from reid_audit.attacks.restoration.restorer import log_sigmas
from reid_audit.attacks.restoration.revelio.diffusion import SAMPLER, SAMPLING_STEPS, Diffusion
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.metrics.cache import entry, kept_array

ROUNDS = 10
"""The paper's number."""
FACES_ON_GPU = 16
"""Faces sampled together, all rounds of each; on a CPU one, which is no slower."""


@dataclass(frozen=True)
class Plan:
    """How often and how finely a face is sampled."""

    rounds: int = ROUNDS
    steps: int = SAMPLING_STEPS
    sampler: str = SAMPLER

    @property
    def evaluations(self) -> int:
        """Network evaluations a face."""
        return self.rounds * self.steps


@dataclass(frozen=True, eq=False)
class Studio:
    """A base model with all that turns windows into its frames and back.

    key: digest of the checkpoint, for the cache.
    """

    base: Diffusion
    linear: Restorer
    context: Context
    plan: Plan
    key: str

    def observe(self, faces: AnonymizedFaces) -> Observed:
        """Windows as the network takes them, `(N, 3, S, S)` on the context's device."""
        size = self.base.size
        evidence = self._evidence(faces)
        seen = cut([window for window, _ in evidence], faces.landmarks, size)
        restored = cut(self._linear(faces), faces.landmarks, size)
        widths = face_width(faces.landmarks)
        strengths = [
            log_sigmas(setting.forward.operator, width)
            for (_, setting), width in zip(evidence, widths, strict=True)
        ]
        device = self.context.device
        return Observed(
            tensor(seen).to(device),
            tensor(restored).to(device),
            torch.from_numpy(np.array(strengths, np.float32)).to(device),
        )

    def sample(self, faces: AnonymizedFaces, base: Diffusion | None = None) -> np.ndarray:
        """Frames `(N, R, S, S, 3)` uint8, R restorations of each window; by the base model from
        disk where they were made before, by another `base` anew."""
        path = self._path(faces) if base is None else None

        def make() -> np.ndarray:
            made = list(self._sample(faces, base or self.base))
            return np.stack(made) if made else np.zeros((0, self.plan.rounds, 1, 1, 3), np.uint8)

        return kept_array(path, make)

    def _sample(self, faces: AnonymizedFaces, base: Diffusion) -> Iterator[np.ndarray]:
        together = 1 if self.context.device == "cpu" else FACES_ON_GPU
        done = 0
        for batch in faces.batches(together):
            seen = self.observe(batch)
            rows = [min(row, len(batch) - 1) for row in range(together)]
            filled = seen.rows(rows)
            names = [batch.ids[row] for row in rows]
            plan = self.plan
            with torch.inference_mode(), half_precision(torch.device(self.context.device)):
                noise = Noise.of(self.context.seed, names, self.context.device)
                restored = base.restore(filled, noise, plan.sampler, plan.steps, plan.rounds)
            levels = (restored * 255).round().byte().cpu().permute(0, 2, 3, 1).numpy()
            yield from levels.reshape(together, plan.rounds, *levels.shape[1:])[: len(batch)]
            done += len(batch)
            self.context.progress("sampling restorations", done, len(faces))

    def embed(self, faces: AnonymizedFaces, frames: np.ndarray) -> np.ndarray:
        """The recogniser's embeddings `(N, R, d)` of every round."""
        recognizer = self.context.recognizer
        rounds = frames.shape[1]
        crops = [
            crop(windows, np.stack([points] * rounds), recognizer.template)
            for windows, points in zip(self._windows(faces, frames), faces.landmarks, strict=True)
        ]
        side = recognizer.template.size
        embedded = recognizer.embed(np.stack(crops).reshape(-1, side, side, 3))
        return embedded.reshape(len(frames), rounds, -1)

    def picture(self, face: AnonymizedFaces, frame: np.ndarray) -> Picture:
        """The window of one face with a restored `frame (S, S, 3)`, consistent with the evidence
        where the linear estimate was gone on from."""
        (window,) = self._windows(face, frame[None, None])
        if self.base.process.about == "picture":
            return window[0]
        ((straight, setting),) = self._evidence(face)
        return backproject(window[0], straight, face.regions[0], setting)

    def _windows(self, faces: AnonymizedFaces, frames: np.ndarray) -> Iterator[list[Picture]]:
        """Whole windows, uint8, of every face's frames."""
        started = self._linear(faces)
        if self.base.process.about == "picture":
            started = [window for window, _ in self._evidence(faces)]
        bases = cut(started, faces.landmarks, self.base.size)
        for start, base, points, own in zip(started, bases, faces.landmarks, frames, strict=True):
            changes = own.astype(np.float32) - base
            yield [
                np.rint(paste(start, change, points)).clip(0, 255).astype(np.uint8)
                for change in changes
            ]

    def _evidence(self, faces: AnonymizedFaces) -> list[tuple[Picture, Restorer]]:
        """Windows turned back where they were turned, and the restorer of the setting that was
        drawn for each."""
        pairs = zip(faces.pictures, faces.regions, strict=True)
        return [explained(window, region, self.linear) for window, region in pairs]

    def _linear(self, faces: AnonymizedFaces) -> list[Picture]:
        pairs = zip(faces.pictures, faces.regions, strict=True)
        return [self.linear.restore(*pair) for pair in pairs]

    def _path(self, faces: AnonymizedFaces) -> Path | None:
        if not len(faces):
            return None
        pixels = hashlib.sha256(faces.landmarks.tobytes())
        for picture in faces.pictures:
            pixels.update(picture.tobytes())
        made = self.key, self.linear.key, self.plan, self.context.seed, faces.ids
        return entry(self.context.cache, "rounds", [repr(made), pixels.hexdigest()])


def tensor(frames: np.ndarray) -> torch.Tensor:
    """`(N, S, S, 3)` uint8 to `(N, 3, S, S)` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
