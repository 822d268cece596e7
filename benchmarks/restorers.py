"""What a trained restorer adds to the closed form, on London's people at 256 px:

    reid-audit train mmse ../shared/data/lfw.csv -o MMSE --sigma 0.12 0.19 --steps 5000
    python -m benchmarks.restorers ../shared/data --checkpoint mmse=MMSE [--spec gaussian:k=81]
        [--checkpoint flow=FLOW --option flow_steps=2]

The second half of the people is restored, the face spectra come from the first. PSNR in dB is that
of the network's frame, to which every restored window is cut alike, so that both are compared at
equal resolution; `whole` is that of the picture of 256 x 256. IDD is the angle in radians between
dlib's embeddings of the restored and the clear face. Per-picture values go to `--values FILE`.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from reid_audit.attacks.checkpoint import find
from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import AnonymizedFaces, ClearFaces, Context
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.networks.frame import cut
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.align import crop, face_width
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.registry import make_attack
from reid_audit.attacks.restoration.restorer import RestoringAttack, frame_size
from reid_audit.attacks.vectors import unit
from reid_audit.audit.config import options_by_attack
from reid_audit.audit.data import decode
from reid_audit.audit.probes.faces import FaceFinder

SIDE = 256


def psnr(found: np.ndarray, truth: np.ndarray) -> float:
    error = np.mean((found.astype(float) - truth.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error))


def faces(data: Path, most: int | None) -> ClearFaces:
    """London's pictures at SIDE px with their landmarks."""
    table = pd.read_csv(data / "london.csv", dtype=str)
    if most is not None:
        people = sorted(table.identity.unique())[:most]
        table = table[table.identity.isin(people)]
    paths = {hashlib.sha256((data / p).read_bytes()).hexdigest(): data / p for p in table.path}
    found = FaceFinder(None).find(paths, lambda *_: None, "")
    pictures, landmarks, people = [], [], []
    for (key, path), who in zip(paths.items(), table.identity, strict=True):
        points = found[key].labelled()
        if points is None:
            continue
        whole = decode(path)
        scale = SIDE / whole.shape[0]
        pictures.append(cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        landmarks.append((points + 0.5) * scale - 0.5)
        people.append(who)
    names = tuple(f"{who}-{place}" for place, who in enumerate(people))
    return ClearFaces(names, tuple(people), np.array(landmarks, np.float32), pictures.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--spec", default="gaussian:k=81")
    parser.add_argument("--people", type=int, help="At most so many; default all.")
    parser.add_argument("--option", action="append", default=[], metavar="ATTACK.OPTION=VALUE")
    parser.add_argument("--values", type=Path, help="Parquet of every picture's values.")
    options = parser.parse_args()
    clear = faces(options.data, options.people)
    middle = sorted(set(clear.identities))[len(set(clear.identities)) // 2]
    later = np.array([person >= middle for person in clear.identities])
    shown = clear.select(np.flatnonzero(later))
    operator, recognizer = parse(options.spec), load_recognizer("dlib")
    forward = ForwardModel(operator, (float(np.median(face_width(clear.landmarks))),))
    tuning = options_by_attack(options.option)
    context = Context(forward, recognizer)
    linear = Restorer.fit(forward, clear.select(np.flatnonzero(~later)), context)
    originals = [shown.load(index) for index in range(len(shown))]
    rngs = [context.rng(name) for name in shown.ids]
    probes = AnonymizedFaces(
        shown.ids,
        tuple(operator.apply(p, rng) for p, rng in zip(originals, rngs, strict=True)),
        shown.landmarks,
        np.array([[0, 0, SIDE, SIDE]] * len(shown)),
    )
    pairs = zip(probes.pictures, probes.regions, strict=True)
    restored = {
        "anonymised": probes.pictures,
        "wiener": tuple(linear.restore(picture, region) for picture, region in pairs),
    }
    size = 64
    for name, _, folder in (given.partition("=") for given in options.checkpoint):
        attack = make_attack(name, tuning.get(name, {}))
        assert isinstance(attack, RestoringAttack)
        attack.linear_, attack.checkpoint_ = linear, find(name, folder)
        attack.objective_ = attack.load(attack.checkpoint_, context)
        size = frame_size(attack.objective_)
        restored[name] = attack.restore(probes, context).pictures
    truth_frames = cut(originals, shown.landmarks, size)
    truth = unit(recognizer.embed(crop(originals, shown.landmarks, recognizer.template)))
    rows = []
    for name, pictures in restored.items():
        frames = cut(pictures, shown.landmarks, size)
        own = unit(recognizer.embed(crop(pictures, shown.landmarks, recognizer.template)))
        angles = np.arccos((own * truth).sum(axis=1).clip(-1, 1))
        for index, person in enumerate(shown.identities):
            rows.append(
                {
                    "restorer": name,
                    "person": person,
                    "psnr": psnr(frames[index], truth_frames[index]),
                    "whole": psnr(pictures[index], originals[index]),
                    "idd": float(angles[index]),
                }
            )
    table = pd.DataFrame(rows)
    if options.values:
        table.to_parquet(options.values)
    width = float(np.median(face_width(shown.landmarks)))
    print(f"{len(shown)} pictures, face {width:.0f} px wide; frame of {size} px")
    print("| restorer | PSNR in the frame | se | PSNR whole | IDD |\n|---|---|---|---|---|")
    for name, part in table.groupby("restorer", sort=False):
        by_person = part.groupby("person")[["psnr", "whole", "idd"]].mean()
        mean, error = by_person.mean(), by_person.psnr.std() / np.sqrt(len(by_person))
        print(f"| {name} | {mean.psnr:.2f} | {error:.2f} | {mean.whole:.2f} | {mean.idd:.2f} |")


if __name__ == "__main__":
    main()
