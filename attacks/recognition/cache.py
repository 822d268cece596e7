"""Where fetched weights lie, and which recognisers and detectors are among them.

`reid-audit weights` fills the folder, networks read from it. Nothing here loads torch.
"""

import os
from pathlib import Path

import platformdirs

VARIABLE = "REID_AUDIT_WEIGHTS"


def weights_folder() -> Path:
    """The folder that REID_AUDIT_WEIGHTS names, else one in the user's cache."""
    named = os.environ.get(VARIABLE)
    return (
        Path(named).expanduser()
        if named
        else platformdirs.user_cache_path("reid-audit") / "weights"
    )


# File names as the publishers give them; the catalogue of weights fetches the same.
FACENET_FILES = {
    "facenet-vggface2": "20180402-114759-vggface2.pt",
    "facenet-casia": "20180408-102900-casia-webface.pt",
}
EDGEFACE_FILES = {
    "edgeface-s": "edgeface_s_gamma_05.pt",
    "edgeface-xs": "edgeface_xs_gamma_06.pt",
}
ARCFACE_FILES = {"arcface-r50": "w600k_r50.onnx", "arcface-r100": "glintr100.onnx"}
CENTERFACE_FILE = "centerface.onnx"

AUTO = "auto"
"""In the place of a recogniser: the strongest installed one that attackers can learn with."""
STRONGEST_FIRST = ("edgeface-s", "edgeface-xs", "facenet-vggface2")
JUDGES = ("arcface-r100", "arcface-r50", "facenet-vggface2")
"""Networks of another make than the first of `STRONGEST_FIRST`, the strongest first."""


def strongest(folder: Path | None = None) -> str:
    """The strongest installed recogniser that attackers can learn with; dlib comes along.

    >>> strongest(Path("nothing here"))
    'dlib'
    """
    files = EDGEFACE_FILES | FACENET_FILES
    there = folder or weights_folder()
    return next((name for name in STRONGEST_FIRST if (there / files[name]).is_file()), "dlib")


def centerface_file(folder: Path | None = None) -> Path | None:
    """The second face detector's file, where it was fetched."""
    file = (folder or weights_folder()) / CENTERFACE_FILE
    return file if file.is_file() else None


def scene_detectors(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the detectors that look for the faces of scenes.

    >>> scene_detectors(Path("nothing here"))
    ('MTCNN',)
    """
    return ("MTCNN",) if centerface_file(folder) is None else ("MTCNN", "CenterFace")


def judge_beside(attacked_with: str, folder: Path | None = None) -> str | None:
    """The strongest installed recogniser of another make, which scores what was restored without
    having been attacked with; None where there is no other.

    >>> judge_beside("edgeface-s", Path("nothing here")), judge_beside("dlib", Path("nothing here"))
    ('dlib', None)
    """
    files = ARCFACE_FILES | FACENET_FILES
    there = folder or weights_folder()
    fetched = (name for name in JUDGES if (there / files[name]).is_file())
    return next((name for name in (*fetched, "dlib") if name != attacked_with), None)
