"""Recognition on LFW: verification accuracy, and what detection and embedding cost.

    python -m benchmarks.recognition ../shared/data --weights ../shared/weights

The protocol is LFW's second view (Huang et al., "Labeled Faces in the Wild", 2007): ten folds of
different people, as many pairs of one person as of two, the threshold fitted on nine folds and
scored on the tenth. The pairs are drawn anew, from the pictures that DATA/lfw.csv lists.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reid_audit.attacks.recognition import dlib_resnet
from reid_audit.attacks.recognition.align import DLIB, crop, typical_landmarks
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.recognition.recognizers import Recognizer, load_recognizer

FOLDS = 10
# Deep-funneled LFW: 250 x 250 px with the face in the middle.
CENTRE = np.array([125.0, 125.0])
USUAL_BOX = (78, 62, 172, 187)


def draw_pairs(identities: NDArray, count: int, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """`(count, 2)` picture positions, whether they show one person, and the fold of each."""
    rng = np.random.default_rng(seed)
    members = {name: np.flatnonzero(identities == name) for name in np.unique(identities)}
    people = rng.permutation(sorted(members))
    pairs, same, folds = [], [], []
    for fold in range(FOLDS):
        group = people[fold::FOLDS]
        several = [name for name in group if len(members[name]) > 1]
        for _ in range(count // FOLDS // 2):
            pairs.append(rng.choice(members[rng.choice(several)], 2, replace=False))
            one, other = rng.choice(group, 2, replace=False)
            pairs.append([rng.choice(members[one]), rng.choice(members[other])])
            same += [True, False]
            folds += [fold, fold]
    return np.array(pairs), np.array(same), np.array(folds)


def find_faces(pictures: list[NDArray], detector: Detector) -> tuple[NDArray, int]:
    """`(N, 5, 2)` landmarks of the face in the middle, and how many pictures showed none."""
    landmarks, missed = [], 0
    for faces in detector.detect(pictures):
        if faces:
            middle = min(faces, key=lambda f: np.abs(f.box[:2] + f.box[2:] - 2 * CENTRE).sum())
            landmarks.append(middle.landmarks)
        else:
            missed += 1
            landmarks.append(typical_landmarks(USUAL_BOX))
    return np.array(landmarks), missed


def fold_accuracies(scores: NDArray, same: NDArray, folds: NDArray) -> NDArray:
    """`(FOLDS,)` accuracy on each fold under the threshold that is best on the others."""
    result = []
    for fold in range(FOLDS):
        fit = folds != fold
        thresholds = np.unique(scores[fit])
        hits = [np.mean((scores[fit] >= t) == same[fit]) for t in thresholds]
        threshold = thresholds[int(np.argmax(hits))]
        result.append(np.mean((scores[~fit] >= threshold) == same[~fit]))
    return np.array(result)


def verify(
    recognizer: Recognizer, pictures: list, landmarks: NDArray, pairs: NDArray
) -> tuple[NDArray, float]:
    """Score of every pair, and milliseconds per embedding."""
    crops = crop(pictures, landmarks, recognizer.template)
    recognizer.embed(crops[:8])
    start = time.perf_counter()
    embeddings = recognizer.embed(crops)
    cost = 1000 * (time.perf_counter() - start) / len(crops)
    scores = [recognizer.similarity(embeddings[a : a + 1], embeddings[b : b + 1]) for a, b in pairs]
    return np.concatenate(scores).ravel(), cost


def compare_with_dlib(chips: NDArray) -> tuple[float, float, float]:
    """Largest difference to dlib-bin, and milliseconds a chip of the port and of dlib-bin."""
    import dlib

    recognizer = load_recognizer("dlib")
    reference = dlib.face_recognition_model_v1(str(dlib_resnet.installed_file()))
    recognizer.embed(chips[:64])
    np.array(reference.compute_face_descriptor(chips[0]))
    start = time.perf_counter()
    ours = recognizer.embed(chips)
    middle = time.perf_counter()
    theirs = np.array([reference.compute_face_descriptor(chip) for chip in chips])
    end = time.perf_counter()
    scale = 1000 / len(chips)
    return np.abs(ours - theirs).max(), scale * (middle - start), scale * (end - middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with lfw.csv")
    parser.add_argument("--weights", type=Path, help="folder with ONNX and timm recognisers")
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    table = pd.read_csv(options.data / "lfw.csv")
    pairs, same, folds = draw_pairs(table.identity.to_numpy(), options.pairs, options.seed)
    used, pairs = np.unique(pairs, return_inverse=True)
    pairs = pairs.reshape(-1, 2)
    pictures = [
        cv2.cvtColor(cv2.imread(str(options.data / path)), cv2.COLOR_BGR2RGB)
        for path in table.path.iloc[used]
    ]
    print(
        f"{len(pairs)} pairs ({same.sum()} of one person) of {len(used)} pictures of "
        f"{table.identity.iloc[used].nunique()} people, seed {options.seed}, "
        f"{options.threads} threads\n"
    )
    start = time.perf_counter()
    landmarks, missed = find_faces(pictures, Detector())
    cost = 1000 * (time.perf_counter() - start) / len(landmarks)
    print(f"MTCNN: {cost:.0f} ms a picture, none found in {missed} of {len(landmarks)}")

    specs = ["dlib"]
    if options.weights:
        specs += [f"onnx:{file}" for file in sorted(options.weights.glob("*.onnx"))]
    print("\n| recogniser | accuracy (10 folds) | standard error | ms a face |\n|---|---|---|---|")
    for spec in specs:
        recognizer = load_recognizer(spec)
        scores, cost = verify(recognizer, pictures, landmarks, pairs)
        accuracies = fold_accuracies(scores, same, folds)
        error = accuracies.std(ddof=1) / np.sqrt(FOLDS)
        print(f"| {recognizer.name} | {accuracies.mean():.4f} | {error:.4f} | {cost:.1f} |")

    chips = crop(pictures[:128], landmarks[:128], DLIB)
    difference, port, reference = compare_with_dlib(chips)
    print(
        f"\ndlib port: {port:.1f} ms a chip, dlib-bin {reference:.1f} ms: "
        f"{reference / port:.1f} times as fast; largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
