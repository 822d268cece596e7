"""Recognisers that were fine-tuned before the run, as they see anonymised faces.

A checkpoint holds weights, not the architecture: that comes from the recogniser which the training
started from, so it has to be among the run's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.interface import AnonymizedFaces, ClearFaces, Context, Reference
from reid_audit.attacks.linear.views import in_threads
from reid_audit.attacks.linear.wiener import Restorer, prior_restorer
from reid_audit.attacks.networks.frame import cut
from reid_audit.attacks.networks.unet import preset
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.restorer import (
    BATCH,
    degraded,
    linear_from_pairs,
    show,
    to_device,
)
from reid_audit.attacks.training.observe import Observed
from reid_audit.attacks.training.source import UNKNOWN, LinearRestorer
from reid_audit.attacks.training.trunk import same
from reid_audit.metrics.errors import NotApplicable

Make = Callable[[Recognizer, int], nn.Module]
"""Builds a network from the recogniser it starts from and the frame's side; it takes `Observed` and
answers unit embeddings."""
EVALUATIONS = 2
"""Network evaluations a face: itself and its mirror image."""


@dataclass(frozen=True, eq=False)
class Seer:
    """A trained network and what stands before it.

    size: side of its frame. linear: restoration under the identified operator; pairs: the one
    learnt from pairs of a black box, taken instead where there is one.
    """

    network: nn.Module
    size: int
    linear: Restorer
    pairs: LinearRestorer | None
    context: Context

    @classmethod
    def of(cls, checkpoint: Checkpoint, make: Make, reference: Reference, context: Context) -> Seer:
        """The network of a checkpoint on the context's device.

        Raises:
            NotApplicable: the recogniser that it started from is not at hand.
        """
        start = starting_point(checkpoint, context.recognizers)
        size = preset(checkpoint.card.config["size"]).size
        network = checkpoint.fill(make(start, size)).to(context.device)
        pairs = linear_from_pairs(checkpoint)
        return cls(network, size, prior_restorer(reference, context), pairs, context)

    def embed(self, faces: AnonymizedFaces) -> np.ndarray:
        """Unit embeddings `(N, d)` float32 of windows, each averaged with its mirror image."""
        parts = []
        for batch in faces.batches(BATCH):
            shown = show(batch, self.linear, self.size, pairs=self.pairs)
            parts.append(self._embed(shown.observed)[: len(batch)])
        return np.concatenate(parts)

    def embed_anonymized(self, faces: ClearFaces) -> np.ndarray:
        """Unit embeddings `(N, d)` float32 of clear faces put through the identified operator."""
        parts = []
        for part in degraded(faces, self.context):
            parts.append(self.embed(part))
            done = sum(map(len, parts))
            self.context.progress("embedding the anonymised gallery", done, len(faces))
        return np.concatenate(parts)

    def embed_clear(self, faces: ClearFaces) -> np.ndarray:
        """Unit embeddings `(N, d)` float32 of clear faces as they are."""

        def frame_of(index: int) -> np.ndarray:
            return np.asarray(cut([faces.load(index)], faces.landmarks[index][None], self.size)[0])

        frames = np.stack(list(in_threads(frame_of, len(faces))))
        parts = []
        for start in range(0, len(frames), BATCH):
            part = frames[start : start + BATCH]
            filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
            pictures = torch.from_numpy(filled).permute(0, 3, 1, 2).float() / 255
            seen = Observed(pictures, pictures, torch.full((BATCH,), UNKNOWN))
            parts.append(self._embed(seen)[: len(part)])
        return np.concatenate(parts)

    def _embed(self, observed: Observed) -> np.ndarray:
        seen = to_device(observed, self.context.device)
        mirrored = replace(seen, anonymized=seen.anonymized.flip(3), restored=seen.restored.flip(3))
        with torch.inference_mode():
            both: Tensor = self.network(seen) + self.network(mirrored)
            return normalize(both.float()).cpu().numpy()


def starting_point(checkpoint: Checkpoint, recognizers: Sequence[Recognizer]) -> Recognizer:
    """The recogniser that a checkpoint's training started from.

    Raises:
        NotApplicable: it is none of these.
    """
    card = checkpoint.card
    start = same(card.config["start"], tuple(recognizers))
    if start is None:
        name = card.config["start"]["name"]
        raise NotApplicable(
            f"the {card.name} of this checkpoint was made from {name}, which is not among the "
            f"recognisers ({_names(recognizers)}): add it with --recognizers, the very same file"
        )
    return start


def teacher_place(checkpoint: Checkpoint, recognizers: Sequence[Recognizer]) -> slice:
    """Which part of a student's answer lies in the space of the first of these recognisers that
    was a teacher.

    Raises:
        NotApplicable: none of them was.
    """
    begin = 0
    for teacher in checkpoint.card.config["teachers"]:
        end = begin + int(teacher["dimension"])
        if same(teacher, tuple(recognizers)) is not None:
            return slice(begin, end)
        begin = end
    taught = " and ".join(t["name"] for t in checkpoint.card.config["teachers"])
    raise NotApplicable(
        f"the student of this checkpoint was taught by {taught}, not by {_names(recognizers)}: "
        "scan with the teacher in --recognizers, or train one with --recognizer for each"
    )


def suits(checkpoint: Checkpoint, recognizers: Sequence[Recognizer]) -> None:
    """Refuse a fine-tuned recogniser that no recogniser of a run can be used with.

    Raises:
        NotApplicable: the network it was made from, or every teacher, is missing.
    """
    if "start" in checkpoint.card.config and checkpoint.card.name in ("student", "parrot"):
        starting_point(checkpoint, recognizers)
        if "teachers" in checkpoint.card.config:
            teacher_place(checkpoint, recognizers)


def _names(recognizers: Sequence[Recognizer]) -> str:
    return ", ".join(dict.fromkeys(recognizer.name for recognizer in recognizers))
