"""Measure the numbers that identification ships with, from clear background faces.

    python -m reid_audit.attacks.anonymisation.fitting.families prior FACES.csv
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        learned FACES.csv LONDON.csv PEOPLE --samples 9000
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        smooth FACES.csv LONDON.csv PEOPLE --samples 5000
    python -m reid_audit.attacks.anonymisation.fitting.families \\
        widths FACES.csv LONDON.csv PEOPLE --samples 12000

`learned` simulates pictures as estimation meets them: whole ones and parts of them, exact in their
files and stored by a codec, on photographs as cameras store them and scaled down from such.
`smooth` simulates the two families that JPEG makes alike, half of them with narrow kernels.

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
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.neural_network import MLPClassifier

from reid_audit.attacks.anonymisation import responses
from reid_audit.attacks.anonymisation.compression import MCU, jpeg_quality_of, stored_again
from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.evidence import measure
from reid_audit.attacks.anonymisation.fitting import widths as training_widths
from reid_audit.attacks.anonymisation.fitting.widths import inner_part, sources
from reid_audit.attacks.anonymisation.inside import SMALLEST
from reid_audit.attacks.anonymisation.learned import Network
from reid_audit.attacks.anonymisation.likelihood import fit
from reid_audit.attacks.anonymisation.prior import SpectrumPrior, design
from reid_audit.attacks.anonymisation.region import find_region, whole_part
from reid_audit.attacks.anonymisation.spectra import power_of, spectrum
from reid_audit.attacks.anonymisation.structure import block_grid, solid_colour
from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.operators.blur import rule_kernel
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_text

SHARES = {
    "none": 0.24,
    "gaussian": 0.28,
    "box": 0.12,
    "median": 0.07,
    "motion": 0.07,
    "downscale": 0.03,
    "noise": 0.04,
    "permute": 0.05,
    "pixelate": 0.06,
    "unknown": 0.04,
}
TAILS = {"": 0.40, "jpeg": 0.45, "noise": 0.06, "noise|jpeg": 0.04, "webp": 0.05}
"""What comes after the operator."""
NARROW, NARROWEST = 0.5, 31
"""Share of smooth samples whose kernel is narrow, and the pixels up to which it is."""
NOISY = ("gaussian", "box", "motion")
"""Families that noise may follow, from kernels of `SHOWS` pixels on: less would not show."""
SHOWS = 9
COUNTED = {"none": 2}
"""How often samples of a family count: an untouched picture must not be called anything else."""
PARTS = 0.5
"""Share of samples that are a processed part of a larger picture."""
SCALED, AS_IS = 0.4, 0.25
"""Share of pictures that come from JPEG files, and of those the share that keeps its size: the
others were scaled down."""
TAKEN = 0.7
"""Share of untouched parts that are what the search for regions takes for processed, if anything:
the parts without much detail."""
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
LEAST = 28
"""Pixels of the narrowest part."""
HELD_OUT = 7
"""Every how manieth sample says how far the classifier can be trusted."""
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
class Recipe:
    """What is simulated: shares of families, shares of what comes after the operator, and the share
    of operators whose kernel is narrow."""

    shares: dict[str, float]
    tails: dict[str, float]
    narrow: float = 0.0


ALL = Recipe(SHARES, TAILS)
SMOOTH = Recipe({"gaussian": 0.55, "box": 0.45}, {"jpeg": 1.0}, NARROW)


@dataclass(frozen=True)
class Sample:
    """family: `unknown` for an oddity; region `(H, W, 3)`, maybe `cut` out of what was processed;
    quality: of the JPEG that the pixels or the header show."""

    family: str
    region: np.ndarray
    cut: bool
    quality: int | None


def simulate(
    files: tuple[list[Path], list[Path], list[Path]], samples: int, seed: int, recipe: Recipe = ALL
) -> Iterator[Sample]:
    """Anonymised pictures of the people in `training_widths.sources`."""
    for sequence in np.random.SeedSequence(seed).spawn(samples):
        yield _sample(files, np.random.default_rng(sequence), recipe)


def _sample(
    files: tuple[list[Path], list[Path], list[Path]], rng: np.random.Generator, recipe: Recipe
) -> Sample:
    picture = _clear(files, rng)
    family = _choose(recipe.shares, rng)
    narrow = recipe.narrow > 0 and rng.random() < recipe.narrow
    if rng.random() < PARTS:
        return _sample_of_part(family, picture, rng, recipe, narrow)
    draw = draw_narrow if narrow else draw_spec
    operator = None if family == "unknown" else parse(draw(family, rng))
    out = oddity(picture, rng) if operator is None else operator.apply(picture, rng)
    out, quality = _stored(family, operator, out, rng, recipe)
    cut = rng.random() < CUT
    return Sample(family, inner_part(out, rng) if cut else out, cut, quality)


def _clear(
    files: tuple[list[Path], list[Path], list[Path]], rng: np.random.Generator
) -> np.ndarray:
    """A picture `(H, W, 3)` uint8 to which nothing was done, but scaling and storing."""
    city, known, _ = files
    if rng.random() < SCALED:
        picture = scaled_picture(known, city, rng)
    elif rng.random() < 0.6:
        picture = reframe(read(known[int(rng.integers(len(known)))]), rng)
    else:
        picture = training_widths.clear_picture(*files, rng)
    if rng.random() < 0.06:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = np.repeat(grey[..., None], 3, axis=2)
    return picture


def _sample_of_part(
    family: str, picture: np.ndarray, rng: np.random.Generator, recipe: Recipe, narrow: bool
) -> Sample:
    """A part of a picture `(H, W, 3)` that was processed alone and stored with the picture."""
    box = x0, y0, x1, y1 = draw_box(picture.shape, rng)
    if family == "unknown":
        operator, out = None, picture.copy()
        out[y0:y1, x0:x1] = oddity(np.ascontiguousarray(picture[y0:y1, x0:x1]), rng)
    else:
        side = min(x1 - x0, y1 - y0)
        spec = draw_narrow(family, rng) if narrow else draw_share(family, side, rng)
        operator = parse(spec)
        out = apply_to_box(operator, picture, box, rng)
    out, quality = _stored(family, operator, out, rng, recipe)
    cut = False
    if family == "none" and rng.random() < TAKEN:
        taken = find_region(out, quality is None)
        cut = taken.shape == "ellipse" or taken.soft > 0
        x0, y0, x1, y1 = whole_part(taken) if cut else taken.box
    if quality is None or rng.random() < 0.5:  # else the file's header says
        quality = jpeg_quality_of(out[-(-y0 // MCU) * MCU : y1, -(-x0 // MCU) * MCU : x1])
    region = np.ascontiguousarray(out[y0:y1, x0:x1])
    if not cut and rng.random() < CUT:
        region, cut = inner_part(region, rng), True
    return Sample(family, region, cut, quality)


def draw_narrow(family: str, rng: np.random.Generator) -> str:
    """A random setting of a smooth family, its kernel's size drawn by its logarithm from 3 to
    `NARROWEST` pixels, and for means, which smooth as much with fewer, to half of that."""
    most = NARROWEST if family == "gaussian" else NARROWEST / 2
    size = 2 * int(np.exp(rng.uniform(0, np.log((most + 1) / 2)))) + 1
    if family == "gaussian" and rng.random() < 0.3:
        return f"cv-gaussian:k={size}"
    return f"{family}:k={size}"


def draw_box(shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    """A box for a face of any size, at least `LEAST` pixels wide, in a picture of `shape`."""
    height, width = shape[:2]
    tall = rng.uniform(1.0, 1.5)
    widest = max(LEAST, min(0.8 * width, 0.8 * height / tall))
    w = round(float(np.exp(rng.uniform(np.log(LEAST), np.log(widest)))))
    h = min(round(tall * w), height)
    w = min(w, width)
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return x, y, x + w, y + h


def draw_share(family: str, side: int, rng: np.random.Generator) -> str:
    """A random setting of a tool of this family on a part of `side` pixels: half of them grow with
    the part."""

    def share(low: float, high: float) -> float:
        return side * float(np.exp(rng.uniform(np.log(low), np.log(high))))

    if rng.random() < 0.5:
        if family == "gaussian":
            sigma = max(0.9, share(0.03, 0.28))
            if rng.random() < 0.3:
                return f"cv-gaussian:k={rule_kernel(sigma)}"
            return f"gaussian:sigma={sigma:.3f}"
        if family == "box":
            return f"box:k={max(3, round(share(0.06, 0.8)) | 1)}"
        if family == "median":
            return f"median:k={max(3, round(share(0.05, 0.4)) | 1)}"
        if family == "motion":
            length = max(5, round(share(0.08, 0.5)) | 1)
            return f"motion:k={length},angle={rng.uniform(0, 180):.1f}"
    return draw_spec(family, rng)


def _stored(
    family: str,
    operator: Operator | None,
    out: np.ndarray,
    rng: np.random.Generator,
    recipe: Recipe,
) -> tuple[np.ndarray, int | None]:
    """What an operator left `(H, W, 3)` as it is stored after that, and the quality of the JPEG
    that its pixels show."""
    tail = _tail(family, operator, rng, recipe)
    if tail:
        out = parse(tail).apply(out, rng)
    return out, jpeg_quality_of(out)


def resampled(picture: np.ndarray, scale: float, name: str) -> np.ndarray:
    """A picture `(H, W, 3)` uint8 scaled by one of `RESAMPLINGS`."""
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    method = RESAMPLINGS[name]
    if isinstance(method, Image.Resampling):
        return np.asarray(Image.fromarray(picture).resize((width, height), method))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method))


def scaled_picture(lfw: list[Path], london: list[Path], rng: np.random.Generator) -> np.ndarray:
    """A photograph `(H, W, 3)` uint8 from a JPEG file, most often scaled down."""
    files = lfw if rng.random() < 0.75 else london
    picture = read(files[int(rng.integers(len(files)))])
    if files is london:
        picture = resampled(picture, rng.uniform(0.45, 0.9), "area")
    if rng.random() < 0.5:
        picture = stored_again(picture, int(rng.integers(60, 97)))
    if rng.random() >= AS_IS:
        picture = resampled(picture, rng.uniform(0.3, 0.95), str(rng.choice([*RESAMPLINGS])))
    return np.ascontiguousarray(picture)


def _choose(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _tail(family: str, operator: Operator | None, rng: np.random.Generator, recipe: Recipe) -> str:
    kind = "jpeg" if family == "pixelate" else _choose(recipe.tails, rng)
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


def train_classifier(features: np.ndarray, families: np.ndarray) -> dict[str, Any]:
    """Fit a classifier of families: features `(N, F)`; families `(N,)`. The mean of a few
    networks, which is one wide one, with its confidence brought down to what it gets right of
    samples that were held out."""
    features = np.where(np.isfinite(features), features, np.nan)
    mean, scale = np.nanmean(features, axis=0), np.nanstd(features, axis=0) + 1e-6
    x = np.nan_to_num((features - mean) / scale).clip(-6, 6)
    rows = np.arange(len(x))
    held = rows % HELD_OUT == 0
    layers, classes = _layers(x[~held], families[~held])
    logits = Network(np.zeros(x.shape[1]), np.ones(x.shape[1]), layers).many(x[held])
    true = families[held][:, None] == classes
    sharpness = minimize_scalar(
        lambda s: -log_softmax(s * logits, axis=1)[true].mean(), bounds=(0.05, 3), method="bounded"
    ).x
    (inner, inner_bias), (outer, outer_bias) = layers
    stored = [
        [inner.tolist(), inner_bias.tolist()],
        [(sharpness * outer).tolist(), (sharpness * outer_bias).tolist()],
    ]
    scaling = {"mean": mean.tolist(), "scale": scale.tolist()}
    return scaling | {"layers": stored, "classes": classes.tolist()}


def _layers(
    x: np.ndarray, families: np.ndarray
) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray]:
    """Layers of the mean of `MEMBERS` networks for inputs `(N, F)`, and the classes."""
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
    last, last_bias = np.vstack(outer) / MEMBERS, np.mean(outer_bias, axis=0)
    if last.shape[1] == 1:  # of two classes only the log odds of the second are learnt
        last, last_bias = last * [-0.5, 0.5], last_bias * [-0.5, 0.5]
    return ((np.hstack(inner), np.hstack(inner_bias)), (last, last_bias)), members[0].classes_


def measure_prior(files: list[Path], samples: int, seed: int) -> dict[str, Any]:
    """Mean and covariance of the coefficients of clear pictures' log power."""
    rng = np.random.default_rng(seed)
    coefficients = []
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
        coefficients.append(clear.coefficients)
    values = np.array(coefficients)
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
    parser.add_argument("what", choices=["prior", "learned", "smooth", "widths"])
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
    lfw, london, people = options.faces
    name, recipe = ("family", ALL) if options.what == "learned" else ("smooth", SMOOTH)
    samples = simulate(sources(lfw, london, people), options.samples, options.seed, recipe)
    numbers = train_classifier(*_table(samples))
    stored = json.loads((Path(__file__).parents[1] / "learned.json").read_text())
    write("learned.json", stored | {name: numbers})


def told_otherwise(region: np.ndarray) -> bool:
    """Whether a region `(H, W, 3)` never gets to the classifier: it is of one colour, in blocks of
    one, or too small."""
    small = min(region.shape[:2]) < SMALLEST
    return small or solid_colour(region) is not None or block_grid(region) is not None


def _table(samples: Iterator[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Features `(N, F)` and families `(N,)`."""
    rows = [
        (measure(s.region, s.cut, s.quality).features, s.family)
        for s in samples
        if not told_otherwise(s.region)
    ]
    features, families = (np.array(column) for column in zip(*rows, strict=True))
    return features, families


if __name__ == "__main__":
    main()
