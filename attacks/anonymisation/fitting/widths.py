"""Measure samples and train the networks of `widths`.

    python -m reid_audit.attacks.anonymisation.fitting.families \\
        widths LFW.csv LONDON.csv PEOPLE --samples 12000

LFW.csv and LONDON.csv are tables of faces with the columns `identity, role, path`, PEOPLE a folder
of 300 procedural people at 256 px (`audit.people`, seeds 9000-9299). Read are LFW's background
people and the development half of London's (`development`), without those held out for looking at
errors (`held_out`).
"""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from reid_audit.attacks.anonymisation.rings import absolute_rings, scaled_rings
from reid_audit.attacks.anonymisation.spectra import power_of
from reid_audit.attacks.anonymisation.widths import CLEAR, FILE, STEP, conditions
from reid_audit.attacks.descent import descend
from reid_audit.attacks.operators import parse
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_bytes

SEEN = frozenset(
    "001003004013021022031034037041043061062063067068069083087092096097100102103105112113115118121"
    "122124125130131135138140141142172173"[i : i + 3]
    for i in range(0, 129, 3)
)
"""People of the London set whose pictures were looked at before there was a rule."""
CUT = 0.2
"""Share of samples that are cut out of what was processed, as from an ellipse."""
BATCH = 128
RATE = 2e-3
NETWORKS = {"start": (0.1, 20), "refine": (0.15, 25)}
"""Noise on the standardised features, so that none counts for much alone, and epochs."""
HIDDEN = (128, 64)


def first_byte(text: str) -> int:
    """First byte of the SHA-256 of a text, 0..255."""
    return hashlib.sha256(text.encode()).digest()[0]


def development(identity: str) -> bool:
    """Whether a person of the London set may be learnt from: those seen, and of the others the half
    with an even `first_byte`."""
    return identity in SEEN or first_byte(identity) % 2 == 0


def sources(lfw: Path, london: Path, people: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Pictures of London, LFW and the procedural people to learn from."""

    def rows(table: Path) -> list[dict[str, str]]:
        with table.open(newline="") as file:
            return list(csv.DictReader(file))

    return (
        [
            london.parent / row["path"]
            for row in rows(london)
            if development(row["identity"]) and first_byte(row["identity"] + "v") % 4
        ],
        [
            lfw.parent / row["path"]
            for row in rows(lfw)
            if row["role"] == "background" and first_byte(row["identity"] + "v") % 8
        ],
        sorted(people.glob("*.png")),
    )


@cache
def _read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture.")
    return np.ascontiguousarray(picture[..., ::-1])


def clear_picture(
    london: list[Path], lfw: list[Path], people: list[Path], rng: np.random.Generator
) -> np.ndarray:
    """A picture `(H, W, 3)` uint8: 35 % London at about 256 px, half LFW, the rest procedural
    people; three in ten cut down to a part."""
    choice, whole = rng.random(), rng.random() < 0.7
    if choice >= 0.85:
        picture = _read(people[rng.integers(len(people))])
    elif choice >= 0.35:
        picture = _read(lfw[rng.integers(len(lfw))])
        if not whole:
            picture = _part(picture, 0.3, rng)
    else:
        picture = _read(london[rng.integers(len(london))])
        if whole:
            side = 256
            if rng.random() < 0.5:
                cut = int(512 * rng.uniform(0.85, 1))
                x, y = rng.integers(0, 512 - cut + 1, 2)
                picture = picture[y : y + cut, x : x + cut]
                if rng.random() < 0.5:
                    side = int(rng.uniform(200, 300))
            picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        else:
            factor = rng.uniform(0.3, 1)
            picture = _part(picture, 0.4, rng)
            picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)


def _part(picture: np.ndarray, least: float, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    w, h = int(width * rng.uniform(least, 1)), int(height * rng.uniform(least, 1))
    x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
    return picture[y : y + h, x : x + w]


def inner_part(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is cut out of a region `(H, W, 3)` of which a tool shows an ellipse, hard or soft."""
    shares = rng.uniform(0.4, 2**-0.5, 2)
    height, width = (
        max(8, int(share * side)) for share, side in zip(shares, region.shape, strict=False)
    )
    y, x = (region.shape[0] - height) // 2, (region.shape[1] - width) // 2
    return np.ascontiguousarray(region[y : y + height, x : x + width])


def draw_blur(rng: np.random.Generator) -> tuple[str, float, float, bool]:
    """Spec, both sigmas, and whether they are equal: all odd sizes from 1 to 81, unequal sides, and
    sigmas off the rule."""
    choice = rng.random()
    if choice < 0.75:
        size = 2 * int(rng.integers(0, 41)) + 1
        sigma = 0.15 * size + 0.35
        return f"gaussian:k={size}" if size > 1 else "none", sigma, sigma, True
    if choice < 0.85:
        x, y = (2 * int(half) + 1 for half in rng.integers(1, 41, 2))
        return f"gaussian:kx={x},ky={y}", 0.15 * x + 0.35, 0.15 * y + 0.35, False
    sigma = float(rng.uniform(0.6, 13))
    size = 2 * int(rng.integers(int(2 * sigma), 49)) + 1
    return f"gaussian:k={size},sigma={sigma}", sigma, sigma, True


def measure_samples(
    files: tuple[list[Path], list[Path], list[Path]], samples: int, seed: int
) -> dict[str, np.ndarray]:
    """Features and targets of both networks: one row per sample, two for the refinement."""
    start, refine = [], []
    for sequence in np.random.SeedSequence(seed).spawn(samples):
        rng = np.random.default_rng(sequence)
        picture = clear_picture(*files, rng)
        spec, x, y, square = draw_blur(rng)
        quality = None
        if rng.random() < 0.3:
            quality = int(rng.integers(45, 99))
            spec += f"|jpeg:q={quality}"
        region = parse(spec).apply(picture, rng)
        cut = rng.random() < CUT
        power = power_of(inner_part(region, rng) if cut else region, cut)
        if len(power) < 3:  # a grey picture
            power = np.concatenate([power, np.zeros((2, *power.shape[1:]))])
        more = conditions(power.shape, quality, cut)
        true = np.log(np.maximum([x, y], CLEAR))
        start.append((np.r_[absolute_rings(power), more], true))
        wide = 1.0 if rng.random() < 0.7 else 2.5
        offsets = rng.normal(0, STEP, (2, 2)) * wide + rng.normal(0, STEP, (2, 1))
        for guess in np.log([x, y]) + offsets:
            move = (true - guess) / STEP
            if np.abs(move).max() < 8:
                rings = scaled_rings(power, *np.exp(guess))
                features = np.r_[rings, guess, guess[0] - guess[1], more]
                refine.append((features, [*move, move.mean() if square else np.nan]))
    return {
        f"{name}.{part}": np.array([row[i] for row in rows], np.float32)
        for name, rows in (("start", start), ("refine", refine))
        for i, part in enumerate(("features", "targets"))
    }


def train(samples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Both networks' arrays by name, weights in half precision."""
    stored = {}
    for name, (noise, epochs) in NETWORKS.items():
        features, targets = samples[f"{name}.features"], samples[f"{name}.targets"]
        for key, values in _train_network(features, targets, noise, epochs).items():
            kind = np.float32 if key in ("mean", "scale") else np.float16
            stored[f"{name}.{key}"] = np.ascontiguousarray(values, dtype=kind)
    return stored


def _train_network(
    features: np.ndarray, targets: np.ndarray, noise: float, epochs: int
) -> dict[str, np.ndarray]:
    """Arrays of a network with, for T targets, T medians and T logarithms of mean absolute errors
    as outputs. Targets that are NaN are left out."""
    torch.manual_seed(0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = torch.tensor(((features - mean) / scale).clip(-6, 6))
    t = torch.tensor(targets)
    sizes = [features.shape[1], *HIDDEN, 2 * targets.shape[1]]
    linear = [nn.Linear(i, o) for i, o in pairwise(sizes)]
    network = nn.Sequential(*[m for layer in linear for m in (layer, nn.ReLU())][:-1])
    steps = epochs * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    per_epoch = len(x) // BATCH
    order = torch.arange(len(x))

    def loss(step: int) -> torch.Tensor:
        nonlocal order
        if step % per_epoch == 0:
            order = torch.randperm(len(x))
        rows = order[step % per_epoch * BATCH :][:BATCH]
        return _laplace(network(x[rows] + noise * torch.randn(BATCH, x.shape[1])), t[rows])

    descend(loss, optimiser, steps, schedule)
    arrays = {"mean": mean, "scale": scale}
    for i, layer in enumerate(linear):
        arrays[f"weight{i}"] = layer.weight.detach().numpy().T
        arrays[f"bias{i}"] = layer.bias.detach().numpy()
    return arrays


def _laplace(out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of a Laplace distribution, whose scale is the mean absolute error."""
    middle, log_scale = out.chunk(2, dim=1)
    log_scale = log_scale.clamp(-6, 2)
    known = target.isfinite()
    error = torch.where(known, middle - target.nan_to_num(), 0.0).abs()
    return ((error * torch.exp(-log_scale) + log_scale) * known).mean()


def main(tables: list[Path], samples: int, seed: int) -> None:
    """Measure, train and store beside this module."""
    lfw, london, people = tables
    trained = train(measure_samples(sources(lfw, london, people), samples, seed))
    write_bytes(Path(__file__).parents[1] / FILE, save(trained))
