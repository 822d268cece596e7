"""The recognisers that come with the program, and files an auditor brings."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from reid_audit.attacks.recognition import dlib_resnet
from reid_audit.attacks.recognition.align import ARCFACE, DLIB, FACENET
from reid_audit.attacks.recognition.cache import (
    ARCFACE_FILES,
    EDGEFACE_FILES,
    FACENET_FILES,
    weights_folder,
)
from reid_audit.attacks.recognition.interface import BATCH, CPU, Preprocessing, Recognizer, digest
from reid_audit.attacks.recognition.sidecar import Sidecar, read_sidecar
from reid_audit.metrics.errors import InputError, MissingWeights

T = TypeVar("T")

EDGEFACE_ARCHITECTURES = {"edgeface-s": "edgenext_small", "edgeface-xs": "edgenext_x_small"}
"""Of timm."""
HALF = Preprocessing((127.5,) * 3, (127.5,) * 3)
"""Values of -1 to 1, as EdgeFace and insightface's ArcFace networks take them."""


@dataclass(frozen=True)
class Settings:
    """Where networks run, and where fetched weights lie (None: the user's cache)."""

    device: torch.device
    weights_dir: Path | None = None


def load_dlib(argument: str, settings: Settings) -> Recognizer:
    """dlib's ResNet; the weights come with the package face_recognition_models."""
    path = dlib_resnet.installed_file()
    # Its convolutions are a tenth of the usual size and their scales make up for it: steps that
    # suit the scales would tear the convolutions apart. Folded into one they learn at one rate.
    network = dlib_resnet.fused(dlib_resnet.load(path))
    preprocessing = Preprocessing(dlib_resnet.MEAN, (dlib_resnet.SCALE,) * 3)
    return Recognizer(
        name="dlib",
        digest=digest(path.read_bytes(), preprocessing, DLIB),
        template=DLIB,
        dimension=dlib_resnet.DIMENSION,
        distance="euclidean",
        licence="public domain (CC0)",
        preprocessing=preprocessing,
        forward=_frozen(deepcopy(network), settings.device),
        device=settings.device,
        build=lambda: deepcopy(network),
    )


def load_facenet(name: str, settings: Settings) -> Recognizer:
    """facenet-pytorch's InceptionResnetV1 with weights fetched before.

    Raises:
        MissingWeights: they were not fetched.
    """
    from facenet_pytorch import InceptionResnetV1

    path = _fetched(name, FACENET_FILES[name], settings)
    network = InceptionResnetV1(pretrained=None)
    state = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    features = {key: value for key, value in state.items() if not key.startswith("logits.")}
    _fill(network, features, path)
    preprocessing = Preprocessing((127.5,) * 3, (128.0,) * 3)
    return Recognizer(
        name=name,
        digest=digest(path.read_bytes(), preprocessing, FACENET),
        template=FACENET,
        dimension=512,
        distance="cosine",
        licence="MIT (code); research use of the training pictures",
        preprocessing=preprocessing,
        forward=_frozen(network, settings.device),
        device=settings.device,
        build=lambda: deepcopy(network).cpu(),
    )


def load_edgeface(name: str, settings: Settings) -> Recognizer:
    """EdgeFace (George et al. 2024, arXiv 2307.01838) with weights fetched before, trainable.

    Raises:
        MissingWeights: they were not fetched.
        InputError: the file is not that network's.
    """
    import timm

    path = _fetched(name, EDGEFACE_FILES[name], settings)
    state = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    weights = _read(path, lambda: dense(state))
    dimension = len(weights.get("head.fc.bias", ()))
    network = timm.create_model(EDGEFACE_ARCHITECTURES[name], num_classes=dimension)
    _fill(network, weights, path)
    return Recognizer(
        name=name,
        digest=digest(path.read_bytes(), HALF, ARCFACE),
        template=ARCFACE,
        dimension=dimension,
        distance="cosine",
        licence="BSD-3-Clause; trained on pictures for research",
        preprocessing=HALF,
        forward=_frozen(network, settings.device),
        device=settings.device,
        build=lambda: deepcopy(network).cpu(),
    )


def dense(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EdgeFace's weights as those of timm's plain network.

    The published network holds most linear layers as a product of two of low rank, `linear1`
    without a bias before `linear2`; multiplied they are one layer again, to be trained as such.
    """
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("model.")
        if name.endswith(".linear1.weight"):
            second = state[key.removesuffix("linear1.weight") + "linear2.weight"]
            plain[name.removesuffix("linear1.weight") + "weight"] = second @ value
        elif name.endswith(".linear2.bias"):
            plain[name.removesuffix("linear2.bias") + "bias"] = value
        elif not name.endswith(".linear2.weight"):
            plain[name] = value
    return plain


def load_arcface(name: str, settings: Settings) -> Recognizer:
    """insightface's ArcFace networks with weights fetched before, frozen, on the CPU.

    Raises:
        MissingWeights: they were not fetched.
    """
    path = _fetched(name, ARCFACE_FILES[name], settings)
    return Recognizer(
        name=name,
        digest=digest(path.read_bytes(), HALF, ARCFACE),
        template=ARCFACE,
        dimension=512,
        distance="cosine",
        licence="non-commercial research only",
        preprocessing=HALF,
        forward=_onnx_session(path),
    )


def _fetched(name: str, file: str, settings: Settings) -> Path:
    """A file of the weights' cache."""
    path = (settings.weights_dir or weights_folder()) / file
    if not path.is_file():
        raise MissingWeights(
            f"The weights of {name} are not installed: run `reid-audit weights fetch {name}`."
        )
    return path


def load_onnx(argument: str, settings: Settings) -> Recognizer:
    """A frozen network `FILE.onnx` with its sidecar `FILE.json`, run by onnxruntime on the CPU."""
    path = _existing(argument, "onnx:FILE")
    sidecar = read_sidecar(path)
    return _from_file(path, sidecar, f"onnx:{path.name}", _onnx_session(path))


def _onnx_session(path: Path) -> Callable[[Tensor], Tensor]:
    """An ONNX network of one input and one output as a function."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # warnings about initialisers are nothing a user can act on
    session = _read(
        path,
        lambda: onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        ),
    )
    (source,), target = session.get_inputs(), session.get_outputs()[0]

    def forward(x: Tensor) -> Tensor:
        (embeddings,) = session.run([target.name], {source.name: x.contiguous().numpy()})
        return torch.from_numpy(embeddings)

    return forward


def load_timm(argument: str, settings: Settings) -> Recognizer:
    """A trainable network: a timm architecture, `FILE.safetensors` and its sidecar `FILE.json`."""
    import timm
    from safetensors.torch import load

    architecture, separator, file = argument.partition(":")
    if not separator:
        raise InputError(f"timm:{argument} names no file: give timm:ARCHITECTURE:FILE.")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), 1)
        hint = f"did you mean {near[0]}?" if near else "see timm.list_models()."
        raise InputError(f"timm has no architecture {architecture!r}: {hint}")
    path = _existing(file, "timm:ARCHITECTURE:FILE")
    sidecar = read_sidecar(path)
    state = _read(path, lambda: load(path.read_bytes()))
    network: Any = timm.create_model(architecture, num_classes=0)  # its methods are its own
    head = state.get(f"{network.pretrained_cfg.get('classifier')}.weight")
    if head is not None:
        network.reset_classifier(len(head))
    _fill(network, state, path)
    forward = _frozen(network, settings.device)
    return _from_file(
        path,
        sidecar,
        f"timm:{architecture}:{path.name}",
        forward,
        settings.device,
        lambda: deepcopy(network).cpu(),
    )


def _from_file(
    path: Path,
    sidecar: Sidecar,
    name: str,
    forward: Callable[[Tensor], Tensor],
    device: torch.device = CPU,
    build: Callable[[], nn.Module] | None = None,
) -> Recognizer:
    """A recogniser whose sidecar says how it is used; one blank face tells its dimension."""
    preprocessing, template = sidecar.preprocessing(), sidecar.crop_template()
    blank = torch.zeros(1, 3, template.size, template.size, device=device)
    with torch.inference_mode():
        shape = tuple(_read(path, lambda: forward(preprocessing(blank))).shape)
    if len(shape) != 2:
        raise InputError(f"{path.name} gives {shape} for one face: an embedding (1, D) is needed.")
    return Recognizer(
        name=name,
        digest=digest(path.read_bytes(), preprocessing, template),
        template=template,
        dimension=shape[1],
        distance=sidecar.distance,
        licence=sidecar.licence,
        preprocessing=preprocessing,
        forward=forward,
        batch_size=BATCH if sidecar.batch == "any" else 1,
        device=device,
        build=build,
    )


def _frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """The network in the form and place that inference is fastest in."""
    frozen = network.eval().requires_grad_(False).to(device)
    return frozen.to(memory_format=torch.channels_last)


def _existing(file: str, form: str) -> Path:
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"Recogniser file {file!r} does not exist: give {form}.")
    return path


def _read(path: Path, reader: Callable[[], T]) -> T:
    """What the reader returns; whatever a library says about a broken file becomes a sentence."""
    try:
        return reader()
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "unreadable"
        raise InputError(f"{path.name} cannot be used as a recogniser: {reason}") from error


def _fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load weights, all of them."""
    expected = {key: value.shape for key, value in network.state_dict().items()}
    given = {key: value.shape for key, value in state.items()}
    different = sorted(key for key in expected | given if expected.get(key) != given.get(key))
    if different:
        raise InputError(
            f"{path.name} does not fit the architecture: {len(different)} tensors are missing, "
            f"left over or of another shape, first {different[0]!r}."
        )
    network.load_state_dict(state)
