"""How a restorer that is not ours is run: as a command on a folder, or as a model file.

Every engine takes pictures of any sizes with a stable name each and gives back as many; None stands
for one that the tool gave no answer to (many find no face in a blurred picture).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from reid_audit.metrics.errors import InputError

Picture = np.ndarray
Pictures = Sequence[Picture]


class Engine(Protocol):
    """A restorer: pictures `(H, W, 3)` uint8 and their names in, restored ones out, None where it
    gave no answer."""

    def __call__(self, names: Sequence[str], pictures: Pictures) -> list[Picture | None]:
        """Restore N pictures `(H, W, 3)` uint8; `names` tell them apart in what is written.

        Raises:
            InputError: the tool or its model file does not do what its description says.
        """
        ...


@dataclass(frozen=True)
class Command:
    """A program that reads a folder of PNGs and writes one picture for each.

    argv: the program and its arguments; in each, `{in}` and `{out}` stand for the two folders. No
        shell reads it, so nothing in it needs quoting and nothing in it expands.
    written: where in `{out}` the answer to `{name}.png` lies.
    timeout: seconds that one call may take; None waits for ever.
    """

    argv: tuple[str, ...]
    written: str = "{name}.png"
    timeout: float | None = None

    def __call__(self, names: Sequence[str], pictures: Pictures) -> list[Picture | None]:
        """Write the pictures, run the program once, and read what it wrote."""
        # Private to this user, and gone afterwards: these are faces.
        with tempfile.TemporaryDirectory(prefix="reid-audit-") as folder:
            given, made = Path(folder, "in"), Path(folder, "out")
            given.mkdir()
            made.mkdir()
            for name, picture in zip(names, pictures, strict=True):
                cv2.imwrite(str(given / f"{name}.png"), picture[..., ::-1])
            self._run(given, made)
            return [_read(made / self.written.replace("{name}", name)) for name in names]

    def _run(self, given: Path, made: Path) -> None:
        argv = [part.replace("{in}", str(given)).replace("{out}", str(made)) for part in self.argv]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout
            )
        except (FileNotFoundError, PermissionError):
            raise InputError(
                f"command: {argv[0]!r} is no program that can be run; give its full path."
            ) from None
        except subprocess.TimeoutExpired:
            raise InputError(
                f"command: {argv[0]!r} took longer than {self.timeout:g} s; raise `timeout`."
            ) from None
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            last = last[:200] or "no message"
            raise InputError(
                f"command: {argv[0]!r} ended with {done.returncode} ({last}); "
                "run it by hand on a folder of pictures."
            )


def _read(path: Path) -> Picture | None:
    """RGB uint8 picture, or None where there is none."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    return None if picture is None else np.ascontiguousarray(picture[..., ::-1])


@dataclass(frozen=True)
class Scale:
    """What a model file takes and gives: `(1, 3, S, S)` float32 from `low` to `high`, the channels
    in the order of `channels`."""

    low: float = -1.0
    high: float = 1.0
    channels: str = "RGB"

    def encode(self, picture: Picture) -> np.ndarray:
        """uint8 `(S, S, 3)` RGB -> `(1, 3, S, S)` float32."""
        ordered = picture if self.channels == "RGB" else picture[..., ::-1]
        planes = np.moveaxis(ordered.astype(np.float32), 2, 0)[None] / 255
        return np.ascontiguousarray(planes * (self.high - self.low) + self.low)

    def decode(self, planes: np.ndarray) -> Picture:
        """Inverse of `encode`, rounded and clipped."""
        levels = (np.asarray(planes, np.float32)[0] - self.low) / (self.high - self.low) * 255
        picture = np.rint(np.moveaxis(levels, 0, 2)).clip(0, 255).astype(np.uint8)
        return picture if self.channels == "RGB" else np.ascontiguousarray(picture[..., ::-1])


@dataclass(frozen=True)
class Onnx:
    """An ONNX file, by onnxruntime; one picture at a time, so that no other changes it."""

    file: Path
    scale: Scale

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        try:
            return onnxruntime.InferenceSession(
                str(self.file), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:
            raise InputError(f"onnx: {self.file.name} is no usable ONNX file ({error}).") from error

    def __call__(self, names: Sequence[str], pictures: Pictures) -> list[Picture | None]:
        """Run the network on one picture after the other."""
        session = self._session
        entry = session.get_inputs()[0].name
        return [
            self.scale.decode(session.run(None, {entry: self.scale.encode(picture)})[0])
            for picture in pictures
        ]


@dataclass(frozen=True)
class TorchScript:
    """A TorchScript file. It is a program in a language of its own, run without Python: loading it
    unpickles no Python object, but it deserves the trust that one has in a program."""

    file: Path
    scale: Scale
    device: str = "cpu"

    @cached_property
    def _module(self) -> Any:
        import torch

        try:
            return torch.jit.load(str(self.file), map_location=self.device).eval()
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(
                f"torchscript: {self.file.name} cannot be loaded ({first})."
            ) from error

    def __call__(self, names: Sequence[str], pictures: Pictures) -> list[Picture | None]:
        """Run the network on one picture after the other."""
        import torch

        made: list[Picture | None] = []
        with torch.inference_mode():
            for picture in pictures:
                answer = self._module(torch.from_numpy(self.scale.encode(picture)).to(self.device))
                answer = answer[0] if isinstance(answer, tuple | list) else answer
                made.append(self.scale.decode(answer.float().cpu().numpy()))
        return made
