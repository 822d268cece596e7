"""Shared fixtures: real faces and recognisers that stand beside the checkout, or a skip; people
who do not exist and a stand-in recogniser for everything that needs neither."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from reid_audit.attacks.checkpoint import Checkpoint
    from reid_audit.attacks.recognition.interface import Recognizer

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SLOW = (
    "robustness/",
    *("audit/test_bench.py", "audit/test_demo.py", "audit/test_scan.py", "audit/test_runner.py"),
    *("audit/test_trained_scan.py", "audit/test_default_recognizers.py", "audit/test_store.py"),
    *("audit/test_cli.py", "audit/test_people.py", "audit/test_conditions.py"),
    *("audit/test_anonymize.py", "audit/test_faces.py", "audit/test_unaided.py"),
    *("audit/test_faults.py", "audit/test_guard.py"),
    *("attacks/test_attack_contract.py", "attacks/test_posterior.py", "attacks/test_revelio.py"),
    *("attacks/test_learned_attacks.py", "attacks/test_trained.py", "attacks/test_external.py"),
    *("attacks/training/", "attacks/anonymisation/", "attacks/recognition/"),
    *("reports/test_in_a_browser.py", "test_imports.py", "test_notebooks.py"),
    *("metrics/test_networks.py", "attacks/operators/test_operator_parity.py"),
)
"""Tests that run whole audits, fit or load networks, or start programs; all are marked `slow`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with lfw.csv and london.csv; tests of real faces skip without it."""
    if not (SHARED / "data" / "lfw.csv").exists():
        pytest.skip("real faces (../shared/data) are not beside this checkout")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Folder with the development recognisers; tests that need them skip without it."""
    if not (SHARED / "weights" / "edgeface_xs.json").exists():
        pytest.skip("development recognisers (../shared/weights) are not beside this checkout")
    return SHARED / "weights"


@pytest.fixture(scope="session")
def cast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 people who do not exist, 4 pictures each, at `<person>/<picture>.png`, drawn once."""
    from reid_audit.audit.people import cast

    folder = tmp_path_factory.mktemp("cast")
    cast(folder, range(16), range(4), size=96, hard=0.2, workers=1)
    return folder


@pytest.fixture(scope="session")
def stand_in() -> Recognizer:
    """A tiny untrained network in the place of a recogniser, trainable as well: it checks that
    parts fit together, and says nothing about what an attack is worth."""
    import torch
    from torch import nn

    from reid_audit.attacks.recognition.align import ARCFACE
    from reid_audit.attacks.recognition.interface import Preprocessing, Recognizer

    def build() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(3, 12, 5, 2, 2),
                nn.BatchNorm2d(12),
                nn.Tanh(),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.Linear(12 * 8 * 8, 32, bias=False),
            ).eval()

    return Recognizer(
        name="stand-in",
        digest="0" * 64,
        template=ARCFACE.resized(32),
        dimension=32,
        distance="cosine",
        licence="none",
        preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3),
        forward=build(),
        build=build,
    )


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """Tiny restorers with random weights by attack: they check that parts fit together."""
    import torch

    from reid_audit.attacks.checkpoint import Card, write_checkpoint
    from reid_audit.attacks.restoration.fantomas import FantomasObjective
    from reid_audit.attacks.restoration.flow import FlowObjective
    from reid_audit.attacks.restoration.mmse import MmseObjective
    from reid_audit.attacks.restoration.revelio.diffusion import Diffusion

    made = {}
    for objective in (MmseObjective, FantomasObjective, FlowObjective, Diffusion):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            built = objective("tiny")
            for parameter in built.network.parameters():
                torch.nn.init.normal_(parameter, std=0.02)  # its last layer starts at zero
        card = Card(built.name, dict(built.config), {}, {}, {}, {}, "none", 0)
        folder = tmp_path_factory.mktemp(built.name)
        made[built.name] = write_checkpoint(folder, built.network.state_dict(), card)
    return made
