"""The square frame in which networks restore a face, and the ways into it and back.

Its landmarks stand where ArcFace's template has them, in a crop that is wider, so that hair and
chin help and every recogniser's crop lies inside. Pictures are continued by reflection past their
border, as the common blurs do: what looks like a tight crop to a network is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cosine_similarity, grid_sample

from reid_audit.attacks.interface import Picture
from reid_audit.attacks.recognition.align import ARCFACE, FACE_SHARE, Template, warp
from reid_audit.attacks.recognition.interface import Recognizer

WIDER = 1.35
"""Side of the frame in sides of the ArcFace crop."""
FACE = FACE_SHARE / WIDER
"""Face width as a share of the frame's side."""
SOFT = 0.12
"""Share of the frame's side over which a restored face fades into its surroundings."""


def template(size: int, wider: float = WIDER) -> Template:
    """Where the landmarks stand in a frame of `size` pixels that shows `wider` ArcFace crops.

    >>> template(64).size
    64
    """
    centre = (ARCFACE.size - 1) / 2
    points = centre + (np.asarray(ARCFACE.points) - centre) / wider
    scaled = replace(ARCFACE, name=f"frame{size}", points=tuple(map(tuple, points.tolist())))
    return scaled.resized(size)


def cut(
    pictures: Sequence[Picture], landmarks: np.ndarray, size: int, wider: float = WIDER
) -> np.ndarray:
    """Frames `(B, size, size, 3)` uint8 of windows `(H, W, 3)` with landmarks `(B, 5, 2)`."""
    matrices = template(size, wider).matrices(np.asarray(landmarks, np.float64))
    frames = np.empty((len(pictures), size, size, 3), np.uint8)
    for index, (picture, matrix) in enumerate(zip(pictures, matrices, strict=True)):
        padded, shift = _continued(picture, matrix, size)
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] - matrix[:, :2] @ shift])
        frames[index] = warp(padded, matrix, size)
    return frames


def _continued(picture: Picture, matrix: np.ndarray, size: int) -> tuple[Picture, np.ndarray]:
    """The picture reflected as far as the frame reaches past it, and how far it moved (x, y)."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], float).T - 0.5
    reach = np.linalg.solve(matrix[:, :2], corners - matrix[:, 2:])
    left, top = np.ceil(np.maximum(0, 2 - reach.min(axis=1))).astype(int)
    right, bottom = np.ceil(np.maximum(0, reach.max(axis=1) + 2 - [width - 1, height - 1])).astype(
        int
    )
    if not (left or top or right or bottom):
        return picture, np.zeros(2)
    # No more than a few pictures' worth: landmarks far outside show nothing anyway.
    most_x, most_y = 2 * width, 2 * height
    left, right = min(left, most_x), min(right, most_x)
    top, bottom = min(top, most_y), min(bottom, most_y)
    around = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    return np.asarray(around, np.uint8), np.array([left, top], float)


def paste(
    window: Picture, change: np.ndarray, landmarks: np.ndarray, wider: float = WIDER
) -> np.ndarray:
    """A window `(H, W, 3)` plus a change that was made in its frame, `(S, S, 3)` grey levels;
    float32. The change fades towards the frame's border; finer detail of the window stays."""
    size = change.shape[0]
    matrix = template(size, wider).matrices(np.asarray(landmarks, np.float64))
    height, width = window.shape[:2]
    moved = cv2.warpAffine(
        change.astype(np.float32) * soft_mask(size)[..., None],
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
    )
    return window.astype(np.float32) + moved


def soft_mask(size: int) -> np.ndarray:
    """`(size, size)` float32: 1 inside, falling to 0 at the border as a raised cosine."""
    edge = max(1.0, SOFT * size)
    inside = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size)) / edge
    ramp = (0.5 - 0.5 * np.cos(np.pi * inside.clip(0, 1))).astype(np.float32)
    return np.outer(ramp, ramp)


class FrameEmbedder(nn.Module):
    """A trainable recogniser behind the warp from the frame to its own crop: differentiable in the
    picture, frozen in its weights.

    Raises:
        InputError: the recogniser is frozen (ONNX), so that nothing can be differentiated.
    """

    theta: Tensor

    def __init__(self, recognizer: Recognizer, size: int, wider: float = WIDER) -> None:
        super().__init__()
        self.network = recognizer.module().requires_grad_(False)
        self.preprocess = recognizer.preprocess
        self.side = recognizer.template.size
        self.register_buffer("theta", crop_transform(recognizer.template, size, wider))

    def forward(self, frames: Tensor) -> Tensor:
        """Embeddings `(B, d)` of frames `(B, 3, S, S)` in [0, 1]."""
        crops = to_crops(frames, self.theta, self.side)
        answer: Tensor = self.network(self.preprocess(crops * 255))
        return answer

    def distance(self, restored: Tensor, clear: Tensor) -> Tensor:
        """Mean of 1 - cosine between the embeddings of frames `(B, 3, S, S)` in [0, 1]; what the
        clear ones are is not learnt."""
        self.to(clear.device)
        with torch.no_grad():
            truth = self(clear)
        return (1 - cosine_similarity(self(restored), truth)).mean()

    def train(self, mode: bool = True) -> FrameEmbedder:
        """Always in inference mode: its statistics belong to its own training."""
        return super().train(False)


def crop_transform(target: Template, size: int, wider: float = WIDER) -> Tensor:
    """`(2, 3)` for `affine_grid`: from a recogniser's crop to the frame of `size` pixels."""
    into = target.matrices(np.asarray(template(size, wider).points))  # frame -> crop, pixels
    back = np.linalg.inv(np.vstack([into, [0, 0, 1]]))  # crop -> frame

    def normal(side: int) -> np.ndarray:
        """Pixels to [-1, 1] about the outer edges (align_corners=False)."""
        return np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])

    theta = normal(size) @ back @ np.linalg.inv(normal(target.size))
    return torch.from_numpy(theta[:2]).float()


def to_crops(frames: Tensor, theta: Tensor, side: int) -> Tensor:
    """A recogniser's crops `(B, C, side, side)` of frames `(B, C, S, S)`; differentiable.

    Args:
        theta: from the crop to the frame, `(2, 3)` for all or `(B, 2, 3)`.
    """
    grid = affine_grid(
        theta.expand(len(frames), 2, 3), [len(frames), frames.shape[1], side, side], False
    )
    return grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
