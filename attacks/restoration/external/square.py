"""The square around a face that restorers are trained on, and the way back into the picture."""

from __future__ import annotations

import cv2
import numpy as np

from reid_audit.attacks.recognition.align import warp

Picture = np.ndarray
FEATHER = 0.08
"""Share of the square's side over which a restored square fades into the picture."""


def square_matrix(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Map `(2, 3)` from a picture to the FFHQ square of `size` pixels around a face `(5, 2)`.

    The rule of FFHQ (Karras et al. 2019, A Style-Based Generator Architecture, section A): upright
    along the eyes, centred a tenth of the way from eyes to mouth, and on either side as far as the
    eyes are apart twice, or as eyes and mouth are 1.8 times.
    """
    left, right, _, *mouth = landmarks.astype(np.float64)
    eyes, across = (left + right) / 2, right - left
    down = np.mean(mouth, axis=0) - eyes
    along = across + np.array([down[1], -down[0]])
    reach = max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down))
    x = along / np.hypot(*along)
    axes = np.stack([x, [-x[1], x[0]]]) * (size / (2 * reach))
    centre = eyes + 0.1 * down
    return np.column_stack([axes, np.full(2, (size - 1) / 2) - axes @ centre])


def cut(picture: Picture, matrix: np.ndarray, size: int) -> Picture:
    """The square `(size, size, 3)`; a picture that ends before it does is mirrored."""
    border = max(picture.shape[:2]) // 2
    wide = cv2.copyMakeBorder(picture, *(border,) * 4, cv2.BORDER_REFLECT_101)
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ [border, border]
    return warp(np.asarray(wide, np.uint8), moved, size)


def paste(picture: Picture, square: Picture, matrix: np.ndarray) -> Picture:
    """`picture` with the restored square put back, its border faded in. Returns a new picture."""
    size = square.shape[0]
    height, width = picture.shape[:2]
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale > 1:  # averages what warpAffine would skip
        square = cv2.GaussianBlur(square, (0, 0), 0.4 * np.sqrt(scale**2 - 1))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(
        square, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    ramp = np.minimum(np.arange(size) + 1, np.arange(size)[::-1] + 1) / (FEATHER * size)
    mask = np.minimum.outer(ramp, ramp).clip(0, 1).astype(np.float32)
    share = cv2.warpAffine(mask, matrix, (width, height), flags=flags)[..., None]
    return np.asarray(np.rint(share * back + (1 - share) * picture).astype(np.uint8))
