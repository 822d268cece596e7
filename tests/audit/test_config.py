"""Precedence, and one sentence for every mistake."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reid_audit.attacks.registry import names
from reid_audit.audit.config import (
    PRESETS,
    AuditConfig,
    differences,
    dump_config,
    load_config,
    resolve,
)
from reid_audit.metrics.errors import InputError


def test_command_line_before_environment_before_file_before_profile(tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text("profile: full\nseed: 1\nbatch_size: 8\nstudent_epochs: 2\n")
    env = {"REID_AUDIT_SEED": "2", "REID_AUDIT_BATCH_SIZE": "16", "HOME": "/", "REID_AUDIT_X": "1"}
    config = resolve({"seed": 3, "batch_size": None}, env, file)
    assert (config.seed, config.batch_size, config.options["student"]) == (3, 16, {"epochs": 2})
    assert config.attacks == PRESETS["full"]["attacks"]


def test_presets_name_attacks_that_exist() -> None:
    for preset in PRESETS.values():
        assert set(preset["attacks"]) <= set(names())
    for profile in PRESETS:
        assert resolve({"profile": profile}).attacks == PRESETS[profile]["attacks"]


def test_lists_as_on_the_command_line() -> None:
    assert resolve({"attacks": "naive, ridge,naive"}).attacks == ("naive", "ridge")


@example(seed=0, rate=0.5, basis="one\x85two\u2028three", closed=False)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(0.001, 0.999),
    basis=st.none() | st.text(),
    closed=st.booleans(),
)
def test_yaml_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    rate: float,
    basis: str | None,
    closed: bool,
) -> None:
    config = AuditConfig(seed=seed, threshold=rate, authorization=basis, distractors=closed)
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8", newline="")
    assert load_config(file) == config


def test_differences_name_what_changes_results() -> None:
    before, after = AuditConfig(), AuditConfig(seed=1, batch_size=2, workers=3)
    assert differences(before, after) == ["seed: 0 -> 1"]


@pytest.mark.parametrize(
    ("cli", "env", "sentence"),
    [
        ({"threshold": 5}, {}, "--threshold: .* not 5"),
        ({}, {"REID_AUDIT_ALPHA": "low"}, "REID_AUDIT_ALPHA: .* not 'low'"),
        ({"profil": "quick"}, {}, "--profil: no such setting, did you mean 'profile'"),
        ({"profile": "huge"}, {}, "--profile: .*'quick', 'standard' or 'full'"),
        ({"attacks": " "}, {}, "--attacks: "),
    ],
)
def test_mistakes(cli: dict[str, object], env: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolve(cli, env)


def test_options_of_attacks(tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(
        "profile: full\n"
        "options: {revelio: {rounds: 3}, flow_steps: 2, revelio_steps: 4, student: {epochs: 5}}\n"
    )
    given = resolve({}, {}, file).options
    assert given == {
        "revelio": {"rounds": 3, "steps": 4},
        "revelio-vote": {"steps": 4},
        "flow": {"steps": 2},
        "student": {"epochs": 5},
        "fusion": {"epochs": 18},  # of the profile
    }
    told = resolve({"options": ("revelio.rounds=7", "posterior.method=dps")}, {}, file).options
    assert told["revelio"] == {"rounds": 7, "steps": 4}
    assert told["posterior"] == {"method": "dps"}
    env = {"REID_AUDIT_STUDENT_EPOCHS": "2"}
    assert resolve({}, env, file).options["student"] == {"epochs": 2}
    assert resolve({"student_epochs": 1}, env, file).options["fusion"] == {"epochs": 1}
    written = tmp_path / "resolved.yaml"
    written.write_text(dump_config(resolve({}, {}, file)))
    assert load_config(written).options == given


@pytest.mark.parametrize(
    ("cli", "sentence"),
    [
        ({"options": ("student.epoch=3",)}, "--option: .*'student'.*'epoch'.*mean 'epochs'"),
        ({"options": ("studnet.epochs=3",)}, "--option: .*'studnet'; did you mean 'student'"),
        ({"options": ("flow.steps=many",)}, "--option: .*'steps'.*whole number.*not 'many'"),
        ({"options": ("flow.steps",)}, "--option: .*ATTACK.OPTION=VALUE"),
        ({"student_epochs": 0}, "--student-epochs: .*'epochs'.*from 1, not 0"),
        ({"options": {"tuning": 3}}, "--option: 'tuning': write ATTACK"),
        ({"options": [3]}, "--option: '3': write ATTACK.OPTION=VALUE"),
    ],
)
def test_mistakes_in_options(cli: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolve(cli)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sed: 1", r"audit\.yaml: sed: no such setting, did you mean 'seed'"),
        ("seed: -1", r"audit\.yaml: seed: .* not -1"),
        ("options: {flow: {step: 1}}", r"audit\.yaml: options: .*'flow'.*mean 'steps'"),
        ("- a", "must hold `field: value` lines"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=sentence):
        resolve({}, {}, file)
    with pytest.raises(InputError, match="no such file"):
        resolve({}, {}, tmp_path / "none.yaml")
