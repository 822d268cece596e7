"""dlib's face recognition ResNet in torch, read from the .dat file without dlib.

Architecture and weights: Davis King, dlib, `dlib_face_recognition_resnet_model_v1` (public
domain): a ResNet-34 with half the filters and fewer layers; 150-px RGB chips to 128 numbers whose
Euclidean distance tells people apart.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reid_audit.metrics.errors import InputError, MissingWeights

FILE_NAME = "dlib_face_recognition_resnet_model_v1.dat"
# (filters, blocks, first block halves the resolution), from input to output.
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
DIMENSION = 128
MEAN = (122.782, 117.001, 104.298)  # RGB, dlib's input_rgb_image
SCALE = 256.0


class Affine(nn.Module):
    """A learnt scale and shift per channel: what dlib leaves of batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, scaled and shifted."""
        return x * self.gamma[:, None, None] + self.beta[:, None, None]


class Convolution(nn.Sequential):
    """Convolution, then affine. dlib pads by half the kernel, but never when it strides."""

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(nn.Conv2d(inputs, filters, kernel, stride, padding), Affine(filters))

    def parts(self) -> tuple[Tensor, Tensor, Affine]:
        """Weight and bias of the convolution and the affine, before they are folded into one."""
        convolution, affine = self
        assert isinstance(convolution, nn.Conv2d) and isinstance(affine, Affine)
        assert convolution.bias is not None
        return convolution.weight, convolution.bias, affine


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is average-pooled where the block shrinks."""

    def __init__(self, inputs: int, filters: int, shrink: bool) -> None:
        super().__init__()
        self.shrink = shrink
        self.first = Convolution(inputs, filters, 3, stride=2 if shrink else 1)
        self.second = Convolution(filters, filters, 3)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, filters, H', W')`, halved where the block shrinks."""
        main = self.second(F.relu(self.first(x)))
        shortcut = F.avg_pool2d(x, 2) if self.shrink else x
        return F.relu(add_padded(main, shortcut))


def add_padded(a: Tensor, b: Tensor) -> Tensor:
    """Sum of `(B, C, H, W)` tensors; where channels, rows or columns differ, zeros fill up."""
    shape = [max(m, n) for m, n in zip(a.shape, b.shape, strict=True)]

    def fill(x: Tensor) -> Tensor:
        missing = [n - m for m, n in zip(x.shape, shape, strict=True)]
        return F.pad(x, (0, missing[3], 0, missing[2], 0, missing[1])) if any(missing) else x

    return fill(a) + fill(b)


class DlibResNet(nn.Module):
    """`(B, 3, 150, 150)` RGB, (value - MEAN) / SCALE, to `(B, 128)`; not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 7, stride=2)
        blocks, channels = [], 32
        for filters, count, shrink in STAGES:
            for index in range(count):
                blocks.append(Block(channels, filters, shrink and index == 0))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, DIMENSION, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings `(B, 128)` of `(B, 3, 150, 150)`."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        answer: Tensor = self.head(self.blocks(x).mean((2, 3)))
        return answer


def fused(network: DlibResNet) -> nn.Module:
    """The same function with each affine folded into its convolution."""
    copy = DlibResNet()
    copy.load_state_dict(network.state_dict())
    for module in copy.modules():
        if isinstance(module, Convolution):
            weight, bias, affine = module.parts()
            with torch.no_grad():
                weight.mul_(affine.gamma[:, None, None, None])
                bias.mul_(affine.gamma).add_(affine.beta)
            module[1] = nn.Identity()
    return copy


def installed_file() -> Path:
    """Where the package face_recognition_models keeps the weights.

    The package is located but not imported: its own import needs the vanished pkg_resources.

    Raises:
        MissingWeights: the package or the file is not there.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / FILE_NAME
        if path.is_file():
            return path
    raise MissingWeights(
        f"{FILE_NAME} is not installed: run `pip install face_recognition_models`."
    )


def load(path: Path) -> DlibResNet:
    """The network with the weights of a .dat file.

    Raises:
        InputError: the file is not that network.
    """
    network = DlibResNet()
    tensors = read_tensors(path, [*_expected(network)])
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Convolution):
                weight, bias, affine = module.parts()
                values = torch.from_numpy(next(tensors).ravel())
                weights, biases = values.split([weight.numel(), bias.numel()])
                weight.copy_(weights.view_as(weight))
                bias.copy_(biases)
                gamma, beta = torch.from_numpy(next(tensors).ravel()).chunk(2)
                affine.gamma.copy_(gamma)
                affine.beta.copy_(beta)
        network.head.weight.copy_(torch.from_numpy(next(tensors)[:, :, 0, 0].T))
    return network.eval()


def _expected(network: DlibResNet) -> Iterator[tuple[int, int, int, int]]:
    """Shapes of the stored tensors, from input to output."""
    for module in network.modules():
        if isinstance(module, Convolution):
            weight, bias, affine = module.parts()
            yield (weight.numel() + bias.numel(), 1, 1, 1)
            yield (2 * affine.gamma.numel(), 1, 1, 1)
    yield (network.head.in_features, network.head.out_features, 1, 1)


def read_tensors(
    path: Path, shapes: list[tuple[int, int, int, int]]
) -> Iterator[NDArray[np.float32]]:
    """Tensors of these shapes, in this order, out of a file that dlib serialised.

    A tensor is its format version (2) and four dimensions as dlib's variable-length integers,
    then little-endian float32. Between them stand layer settings, which the shapes make redundant.

    Raises:
        InputError: a tensor of that shape does not follow.
    """
    content = path.read_bytes()
    position = 0
    for shape in shapes:
        header = b"".join(map(_varint, (2, *shape)))
        place = content.find(header, position)
        count = int(np.prod(shape))
        start = place + len(header)
        if place < 0 or start + 4 * count > len(content):
            raise InputError(
                f"{path.name} holds no tensor {shape} where dlib's face recognition ResNet has "
                "one: give the file that face_recognition_models installs."
            )
        yield np.frombuffer(content, "<f4", count, start).astype(np.float32).reshape(shape)
        position = start + 4 * count


def _varint(value: int) -> bytes:
    """dlib's integer: one byte that counts bytes, then those bytes, little-endian."""
    length = (value.bit_length() + 7) // 8
    return bytes([length]) + value.to_bytes(length, "little")
