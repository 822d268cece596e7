"""The shared descent takes the steps of a loop written out, and ends a training that is lost."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid_audit.attacks.descent import descend
from reid_audit.attacks.interface import Context
from reid_audit.attacks.networks.arcface import BATCH, EPOCHS, RATE, margin_loss, train_head
from reid_audit.metrics.errors import TrainingFailed


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def optimiser(trained: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, object]:
    adam = torch.optim.AdamW(trained.parameters(), lr=1e-2, weight_decay=0.01)
    return adam, get_cosine_schedule_with_warmup(adam, 3, steps)


def test_the_weights_are_those_of_a_loop_written_out() -> None:
    steps, faces = 30, torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
    plain, shared = network(), network()
    adam, schedule = optimiser(plain, steps)
    torch.manual_seed(5)
    losses = []
    for step in range(steps):
        value = plain(faces[2 * step : 2 * step + 4]).square().mean()
        adam.zero_grad()
        value.backward()
        adam.step()
        schedule.step()
        losses.append(float(value))

    adam, schedule = optimiser(shared, steps)
    told: list[int] = []
    torch.manual_seed(5)
    with torch.no_grad():  # as inside an attack's inference
        taken = descend(
            lambda step: shared(faces[2 * step : 2 * step + 4]).square().mean(),
            adam,
            steps,
            schedule,
            told.append,
        )
    assert taken.tolist() == losses and losses[-1] < losses[0]
    assert told == list(range(1, steps + 1))
    for mine, other in zip(shared.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_head_is_what_the_loop_it_had_of_its_own_made_of_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * BATCH + 7, 5)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = rng.integers(0, 4, len(features))
    start = features[:4]
    order = np.random.default_rng(3)
    weights = torch.tensor(start, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=RATE)
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for part in np.array_split(order.permutation(len(x)), len(x) // BATCH):
            rows = torch.from_numpy(part)
            loss = margin_loss(x[rows] @ normalize(weights).T, y[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
    told: list[tuple[str, int, int]] = []

    class Asked:
        seed = 3

        def progress(self, what: str, done: int, total: int) -> None:
            told.append((what, done, total))

    context: Context = Asked()  # type: ignore[assignment]
    learnt = train_head(features, labels, start, context)
    np.testing.assert_array_equal(learnt, normalize(weights.detach()).numpy())
    assert told[-1] == ("training the parrot head", EPOCHS, EPOCHS) and len(told) == EPOCHS


def test_a_loss_that_is_no_number_fails_the_training() -> None:
    lost = network()
    adam = torch.optim.SGD(lost.parameters(), lr=1e30)
    with pytest.raises(TrainingFailed, match="broke down: its loss is no number after 20 steps"):
        descend(lambda _: lost(torch.ones(4, 6)).square().mean(), adam, 40)


def test_an_interruption_leaves_the_weights_between_two_steps() -> None:
    stopped, whole = network(), network()
    faces = torch.randn(8, 6)

    def loss(trained: nn.Module) -> Tensor:
        return trained(faces).square().mean()

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    for trained, progress in ((stopped, interrupt), (whole, None)):
        adam = torch.optim.SGD(trained.eval().parameters(), lr=0.1)
        steps = 9 if progress else 3
        before = copy.deepcopy(trained.state_dict())
        try:
            descend(lambda _, own=trained: loss(own), adam, steps, progress=progress)
        except KeyboardInterrupt:
            assert progress is not None
        assert not torch.equal(before["0.weight"], trained.state_dict()["0.weight"])
    for mine, other in zip(stopped.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)
