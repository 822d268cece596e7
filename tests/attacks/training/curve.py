"""The reference training of test_loop.py, to be started by torchrun: PACK OUTPUT."""

import sys
from pathlib import Path

import torch

from reid_audit.attacks.networks.pack import open_pack
from reid_audit.attacks.restoration.mmse import MmseObjective
from reid_audit.attacks.training.loop import Settings, train
from reid_audit.attacks.training.observe import OperatorRange

torch.manual_seed(0)
train(
    MmseObjective("tiny"),
    open_pack(Path(sys.argv[1])),
    Settings(
        steps=12,
        batch=4,
        warmup=2,
        save_every=12,
        validate_every=12,
        device="cpu",
        rate=2e-3,
        operators=OperatorRange(sigma=(0.08, 0.12), shares=(1.0, 0.0, 0.0), noisy=0.0, boxed=0.0),
    ),
    Path(sys.argv[2]),
)
