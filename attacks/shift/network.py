"""The network that changes a face so that a recogniser takes it for somebody else.

It descends as it has learnt to (Andrychowicz et al., "Learning to learn by gradient descent by
gradient descent", NeurIPS 2016): it sees the face, the face as it is by now, and in which direction
each pixel would have to go for the recogniser to see whom it shall, and answers the next step. A
few steps are enough, and since the recogniser says of each face where to go, they serve faces that
are unlike those it was trained on.

Who a face shall be follows from who it is: the opposite direction from the mean face, the farthest
that anybody can be moved and the same for everybody; or a turn by right angles, which way in each
plane of two neighbouring principal directions being known to whoever has the key. It leaves of
nobody's own direction anything, and nobody's opposite.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, normalize

from reid_audit.attacks.networks.frame import template
from reid_audit.attacks.networks.unet import STEPS, UNet
from reid_audit.attacks.recognition.align import BOX_ASPECT, BOX_LANDMARKS
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.trunk import Trunk

LARGEST, STEP = 0.5, 0.25
"""Change of a pixel in [0, 1], in all and in a step, at most."""
COARSER = 4
"""Pixels a side that are changed alike: the finest detail stays as it was."""
SOFT = 0.25
"""Share of the ellipse's half axes over which the change fades out."""
PASSES = 4


class Space:
    """A recogniser's view of frames, and where identities lie in it.

    centre: `(d,)` mean of unit embeddings of faces. axes: `(d, d)` principal directions about it,
    one a row.
    """

    def __init__(self, recognizer: Recognizer, size: int, centre: Tensor, axes: Tensor) -> None:
        self.trunk = Trunk(recognizer, size).requires_grad_(False).eval()
        self.centre, self.axes = centre, axes

    def to(self, device: torch.device) -> None:
        """Move the network and the directions."""
        self.trunk.to(device)
        self.centre, self.axes = self.centre.to(device), self.axes.to(device)

    def identities(self, frames: Tensor, moves: Tensor | None = None) -> Tensor:
        """Unit directions `(B, d)` from the mean face of frames `(B, 3, S, S)` in [0, 1]."""
        return normalize(self.trunk(frames, moves) - self.centre)

    def reflected(self, directions: Tensor, signs: Tensor) -> Tensor:
        """Directions `(B, d)` whose coordinates along the axes take the signs `(B, d)`, 1 or -1."""
        return ((directions @ self.axes.T) * signs) @ self.axes

    def turned(self, directions: Tensor, key: int) -> Tensor:
        """Directions `(B, d)`, d even, turned by a right angle in each plane of two neighbouring
        axes, along which faces differ about as much; the key says which way."""
        planes = (directions @ self.axes.T).unflatten(1, (-1, 2))
        drawn = np.random.default_rng(key).choice([-1.0, 1.0], planes.shape[1])
        way = torch.from_numpy(drawn).to(planes)
        there = torch.stack([-way * planes[..., 1], way * planes[..., 0]], dim=2)
        return there.flatten(1) @ self.axes

    def uphill(self, frames: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """How like frames are to the wanted directions `(B, d)`: the cosine `(B,)`, and its
        gradient `(B, 3, S, S)`, scaled to a mean square of 1."""
        with torch.enable_grad():
            leaf = frames.detach().requires_grad_()
            like = (self.identities(leaf) * wanted).sum(dim=1)
            (gradient,) = torch.autograd.grad(like.sum(), leaf)
        spread = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return like.detach(), gradient / spread.clamp_min(1e-12)


class Shifter(nn.Module):
    """Steps from faces towards other identities.

    Args:
        size: name of a preset of `attacks.networks.unet`.
        dimension: d, of the recogniser's embeddings; `centre` and `axes` are those of a `Space`.
    """

    centre: Tensor
    axes: Tensor
    mask: Tensor

    def __init__(self, size: str, dimension: int) -> None:
        super().__init__()
        self.unet = UNet(size, inputs=9)
        self.size = self.unet.size
        self.register_buffer("centre", torch.zeros(dimension))
        self.register_buffer("axes", torch.eye(dimension))
        self.register_buffer("mask", ellipse(self.size), persistent=False)

    def measure(self, embeddings: Tensor) -> None:
        """Take centre and axes from unit embeddings `(N, d)` of many people."""
        self.centre.copy_(embeddings.mean(dim=0))
        apart = (embeddings - self.centre).double()
        self.axes.copy_(torch.linalg.eigh(apart.T @ apart).eigenvectors.T.flip(0))

    def forward(self, clear: Tensor, change: Tensor, like: Tensor, uphill: Tensor) -> Tensor:
        """The next change `(B, 3, S, S)` of clear frames in [0, 1].

        Args:
            change: so far. like, uphill: what `Space.uphill` says of the changed frames.
        """
        changed = (clear + change).clamp(0, 1)
        seen = torch.cat([clear * 2 - 1, changed * 2 - 1, uphill / 2], dim=1)
        answer = avg_pool2d(self.unet(seen, STEPS * (1 - like) / 2).float(), COARSER)
        fine = interpolate(answer, scale_factor=COARSER, mode="bilinear")
        after: Tensor = (change + STEP * torch.tanh(fine) * self.mask).clamp(-LARGEST, LARGEST)
        return after


def shifted(
    shifter: nn.Module, space: Space, clear: Tensor, wanted: Tensor, passes: int = PASSES
) -> Tensor:
    """Frames `(B, 3, S, S)` in [0, 1] that are to show the wanted directions `(B, d)`."""
    change = torch.zeros_like(clear)
    for _ in range(passes):
        change = shifter(clear, change, *space.uphill((clear + change).clamp(0, 1), wanted))
    return (clear + change).clamp(0, 1)


def ellipse(size: int) -> Tensor:
    """`(size, size)` in [0, 1]: the ellipse inscribed in the box that a detector draws about the
    face of a frame, fading towards its rim."""
    points = np.asarray(template(size).points)
    shares = np.asarray(BOX_LANDMARKS)
    width = (points[1, 0] - points[0, 0]) / (shares[1, 0] - shares[0, 0])
    half = np.array([width, width * BOX_ASPECT]) / 2
    centre = points[:2].mean(axis=0) + (0.5 - shares[:2].mean(axis=0)) * 2 * half
    places = (np.indices((size, size))[::-1].transpose(1, 2, 0) - centre) / half
    inside = (1 - np.linalg.norm(places, axis=2)) / SOFT
    return torch.from_numpy(inside.clip(0, 1)).float()
