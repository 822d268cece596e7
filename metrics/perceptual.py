"""LPIPS from weight files the caller names; nothing is downloaded.

Apart from the other metrics because it alone, with `metrics.inception`, loads torch.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lpips import LPIPS
from numpy.typing import NDArray
from safetensors.torch import load_file

from reid_audit.metrics.errors import IntegrityError, MissingWeights

Perceptual = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Compares pictures (B, 3, H, W) in [-1, 1]; one distance per picture, any shape of B values."""


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """State dict from a .safetensors, or a .pth read without pickled code.

    Raises:
        MissingWeights: there is no such file.
        IntegrityError: the file is no state dict.
    """
    if not path.is_file():
        raise MissingWeights(f"no weights at {path}: run `reid-audit weights fetch`")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise whatever their parser meets
        raise IntegrityError(f"{path} cannot be read as weights: fetch it again") from error
    if not isinstance(state, dict):
        raise IntegrityError(f"{path} holds no state dict: fetch it again")
    return state


def load_lpips(backbone: Path, net: Literal["alex", "squeeze", "vgg"] = "alex") -> LPIPS:
    """LPIPS v0.1 (Zhang et al. 2018) with torchvision's ImageNet weights of its backbone.

    The five linear heads come with the lpips package.

    Args:
        backbone: state dict of torchvision's alexnet, squeezenet1_1 or vgg16.

    Raises:
        MissingWeights, IntegrityError: the file is absent, or not that network.
    """
    state = load_state(backbone)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision on the package's way to ask for no weights
        network = LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    # The package cuts `features` into slices and keeps each layer's number.
    renamed = {key: f"features.{key.split('.', 1)[1]}" for key in network.net.state_dict()}
    try:
        network.net.load_state_dict({key: state[old] for key, old in renamed.items()})
    except (KeyError, RuntimeError) as error:
        raise IntegrityError(f"{backbone} does not hold the {net} backbone of LPIPS") from error
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def lpips(
    reference: NDArray[np.uint8],
    other: NDArray[np.uint8],
    network: Perceptual,
    *,
    batch_size: int = 32,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Perceptual distance (B,) of 8-bit RGB pictures; 0 for equal ones, larger is less alike.

    Args:
        reference, other: (B, H, W, 3) uint8.
        network: from `load_lpips`, moved to `device`.
    """
    if reference.shape != other.shape or reference.dtype != np.uint8 or other.dtype != np.uint8:
        raise ValueError("LPIPS compares uint8 pictures (B, H, W, 3) of one shape")

    def tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2) / 127.5 - 1

    distances = [
        network(tensor(reference[i : i + batch_size]), tensor(other[i : i + batch_size]))
        .flatten()
        .cpu()
        .double()
        .numpy()
        for i in range(0, len(reference), batch_size)
    ]
    return np.concatenate(distances) if distances else np.empty(0)
