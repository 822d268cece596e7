"""The training loop: the same losses however it is cut up, and networks that learn."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid_audit.attacks.checkpoint import Checkpoint, find
from reid_audit.attacks.networks.pack import Pack, open_pack
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.fantomas import FantomasObjective
from reid_audit.attacks.restoration.flow import FlowObjective
from reid_audit.attacks.restoration.mmse import MmseObjective
from reid_audit.attacks.training.kernel import KernelObjective
from reid_audit.attacks.training.loop import LOGS, STATE, Trained
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import exactly
from reid_audit.attacks.training.source import Synthetic
from reid_audit.attacks.training.student import StudentObjective
from reid_audit.metrics.errors import InputError, MissingWeights

Fit = Callable[..., Trained]
CURVE = Path(__file__).with_name("curve.py")


@pytest.fixture(scope="module")
def reference(fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """An uninterrupted training in one process."""
    return fit(tmp_path_factory.mktemp("reference"))


class Interrupted(Exception):
    pass


def test_resuming_gives_the_same_losses_and_weights(
    fit: Fit, reference: Trained, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 6:  # two steps after the last state was kept
            raise Interrupted

    with pytest.raises(Interrupted):
        fit(tmp_path, progress=stop)
    assert not (tmp_path / "weights.safetensors").exists()
    again = fit(tmp_path)
    np.testing.assert_array_equal(again.losses, reference.losses)
    assert again.checkpoint.digest == reference.checkpoint.digest
    assert not list(tmp_path.glob("*.partial"))
    assert list((tmp_path / LOGS).iterdir())


def test_accumulating_gives_the_same_losses(fit: Fit, reference: Trained, tmp_path: Path) -> None:
    parts = fit(tmp_path, accumulate=2)
    np.testing.assert_allclose(parts.losses, reference.losses, rtol=1e-4)


def test_two_processes_give_the_same_losses(pack: Pack, reference: Trained, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(CURVE), str(Path(pack.faces.filename).parent)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    checkpoint = Checkpoint.open(tmp_path, "mmse")
    assert checkpoint.card.training["processes"] == 2
    losses = load_file(tmp_path / STATE)["losses"].numpy()
    np.testing.assert_allclose(losses, reference.losses, rtol=1e-4)


def test_training_beats_its_own_start(fit: Fit, tmp_path: Path) -> None:
    """The auto-encoder starts by answering the anonymised picture."""
    objective = FantomasObjective("tiny")
    made = fit(tmp_path, objective, steps=80, batch=8, ema=0.9, save_every=80, validate_every=80)
    metrics = made.checkpoint.card.metrics
    assert metrics["psnr linear"] > metrics["psnr anonymized"] + 1
    assert metrics["psnr restored"] > metrics["psnr anonymized"] + 0.5
    assert made.losses[-10:].mean() < 0.9 * made.losses[:10].mean()


@pytest.mark.parametrize("made", [MmseObjective, FlowObjective])
def test_the_identity_loss_reaches_the_network_and_not_the_recogniser(
    made: type[MmseObjective | FlowObjective], pack: Pack, stand_in: Recognizer
) -> None:
    objective = made("tiny", stand_in, identity=1.0)
    learning = [p for p in objective.network.parameters() if p.requires_grad]
    for name, weight in objective.network.named_parameters():
        if name.endswith("conv_out.weight"):
            torch.nn.init.normal_(weight, std=0.01)  # it starts at nothing
    source = Synthetic(pack, fitting(), torch.device("cpu"))
    rows = pack.training[:4]
    clear, observed = source.batch(rows, Noise.of(0, rows), True)
    parts = objective.loss(clear, observed, Noise.of(0, rows))
    (parts["loss"] - parts["mse"]).backward()
    assert np.mean([p.grad is not None and bool(p.grad.any()) for p in learning]) > 0.9
    assert all(p.grad is None for p in objective.embedder.parameters())
    objective.network.train()
    objective.embedder.train()
    assert not objective.embedder.network.training


def fitting() -> object:
    from reid_audit.attacks.training.observe import OperatorRange

    return OperatorRange(sigma=(0.08, 0.12))


def test_a_flow_trains_its_change_and_leaves_its_start_alone(
    fit: Fit, reference: Trained, pack: Pack, tmp_path: Path
) -> None:
    objective = FlowObjective("tiny", start=reference.checkpoint)
    untrained = FlowObjective("tiny", start=reference.checkpoint)
    before = {k: v.clone() for k, v in objective.network.state_dict().items()}
    made = fit(tmp_path, objective, steps=4)
    changed = {k for k, v in made.checkpoint.weights.items() if not torch.equal(v, before[k])}
    assert changed and all(name.startswith("change.") for name in changed)
    source = Synthetic(pack, fitting(), torch.device("cpu"))
    rows = pack.development[:3]
    clear, observed = source.batch(rows, Noise.of(0, rows), False, exactly([0.1] * len(rows)))
    with torch.inference_mode():
        # Before any training it ends where it started: the noise on the way is not its to learn.
        mean = untrained.mean(observed).clamp(-1, 1) / 2 + 0.5
        torch.testing.assert_close(untrained.restore(observed, Noise.of(0, rows)), mean)
        every = objective.restore(observed, Noise.of(0, rows))
        alone = objective.restore(
            type(observed)(*(v[1:2] for v in vars(observed).values())), Noise.of(0, rows[1:2])
        )
    assert every.shape == clear.shape
    torch.testing.assert_close(every[1:2], alone, atol=1e-4, rtol=0)


def test_student_and_kernel_estimator_learn_on_the_same_loop(
    fit: Fit, stand_in: Recognizer, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--recognizer"):
        StudentObjective("tiny")
    for objective in (StudentObjective("tiny", stand_in), KernelObjective("tiny")):
        start = {k: v.clone() for k, v in objective.network.state_dict().items()}
        made = fit(tmp_path / objective.name, objective, steps=30, rate=3e-4)
        if objective.name == "kernel":
            assert made.losses[-10:].mean() < made.losses[:10].mean()
        kept = made.checkpoint.weights
        assert any(not torch.equal(kept[name], value.float()) for name, value in start.items())


def test_another_training_is_not_mixed_in(fit: Fit, tmp_path: Path) -> None:
    fit(tmp_path, steps=4)
    with pytest.raises(InputError, match="rate"):
        fit(tmp_path, steps=4, rate=1e-3)
    (tmp_path / STATE).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="no state of a training"):
        fit(tmp_path, steps=4)
    with pytest.raises(InputError, match="multiple of 3"):
        fit(tmp_path / "new", accumulate=3)


def test_nothing_is_unpickled(reference: Trained, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "harmed",))  # type: ignore[return-value]

    for name in ("model.pt", "weights.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(Harm()))
        with pytest.raises(InputError, match="never opened"):
            find("mmse", tmp_path / name)
    folder = reference.checkpoint.folder
    (tmp_path / "card.json").write_text((folder / "card.json").read_text())
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(InputError, match="not a safetensors file"):
        _ = find("mmse", tmp_path).weights
    assert not (tmp_path / "harmed").exists()
    with pytest.raises(InputError, match="holds mmse"):
        find("flow", folder)
    with pytest.raises(MissingWeights, match="reid-audit train nothing"):
        find("nothing")


def test_the_card_says_what_was_done(reference: Trained, pack: Pack) -> None:
    card = reference.checkpoint.card
    assert card.data["digest"] == pack.digest and card.data["people"] == 16
    assert card.operators["sigma"] == [0.08, 0.12]
    assert card.training["steps"] == 12 and card.training["seconds"] > 0
    assert card.parameters > 10_000
    text = (reference.checkpoint.folder / "card.md").read_text()
    for part in (pack.digest, "0.08 - 0.12", "psnr restored", card.licence):
        assert part in text


def test_development_people_are_never_trained_on(pack: Pack) -> None:
    own = {pack.identities[row] for row in pack.training}
    held = {pack.identities[row] for row in pack.development}
    assert own and held and not own & held
    again = open_pack(Path(pack.faces.filename).parent)
    assert again.digest == pack.digest
    np.testing.assert_array_equal(again.development, pack.development)
    with pytest.raises(InputError, match="no pack of faces"):
        open_pack(Path("/nowhere"))
