"""Whether the tool that made a folder of scenes is named, and is one condition.

    python -m benchmarks.tools ../shared/data [--scenes 16] [--seed 0] [--only NAME ...] [--alone]

Five heads of different people of LFW (gallery and probes, whom nothing was fitted to) stand on
structured grounds, 24 to 120 pixels wide, as in `benchmarks.scenes`. The faces' boxes are handed to
each tool at its default: the tools themselves where they can be run (`tests/tools.txt`; ffmpeg;
ImageMagick), recipes of OpenCV and Pillow as they are published. Pictures are stored as PNG, or as
JPEG of quality 90 with `--jpeg`; `--video` stores deface's as frames of H.264. What is counted is
what a scan would say: its conditions, and the tool that each names. `--alone` gives no originals:
regions are those that a record states, and the rest comes from the pixels.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.scenes import compose
from reid_audit.attacks.anonymisation.fitting.widths import first_byte
from reid_audit.attacks.operators import parse
from reid_audit.audit.data import Item
from reid_audit.audit.probes.faces import Found, make_face
from reid_audit.audit.probes.grouping import group_probes, probes_of
from reid_audit.audit.probes.scene import Scene, Task
from reid_audit.audit.probes.scenes import examine

Picture = np.ndarray
Box = tuple[int, int, int, int]
Tool = Callable[[Picture, Sequence[Box]], Picture]
WIDTHS = (24, 36, 54, 80, 120)


def drawing_file(package: str, path: str) -> ModuleType:
    """One file of an installed package, without what its package imports."""
    location = distribution(package).locate_file(path)
    spec = importlib.util.spec_from_file_location(f"{package}_drawing", str(location))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def deface(kind: str) -> Tool:
    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        from deface import deface as theirs

        found = np.array([[*box, 1.0] for box in boxes])
        theirs.anonymize_frame(found, picture, 1.3, kind, True, False, None, 20)
        return picture

    return run


def egoblur(picture: Picture, boxes: Sequence[Box]) -> Picture:
    theirs = drawing_file("egoblur", "gen2/script/utils.py")
    return np.asarray(theirs.visualize(picture, [list(map(float, box)) for box in boxes], 1.0))


def uniface(method: str) -> Tool:
    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        theirs = drawing_file("uniface", "uniface/privacy/blur.py")
        return np.asarray(theirs.BlurFace(method=method).blur_regions(picture, boxes))

    return run


def supervision(name: str, **settings: int) -> Tool:
    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        import supervision as theirs

        detections = theirs.Detections(
            xyxy=np.array(boxes), class_id=np.zeros(len(boxes), dtype=int)
        )
        return np.asarray(getattr(theirs, name)(**settings).annotate(picture, detections))

    return run


def by_crop(change: Callable[[Picture], Picture]) -> Tool:
    """A recipe that cuts the box out, changes it and puts it back."""

    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        for x0, y0, x1, y1 in boxes:
            picture[y0:y1, x0:x1] = change(np.ascontiguousarray(picture[y0:y1, x0:x1]))
        return picture

    return run


def pyimagesearch(crop: Picture) -> Picture:
    height, width = crop.shape[:2]
    wide, high = int(width / 3.0), int(height / 3.0)
    kernel = wide - (wide % 2 == 0), high - (high % 2 == 0)
    return cv2.GaussianBlur(crop, kernel, 0)


def ffmpeg(filters: str) -> Callable[[Picture], Picture]:
    def change(crop: Picture) -> Picture:
        height, width = crop.shape[:2]
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
        shape = ["-s", f"{width}x{height}", "-i", "-"]
        done = subprocess.run(
            ["ffmpeg", "-loglevel", "error", *raw, *shape, "-vf", f"format=gbrp,{filters}", *raw,
             "-"],
            input=crop.tobytes(), capture_output=True, check=True,
        )  # fmt: skip
        return np.frombuffer(done.stdout, np.uint8).reshape(crop.shape)

    return change


def imagemagick(*options: str) -> Tool:
    program = shutil.which("convert-im6") or shutil.which("magick") or shutil.which("convert")

    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        if program is None:
            raise SystemExit("ImageMagick is not installed")
        steps: list[str] = []
        for x0, y0, x1, y1 in boxes:
            steps += ["-region", f"{x1 - x0}x{y1 - y0}+{x0}+{y0}", *options, "+region"]
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "png")
        done = subprocess.run(
            [program, "png:-", *steps, "png:-"],
            input=stream.getvalue(), capture_output=True, check=True,
        )  # fmt: skip
        with Image.open(io.BytesIO(done.stdout)) as made:
            return np.asarray(made.convert("RGB"))

    return run


def pillow(crop: Picture) -> Picture:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur()))


def catalogued(name: str) -> Tool:
    """A tool that cannot be run here, by our operator."""

    def run(picture: Picture, boxes: Sequence[Box]) -> Picture:
        return parse(name).apply_to_boxes(picture, boxes, np.random.default_rng(0))

    return run


def black(crop: Picture) -> Picture:
    return np.zeros_like(crop)


RUN: dict[str, Tool] = {
    "deface-blur": deface("blur"),
    "deface-mosaic": deface("mosaic"),
    "deface-solid": deface("solid"),
    "egoblur": egoblur,
    "uniface": uniface("pixelate"),
    "uniface-gaussian": uniface("gaussian"),
    "uniface-elliptical": uniface("elliptical"),
    "uniface-median": uniface("median"),
    "uniface-blackout": uniface("blackout"),
    "supervision-blur": supervision("BlurAnnotator"),
    "supervision-pixelate": supervision("PixelateAnnotator"),
    "supervision-blur-15": supervision("BlurAnnotator", kernel_size=15),
    "supervision-pixelate-20": supervision("PixelateAnnotator", pixel_size=20),
    "pyimagesearch": by_crop(pyimagesearch),
    "ultralytics": by_crop(lambda crop: cv2.blur(crop, (50, 50))),
    "pillow-blur": by_crop(pillow),
    "ffmpeg-boxblur": by_crop(ffmpeg("boxblur")),
    "ffmpeg-gblur": by_crop(ffmpeg("gblur")),
    "ffmpeg-pixelize": by_crop(ffmpeg("pixelize")),
    "imagemagick-scale": imagemagick("-scale", "10%", "-scale", "1000%"),
}
"""Tools that are run themselves, by their names in the catalogue."""
READ = (
    "imagenet", "signal-android", "aws-video", "dashcamcleaner", "understand-ai", "sgblur",
    "deep-privacy2-gaussian", "deep-privacy2-pixelation8", "deep-privacy2-pixelation16",
    "obscuracam",
)  # fmt: skip
"""Tools that cannot be run here: our operators, which follow their sources."""


def scenes(data: Path, count: int, seed: int) -> list[tuple[Picture, list[Box]]]:
    """Five heads each, of people whom nothing was fitted to."""
    with (data / "lfw.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["role"] in ("gallery", "probe")]
    paths = {row["identity"]: row["path"] for row in rows if first_byte(row["identity"]) % 2}
    people = np.random.default_rng(seed).permutation(list(paths.values()))
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        heads = [cv2.imread(str(data / path))[..., ::-1] for path in people[5 * number :][:5]]
        made.append(compose(heads, list(rng.permutation(WIDTHS)), rng))
    return made


def store(pictures: Sequence[Picture], folder: Path, quality: int | None, film: bool) -> list[Path]:
    """The pictures as files, in their order."""
    paths = []
    for number, picture in enumerate(pictures):
        ending = ".png" if quality is None or film else ".jpg"
        paths.append(folder / f"{number:03d}{ending}")
        settings = {} if quality is None or film else {"quality": quality}
        Image.fromarray(picture).save(paths[-1], **settings)
    if film:
        movie, frames = folder / "film.mp4", folder / "%03d.png"
        base = ["ffmpeg", "-loglevel", "error", "-y"]
        coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", str(movie)]
        subprocess.run([*base, "-start_number", "0", "-i", str(frames), *coding], check=True)
        subprocess.run([*base, "-i", str(movie), "-start_number", "0", str(frames)], check=True)
    return paths


def conditions(
    hidden: Sequence[Path], clear: Sequence[Path] | None, boxes: Sequence[Sequence[Box]], tool: str
) -> list[tuple[int, str | None, list[str], str]]:
    """What a scan would say of the pictures: for each condition its probes, the tool that it names,
    all that fit, and its setting. Without originals the regions are those that the tool changed, as
    a record states them."""
    from reid_audit.attacks.operators.tools import find

    probes = []
    for number, path in enumerate(hidden):
        shape = np.asarray(Image.open(path)).shape[:2]
        items = []
        for place, box in enumerate(boxes[number]):
            told = () if clear else (find(tool).covers(box, shape),)
            original = clear[number] if clear else None
            items.append(
                Item(
                    f"{number}-{place}", None, "probe", path, original=original, face_box=box,
                    regions=told,
                )
            )  # fmt: skip
        nobody = Found((shape[0], shape[1]), ())
        task = Task(f"{number}", path, original, tuple(items), nobody, nobody)
        scene: Scene = examine(task)
        probes += probes_of(scene, items, None, (shape[0], shape[1]) if clear else None)
    faces = {
        probe.item.image_id: (
            make_face(probe.item, "", probe.landmarks, probe.shape, probe.landmark_source), None
        )
        for probe in probes
        if probe.landmarks is not None
    }  # fmt: skip
    groups = group_probes(probes, faces)
    return [
        (len(g), g.anonymizer.tool, list(g.anonymizer.tools_that_fit), str(g.anonymizer.spec))
        for g in groups
        if g.anonymizer.family != "none"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--alone", action="store_true", help="without originals")
    parser.add_argument("--jpeg", type=int, help="quality; default: PNG")
    parser.add_argument("--video", action="store_true", help="as frames of H.264")
    args = parser.parse_args()
    tools = RUN | {name: catalogued(name) for name in READ}
    made = scenes(args.data, args.scenes, args.seed)
    boxes = [places for _, places in made]
    right = single = 0
    chosen = args.only or list(tools)
    print("| tool | run | conditions | probes | named | all that fit | setting | CPU s a picture |")
    print("|---|---|---|---|---|---|---|---|")
    for name in chosen:
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            before, after = Path(folder) / "before", Path(folder) / "after"
            before.mkdir()
            after.mkdir()
            hidden = [tools[name](picture.copy(), places) for picture, places in made]
            clear = store([picture for picture, _ in made], before, None, False)
            paths = store(hidden, after, args.jpeg, args.video)
            told = conditions(paths, None if args.alone else clear, boxes, name)
        seconds = (time.process_time() - start) / args.scenes
        count, title, fits, spec = told[0] if told else (0, None, [], "")
        right += name in fits
        single += len(told) == 1
        cells = (
            name, "itself" if name in RUN else "our operator", str(len(told)), str(count),
            title or "-", ", ".join(fits) or "-", f"`{spec.replace('|', chr(92) + '|')}`",
            f"{seconds:.1f}",
        )  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\nnamed, alone or among those that do the same: {right} of {len(chosen)}; "
          f"one condition: {single} of {len(chosen)}")  # fmt: skip


if __name__ == "__main__":
    main()
