"""The camera: background, exposure curve, sensor noise, JPEG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from reid_audit.audit.people.curves import Array, mix, noise
from reid_audit.audit.people.picture import Nuisance


def backdrop(seed: int, side: int) -> Array:
    """Something out of focus, linear light `(side, side, 3)`."""
    coarse = side // 4  # out of focus: no detail to lose
    rng = np.random.default_rng(np.random.SeedSequence(seed))

    def muted() -> Array:
        colour = rng.uniform(0.04, 0.7, 3).astype(np.float32)
        return mix(colour, colour.mean(), 0.65)

    y, x = np.mgrid[0:coarse, 0:coarse].astype(np.float32) / coarse
    turn = float(rng.uniform(0, 2 * np.pi))
    across = 0.5 + float(np.cos(turn)) * (x - 0.5) + float(np.sin(turn)) * (y - 0.5)
    scene = mix(muted(), muted(), np.clip(across, 0, 1)[..., None])
    kind = rng.integers(3)
    if kind == 1:  # furniture, windows
        for _ in range(int(rng.integers(3, 8))):
            x0, y0 = rng.uniform(-0.2, 0.9, 2)
            width, height = rng.uniform(0.1, 0.5, 2)
            inside = (x > x0) & (x < x0 + width) & (y > y0) & (y < y0 + height)
            scene[inside] = mix(scene[inside], muted(), 0.5)
        blur = 0.035 * coarse
        scene = np.stack([gaussian_filter(scene[..., c], blur) for c in range(3)], -1)
    elif kind == 2:  # a wall, leaves
        u, v = rng.uniform(0, 256, 2)
        scene = scene * np.exp(0.3 * noise(12, 60 * x + u, 60 * y + v))[..., None]
    enlarged = [
        Image.fromarray(scene[..., c]).resize((side, side), Image.Resampling.BICUBIC)
        for c in range(3)
    ]
    scene = np.stack([np.asarray(channel) for channel in enlarged], -1)
    return scene.clip(0)


def expose(scene: Array, mood: Nuisance, supersampling: int) -> NDArray[np.uint8]:
    """Linear light `(S k, S k, 3)` to the uint8 `(S, S, 3)` picture a camera would have saved."""
    steps = range(supersampling)
    boxes = [scene[i::supersampling, j::supersampling] for i in steps for j in steps]
    light = 0.8 * np.mean(boxes, axis=0)
    light = np.where(light > 0.5, 1 - 0.5 * np.exp(1 - 2 * light), light)  # highlights roll off
    display = np.power(np.clip(light, 0, 1), 1 / 2.2)
    rng = np.random.default_rng(np.random.SeedSequence(mood.grain))
    grain = rng.standard_normal(display.shape, dtype=np.float32)
    display = display + mood.sensor_noise * grain * (1.2 - 0.6 * display)
    pixels = (np.clip(display, 0, 1) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=mood.jpeg_quality)
    return np.array(Image.open(file).convert("RGB"))
