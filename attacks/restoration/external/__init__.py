"""Restorers that are not ours, run from the user's own installed copy and weights.

`--attacks external:NAME` runs what `restorers/NAME.yaml` describes, in the current folder or in the
user's configuration folder; `external:NAME:wiener` gives it the Wiener-restored picture, since a
restorer trained on light blur is helpless before a heavy one. docs/attackers.md says how.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import platformdirs

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    Context,
    Picture,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.wiener import prior_restorer
from reid_audit.attacks.restoration.external.engines import (
    Command,
    Engine,
    Onnx,
    Scale,
    TorchScript,
)
from reid_audit.attacks.restoration.external.square import cut, paste, square_matrix
from reid_audit.metrics.documents import read_yaml
from reid_audit.metrics.errors import InputError

PREFIX = "external:"
FIRST = ":wiener"
FIELDS = (
    "title", "paper", "command", "onnx", "torchscript", "picture", "size", "written", "timeout",
    "range", "channels",
)  # fmt: skip
ENGINES = ("command", "onnx", "torchscript")


@dataclass(frozen=True)
class Description:
    """A restorer as its file describes it.

    engine: how it is run. size: side of the face square it is given; None gives it whole windows.
    digest: of the description and, where there is one, of the model file.
    """

    name: str
    title: str
    paper: str | None
    engine: Engine
    size: int | None
    digest: str


def folders() -> tuple[Path, ...]:
    """Where descriptions are looked for, the first find wins."""
    return Path("restorers"), platformdirs.user_config_path("reid-audit") / "restorers"


def find(name: str) -> Description:
    """The restorer described in `restorers/NAME.yaml`.

    Raises:
        InputError: there is none, or a field is unknown, missing or impossible.
    """
    for folder in folders():
        file = folder / f"{name}.yaml"
        if file.is_file():
            return read(file)
    raise InputError(
        f"external:{name}: no restorers/{name}.yaml here or in {folders()[1]}; "
        "write one as docs/attackers.md shows."
    )


def read(file: Path) -> Description:
    """A description from its file; paths in it are relative to it.

    Raises:
        InputError: not YAML, or a field is unknown, missing or impossible.
    """
    where, fields = file.name, read_yaml(file)
    if not isinstance(fields, dict):
        raise InputError(f"{where}: must hold `field: value` lines, e.g. `onnx: restorer.onnx`.")
    for field in fields:
        if field not in FIELDS:
            raise InputError(f"{where}: no such field {field!r}; choose of {', '.join(FIELDS)}.")
    given = [kind for kind in ENGINES if kind in fields]
    if len(given) != 1:
        raise InputError(f"{where}: give exactly one of {', '.join(ENGINES)}.")
    picture = fields.get("picture", "face")
    if picture not in ("face", "window"):
        raise InputError(f"{where}: picture must be face or window, not {picture!r}.")
    size = fields.get("size", 512)
    if not isinstance(size, int) or size < 16:
        raise InputError(
            f"{where}: size must be a whole number of pixels from 16 on, not {size!r}."
        )
    engine, weights = _engine(given[0], fields, file)
    if picture == "window" and not isinstance(engine, Command):
        raise InputError(f"{where}: a model file takes squares of one size: set picture: face.")
    return Description(
        file.stem,
        str(fields.get("title", file.stem)),
        fields.get("paper"),
        engine,
        size if picture == "face" else None,
        hashlib.sha256(hashlib.sha256(file.read_bytes()).digest() + weights).hexdigest(),
    )


def _engine(kind: str, fields: Mapping[str, Any], file: Path) -> tuple[Engine, bytes]:
    """The engine and the digest of its model file."""
    if kind == "command":
        argv = fields["command"]
        parts = shlex.split(argv) if isinstance(argv, str) else [str(part) for part in argv]
        for folder in ("{in}", "{out}"):
            if not any(folder in part for part in parts):
                raise InputError(f"{file.name}: command must name the folder {folder}.")
        written, timeout = fields.get("written", "{name}.png"), fields.get("timeout")
        return Command(tuple(parts), str(written), timeout and float(timeout)), b""
    path = (file.parent / str(fields[kind])).resolve()
    if not path.is_file():
        raise InputError(f"{file.name}: {kind}: {fields[kind]} is no file; correct the path.")
    low, high = map(float, fields.get("range", (-1, 1)))
    scale = Scale(low, high, str(fields.get("channels", "RGB")))
    if not low < high or scale.channels not in ("RGB", "BGR"):
        raise InputError(f"{file.name}: range must rise and channels be RGB or BGR.")
    maker = Onnx if kind == "onnx" else TorchScript
    return maker(path, scale), hashlib.sha256(path.read_bytes()).digest()


class External(BaseAttack):
    """A restorer of the user's own, on the face square or the whole window; what it gives no
    answer to stays as it was."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="external",
        title="Restorer from outside",
        version=1,
        needs=frozenset(),
        yields=frozenset({"restored"}),
    )
    description: ClassVar[Description]
    wiener_first: ClassVar[bool] = False

    def fit(self, reference: Reference, context: Context) -> Self:
        """Measure the prior of the linear restorer, where one goes before; the tool itself learns
        nothing."""
        self.first_ = prior_restorer(reference, context) if self.wiener_first else None
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Restored windows.

        Raises:
            InputError: no picture came back at all.
        """
        require_fitted(self)
        windows = [
            self._before(*pair) for pair in zip(probes.pictures, probes.regions, strict=True)
        ]
        size = self.description.size
        matrices = [square_matrix(points, size or 1) for points in probes.landmarks]
        given = windows
        if size is not None:
            given = [cut(w, m, size) for w, m in zip(windows, matrices, strict=True)]
        names = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in probes.ids]
        pictures_made = self.description.engine(names, given)
        if probes.ids and all(made is None for made in pictures_made):
            raise InputError(
                f"external:{self.description.name}: no picture came back; correct `written`."
            )
        restored = []
        for window, square, matrix, made in zip(
            windows, given, matrices, pictures_made, strict=True
        ):
            if made is None:
                restored.append(window)
                continue
            made = _resized(made, square.shape)
            restored.append(made if size is None else paste(window, made, matrix))
        return AttackOutput(restored=tuple(restored), network_evaluations=len(probes))

    def _before(self, window: Picture, region: np.ndarray) -> Picture:
        return window if self.first_ is None else self.first_.restore(window, region)


def _resized(picture: Picture, shape: tuple[int, ...]) -> Picture:
    """As large as it went in: many tools give back a larger picture."""
    if picture.shape == shape:
        return picture
    resized = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def external_class(name: str) -> type[External]:
    """The attack behind `external:NAME` or `external:NAME:wiener`.

    Raises:
        InputError: no such description, or a faulty one.
    """
    bare = name.removeprefix(PREFIX)
    wiener = bare.endswith(FIRST)
    description = find(bare.removesuffix(FIRST))
    info = replace(
        External.info,
        name=name,
        title=description.title + (" after Wiener restoration" if wiener else ""),
        # What was stored of another description or other weights is not taken up again.
        version=1 + int(description.digest[:12], 16),
        needs=frozenset({"background", "operator"}) if wiener else frozenset(),
        paper=description.paper,
    )
    members = {
        "info": info,
        "description": description,
        "wiener_first": wiener,
        "__doc__": External.__doc__,
    }
    return type("External", (External,), members)
