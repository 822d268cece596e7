"""What every attack with a restoring network shares: into the frame, through the network, back into
the picture, and recognition of what comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from reid_audit.attacks.checkpoint import Checkpoint, find
from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    ClearFaces,
    Context,
    Picture,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.views import embed_clear, in_threads
from reid_audit.attacks.linear.wiener import Restorer, prior_restorer
from reid_audit.attacks.networks.frame import WIDER, cut, paste
from reid_audit.attacks.networks.pack import MARGIN, side_of
from reid_audit.attacks.operators import Operator
from reid_audit.attacks.recognition.align import crop, face_width
from reid_audit.attacks.restoration.consistency import backproject, explained, residual
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.objective import Objective
from reid_audit.attacks.training.observe import Observed
from reid_audit.attacks.training.source import UNKNOWN, LinearRestorer, middle
from reid_audit.attacks.vectors import per_person, unit
from reid_audit.metrics.cache import entry, kept_array

BATCH = 4
"""Faces that go through a network together; batches are filled up, so that what stands beside a
face changes nothing."""
CHUNK = 64
"""Reference windows in memory at once."""
PROBE_SIDE = 257
"""Side of the region on which an operator's strength is measured."""
NEEDS = frozenset({"gallery", "background", "operator"})
YIELDS = frozenset({"restored", "embeddings", "scores", "estimates"})


@dataclass(frozen=True)
class Restored:
    """Restored windows, uint8 of their own sizes, and the root mean square residuals `(N,)` of
    what the anonymiser would make of them, in grey levels."""

    pictures: tuple[Picture, ...]
    residuals: np.ndarray


class RestoringAttack(BaseAttack):
    """Restore with a trained network, then recognise.

    A probe's score is the mean of two cosines: to the clear gallery, and to the gallery put through
    the same anonymisation and the same network; each about the mean of its side. With a checkpoint
    that learnt from pairs of a black box, nothing is known of the anonymisation, so the gallery
    cannot be put through it, and the score is the cosine to the clear gallery alone. The checkpoint
    is the one that `context.checkpoints` holds, else the shipped one.
    """

    info: ClassVar[AttackInfo]
    objective: ClassVar[type[Objective]]
    after_linear: ClassVar[bool] = True
    """Whether the network goes on from the linear estimate, which then keeps what is finer than the
    frame, and the result is made consistent with the evidence."""
    evaluations: int = 1
    """Network evaluations a face."""

    def fit(self, reference: Reference, context: Context) -> Self:
        """Load the network and keep two templates per person, clear and as it restores them."""
        self.linear_ = prior_restorer(reference, context)
        self.checkpoint_ = find(self.info.name, context.checkpoints.get(self.info.name))
        self.objective_ = self.load(self.checkpoint_, context)
        gallery = list(reference.gallery)
        who = reference.gallery_identities, reference.people
        clear = unit(embed_clear(reference.faces, context))[gallery]
        seen = clear
        if not self.checkpoint_.from_pairs:
            seen = unit(self.embed_reference(reference.faces.select(gallery), context))
        self.clear_centre_, self.seen_centre_ = clear.mean(axis=0), seen.mean(axis=0)
        self.clear_templates_ = per_person(clear - self.clear_centre_, *who)
        self.seen_templates_ = per_person(seen - self.seen_centre_, *who)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Restored windows, their embeddings `(N, d)` and scores `(N, G)`, and how well each
        explains its probe (`consistency_residual`, in grey levels)."""
        require_fitted(self)
        restored = self.restore(probes, context)
        embedded = unit(embed(restored.pictures, probes.landmarks, context))
        centred = unit(embedded - self.seen_centre_)
        scores = (centred @ self.clear_templates_.T + centred @ self.seen_templates_.T) / 2
        return AttackOutput(
            restored=restored.pictures,
            embeddings=embedded,
            scores=scores.astype(np.float32),
            estimates=tuple({"consistency_residual": float(r)} for r in restored.residuals),
            network_evaluations=self.evaluations * len(probes),
        )

    def load(self, checkpoint: Checkpoint, context: Context) -> Objective:
        """The trained network, ready for inference on the context's device."""
        made: Objective = build(self.objective, checkpoint)
        made.network.to(context.device)
        return made

    def restore(self, faces: AnonymizedFaces, context: Context) -> Restored:
        """Restore windows; what is random is seeded by run and picture."""
        pairs = linear_from_pairs(self.checkpoint_)
        return restore(self.objective_, faces, self.linear_, context, self.after_linear, pairs)

    def embed_reference(self, faces: ClearFaces, context: Context) -> np.ndarray:
        """Embeddings `(N, d)` float32 of clear faces, anonymised and restored; kept on disk."""

        def make() -> np.ndarray:
            embedded = [np.empty((0, context.recognizer.dimension), np.float32)]
            done = 0
            for part in degraded(faces, context):
                restored = self.restore(part, context).pictures
                embedded.append(embed(restored, part.landmarks, context))
                done += len(part)
                context.progress(f"restoring the gallery ({self.info.name})", done, len(faces))
            return np.concatenate(embedded)

        return kept_array(self._cached(faces, context), make)

    def _cached(self, faces: ClearFaces, context: Context) -> Path | None:
        parts = [self.info.name, str(self.info.version), self.checkpoint_.digest, faces.key]
        parts += [self.linear_.key, context.recognizer.digest, str(context.seed)]
        return entry(context.cache, "restored", [*parts, repr(self.options)])


def build(objective: type[Objective], checkpoint: Checkpoint) -> Any:
    """An objective of this class with the checkpoint's network and weights."""
    made = objective(**network_config(checkpoint.card.config))
    checkpoint.fill(made.network)
    return made


def network_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a card's config that a network is built from."""
    return {name: value for name, value in config.items() if name in ("size", "channels")}


def restore(
    objective: Objective,
    faces: AnonymizedFaces,
    linear: Restorer,
    context: Context,
    after_linear: bool = True,
    pairs: LinearRestorer | None = None,
) -> Restored:
    """Restore windows with a network in the frame: its change of the starting picture is pasted
    into the window, and where `after_linear` back-projected. `pairs`: the network learnt from pairs
    of a black box, after this restoration, and there is no evidence to be consistent with."""
    size = frame_size(objective)
    pictures: list[Picture] = []
    residuals: list[float] = []
    consistent = after_linear and pairs is None
    for batch in faces.batches(BATCH):
        shown = show(batch, linear, size, after_linear, pairs)
        names = [*batch.ids, *[""] * (BATCH - len(batch))]
        with torch.inference_mode():
            noise = Noise.of(context.seed, names, context.device)
            restored = objective.restore(to_device(shown.observed, context.device), noise)
        frames = (restored.float().cpu() * 255).permute(0, 2, 3, 1).numpy()
        for index, (window, setting) in enumerate(zip(shown.windows, shown.settings, strict=True)):
            region = batch.regions[index]
            change = frames[index] - shown.base[index]
            whole = paste(shown.started[index], change, batch.landmarks[index])
            picture = (
                backproject(whole, window, region, setting)
                if consistent
                else _inside(whole, window, region)
            )
            pictures.append(picture)
            left = residual(picture, window, region, setting) if pairs is None else math.nan
            residuals.append(left)
    return Restored(tuple(pictures), np.array(residuals))


@dataclass(frozen=True)
class Shown:
    """A batch as a network is shown it.

    windows: with their regions turned back, where the anonymiser turned them. settings: the
    restorer of each one's own setting. started: the windows that a network's change is made to,
    and `base (B, S, S, 3)` uint8 their frames. observed: frames, filled up to BATCH.
    """

    windows: tuple[Picture, ...]
    settings: tuple[Restorer, ...]
    started: tuple[Picture, ...]
    base: np.ndarray
    observed: Observed


def show(
    batch: AnonymizedFaces,
    linear: Restorer,
    size: int,
    after_linear: bool = True,
    pairs: LinearRestorer | None = None,
) -> Shown:
    """At most BATCH faces as networks with frames of `size` pixels saw theirs in training: beside
    the linear restoration (where `after_linear`), of known strength, or as `pairs` restores them,
    of unknown strength."""
    windows, settings = zip(
        *(
            explained(window, region, linear)
            for window, region in zip(batch.pictures, batch.regions, strict=True)
        ),
        strict=True,
    )
    frames = cut(windows, batch.landmarks, size)
    if pairs is not None:
        wide = cut(windows, batch.landmarks, side_of(size), WIDER * MARGIN)
        with torch.inference_mode():
            restored = middle(pairs(_tensor(wide)), size)
        unknown = torch.full((BATCH,), UNKNOWN)
        seen = Observed(_tensor(frames), restored, unknown)
        return Shown(windows, settings, windows, frames, seen)
    started = windows
    if after_linear:
        # Of the picture as it is: turning back is part of the restoration.
        both = zip(batch.pictures, batch.regions, strict=True)
        started = tuple(linear.restore(window, region) for window, region in both)
    base = cut(started, batch.landmarks, size)
    strengths = [
        log_sigmas(setting.forward.operator, width)
        for setting, width in zip(settings, face_width(batch.landmarks), strict=True)
    ]
    seen = observe(frames, base, np.array(strengths, np.float32))
    return Shown(windows, settings, started, base, seen)


def linear_from_pairs(checkpoint: Checkpoint) -> LinearRestorer | None:
    """The linear restoration that a checkpoint learnt from pairs of a black box, if it did."""
    return None if checkpoint.gain is None else LinearRestorer(checkpoint.gain)


def frame_size(objective: Objective) -> int:
    """Side of the frame that an objective's network works in."""
    return int(objective.size)  # type: ignore[attr-defined]


def observe(anonymized: np.ndarray, restored: np.ndarray, log_sigma: np.ndarray) -> Observed:
    """Frames `(B, S, S, 3)` uint8 as networks take them, filled up to BATCH."""
    return Observed(_tensor(anonymized), _tensor(restored), torch.from_numpy(_filled(log_sigma)))


def _tensor(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(_filled(frames)).permute(0, 3, 1, 2).float() / 255


def _filled(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], BATCH - len(rows), axis=0)])


def to_device(observed: Observed, device: str) -> Observed:
    """The same frames where a network runs."""
    return Observed(
        observed.anonymized.to(device), observed.restored.to(device), observed.log_sigma.to(device)
    )


def _inside(picture: np.ndarray, window: Picture, region: np.ndarray) -> Picture:
    x0, y0, x1, y1 = (int(v) for v in region)
    out = window.copy()
    out[y0:y1, x0:x1] = np.rint(picture[y0:y1, x0:x1]).clip(0, 255).astype(np.uint8)
    return out


def embed(pictures: tuple[Picture, ...], landmarks: np.ndarray, context: Context) -> np.ndarray:
    """The recogniser's embeddings `(N, d)` float32 of windows."""
    return context.recognizer.embed(crop(pictures, landmarks, context.recognizer.template))


def degraded(faces: ClearFaces, context: Context) -> Iterator[AnonymizedFaces]:
    """Clear faces as probes of the same anonymiser, a chunk at a time."""

    def anonymized(index: int) -> Any:
        picture, points = faces.load(index), faces.landmarks[index]
        return context.forward.degrade(picture, points, context.rng(faces.ids[index]))

    made = in_threads(anonymized, len(faces))
    for start in range(0, len(faces), CHUNK):
        ids = faces.ids[start : start + CHUNK]
        pictures, landmarks, regions = zip(*(next(made) for _ in ids), strict=True)
        yield AnonymizedFaces(ids, pictures, np.stack(landmarks), np.stack(regions))


def log_sigmas(operator: Operator, face_widths: np.ndarray) -> np.ndarray:
    """Logarithm float32 of an operator's strength in face widths, of their shape."""
    sigma = max(strength_in_pixels(operator), 1e-3)
    return np.log(sigma / np.asarray(face_widths)).astype(np.float32)


def strength_in_pixels(operator: Operator) -> float:
    """Standard deviation of the spread of a point: sigma of a Gaussian, and what a box or block has
    in its place; of anything else that of a Gaussian as destructive as we can tell, else 0.

    >>> from reid_audit.attacks.operators import parse
    >>> round(strength_in_pixels(parse("gaussian:sigma=7.8")), 1)  # its kernel ends at 3 sigma
    7.7
    >>> round(strength_in_pixels(parse("pixelate:b=12")), 1)
    3.4
    """
    transfer = operator.transfer(PROBE_SIDE, PROBE_SIDE)
    if transfer is not None:
        # The curvature of the response at frequency 0 is the variance of the kernel.
        step = math.pi / (PROBE_SIDE - 1)
        lost = [-2 * math.log(max(abs(float(h)), 1e-12)) for h in (transfer[0, 1], transfer[1, 0])]
        return math.sqrt(max(0.0, sum(lost) / 2)) / step
    samples = operator.samples(PROBE_SIDE, PROBE_SIDE)
    if samples is not None:
        return PROBE_SIDE / math.sqrt(samples[0] * samples[1]) / math.sqrt(12)
    length = operator.parameters.get("k") or operator.parameters.get("b") or 0
    return float(np.mean(length)) / math.sqrt(12)  # of a range, its middle
