"""How well development people are restored, while training goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from reid_audit.attacks.networks.frame import crop_transform, to_crops
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.objective import Objective
from reid_audit.attacks.training.observe import Observed, OperatorRange, exactly
from reid_audit.attacks.training.source import Source
from reid_audit.metrics.sampling import evenly

BATCH = 16
FACES = 64
SHOWN = 8


def evaluate(
    objective: Objective,
    pack: Pack,
    source: Source,
    operators: OperatorRange,
    recognizer: Recognizer | None = None,
) -> tuple[dict[str, float], Tensor]:
    """Restore up to FACES development faces, blurred by Gaussians from the weakest to the strongest
    of the range: the same ones whenever it is asked.

    Returns:
        PSNR in dB (mean over pictures) of the anonymised, linearly and network-restored frames,
        and with a recogniser the mean cosine to the clear face of the latter two; and a sheet
        `(SHOWN, 4, 3, S, S)`: anonymised, linear, restored, clear.
    """
    rows = np.sort(pack.development[evenly(len(pack.development), FACES)])
    weakest, strongest = np.log(operators.sigma)
    strengths = np.exp(np.linspace(weakest, strongest, len(rows)))
    parts, seen = [], []
    device = next(objective.network.parameters()).device
    for start in range(0, len(rows), BATCH):
        some = slice(start, start + BATCH)
        noise = Noise.of(-1, [int(row) for row in rows[some]], device)
        chosen = exactly(strengths[some].tolist()).to(device)
        clear, observed = source.batch(rows[some], noise, False, chosen)
        restored = objective.restore(observed, noise).clamp(0, 1)
        seen.append(observed)
        views = (observed.anonymized, observed.restored, restored, clear)
        parts.append(torch.stack(views, dim=1))
    pictures = torch.cat(parts)
    clear = pictures[:, 3]
    names = ("anonymized", "linear", "restored")
    measured = {f"psnr {n}": psnr(pictures[:, i], clear) for i, n in enumerate(names)}
    if recognizer is not None:
        truth = _embed(clear, recognizer)
        for index, name in ((1, "linear"), (2, "restored")):
            own = _embed(pictures[:, index], recognizer)
            measured[f"cosine {name}"] = float(cosine_similarity(own, truth).mean())
    if judge := getattr(objective, "judge", None):
        measured |= judge(clear, joined(seen))
    return measured, pictures[:SHOWN].cpu()


def joined(parts: Sequence[Observed]) -> Observed:
    """Batches of training faces as one."""
    columns = zip(*((p.anonymized, p.restored, p.log_sigma, p.people) for p in parts), strict=True)
    return Observed(*(torch.cat(column) for column in columns))


def psnr(restored: Tensor, truth: Tensor) -> float:
    """Mean over pictures of `(B, 3, S, S)` in [0, 1], in dB."""
    error = ((restored - truth) ** 2).flatten(1).mean(dim=1).clamp_min(1e-12)
    return float((-10 * error.log10()).mean())


def _embed(frames: Tensor, recognizer: Recognizer) -> Tensor:
    side = recognizer.template.size
    theta = crop_transform(recognizer.template, frames.shape[-1]).to(frames.device)
    crops = (to_crops(frames, theta, side) * 255).round().clamp(0, 255).byte()
    return torch.from_numpy(recognizer.embed(crops.permute(0, 2, 3, 1).cpu().numpy()))
