"""What an import may drag in: reports are rendered where torch is not installed, and the console
script answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

NETWORKS = {"torch", "torchvision", "timm", "onnxruntime", "sklearn", "facenet_pytorch"}


def loaded(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import audit, audit.schema, audit.config, audit.gate, audit.store",
        "import audit.cli, audit.__main__",
        "import reports, reports.html, audit.publish",
        "from attacks.registry import names; names()",
    ],
)
def test_loads_no_network_library(statement: str) -> None:
    assert not loaded(statement) & NETWORKS


def test_attacks_know_no_command_line() -> None:
    found = loaded("import attacks, attacks.interface, attacks.registry, attacks.views")
    assert not found & {"click", "rich", "audit", "reports"}


def test_metrics_know_nothing_of_ours() -> None:
    found = loaded("import metrics, metrics.identification, metrics.stats, metrics.fidelity")
    assert not found & {"attacks", "audit", "reports", "click"}


def test_help_starts_without_torch() -> None:
    found = loaded(
        "from audit.cli.main import cli\ntry: cli(['scan', '--help'])\nexcept SystemExit: pass"
    )
    assert not found & NETWORKS
