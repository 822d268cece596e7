"""What every attack promises, whatever it does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    Reference,
    picture_rng,
)
from reid_audit.attacks.registry import attack_class, names
from reid_audit.metrics.errors import InputError

NEEDS = {"gallery", "background", "operator", "trainable"}
YIELDS = {"restored", "embeddings", "scores", "estimates"}
BUILT_IN = (
    "naive", "degraded-gallery", "wiener", "parrot", "parrot-tuned", "fantomas",
    "ridge", "mmse", "flow", "posterior", "revelio", "revelio-vote", "student", "fusion",
)  # fmt: skip
Make = Callable[..., Any]


def same(a: AttackOutput, b: AttackOutput, tolerance: float = 0.0) -> None:
    """Every part that either output has is equal in both."""
    for name in ("embeddings", "scores"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)
    assert (a.restored is None) == (b.restored is None)
    for x, y in zip(a.restored or (), b.restored or (), strict=True):
        np.testing.assert_array_equal(x, y)


def joined(parts: list[AttackOutput]) -> AttackOutput:
    def stack(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    restored = [part.restored for part in parts]
    whole = None if restored[0] is None else tuple(p for r in restored for p in r)
    return AttackOutput(whole, stack("embeddings"), stack("scores"))


def test_the_ladder_is_registered_and_a_misspelt_name_gets_a_hint() -> None:
    assert names()[: len(BUILT_IN)] == BUILT_IN
    with pytest.raises(InputError, match="did you mean 'ridge'"):
        attack_class("rigde")


def test_an_attack_is_handed_no_truth() -> None:
    assert {field.name for field in fields(AnonymizedFaces)} == {
        "ids",
        "pictures",
        "landmarks",
        "regions",
    }


@pytest.mark.parametrize("name", names())
def test_declares_what_it_is(name: str) -> None:
    attack = attack_class(name)
    assert isinstance(attack.info, AttackInfo)
    assert attack.info.name == name and attack.info.title and attack.info.version >= 1
    assert attack.info.needs <= NEEDS and attack.info.yields <= YIELDS
    assert attack.info.yields & {"restored", "embeddings", "scores"}
    assert inspect.getdoc(attack)


@pytest.mark.parametrize("whole", [True, False], ids=["picture", "region"])
@pytest.mark.parametrize("name", names())
def test_output_is_complete_repeatable_and_independent_of_batches(
    name: str, whole: bool, scene: Make, quick: Make
) -> None:
    made = scene("gaussian:sigma=4", whole)
    before = [picture.copy() for picture in made.probes.pictures]
    attack = quick(name)
    assert attack.fit(made.reference, made.context) is attack
    output = attack.run(made.probes, made.context)

    count, people = len(made.probes), len(made.reference.people)
    for part in attack.info.yields:
        assert getattr(output, part) is not None
    if output.restored is not None:
        assert [p.shape for p in output.restored] == [p.shape for p in before]
        assert {p.dtype for p in output.restored} == {np.dtype(np.uint8)}
    if output.embeddings is not None:
        assert output.embeddings.shape == (count, made.context.recognizer.dimension)
        assert np.isfinite(output.embeddings).all()
    if output.scores is not None:
        assert output.scores.shape == (count, people)
        assert output.scores.dtype == np.float32 and np.isfinite(output.scores).all()

    for picture, kept in zip(made.probes.pictures, before, strict=True):
        np.testing.assert_array_equal(picture, kept)
    same(output, attack.run(made.probes, made.context))
    singles = joined([attack.run(one, made.context) for one in made.probes.batches(1)])
    same(output, singles, 1e-4)
    again = quick(name).fit(made.reference, made.context)
    same(output, again.run(made.probes, made.context), 1e-6)


@pytest.mark.parametrize("name", names())
def test_probes_may_differ_in_size(name: str, scene: Make, quick: Make) -> None:
    made = scene("gaussian:sigma=3")
    few = next(made.probes.batches(3))
    cut = [few.pictures[0][:90], few.pictures[1][:, :91], few.pictures[2][5:, 3:]]
    moved = few.landmarks - np.array([[0, 0], [0, 0], [3, 5]], np.float32)[:, None]
    whole = np.array([[0, 0, p.shape[1], p.shape[0]] for p in cut])
    odd = replace(few, pictures=tuple(cut), landmarks=moved, regions=whole)
    attack = quick(name).fit(made.reference, made.context)
    output = attack.run(odd, made.context)
    if output.restored is not None:
        assert [p.shape for p in output.restored] == [p.shape for p in cut]
    if output.scores is not None:
        assert np.isfinite(output.scores).all()


def test_training_rows_follow_the_world(scene: Make) -> None:
    reference: Reference = scene("none").reference
    assert set(reference.training) == {*reference.background, *reference.gallery}
    assert replace(reference, world="open").training == reference.background


def test_random_numbers_belong_to_seed_and_picture() -> None:
    def draw(seed: int, name: str) -> list[int]:
        return picture_rng(seed, name).integers(2**32, size=4).tolist()

    assert draw(1, "a") == draw(1, "a")
    assert len({tuple(draw(seed, name)) for seed in (1, 2) for name in "ab"}) == 4
