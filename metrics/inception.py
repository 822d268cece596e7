"""Features for FID: the Inception network of the TensorFlow reference, from a weights file.

Heusel et al. (2017) scored with a graph of 2015-12-05 that pools in ways torchvision's Inception
does not; its published port keeps torchvision's layer names, so only the pools are changed here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import Inception3

from reid_audit.metrics.errors import IntegrityError
from reid_audit.metrics.perceptual import load_state

_SIDE = 299


def _average(x: Tensor) -> Tensor:
    """Over pixels of the picture only, not over padding."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _replace_pool(block: Any, pool: Callable[[Tensor], Tensor]) -> None:
    """Let the last branch of a torchvision block pool in another way."""
    branches = block._forward
    block._forward = lambda x: [*branches(x)[:-1], block.branch_pool(pool(x))]


def load_inception(path: Path) -> nn.Module:
    """Network from pictures (B, 3, 299, 299) in [-1, 1] to pool3 features (B, 2048).

    Args:
        path: state dict of the 2015-12-05 Inception with 1008 classes, torchvision's layer names
            (the file that pytorch-fid publishes as pt_inception-2015-12-05).

    Raises:
        MissingWeights, IntegrityError: the file is absent, or not that network.
    """
    state = load_state(path)
    with torch.device("meta"):  # no random weights: every one must come from the file
        network: nn.Module = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"):
        _replace_pool(network.get_submodule(f"Mixed_{name}"), _average)
    _replace_pool(network.get_submodule("Mixed_7c"), _maximum)
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise IntegrityError(f"{path} does not hold the FID Inception: fetch it again") from error
    network.fc = nn.Identity()
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def inception_features(
    pictures: NDArray[np.uint8],
    network: nn.Module,
    *,
    batch_size: int = 32,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Features (B, 2048) of 8-bit RGB pictures (B, H, W, 3) for `metrics.distribution`.

    Pictures are resized as Parmar et al. (2022) ask ("clean"): antialiased bicubic, in floats.

    Args:
        network: from `load_inception`, moved to `device`.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise ValueError("Inception features need uint8 pictures (B, H, W, 3)")
    features = []
    for start in range(0, len(pictures), batch_size):
        batch = torch.from_numpy(pictures[start : start + batch_size]).to(device)
        resized = F.interpolate(
            batch.permute(0, 3, 1, 2).float(), (_SIDE, _SIDE), mode="bicubic", antialias=True
        )
        output = network((resized.clamp(0, 255) - 128) / 128)
        features.append(output.cpu().double().numpy())
    return np.concatenate(features) if features else np.empty((0, 2048))
