"""What an import may drag in: reports are rendered where torch is not installed, and the console
script answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

NETWORKS = {"torch", "torchvision", "timm", "onnxruntime", "sklearn", "facenet_pytorch"}


def loaded(*modules: str, after: str = "") -> set[str]:
    """What a fresh interpreter holds after importing `modules` of ours and running `after`: other
    packages by their top-level name, ours by their folder."""
    imports = [f"import reid_audit.{module}".rstrip(".") for module in modules]
    code = "\n".join([*imports, after, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()[-1].split()
    ours = {name.split(".")[1] for name in names if name.startswith("reid_audit.")}
    return ours | {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "modules",
    [
        ("",),
        ("audit", "audit.results.schema", "audit.config", "audit.evaluation.gate"),
        ("audit.run_directory",),
        ("audit.cli", "__main__"),
        ("reports", "reports.pages.html", "audit.publishing.publish"),
    ],
)
def test_loads_no_network_library(modules: tuple[str, ...]) -> None:
    assert not loaded(*modules) & NETWORKS


def test_attacks_are_listed_without_their_networks() -> None:
    after = "reid_audit.attacks.registry.names()"
    assert not loaded("attacks.registry", after=after) & NETWORKS


def test_attacks_know_no_command_line() -> None:
    found = loaded("attacks", "attacks.interface", "attacks.registry", "attacks.linear.views")
    assert not found & {"click", "rich", "audit", "reports"}


def test_metrics_know_nothing_of_ours() -> None:
    found = loaded("metrics", "metrics.identification", "metrics.stats", "metrics.fidelity")
    assert not found & {"attacks", "audit", "reports", "click"}


def test_help_starts_without_torch() -> None:
    asked = "from reid_audit.audit.cli.main import cli"
    after = f"{asked}\ntry: cli(['scan', '--help'])\nexcept SystemExit: pass"
    assert not loaded("audit.cli.main", after=after) & NETWORKS
