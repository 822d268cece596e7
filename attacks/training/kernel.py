"""Training of the Revelio paper's kernel-size estimator (section 5.4) on the loop: a classifier's
trunk with one output, by regression on blurred faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models import efficientnet_v2_l, mobilenet_v3_small

from reid_audit.attacks.anonymisation.network import LARGEST
from reid_audit.attacks.networks.unet import preset
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed

FACE_WIDTH = 150.0
"""In the paper's 256-px pictures, about: the scale on which kernel sizes are told."""


def kernel_sizes(log_sigma: Tensor) -> Tensor:
    """Kernel sizes `(B,)`, not rounded, whose rule sigma is this share of a face of FACE_WIDTH.

    >>> import math, torch
    >>> kernel_sizes(torch.tensor([math.log(12.5 / 150)])).round().tolist()
    [81.0]
    """
    return 1 + 2 * ((log_sigma.exp() * FACE_WIDTH - 0.8) / 0.3 + 1)


class KernelObjective:
    """Mean absolute error of the kernel size; nothing is restored. The paper's EfficientNetV2-L as
    size "large", MobileNetV3-small else."""

    name = "kernel"

    def __init__(self, size: str = "small", recognizer: Recognizer | None = None) -> None:
        make = efficientnet_v2_l if size == "large" else mobilenet_v3_small
        self.network: nn.Module = make(num_classes=1)
        self.size = preset(size).size
        self.config: Mapping[str, Any] = {"size": size, "largest": LARGEST}

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Mean absolute error: `kernel error` in pixels, `loss` as a share of the largest
        kernel."""
        sizes = LARGEST * self.network(observed.anonymized * 2 - 1).float()[:, 0]
        error = (sizes - kernel_sizes(observed.log_sigma)).abs().mean()
        return {"loss": error / LARGEST, "kernel error": error}

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """The linear estimate, as it is."""
        return observed.restored
