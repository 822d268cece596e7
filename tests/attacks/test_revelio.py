"""Revelio stage by stage: the process and its samplers, the vote, the threshold, the frozen layers,
and the whole of it in small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve
from torch import Tensor

from reid_audit.attacks.restoration.revelio.attack import Revelio, RevelioVote, development
from reid_audit.attacks.restoration.revelio.diffusion import Diffusion
from reid_audit.attacks.restoration.revelio.people import Gallery
from reid_audit.attacks.restoration.revelio.process import CLEAR, PAPER, PROCESSES, sample
from reid_audit.attacks.restoration.revelio.stranger import choose_threshold
from reid_audit.attacks.restoration.revelio.tuning import attention_only, fine_tuned
from reid_audit.attacks.restoration.revelio.vote import by_person, tally
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.metrics.errors import InputError

Make = Callable[..., Any]
MEAN, SPREAD = 0.3, 0.4


def ideal(process: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The best answer there is when what is diffused is normal with MEAN and SPREAD."""
    kept = process.training().alphas_cumprod

    def predict(state: Tensor, time: Tensor) -> Tensor:
        a, s = kept[int(time)].sqrt(), (1 - kept[int(time)]).sqrt()
        clear = MEAN + a * SPREAD**2 / (a**2 * SPREAD**2 + s**2) * (state - a * MEAN)
        grain = (state - a * clear) / s
        answers = {"epsilon": grain, "v_prediction": a * grain - s * clear, "sample": clear}
        return answers[process.prediction]

    return predict


@pytest.mark.parametrize(
    ("process", "sampler", "steps"),
    [
        ("clear", "dpm++", 8),
        ("clear", "ddim", 50),
        ("velocity", "dpm++", 8),
        ("velocity", "ddim", 50),
        ("paper", "dpm++", 20),
        ("paper", "ddim", 100),
    ],
)
def test_samplers_find_a_gaussian(process: str, sampler: str, steps: int) -> None:
    chosen = PROCESSES[process]
    start = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    found = sample(ideal(chosen), start, chosen, sampler, steps)
    assert found.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert found.std().item() == pytest.approx(SPREAD, rel=0.2)
    again = sample(ideal(chosen), start, chosen, sampler, steps)
    assert torch.equal(found, again)


def test_the_processes_are_what_they_are_called() -> None:
    ours, paper = CLEAR.training().alphas_cumprod, PAPER.training().alphas_cumprod
    assert ours[-1] == 0 and len(ours) == 1000  # zero terminal signal-to-noise ratio
    betas = np.linspace(1e-6, 0.01, 2000)
    np.testing.assert_allclose(paper.numpy(), np.cumprod(1 - betas), rtol=1e-3)
    with pytest.raises(InputError, match="ddim or dpm"):
        CLEAR.sampling("euler", 5)
    with pytest.raises(InputError, match="clear, velocity, paper"):
        Diffusion("tiny", process="theirs")


def seen(count: int, size: int = 32, seed: int = 0) -> tuple[Tensor, Observed]:
    """Smooth random pictures, and the same a little off as what is observed of them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    clear = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    off = (clear + 0.05 * torch.randn(clear.shape, generator=generator)).clamp(0, 1)
    return clear, Observed(off, off, torch.full((count,), -2.5))


@pytest.mark.parametrize("process", ["clear", "velocity", "paper"])
def test_losses_are_sums_of_samples(process: str) -> None:
    """A batch's loss is the mean of its samples' own: random numbers go with the sample."""
    torch.manual_seed(0)
    base = Diffusion("tiny", process=process)
    torch.nn.init.normal_(base.network.net.conv_out.weight, std=0.1)
    clear, observed = seen(4)
    whole = base.loss(clear, observed, Noise.of(0, range(4)))["loss"]
    parts = [
        base.loss(
            clear[i : i + 1],
            Observed(
                observed.anonymized[i : i + 1],
                observed.restored[i : i + 1],
                observed.log_sigma[i : i + 1],
            ),
            Noise.of(0, [i]),
        )["loss"]
        for i in range(4)
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean(), rtol=1e-4, atol=1e-5)
    whole.backward()
    assert all(p.grad is not None for p in base.network.parameters())


def test_before_any_training_a_sample_is_the_linear_estimate() -> None:
    base = Diffusion("tiny")
    _, observed = seen(2)
    with torch.no_grad():
        found = base.restore(observed, Noise.of(0, "ab"), steps=4)
    torch.testing.assert_close(found, observed.restored, atol=1e-4, rtol=0)


def test_an_untrained_velocity_samples_about_the_linear_estimate() -> None:
    base = Diffusion("tiny", process="velocity")
    _, observed = seen(2)
    with torch.no_grad():
        found = base.restore(observed, Noise.of(0, "ab"), steps=4, rounds=3)
    assert found.shape == (6, 3, 32, 32)
    off = found - observed.restored.repeat_interleave(3, 0)
    assert abs(off.mean().item()) < 0.01 and 0.02 < off.std().item() < 0.1
    alone = Observed(observed.anonymized[1:], observed.restored[1:], observed.log_sigma[1:])
    with torch.no_grad():
        single = base.restore(alone, Noise.of(0, "b"), steps=4, rounds=3)
    torch.testing.assert_close(found[3:], single, atol=1e-5, rtol=0)


def test_dropped_conditions_leave_the_prior() -> None:
    base = Diffusion("tiny")
    _, observed = seen(2)
    told = base.condition(observed, dropped=torch.tensor([False, True]))
    prior = base.nothing(1, observed.anonymized)
    assert torch.equal(told.planes[1:], prior.planes) and torch.equal(told.centre[1:], prior.centre)
    assert torch.equal(told.strength[1:], prior.strength)
    assert torch.equal(told.spread[1:], prior.spread)
    assert not torch.equal(told.planes[0], told.planes[1])
    with pytest.raises(InputError, match="no prior"):
        Diffusion("tiny", process="paper").nothing(1, observed.anonymized)


def test_a_hand_counted_vote() -> None:
    """Four rounds, three people: b is named twice and so is c; b came nearer once."""
    rounds = np.array(
        [
            [0.1, 0.6, 0.5],
            [0.2, 0.3, 0.4],
            [0.3, 0.9, 0.1],
            [0.0, 0.2, 0.7],
        ]
    )
    found = tally(np.stack([rounds, rounds[:, ::-1]]))
    assert found.votes.tolist() == [[0, 2, 2], [2, 2, 0]]
    assert found.retrieved.tolist() == [1, 1]
    assert found.round.tolist() == [2, 2]
    np.testing.assert_allclose(found.scores, [[0.3, 0.9, 0.7], [0.7, 0.9, 0.3]], atol=1e-6)


def test_more_votes_win_over_a_shorter_distance() -> None:
    rounds = np.array([[[0.5, 0.4], [0.5, 0.4], [0.1, 0.99]]])
    found = tally(rounds)
    assert found.retrieved.tolist() == [0] and found.round.tolist() == [0]
    # The first of the scores is still minus the lowest distance of all rounds.
    np.testing.assert_allclose(found.scores, [[0.99, 0.5]], atol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5))
def test_every_tally_ranks_by_votes(seed: int, rounds: int, people: int) -> None:
    similarity = np.random.default_rng(seed).random((3, rounds, people))
    found = tally(similarity)
    assert (found.votes.sum(axis=1) == rounds).all()
    for row in range(3):
        order = np.argsort(-found.scores[row], kind="stable")
        assert (np.diff(found.votes[row][order]) <= 0).all()
        assert found.scores[row].max() == pytest.approx(similarity[row].max(), abs=1e-6)
        assert order[0] == found.retrieved[row]


def test_by_person_takes_the_nearest_picture() -> None:
    similarity = np.arange(12.0).reshape(2, 6)
    who = ["b", "a", "c", "a", "b", "a"]
    expected = [[max(r[i] for i, w in enumerate(who) if w == p) for p in "abc"] for r in similarity]
    np.testing.assert_array_equal(by_person(similarity, who, ["a", "b", "c"]), expected)


@given(st.integers(0, 10**6), st.integers(2, 40))
@settings(max_examples=50)
def test_the_threshold_is_the_best_point_of_scikit_learns_curve(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    inside, outside = rng.normal(0.6, 0.2, count).round(2), rng.normal(0.4, 0.2, count).round(2)
    found = choose_threshold(inside, outside)
    fpr, tpr, _ = roc_curve(np.r_[np.ones(count), np.zeros(count)], np.r_[inside, outside])
    assert found.true_accepts - found.false_accepts == pytest.approx((tpr - fpr).max())
    assert found.accepts(inside).mean() == pytest.approx(found.true_accepts)
    assert found.accepts(outside).mean() == pytest.approx(found.false_accepts)


def test_only_attention_learns_in_the_fidelity_stage() -> None:
    torch.manual_seed(0)
    base = Diffusion("tiny")
    torch.nn.init.normal_(base.network.net.conv_out.weight, std=0.1)
    before = {name: value.clone() for name, value in base.network.state_dict().items()}
    clear, observed = seen(3)
    tuned = fine_tuned(base, clear, observed, seed=0, name="p", steps=3, rate=1e-2)
    changed = {
        name
        for name, value in tuned.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    attention = {name for name in before if "attentions" in name}
    assert attention and changed and changed <= attention
    assert {name for name in attention if name.endswith("weight")} <= changed
    for name, value in base.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    again = fine_tuned(base, clear, observed, seed=0, name="p", steps=3, rate=1e-2)
    for a, b in zip(tuned.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b) and not a.requires_grad
    total = sum(p.numel() for p in attention_only(Diffusion("light").network))
    assert 0 < total < 0.1 * sum(p.numel() for p in base.network.parameters()) + 2e5


def test_fine_tuning_brings_a_person_nearer() -> None:
    torch.manual_seed(0)
    base = Diffusion("tiny")
    torch.nn.init.normal_(base.network.net.conv_out.weight, std=0.02)
    clear, observed = seen(4)

    def loss(model: Diffusion) -> float:
        with torch.no_grad():
            return float(
                np.mean(
                    [model.loss(clear, observed, Noise.of(9, [f"{k}{i}" for i in range(4)]))["loss"]
                     for k in range(8)]
                )
            )  # fmt: skip

    tuned = fine_tuned(base, clear, observed, seed=0, name="p", steps=60, rate=5e-3)
    assert loss(tuned) < loss(base)


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> Diffusion:
    """A tiny network that has learnt nothing, in the place of the shipped one."""
    torch.manual_seed(0)
    base = Diffusion("tiny")
    base.network.eval().requires_grad_(False)
    monkeypatch.setattr(
        "reid_audit.attacks.restoration.revelio.attack.load", lambda context: (base, "untrained")
    )
    return base


SMALL = {"rounds": 3, "steps": 2}


@pytest.mark.parametrize("attack", [Revelio, RevelioVote])
def test_the_whole_attack_in_small(
    attack: type[Revelio], scene: Make, blank: Diffusion, tmp_path: Path
) -> None:
    made = scene("gaussian:sigma=2", cache=tmp_path)
    fitted = attack(**SMALL).fit(made.reference, made.context)
    output = fitted.run(made.probes, made.context)
    assert output.network_evaluations == 6 * len(made.probes)
    assert fitted.threshold_ is not None and fitted.threshold_.n >= 6
    for estimate, row in zip(output.estimates, output.scores, strict=True):
        assert 0 <= estimate["votes"] <= 3 and estimate["rounds"] == 3
        assert estimate["nearest"] == pytest.approx(row.max(), abs=1e-5)
        assert estimate["in_gallery"] == (estimate["nearest"] >= estimate["threshold"])
    # Another run finds the rounds on disk, and without a disk makes the same ones.
    assert list(tmp_path.glob("rounds-*.npy"))
    bare = attack(**SMALL).fit(made.reference, made.context.replace(cache=None))
    one = next(made.probes.batches(1))
    again = bare.run(one, made.context.replace(cache=None))
    np.testing.assert_array_equal(again.restored[0], output.restored[0])
    np.testing.assert_allclose(again.scores[0], output.scores[0], atol=1e-4)


def test_the_fidelity_stage_changes_pictures_and_no_score(scene: Make, blank: Diffusion) -> None:
    torch.nn.init.normal_(blank.network.net.conv_out.weight, std=0.05)
    made = scene("gaussian:sigma=2")
    few = next(made.probes.batches(3))
    plain = RevelioVote(**SMALL).fit(made.reference, made.context).run(few, made.context)
    context = made.context
    fitted = RevelioVote(**SMALL, finetune=2).fit(made.reference, context)
    fitted.threshold_ = None  # everybody counts as known
    tuned = fitted.run(few, context)
    np.testing.assert_array_equal(tuned.scores, plain.scores)
    assert tuned.embeddings.shape == plain.embeddings.shape
    single = fitted.run(next(few.batches(1)), context)
    np.testing.assert_array_equal(single.restored[0], tuned.restored[0])


def test_strangers_are_told_from_people_of_the_gallery(stand_in: Any) -> None:
    """Whoever is taken out of the gallery is not found in it, and found again when put back."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(6, 4)).astype(np.float32)

    class Asked:
        recognizer = stand_in

    gallery = Gallery(embeddings, tuple("aabbcc"), tuple("abc"), Asked())
    without = gallery.without("b")
    assert without.people == ("a", "c") and without.identities == tuple("aacc")
    probe = embeddings[2][None]
    assert gallery.to_people(probe).argmax() == 1
    assert gallery.to_people(probe)[0, 1] == pytest.approx(1)
    assert without.to_people(probe).max() < 1
    back = without.joined(embeddings[2:4], "b")
    np.testing.assert_allclose(back.to_people(probe), gallery.to_people(probe))
    np.testing.assert_allclose(back.to_templates(probe), gallery.to_templates(probe))


def test_development_people_are_not_the_gallery_where_there_are_others(scene: Make) -> None:
    reference = scene("none").reference
    rows, others = development(reference)
    names = reference.faces.identities
    assert set(rows) <= set(reference.background) and len(rows) >= 6
    for row, own in zip(rows, others, strict=True):
        assert own and row not in own and {names[i] for i in own} == {names[row]}
