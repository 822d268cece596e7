"""A tiny audit: people who do not exist, a stand-in recogniser, faces where they were drawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.recognition.detect import Detection
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.probes.faces import Found

LANDMARKS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
KNOWN = 8
NAMES = ("Ágnes Ödön", "O'Neil & Sons", "<b>Bo", "李小龙", "per cent %s", "Zoë {x}", "a b", "q")
"""Names of people that must appear nowhere, and in no mark-up."""


@pytest.fixture(autouse=True)
def own_secret(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret behind pseudonyms lies in a temporary folder, not in the user's home."""
    folder = tmp_path_factory.getbasetemp() / "secret"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("REID_AUDIT_SECRET", str(folder / "key"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are opened in the tests' own process: starting others takes a second each time."""
    from reid_audit.attacks.residue import inspect
    from reid_audit.audit.data.screening import examine

    class InProcess:
        facts, residues = staticmethod(examine), staticmethod(inspect)

        def __init__(self, workers: int | None = None) -> None:
            pass

        def __enter__(self) -> InProcess:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    for module in ("engine.local", "commands.identify", "data.guard"):
        monkeypatch.setattr(f"reid_audit.audit.{module}.Guard", InProcess)


@pytest.fixture
def plumbing(monkeypatch: pytest.MonkeyPatch, stand_in: Recognizer, in_process: None) -> None:
    """Scans see every face where it was drawn, and know people by the stand-in recogniser."""

    def found(picture: np.ndarray, detector: object, smallest: float = 0.0) -> Found:
        scale = picture.shape[0] / 96
        box = np.array([25, 22, 71, 82], np.float32) * scale
        face = Detection(box, LANDMARKS * scale, 0.99)
        return Found(picture.shape[:2], (face,))

    for detector in ("_detector", "_scene_detector"):
        monkeypatch.setattr(f"reid_audit.audit.probes.faces.{detector}", lambda device: None)
    monkeypatch.setattr("reid_audit.audit.probes.faces.detect_picture", found)
    for module in ("reid_audit.audit.scan.scan", "reid_audit.audit.checkpoints"):
        monkeypatch.setattr(f"{module}.load_recognizer", lambda spec, device: stand_in)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A function (arguments) that gives exit code, stdout and stderr."""
    from reid_audit.audit.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return int(ended.value.code or 0), told.out, told.err

    return call


@pytest.fixture(scope="session")
def layout(cast_folder: Path) -> Callable[..., Path]:
    """A function (folder, spec) that lays the cast out as a user would: two gallery pictures and
    two probes of each known person, the rest as background."""
    from reid_audit.attacks.operators import parse
    from reid_audit.audit.commands.anonymize import anonymize

    def lay(root: Path, spec: str = "gaussian:sigma=1.5", originals: bool = True) -> Path:
        people = sorted(folder.name for folder in cast_folder.iterdir())
        for index, person in enumerate(people):
            for number in range(4):
                role = "background" if index >= KNOWN else "gallery" if number < 2 else "originals"
                name = NAMES[index] if index < KNOWN else person
                target = root / role / name / f"{number}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(cast_folder / person / f"{number:03d}.png", target)
        anonymize(root / "originals", root / "anonymized", parse(spec), region="image")
        if not originals:
            shutil.rmtree(root / "originals")
        return root

    return lay
