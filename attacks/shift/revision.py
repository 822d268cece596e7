"""A diffusion step after the change: the face is blurred and its detail drawn anew.

What deceives a recogniser and what tells an attacker who it was is detail in a pattern of its own;
detail that a model of faces draws has none of it. The model is the one that restores blurred faces
in the attack `revelio`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from reid_audit.attacks.checkpoint import find
from reid_audit.attacks.linear.spectra import Spectra
from reid_audit.attacks.networks.frame import FACE, WIDER, cut
from reid_audit.attacks.networks.pack import MARGIN, side_of
from reid_audit.attacks.pictures import Picture
from reid_audit.attacks.restoration.revelio.diffusion import Diffusion
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observer, exactly


def revised(window: Picture, landmarks: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """A frame `(S, S, 3)` in grey levels of the face in a window, with new detail.

    Args:
        sigma: of the blur, in face widths. seed: of what is drawn.

    Raises:
        MissingWeights: those of the diffusion model are not there.
    """
    base = _loaded()
    side = side_of(base.size)
    around = cut([window], landmarks[None], side, WIDER * MARGIN)
    # The spectrum of faces in general is not at hand; that of this one serves, being smoothed.
    spectra = Spectra.measure([(around[0], around[0])])
    observer = Observer(spectra, side, base.size, FACE * base.size)
    noise = Noise.of(seed, ["revision"])
    with torch.inference_mode():
        clear = torch.from_numpy(around).permute(0, 3, 1, 2).float() / 255
        drawn = base.restore(observer(clear, exactly([sigma]), noise), noise)
    return np.asarray(255 * drawn[0].permute(1, 2, 0).numpy())


@lru_cache(maxsize=1)
def _loaded() -> Diffusion:
    checkpoint = find(Diffusion.name)
    base = Diffusion(**checkpoint.card.config)
    checkpoint.fill(base.network)
    return base
