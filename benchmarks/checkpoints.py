"""Make the checkpoints that come with the program, from people who do not exist.

    python -m benchmarks.checkpoints student mmse revelio fantomas identity-shift --work FOLDER

Draws the people, packs their faces and trains; what is there already is kept, and an interrupted
training goes on. `flow` goes on from the shipped `mmse`; `identity-shift` is no attack but an
anonymiser, with people of its own.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import torch

from reid_audit.attacks.checkpoint import CARD, SHIPPED, WEIGHTS
from reid_audit.attacks.networks.distillation import half_is_faster
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.training.loop import Settings, train
from reid_audit.audit.commands.train import Request, build_pack, objective_class
from reid_audit.audit.people import cast

PEOPLE = (*range(700_000, 700_105), *range(700_251, 700_400))
"""Seeds that neither the demo nor a test draws."""
MORE_PEOPLE = range(710_000, 710_500)
"""For the anonymiser, which no attack may have learnt from."""
STEPS = {
    "student": 800,
    "mmse": 2000,
    "fantomas": 600,
    "flow": 2000,
    "revelio": 3000,
    "identity-shift": 600,
}
START = "dlib"
"""The recogniser that a student starts from and learns from, and in whose space identities are
shifted: the one that comes along."""
LICENCE = "Apache-2.0 (trained on procedural people only)"


def make(name: str, work: Path, steps: int) -> None:
    """Train one attack and put its checkpoint into the package."""

    def told(what: str, done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    shift = name == "identity-shift"
    folder, people, pictures, size = (
        ("more", MORE_PEOPLE, range(2), "slim") if shift else ("", PEOPLE, range(3), "light")
    )
    cast(work / folder / "people", people, pictures, workers=1)
    source = f"{len(people)} procedural people, {len(pictures)} pictures each"
    request = Request(work / folder / "people", size, source=source)
    pack = build_pack(request, work / folder / "pack", "cpu", told)
    torch.manual_seed(0)
    make = objective_class(name)
    recognized = shift or name == "student"
    objective = make(size, load_recognizer(START, "cpu"), pack=pack) if recognized else make(size)
    settings = Settings(
        steps=steps,
        batch=16,
        rate=getattr(objective, "rate", 1e-3),
        warmup=50,
        ema=0.995,
        save_every=50,
        validate_every=200,
        half=True,
        precision="bf16" if half_is_faster(torch.device("cpu")) else "no",
        device="cpu",
        licence=LICENCE,
    )
    made = train(objective, pack, settings, work / name, told)
    target = SHIPPED / name
    target.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS, CARD, "card.md"):
        shutil.copyfile(work / name / file, target / file)
    print(name, made.checkpoint.card.metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", choices=list(STEPS))
    parser.add_argument("--work", type=Path, required=True, help="Folder for data and states.")
    parser.add_argument("--steps", type=int, help="Instead of each attack's own number.")
    options = parser.parse_args()
    for name in options.names:
        make(name, options.work, options.steps or STEPS[name])


if __name__ == "__main__":
    main()
