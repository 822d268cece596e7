"""What the anonymiser is trained for: another identity, the same picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.shift.network import PASSES, Shifter, Space, shifted
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.attacks.training.source import middle
from reid_audit.attacks.training.trunk import described, random_moves
from reid_audit.metrics.errors import InputError

RECOGNISER = "dlib"
"""The one that comes along."""
PIXELS, SMOOTH = 4.0, 12.0
"""Weights of the squared change inside the ellipse, and of the same averaged over `COARSE` pixels:
light, pose and what the mouth does are coarse."""
COARSE = 8
OPPOSITE = 0.5
"""Share of the training faces that are moved as far as can be; the others along drawn axes."""
GRAIN = 6 / 255
"""Standard deviation of the strongest noise that a recogniser must be deceived through."""
MEASURED, BATCH = 1024, 32


class ShiftObjective:
    """1 - cosine of the shifted face's identity to the wanted one, and weights on what changes.

    Each face is seen after none, one or two steps. The recogniser sees it moved a little, half of
    the faces at half the resolution, and with noise: what deceives it in place only would be no
    other face.

    Args:
        recognizer: trainable, whose space the identities lie in; dlib's by default.
        pack: faces whose mean and principal directions are taken.

    Raises:
        InputError: no faces, or a frozen recogniser.
    """

    name = "identity-shift"
    rate = 1e-3

    def __init__(
        self, size: str = "slim", recognizer: Recognizer | None = None, pack: Pack | None = None
    ) -> None:
        if pack is None:
            raise InputError("identity-shift: needs faces to measure identities on.")
        start = recognizer or load_recognizer(RECOGNISER, "cpu")
        shifter = Shifter(size, start.dimension)
        self.space = Space(start, shifter.size, shifter.centre, shifter.axes)
        shifter.measure(_embedded(self.space, pack))
        self.network: nn.Module = shifter
        self.size, self.mask = shifter.size, shifter.mask
        self.config: Mapping[str, Any] = {"size": size, "recognizer": described(start)}

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """`identity`: 1 - cosine to the wanted direction. `pixels` and `smooth`: squared change
        inside the ellipse, as it is and averaged. `loss`: their weighted sum."""
        space = self.space
        space.to(clear.device)
        with torch.no_grad():
            own = space.identities(clear)
        drawn = torch.where(noise.uniform(own.shape[1]) < 0.5, 1.0, -1.0)
        farthest = noise.uniform()[:, None] <= OPPOSITE
        wanted = space.reflected(own, torch.where(farthest, -torch.ones_like(drawn), drawn))
        before = (noise.uniform() * PASSES).ceil() - 1
        change = torch.zeros_like(clear)
        for number in range(PASSES):
            rows = (before > number).nonzero()[:, 0]
            if len(rows):
                change[rows] = self._stepped(clear[rows], change[rows], wanted[rows]).detach()
        change = self._stepped(clear, change, wanted)
        faces = disturbed((clear + change).clamp(0, 1), noise)
        seen = space.identities(faces, random_moves(noise))
        inside = self.mask.mean().to(clear.device)
        parts = {
            "identity": (1 - (seen * wanted).sum(dim=1)).mean(),
            "pixels": change.square().mean() / inside,
            "smooth": avg_pool2d(change, COARSE).square().mean() / inside,
        }
        parts["loss"] = parts["identity"] + PIXELS * parts["pixels"] + SMOOTH * parts["smooth"]
        return parts

    def _stepped(self, clear: Tensor, change: Tensor, wanted: Tensor) -> Tensor:
        uphill = self.space.uphill((clear + change).clamp(0, 1), wanted)
        answer: Tensor = self.network(clear, change, *uphill)
        return answer

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """The linear estimate, as it is: nothing is restored."""
        return observed.restored

    def judge(self, clear: Tensor, observed: Observed) -> dict[str, float]:
        """Of development people moved as far as can be: mean cosine of their shifted face to their
        own identity, and root of the mean squared change in grey levels inside the ellipse."""
        with torch.inference_mode(False):
            clear = clear.clone()
            own = self.space.identities(clear)
            with torch.no_grad():
                after = shifted(self.network, self.space, clear, -own)
                change = (after - clear).square().mean() / self.mask.mean()
                return {
                    "cosine own": float((self.space.identities(after) * own).sum(dim=1).mean()),
                    "change": float(255 * change.sqrt()),
                }


@torch.no_grad()
def _embedded(space: Space, pack: Pack) -> Tensor:
    """Unit embeddings `(N, d)` of training faces."""
    rows = pack.training[:: max(1, len(pack.training) // MEASURED)]
    parts = []
    for start in range(0, len(rows), BATCH):
        faces = torch.from_numpy(pack.faces[rows[start : start + BATCH]])
        frames = faces.permute(0, 3, 1, 2).float() / 255
        parts.append(space.trunk(middle(frames, pack.frame)))
    return torch.cat(parts)


def disturbed(frames: Tensor, noise: Noise) -> Tensor:
    """Frames `(B, 3, S, S)` in [0, 1] with noise, half of them at half the resolution."""
    half = interpolate(avg_pool2d(frames, 2), scale_factor=2, mode="bilinear")
    coarser = (noise.uniform() < 0.5)[:, None, None, None]
    strength = GRAIN * noise.uniform()[:, None, None, None]
    return torch.where(coarser, half, frames) + strength * noise.normal(*frames.shape[1:])
