"""The one training loop: any objective, any number of processes, resumable, repeatable.

Which faces a step sees, how they are degraded and every other random number follow from the seed,
the step and the sample's place in the batch. So one process, several (`accelerate launch` or
`torchrun`), accumulated gradients and a resumed run all compute the same losses but for rounding.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

from reid_audit.attacks.checkpoint import Card, Checkpoint, write_checkpoint, write_tensors
from reid_audit.attacks.descent import refuse_no_number
from reid_audit.attacks.interface import Progress
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.objective import Objective
from reid_audit.attacks.training.observe import Observed, OperatorRange
from reid_audit.attacks.training.source import Source, source_of
from reid_audit.attacks.training.validate import evaluate
from reid_audit.metrics.errors import InputError

STATE = "training.safetensors"
LOGS = "logs"
FLUSH_EVERY = 20
"""Steps between two scalars."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    steps: of the optimizer. batch: faces a step, over all processes and accumulated parts.
    accumulate: parts a process's share is computed in. rate: highest learning rate, after a
    warm-up of `warmup` steps and before a cosine decay to zero. ema: highest decay of the averaged
    weights, which are what is kept. clip: largest gradient norm. precision: "no" or "bf16".
    device: auto or cpu. half: the checkpoint stores 16-bit floats.
    """

    steps: int = 2000
    batch: int = 32
    accumulate: int = 1
    rate: float = 5e-4
    warmup: int = 100
    weight_decay: float = 0.01
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    precision: str = "no"
    device: str = "auto"
    save_every: int = 250
    validate_every: int = 250
    half: bool = False
    licence: str = "CC0-1.0 where every face is procedural, else as the faces' own terms"
    operators: OperatorRange = field(default_factory=OperatorRange)

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that a run may not be resumed without."""
        free = {"accumulate", "device", "save_every", "validate_every", "half", "licence"}
        return {name: value for name, value in asdict(self).items() if name not in free}


@dataclass(frozen=True)
class Trained:
    """A finished training: its checkpoint and the loss of every step `(steps,)`."""

    checkpoint: Checkpoint
    losses: np.ndarray


def train(
    objective: Objective,
    pack: Pack,
    settings: Settings,
    output: Path,
    progress: Progress = lambda what, done, total: None,
    recognizer: Recognizer | None = None,
) -> Trained:
    """Train `objective.network` in place, into the folder `output`: checkpoint and card, the state
    to resume from, TensorBoard logs with sample sheets (which show faces of the pack).

    An interrupted run goes on when called again with the same arguments.

    Args:
        recognizer: whose embeddings validation compares, or None.

    Raises:
        InputError: the batch cannot be divided, or the folder holds another training.
        TrainingFailed: the loss is no number any more.
    """
    run = _Run(objective, pack, settings, output)
    with run.logs() as logs:
        while run.step < settings.steps:
            loss = run.advance()
            progress(f"training {objective.name}", run.step, settings.steps)
            last = run.step == settings.steps
            if run.step % FLUSH_EVERY == 0 or last:
                logs.scalar("loss", loss, run.step)
                logs.scalar("rate", run.rate, run.step)
            if run.step % settings.validate_every == 0 or last:
                run.validate(logs, recognizer)
            if run.step % settings.save_every == 0 or last:
                run.save()
    return run.finish()


class _Run:
    """Everything that changes while training."""

    def __init__(self, objective: Objective, pack: Pack, settings: Settings, output: Path) -> None:
        self.objective, self.pack, self.settings, self.output = objective, pack, settings, output
        self.accelerator = Accelerator(
            cpu=settings.device == "cpu",
            mixed_precision=settings.precision,
            gradient_accumulation_steps=settings.accumulate,
        )
        parts = self.accelerator.num_processes * settings.accumulate
        if settings.batch % parts:
            raise InputError(
                f"batch {settings.batch}: give a multiple of {parts} (processes times parts)."
            )
        if not len(pack.training):
            raise InputError(f"{pack.source}: no face is left to train on.")
        self.device = self.accelerator.device
        self.network: nn.Module = objective.network.to(self.device)
        self.kept: nn.Module = getattr(objective, "kept", self.network)
        self.trained = [p for p in self.network.parameters() if p.requires_grad]
        plain = torch.optim.AdamW(
            self.trained, lr=settings.rate, weight_decay=settings.weight_decay
        )
        self.schedule = get_cosine_schedule_with_warmup(plain, settings.warmup, settings.steps)
        self.optimizer = plain
        self.ema = EMAModel(
            self.network.parameters(),
            decay=settings.ema,
            use_ema_warmup=True,
            power=3 / 4,
            foreach=True,  # one call for all tensors instead of three for each
        )
        self.source: Source = source_of(pack, settings.operators, self.device)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.metrics: dict[str, Any] = {}
        if (output / STATE).exists():
            self._resume(output / STATE)
        objective.network, self.stepper = self.accelerator.prepare(self.network, plain)

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def advance(self) -> float:
        """One optimizer step; returns the loss over the whole batch."""
        started = time.perf_counter()
        self.network.train()
        total = torch.zeros((), device=self.device)
        for places in self._parts():
            with self.accelerator.accumulate(self.objective.network):
                clear, observed, noise = self._batch(places)
                with self.accelerator.autocast():
                    loss = self.objective.loss(clear, observed, noise)["loss"]
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.trained, self.settings.clip)
                self.stepper.step()
                self.stepper.zero_grad(set_to_none=True)
                total += loss.detach().float() / self.settings.accumulate
        self.schedule.step()
        self.ema.step(self.network.parameters())
        self.step += 1
        mean = float(self.accelerator.reduce(total, "mean"))
        refuse_no_number(mean, self.step)
        self.losses.append(mean)
        self.seconds += time.perf_counter() - started
        return mean

    def _parts(self) -> Iterator[range]:
        """Places in the batch that this process computes, part by part."""
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        size = self.settings.batch // (processes * self.settings.accumulate)
        for part in range(self.settings.accumulate):
            start = (part * processes + rank) * size
            yield range(start, start + size)

    def _batch(self, places: range) -> tuple[Tensor, Observed, Noise]:
        first = self.step * self.settings.batch
        samples = [first + place for place in places]
        rows = np.array([self._row(sample) for sample in samples])
        noise = Noise.of(self.settings.seed, samples, self.device)
        clear, observed = self.source.batch(rows, noise, mirror=True)
        return clear, observed, noise

    def _row(self, sample: int) -> int:
        """The face of the n-th sample: all faces once an epoch, in an order of its own."""
        epoch, place = divmod(sample, len(self.pack.training))
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.settings.seed, epoch]).permutation(
                self.pack.training
            )
        return int(self._order[place])

    # ------------------------------------------------------------------ looking

    def validate(self, logs: _Logs, recognizer: Recognizer | None) -> None:
        """Restore development faces with the averaged weights; on the main process alone."""
        if self.accelerator.is_main_process:
            with self._averaged():
                measured, sheet = evaluate(
                    self.objective, self.pack, self.source, self.settings.operators, recognizer
                )
            for name, value in measured.items():
                logs.scalar(f"development/{name}", value, self.step)
            logs.sheet(make_grid(sheet.flatten(0, 1), nrow=sheet.shape[1]), self.step)
            self.metrics = {"step": self.step, **measured}
        self.accelerator.wait_for_everyone()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Averaged weights, without the wrapper that talks to other processes."""
        wrapped, self.objective.network = self.objective.network, self.network
        self.ema.store(self.network.parameters())
        self.ema.copy_to(self.network.parameters())
        self.network.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.ema.restore(self.network.parameters())
            self.objective.network = wrapped

    @contextmanager
    def logs(self) -> Iterator[_Logs]:
        """Where scalars and sheets go; nowhere but on the main process."""
        if not self.accelerator.is_main_process:
            yield _Logs(None)
            return
        with SummaryWriter(str(self.output / LOGS), purge_step=self.step) as writer:
            yield _Logs(writer)

    # ------------------------------------------------------------------ keeping

    def save(self) -> None:
        """Everything needed to go on, in one file that is replaced at once."""
        if self.accelerator.is_main_process:
            tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
            for index, shadow in enumerate(self.ema.shadow_params):
                tensors[f"ema.{index}"] = shadow
            for index, values in self.optimizer.state_dict()["state"].items():
                for name, value in values.items():
                    tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
            tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
            about = {
                "step": self.step,
                "seconds": self.seconds,
                "metrics": self.metrics,
                "identity": self._identity(),
            }
            write_tensors(self.output / STATE, tensors, {"about": json.dumps(about)})
        self.accelerator.wait_for_everyone()

    def _identity(self) -> dict[str, Any]:
        """What a state belongs to, as JSON gives it back."""
        identity = {
            "name": self.objective.name,
            "config": dict(self.objective.config),
            "data": self.pack.digest,
            "settings": self.settings.decisive,
        }
        plain: dict[str, Any] = json.loads(json.dumps(identity))
        return plain

    def _resume(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["about"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no state of a training; delete it to start anew.") from error
        if about["identity"] != self._identity():
            difference = _difference(about["identity"], self._identity())
            raise InputError(
                f"{path.parent}: holds another training ({difference}); name a new folder."
            )
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "ema": {}, "optimizer": {}}
        self.losses = tensors.pop("losses").tolist()
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = value
        self.network.load_state_dict(parts["network"])
        self.step, self.seconds = about["step"], about["seconds"]
        self.metrics = about["metrics"]
        self.ema.shadow_params = [
            parts["ema"][str(i)].to(self.device) for i in range(len(parts["ema"]))
        ]
        self.ema.optimization_step = self.step
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.schedule.last_epoch = self.step
        rates = zip(self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True)
        for group, (base, factor) in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = base * factor(self.step)

    def finish(self) -> Trained:
        """Write the averaged weights and their card."""
        if self.accelerator.is_main_process:
            with self._averaged():
                weights = {k: v.clone() for k, v in self.kept.state_dict().items()}
            weights |= self.source.kept()
            write_checkpoint(self.output, weights, self._card(), self.settings.half)
        self.accelerator.wait_for_everyone()
        self.objective.network = self.network
        checkpoint = Checkpoint.open(self.output, self.objective.name)
        self.accelerator.free_memory()
        checkpoint.fill(self.kept)
        return Trained(checkpoint, np.array(self.losses))

    def _card(self) -> Card:
        settings = self.settings.decisive
        operators: Mapping[str, Any] = settings.pop("operators")
        if self.pack.anonymized is not None:
            operators = {"kind": "pairs of original and anonymised pictures"}
        return Card(
            name=self.objective.name,
            config=dict(self.objective.config),
            data={
                "source": self.pack.source,
                "digest": self.pack.digest,
                "faces": len(self.pack),
                "people": len(set(self.pack.identities)),
                "development faces": len(self.pack.development),
            },
            operators=operators,
            training={
                **settings,
                "seconds": round(self.seconds, 1),
                "device": self.device.type,
                "processes": self.accelerator.num_processes,
            },
            metrics=self.metrics,
            licence=self.settings.licence,
            parameters=sum(p.numel() for p in self.kept.parameters()),
        )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first thing in which two trainings differ."""
    for name in new:
        if isinstance(new[name], dict) and isinstance(old.get(name), dict):
            if old[name] != new[name]:
                return f"{name}: {_difference(old[name], new[name])}"
        elif old.get(name) != new[name]:
            return f"{name} {old.get(name)!r}, not {new[name]!r}"
    return "more settings"


@dataclass(frozen=True)
class _Logs:
    """TensorBoard, or nothing."""

    writer: SummaryWriter | None

    def scalar(self, name: str, value: float, step: int) -> None:
        if self.writer is not None:
            self.writer.add_scalar(name, value, step)

    def sheet(self, picture: Tensor, step: int) -> None:
        if self.writer is not None:
            self.writer.add_image("development", picture.clamp(0, 1), step)
