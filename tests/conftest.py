"""Shared fixtures: real faces and recognisers that stand beside the checkout, or a skip."""

from pathlib import Path

import pytest

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
