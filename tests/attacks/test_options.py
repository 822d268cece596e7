"""What can be set about attacks: declared by each, and every mistake one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import pytest

from reid_audit import Flow, Naive, Posterior, Revelio, Student
from reid_audit.attacks.direct.fusion import Fusion
from reid_audit.attacks.interface import Context
from reid_audit.attacks.registry import attack_class, make_attack, names, options_of
from reid_audit.metrics.errors import InputError


@pytest.mark.parametrize("name", names())
def test_every_option_has_a_default_that_it_accepts_and_a_meaning(name: str) -> None:
    attack = make_attack(name, {})
    declared = options_of(attack_class(name))
    assert is_dataclass(attack.options) and len(fields(attack.options)) == len(declared)
    for entry in declared:
        assert len(entry.meaning.split()) >= 3
        again = make_attack(name, {entry.name: entry.default})
        assert again.options == attack.options


def test_what_is_set_is_used_and_shown() -> None:
    assert Student(epochs=3).options.epochs == 3
    assert repr(Student(epochs=3)) == "Student(epochs=3)"
    assert repr(Student()) == "Student()" == repr(Student(epochs=9))
    assert Revelio(rounds=2, sampler="ddim").options.sampler == "ddim"
    assert Posterior(steps=None).options.steps is None
    assert Fusion(epochs=1).options.epochs == 1


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("student", {"epoch": 3}, "'student' has no option 'epoch'; did you mean 'epochs'"),
        ("flow", {"rounds": 3}, "'flow' has no option 'rounds'; it takes steps"),
        ("naive", {"rounds": 3}, "'naive' has no option 'rounds'; it has nothing to set"),
        ("flow", {"steps": "many"}, "'steps'.*Euler.*whole number from 1, not 'many'"),
        ("flow", {"steps": 0}, "whole number from 1, not 0"),
        ("flow", {"steps": 2.5}, "whole number from 1, not 2.5"),
        ("flow", {"steps": True}, "whole number from 1, not True"),
        ("revelio", {"sampler": "euler"}, r"choice of 'dpm\+\+' or 'ddim', not 'euler'"),
    ],
)
def test_mistakes(name: str, given: Mapping[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make_attack(name, given)
    with pytest.raises(InputError, match=sentence):
        attack_class(name)(**given)


def test_attacks_of_other_packages_need_declare_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        info = Naive.info

    monkeypatch.setattr("reid_audit.attacks.registry.attack_class", lambda name: Bare)
    assert isinstance(make_attack("bare", {}), Bare)
    assert options_of(Bare) == ()  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'bare' has no option 'rounds'"):
        make_attack("bare", {"rounds": 3})


def test_a_checkpoint_is_a_field_of_the_context(stand_in, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert Context.of("none", stand_in).checkpoints == {}
    shipped = Context.of("none", stand_in, checkpoints={"mmse": find_shipped("mmse")})
    assert shipped.checkpoints["mmse"].card.name == "mmse"
    with pytest.raises(InputError, match="no checkpoint"):
        Context.of("none", stand_in, checkpoints={"mmse": tmp_path})
    assert Flow().options.steps == 6


def find_shipped(name: str) -> str:
    from reid_audit.attacks.checkpoint import find

    return str(find(name).folder)
