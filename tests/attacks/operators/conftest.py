"""Textures with detail at every scale, and a folder of them as the other faces of k-same."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image


def make_texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Random picture `(height, width, 3)` uint8 whose noise gets coarser layer by layer, and which
    stays clear of black and white, where clipping would bend linear operators."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cell in (1, 2, 4, 8, 16):
        coarse = rng.normal(0, cell, (-(-height // cell), -(-width // cell), 3))
        total += cv2.resize(coarse, (width, height)).reshape(height, width, 3)
    return (128 + 2 * total).clip(30, 225).astype(np.uint8)


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name, relative to the working directory, of a folder with five pictures."""
    monkeypatch.chdir(tmp_path)
    Path("cast").mkdir()
    for i in range(5):
        Image.fromarray(make_texture(24, 20, seed=i)).save(f"cast/{i}.png")
    return "cast"


@pytest.fixture(name="texture", scope="session")
def texture_fixture():
    """`make_texture`, for tests."""
    return make_texture
