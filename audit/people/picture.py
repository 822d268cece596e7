"""What changes from one picture of a person to the next: pose, light, mood, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid_audit.audit.people.curves import Colour

_STREAM = 23


@dataclass(frozen=True)
class Nuisance:
    """Everything about a picture but the person. Angles are radians."""

    yaw: float
    pitch: float
    roll: float
    distance: float  # of the camera, centimetres
    zoom: float
    shift_x: float  # of the face in the frame, as a fraction of its side
    shift_y: float
    light_azimuth: float
    light_elevation: float
    key: float
    ambient: float
    warmth: float
    fill_azimuth: float
    exposure: float
    smile: float
    mouth_open: float
    brow_raise: float
    blink: float
    gaze_x: float
    gaze_y: float
    glasses: float  # worn when below the person's habit
    clothes: Colour
    collar: float
    background: int  # seed
    sensor_noise: float
    jpeg_quality: int
    grain: int  # seed


def nuisance(seed: int, k: int, hard: float = 1.0) -> Nuisance:
    """Picture `k` of person `seed`; `hard` scales pose, light and mood (0 = passport photo)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k, _STREAM]))

    def normal(sd: float) -> float:
        return sd * float(np.clip(rng.standard_normal(), -2, 2))

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    yaw, pitch, roll = normal(0.21) * hard, normal(0.09) * hard, normal(0.08) * hard
    blinks = rng.random() < 0.03 * hard
    return Nuisance(
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        distance=uniform(65, 140),
        zoom=uniform(0.93, 1.07),
        shift_x=normal(0.02),
        shift_y=normal(0.02),
        light_azimuth=float(np.clip(normal(0.6), -1.05, 1.05)) * hard,
        light_elevation=uniform(0.12, 0.6),
        key=uniform(0.68, 0.98),
        ambient=uniform(0.34, 0.62),
        warmth=normal(0.06),
        fill_azimuth=uniform(-1, 1),
        exposure=uniform(0.88, 1.12),
        smile=max(0.0, uniform(-0.6, 0.9)) * hard,
        mouth_open=max(0.0, uniform(-1.4, 0.8)) * hard,
        brow_raise=normal(0.12) * hard,
        blink=0.85 if blinks else max(0.0, uniform(-0.3, 0.2)),
        # Eyes stay near the camera while the head turns.
        gaze_x=normal(0.13) - 0.75 * float(np.sin(yaw)),
        gaze_y=normal(0.06) + 0.5 * float(np.sin(pitch)),
        glasses=uniform(0, 1),
        clothes=_muted(uniform(20, 200), uniform(20, 200), uniform(20, 200)),
        collar=uniform(0, 1),
        background=int(rng.integers(1 << 30)),
        sensor_noise=uniform(0.003, 0.012),
        jpeg_quality=int(rng.integers(75, 96)),
        grain=int(rng.integers(1 << 30)),
    )


def _muted(red: float, green: float, blue: float) -> Colour:
    grey = (red + green + blue) / 3
    return (red + grey) / 2, (green + grey) / 2, (blue + grey) / 2
