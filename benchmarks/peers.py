"""Parts of a scan beside what else does the same, in one run; as Markdown.

    python -m benchmarks.peers [--faces 32] [--gallery 20000] [--threads 1]

A whole scan stands beside a script in `benchmarks.plain_scan`.

Faces are of people who do not exist. Each row is timed in processor seconds (all threads), the best
of three, and says how far the answers differ. Peers that are not installed are passed over.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Pair = tuple[str, Callable[[], Any], Callable[[], Any], Callable[[Any, Any], float]]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of the best of three, and what came out."""
    best = np.inf
    for _ in range(3):
        started = time.process_time()
        found = work()
        best = min(best, time.process_time() - started)
    return best, found


def most(a: Any, b: Any) -> float:
    """Largest difference of two arrays."""
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())


def recognition(crops: np.ndarray) -> Pair:
    """dlib's network in torch beside dlib's own, as face_recognition calls it: chip by chip."""
    import dlib

    from reid_audit.attacks.recognition.recognizers import load_recognizer

    ours = load_recognizer("dlib", "cpu")
    # Importing the package needs pkg_resources, which setuptools has dropped.
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models"
    peer = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))
    side = ours.template.size
    chips = np.stack([np.ascontiguousarray(crop[:side, :side]) for crop in crops])

    def theirs() -> np.ndarray:
        return np.stack([peer.compute_face_descriptor(chip) for chip in chips])

    return f"recognition, {len(chips)} chips: dlib", lambda: ours.embed(chips), theirs, most


def detection(pictures: list[np.ndarray]) -> Pair:
    """Our search for faces from 20 pixels up beside plain MTCNN of facenet-pytorch."""
    from facenet_pytorch import MTCNN

    from reid_audit.attacks.recognition.detect import Detector

    ours, peer = Detector("cpu"), MTCNN(keep_all=True, min_face_size=20)

    def plain() -> list[int]:
        return [0 if (b := peer.detect(p)[0]) is None else len(b) for p in pictures]

    def own() -> list[int]:
        return [len(found) for found in ours.detect(pictures, 20)]

    return f"detection, {len(pictures)} pictures: facenet-pytorch", own, plain, most


def structure(a: np.ndarray, b: np.ndarray, peer: str) -> Pair:
    """SSIM beside torchmetrics or piq."""
    import torch

    from reid_audit.metrics.fidelity import ssim

    x, y = (torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 for p in (a, b))
    if peer == "torchmetrics":
        from torchmetrics.functional.image import structural_similarity_index_measure

        def theirs() -> np.ndarray:
            found = structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
            return np.asarray(found)
    else:
        piq = importlib.import_module("piq")

        def theirs() -> np.ndarray:
            return np.asarray(piq.ssim(x, y, data_range=1.0, reduction="none", downsample=False))

    return f"SSIM, {len(a)} pairs: {peer}", lambda: ssim(a, b), theirs, most


def distribution(rng: np.random.Generator, count: int) -> Pair:
    """Frechet distance of Inception features beside pytorch-fid's formula."""
    from reid_audit.metrics.distribution import frechet_distance

    peer = importlib.import_module("pytorch_fid.fid_score").calculate_frechet_distance
    a, b = rng.normal(size=(2, count, 512))

    def theirs() -> float:
        moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (a, b)]
        return float(peer(*moments[0], *moments[1]))

    what = f"Frechet distance, 2 x {count} x 512: pytorch-fid"
    return what, lambda: frechet_distance(a, b), theirs, most


def search(rng: np.random.Generator, count: int, peer: str) -> Pair:
    """Ranks of 200 probes' mates among a gallery beside NumPy's sort or faiss's best 10."""
    from reid_audit.attacks.recognition.similarity import similarity
    from reid_audit.metrics.identification import rank

    gallery = rng.normal(size=(count, 512)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    mates = rng.integers(count, size=200)
    probes = gallery[mates] + 0.05 * rng.normal(size=(200, 512)).astype(np.float32)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)

    def ours() -> np.ndarray:
        return np.asarray(rank(similarity(probes, gallery, "cosine"), mates).hits())

    if peer == "NumPy":

        def theirs() -> np.ndarray:
            return np.argsort(-(probes @ gallery.T), axis=1)[:, 0] == mates
    else:
        faiss = importlib.import_module("faiss")

        def theirs() -> np.ndarray:
            index = faiss.IndexFlatIP(512)
            index.add(gallery)
            return index.search(probes, 10)[1][:, 0] == mates

    return f"search, 200 among {count:,} x 512: {peer}", ours, theirs, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=32)
    parser.add_argument("--gallery", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(given.threads)
    rng = np.random.default_rng(0)
    pictures = people(given.faces)
    faces = np.stack(pictures)
    other = np.clip(faces + rng.normal(0, 12, faces.shape), 0, 255).astype(np.uint8)
    rows = (
        lambda: recognition(faces),
        lambda: detection(pictures[:16]),
        lambda: structure(faces, other, "torchmetrics"),
        lambda: structure(faces, other, "piq"),
        lambda: distribution(rng, 1000),
        lambda: search(rng, given.gallery, "NumPy"),
        lambda: search(rng, given.gallery, "faiss"),
    )
    print("| what: peer | ours, CPU s | peer, CPU s | times as fast | largest difference |")
    print("|---|---|---|---|---|")
    with threadpool_limits(given.threads):
        for row in rows:
            try:
                name, own, peer, difference = row()
            except ImportError as error:
                print(f"| not installed: {error.name} | | | | |")
                continue
            (mine, a), (theirs, b) = timed(own), timed(peer)
            print(
                f"| {name} | {mine:.2f} | {theirs:.2f} | {theirs / mine:.1f} | "
                f"{difference(a, b):.1e} |",
                flush=True,
            )


def people(count: int) -> list[np.ndarray]:
    """Pictures `(192, 192, 3)` of people who do not exist."""
    from PIL import Image

    from reid_audit.audit.people import cast

    with tempfile.TemporaryDirectory() as folder:
        cast(Path(folder), range(7000, 7000 + count), range(1), size=192, workers=1)
        paths = sorted(Path(folder).rglob("*.png"))
        return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


if __name__ == "__main__":
    main()
