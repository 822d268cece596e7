"""The wheel, installed where no checkout is in sight, does its work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDERS = ("attacks", "audit", "metrics", "reid_audit", "reports")
FILES = ("pyproject.toml", "README.md", "LICENSE")


def run(*command: object, cwd: Path) -> str:
    """What a command prints, without anything of this checkout in its way."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment that holds the wheel, and otherwise sees the
    packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in FOLDERS:  # a copy, so that building leaves nothing in the checkout
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    build = "import sys; from setuptools import build_meta as b; print(b.build_wheel(sys.argv[1]))"
    run(sys.executable, "-c", build, folder, cwd=source)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)

    place = folder / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    paths = {"base": str(place), "platbase": str(place)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    installer = [sys.executable, "-m", "pip", "--python", programs / "python", "install"]
    if shutil.which("uv", path=str(Path(sys.executable).parent)):
        uv = Path(sys.executable).parent / "uv"
        installer = [uv, "pip", "install", "--python", programs / "python"]
    run(*installer, "--no-deps", "--no-index", wheel, cwd=folder)
    # The other packages by their folder alone: this one's .pth files, by which an editable install
    # would find the checkout, are not read there.
    others = sysconfig.get_path("purelib")
    (packages / "others.pth").write_text(f"import sys; sys.path.append({others!r})\n")
    return programs


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_wheel_works_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    python, program = installed / "python", installed / "reid-audit"
    (tmp_path / "metrics.py").write_text("raise RuntimeError('a file of the user was imported')\n")
    from reid_audit import parse

    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    Image.fromarray(parse("pixelate:b=12")(picture)).save(tmp_path / "picture.png")

    where = "import reid_audit, reid_audit.metrics as m; print(reid_audit.__file__, m.__file__)"
    for path in run(python, "-c", where, cwd=tmp_path).split():
        assert Path(path).is_relative_to(installed.parent)
    listed = run(program, "list", cwd=tmp_path)
    assert "ridge" in listed and "gaussian" in listed and "dlib" in listed
    assert run(python, "-m", "reid_audit", "list", cwd=tmp_path) == listed
    assert "kind: attack" in run(program, "info", "ridge", cwd=tmp_path)
    assert "option epochs: " in run(program, "info", "student", cwd=tmp_path)
    told = json.loads(run(program, "identify", "picture.png", "--json", cwd=tmp_path))
    assert [found["family"] for found in told["results"]] == ["pixelate"]
