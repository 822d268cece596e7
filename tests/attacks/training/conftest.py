"""A small pack of people who do not exist, and trainings that take seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid_audit.attacks.networks.frame import WIDER, cut
from reid_audit.attacks.networks.pack import MARGIN, Pack, side_of, write_pack
from reid_audit.attacks.restoration.mmse import MmseObjective
from reid_audit.attacks.training.loop import Settings, Trained, train
from reid_audit.attacks.training.observe import OperatorRange

SIZE = 32
LANDMARKS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
QUICK = {
    "steps": 12,
    "batch": 4,
    "warmup": 2,
    "save_every": 4,
    "validate_every": 12,
    "device": "cpu",
    "rate": 2e-3,
    "operators": OperatorRange(sigma=(0.08, 0.12), shares=(1.0, 0.0, 0.0), noisy=0.0, boxed=0.0),
}


@pytest.fixture(scope="session")
def pack(cast_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """64 faces of 16 people in frames of 32 pixels."""
    from reid_audit.audit.data import decode

    paths = sorted(cast_folder.glob("*/*.png"))
    side = side_of(SIZE)
    crops = (cut([decode(p)], LANDMARKS[None], side, WIDER * MARGIN)[0] for p in paths)
    names = [path.parent.name for path in paths]
    return write_pack(tmp_path_factory.mktemp("pack"), crops, names, SIZE, "procedural people")


@pytest.fixture(scope="session")
def fit(pack: Pack) -> Callable[..., Trained]:
    """Train the regression a little, from the same start every time."""

    def run(output: Path, objective: Any = None, progress: Any = None, **changes: Any) -> Trained:
        torch.manual_seed(0)
        made = objective if objective is not None else MmseObjective("tiny")
        settings = Settings(**{**QUICK, **changes})
        more = {} if progress is None else {"progress": progress}
        return train(made, pack, settings, output, **more)

    return run
