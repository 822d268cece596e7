"""Measure the numbers that identification ships with, from clear background faces.

    python -m reid_audit.attacks.anonymisation.fitting.families prior FACES.csv
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        learned FACES.csv LONDON.csv PEOPLE --samples 9000
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        refined FACES.csv LONDON.csv --samples 2000
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        widths FACES.csv LONDON.csv PEOPLE --samples 12000

`refined` fits the last layer of `learned` further, on pictures that were scaled down from JPEG
files before anything was done to them, most of them untouched.

`widths` and what the three sources are stand in `fitting.widths`. FACES.csv has the columns
`identity, role, path` (paths relative to it); only rows whose role is `background` are read, so
nobody an audit is about takes part. Only aggregate numbers are written.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.neural_network import MLPClassifier

from reid_audit.attacks import anonymisation
from reid_audit.attacks.anonymisation import responses
from reid_audit.attacks.anonymisation.compression import jpeg_quality_of, stored_again
from reid_audit.attacks.anonymisation.evidence import measure
from reid_audit.attacks.anonymisation.fitting import widths as training_widths
from reid_audit.attacks.anonymisation.fitting.widths import inner_part, sources
from reid_audit.attacks.anonymisation.learned import Network
from reid_audit.attacks.anonymisation.likelihood import fit
from reid_audit.attacks.anonymisation.prior import SpectrumPrior, design
from reid_audit.attacks.anonymisation.spectra import power_of, spectrum
from reid_audit.attacks.operators import Operator, parse
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_text

SHARES = {
    "none": 0.12,
    "gaussian": 0.40,
    "box": 0.10,
    "median": 0.08,
    "motion": 0.08,
    "downscale": 0.06,
    "noise": 0.04,
    "permute": 0.04,
    "pixelate": 0.04,
    "unknown": 0.04,
}
TAILS = {"": 0.45, "jpeg": 0.38, "noise": 0.09, "noise|jpeg": 0.05, "webp": 0.03}
"""What comes after the operator."""
NOISY = ("gaussian", "box", "motion")
"""Families that noise may follow, from kernels of `SHOWS` pixels on: less would not show."""
SHOWS = 9
COUNTED = {"none": 3}
"""How often samples of a family count: an untouched picture must not be called anything else."""
REFINED = {
    "none": 0.50,
    "gaussian": 0.16,
    "box": 0.07,
    "median": 0.07,
    "motion": 0.05,
    "downscale": 0.03,
    "noise": 0.04,
    "permute": 0.03,
    "pixelate": 0.02,
    "unknown": 0.03,
}
"""Shares of families on resampled pictures."""
AS_IS = 0.25
"""Share of those pictures that keep their size after all."""
STAYS = 0.1
"""Weight of the squared distance from the layer that was there before."""
RESAMPLINGS = {
    "area": cv2.INTER_AREA,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""OpenCV's, and Pillow's, which average over what a pixel comes from."""
MEMBERS = 3
"""Networks whose outputs are averaged."""
CUT = 0.15
"""Share of samples that are cut out of what was processed, as from an ellipse."""


def background(table: Path) -> list[Path]:
    """Files of the background people in a table of faces."""
    with table.open(newline="") as file:
        return [table.parent / r["path"] for r in csv.DictReader(file) if r["role"] == "background"]


def read(path: Path) -> np.ndarray:
    """A picture as RGB uint8 `(H, W, 3)`."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: cannot be read as a picture.")
    return np.ascontiguousarray(picture[..., ::-1])


def reframe(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as it is, smaller, or cropped to about the face, mirrored half of the time."""
    height, width = picture.shape[:2]
    choice = rng.random()
    if 0.45 <= choice < 0.65:
        scale = rng.uniform(0.45, 1)
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    elif choice >= 0.65:
        low = 0.6 if choice < 0.75 else 0.32
        high = 1.0 if choice < 0.75 else 0.65
        w, h = int(width * rng.uniform(low, high)), int(height * rng.uniform(low, high))
        x, y = (width - w) // 2, (height - h) // 2
        picture = picture[y : y + h, x : x + w]
    return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)


def draw_spec(family: str, rng: np.random.Generator) -> str:
    """A random setting of a tool of this family."""

    def odd(low: float, high: float) -> int:
        return 2 * int(np.exp(rng.uniform(np.log(low), np.log(high)))) + 1

    def any_odd() -> int:
        return 2 * int(rng.integers(1, 41)) + 1

    if family == "gaussian":
        return str(
            rng.choice(
                [
                    f"gaussian:k={any_odd()}",
                    f"cv-gaussian:k={any_odd()}",
                    f"pillow-gaussian:r={rng.uniform(1, 13):.2f}",
                    f"gaussian:sigma={rng.uniform(0.9, 13):.3f}",
                    f"gaussian:kx={any_odd()},ky={any_odd()}",
                ],
                p=[0.7, 0.12, 0.05, 0.05, 0.08],
            )
        )
    return {
        "none": "none",
        "box": f"box:k={odd(1, 33)}",
        "median": f"median:k={odd(2, 20)}",
        "motion": f"motion:k={odd(3, 25)},angle={rng.choice([0, 90, rng.uniform(0, 180)]):.1f}",
        "downscale": f"downscale:f={np.exp(rng.uniform(0.6, 2.56)):.2f},"
        f"up={rng.choice(['linear', 'cubic', 'lanczos'])}",
        "noise": f"noise:sigma={rng.uniform(8, 70):.1f}"
        if rng.random() < 0.7
        else f"dp-snow:p={rng.uniform(0.05, 0.8):.2f}",
        "permute": f"permute:b={int(np.exp(rng.uniform(1.6, 3.7)))}",
        "pixelate": f"pixelate:b={rng.integers(3, 25)},"
        f"mode={rng.choice(['mean', 'bilinear', 'nearest', 'point'])}",
    }[family]


def oddity(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Something no family describes: posterised, swirled, an edge map, ..."""
    height, width = picture.shape[:2]
    kind = rng.integers(6)
    if kind == 0:
        step = int(rng.choice([32, 48, 64, 85]))
        return (picture // step * step + step // 2).clip(0, 255).astype(np.uint8)
    if kind == 1:
        y, x = np.mgrid[:height, :width] - np.array([height, width])[:, None, None] / 2
        reach = 0.35 * min(height, width)
        turn = rng.uniform(2, 6) * np.exp(-np.hypot(x, y) / reach)
        to_x = x * np.cos(turn) - y * np.sin(turn) + width / 2
        to_y = x * np.sin(turn) + y * np.cos(turn) + height / 2
        return np.asarray(
            cv2.remap(picture, to_x.astype(np.float32), to_y.astype(np.float32), cv2.INTER_LINEAR)
        )
    if kind == 2:
        edges = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_16S, ksize=3)
        return np.repeat(np.abs(edges).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if kind == 3:
        return cv2.bilateralFilter(picture, 15, 80, 15)
    if kind == 4:
        size = int(rng.integers(3, 9))
        filter_ = cv2.erode if rng.random() < 0.5 else cv2.dilate
        return filter_(picture, np.ones((size, size)))
    return cv2.addWeighted(picture, 2.5, cv2.GaussianBlur(picture, (9, 9), 0), -1.5, 0)


@dataclass(frozen=True)
class Sample:
    """family; operator: None for an oddity; region `(H, W, 3)`, maybe `cut` out of what was
    processed; quality: of the JPEG that the pixels show."""

    family: str
    operator: Operator | None
    region: np.ndarray
    cut: bool
    quality: int | None


def simulate(
    files: tuple[list[Path], list[Path], list[Path]], samples: int, seed: int
) -> Iterator[Sample]:
    """Anonymised pictures of the people in `training_widths.sources`."""
    for sequence in np.random.SeedSequence(seed).spawn(samples):
        yield _sample(files, np.random.default_rng(sequence))


def _sample(files: tuple[list[Path], list[Path], list[Path]], rng: np.random.Generator) -> Sample:
    if rng.random() < 0.6:
        picture = reframe(read(files[1][int(rng.integers(len(files[1])))]), rng)
    else:
        picture = training_widths.clear_picture(*files, rng)
    if rng.random() < 0.06:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = np.repeat(grey[..., None], 3, axis=2)
    family = _choose(SHARES, rng)
    operator = None if family == "unknown" else parse(draw_spec(family, rng))
    out = oddity(picture, rng) if operator is None else operator.apply(picture, rng)
    return _stored(family, operator, out, rng)


def _stored(
    family: str, operator: Operator | None, out: np.ndarray, rng: np.random.Generator
) -> Sample:
    """What an operator left `(H, W, 3)` as it was stored after that."""
    tail = _tail(family, operator, rng)
    if tail:
        out = parse(tail).apply(out, rng)
        operator = None if operator is None else parse(f"{operator}|{tail}")
    quality = jpeg_quality_of(out)
    cut = rng.random() < CUT
    return Sample(family, operator, inner_part(out, rng) if cut else out, cut, quality)


def resampled(picture: np.ndarray, scale: float, name: str) -> np.ndarray:
    """A picture `(H, W, 3)` uint8 scaled by one of `RESAMPLINGS`."""
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    method = RESAMPLINGS[name]
    if isinstance(method, Image.Resampling):
        return np.asarray(Image.fromarray(picture).resize((width, height), method))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method))


def simulate_resampled(
    lfw: list[Path], london: list[Path], samples: int, seed: int
) -> Iterator[Sample]:
    """Pictures that were scaled down from JPEG files, and what `REFINED` did to them then."""
    for sequence in np.random.SeedSequence(seed).spawn(samples):
        rng = np.random.default_rng(sequence)
        files = lfw if rng.random() < 0.75 else london
        picture = read(files[int(rng.integers(len(files)))])
        if files is london:
            picture = resampled(picture, rng.uniform(0.45, 0.9), "area")
        if rng.random() < 0.5:
            picture = stored_again(picture, int(rng.integers(60, 97)))
        if rng.random() >= AS_IS:
            picture = resampled(picture, rng.uniform(0.3, 0.95), str(rng.choice([*RESAMPLINGS])))
        family = _choose(REFINED, rng)
        operator = None if family == "unknown" else parse(draw_spec(family, rng))
        out = oddity(picture, rng) if operator is None else operator.apply(picture, rng)
        yield _stored(family, operator, out, rng)


def _choose(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _tail(family: str, operator: Operator | None, rng: np.random.Generator) -> str:
    kind = "jpeg" if family == "pixelate" else _choose(TAILS, rng)
    size = 0 if operator is None else operator.parameters.get("k", 0)
    if operator is not None:
        size = operator.parameters.get("kernel_size", size)
    if "noise" in kind and (family not in NOISY or size < SHOWS):
        kind = "jpeg" if "jpeg" in kind else ""
    settings = {
        "jpeg": f"jpeg:q={rng.integers(45, 99)}",
        "webp": f"webp:q={rng.integers(60, 96)}",
        "noise": f"noise:sigma={np.exp(rng.uniform(-0.4, 2.7)):.2f}",
    }
    return "|".join(settings[step] for step in kind.split("|") if step)


def train_learned(features: np.ndarray, families: np.ndarray) -> dict[str, Any]:
    """Fit the classifier of families: features `(N, F)`; families `(N,)`. The mean of a few
    networks, which is one wide one."""
    mean, scale = np.nanmean(features, axis=0), np.nanstd(features, axis=0) + 1e-6
    x = np.nan_to_num((features - mean) / scale).clip(-6, 6)
    counted = np.repeat(np.arange(len(x)), [COUNTED.get(family, 1) for family in families])
    members = [
        MLPClassifier(
            hidden_layer_sizes=(64,), alpha=0.3, learning_rate_init=2e-3, random_state=seed
        ).fit(x[counted], families[counted])
        for seed in range(MEMBERS)
    ]
    (inner, outer), (inner_bias, outer_bias) = (
        zip(*(getattr(member, name) for member in members), strict=True)
        for name in ("coefs_", "intercepts_")
    )
    layers = [
        [np.hstack(inner).tolist(), np.hstack(inner_bias).tolist()],
        [(np.vstack(outer) / MEMBERS).tolist(), np.mean(outer_bias, axis=0).tolist()],
    ]
    scaling = {"mean": mean.tolist(), "scale": scale.tolist()}
    return {"family": scaling | {"layers": layers, "classes": members[0].classes_.tolist()}}


def refine_last(
    network: dict[str, Any], features: np.ndarray, families: np.ndarray
) -> dict[str, Any]:
    """A classifier of `train_learned` with its last layer fitted to more samples, features `(N, F)`
    and families `(N,)`, and held near what it was."""
    family = network["family"]
    layers = tuple((np.array(w), np.array(b)) for w, b in family["layers"])
    hidden, last = layers[:-1], np.vstack([layers[-1][0], layers[-1][1]])
    mean, scale = np.array(family["mean"]), np.array(family["scale"])
    inner = Network(mean, scale, (*hidden, (np.eye(len(last) - 1), np.zeros(len(last) - 1))))
    x = np.array([[*inner(row), 1.0] for row in features])
    true = families[:, None] == np.array(family["classes"])

    def cost(moved: np.ndarray) -> tuple[float, np.ndarray]:
        step = moved.reshape(last.shape)
        log = log_softmax(x @ (last + step), axis=1)
        gradient = x.T @ (np.exp(log) - true) / len(x) + 2 * STAYS * step
        return float(STAYS * (step**2).sum() - log[true].sum() / len(x)), gradient.ravel()

    step = minimize(cost, np.zeros(last.size), jac=True, method="L-BFGS-B").x.reshape(last.shape)
    fitted = last + step
    kept = family["layers"][:-1]
    return {"family": family | {"layers": [*kept, [fitted[:-1].tolist(), fitted[-1].tolist()]]}}


def measure_prior(files: list[Path], samples: int, seed: int) -> dict[str, Any]:
    """Mean and covariance of the coefficients of clear pictures' log power."""
    rng = np.random.default_rng(seed)
    found = []
    for index in rng.permutation(len(files))[:samples]:
        spectrum_ = spectrum(power_of(reframe(read(files[index]), rng)), growth=10)
        if spectrum_.planes < 3:
            continue
        terms = design(spectrum_)
        weight = np.sqrt(spectrum_.weight)[:, None]
        # A first guess by least squares on log power, whose mean lies 1.27 under the log mean.
        guess = np.linalg.lstsq(
            terms * weight, (np.log(spectrum_.power + 0.05) + 0.3).T * weight, rcond=None
        )[0]
        count = terms.shape[1]
        loose = SpectrumPrior(np.zeros((3, count)), 100.0 * np.eye(3 * count))
        clear = fit(
            spectrum_, loose, responses.none, np.zeros(0), steps=25, coefficients=guess.T.ravel()
        )
        found.append(clear.coefficients)
    values = np.array(found)
    middle = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - middle), axis=0)
    values = values[(np.abs(values - middle) < 8 * spread).all(axis=1)]
    return {
        "mean": values.mean(axis=0).reshape(3, -1).tolist(),
        "covariance": np.cov(values.T).tolist(),
    }


def write(name: str, numbers: dict[str, Any]) -> None:
    """Store numbers beside this module, rounded to five digits."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: short(v) for k, v in value.items()}
        if isinstance(value, list):
            return [short(v) for v in value]
        return float(f"{value:.5g}") if isinstance(value, float) else value

    write_text(Path(__file__).parents[1] / name, json.dumps(short(numbers)) + "\n")


def main() -> None:
    """Fit what the command line names and write its file beside the estimator."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["prior", "learned", "refined", "widths"])
    parser.add_argument("faces", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.what == "widths":
        training_widths.main(options.faces, options.samples, options.seed)
        return
    if options.what == "prior":
        files = background(options.faces[0])
        write("prior.json", measure_prior(files, options.samples, options.seed))
        return
    if options.what == "refined":
        lfw, london = options.faces
        city, known, _ = sources(lfw, london, Path())
        stored = json.loads(resources.files(anonymisation).joinpath("learned.json").read_text())
        table = _table(simulate_resampled(known, city, options.samples, options.seed))
        write("learned.json", refine_last(stored, *table))
        return
    lfw, london, people = options.faces
    table = _table(simulate(sources(lfw, london, people), options.samples, options.seed))
    write("learned.json", train_learned(*table))


def _table(samples: Iterator[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Features `(N, F)` and families `(N,)`."""
    rows = [(measure(s.region, s.cut, s.quality).features, s.family) for s in samples]
    features, families = (np.array(column) for column in zip(*rows, strict=True))
    return features, families


if __name__ == "__main__":
    main()
