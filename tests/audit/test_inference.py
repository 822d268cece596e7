"""Attributes told from anonymised faces: who may be asked about, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.interface import Context, Reference
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.data import Item, load
from reid_audit.audit.evaluation import inference
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.evaluation.estimates import Assessed, Settings
from reid_audit.audit.evaluation.inference import Question, Unasked, ask, inferences
from reid_audit.audit.evaluation.linkability import studied
from reid_audit.audit.people import attributes, identity
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Face, clear_faces, make_face
from reid_audit.audit.results import schema
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.units import Outcome, Setup
from reid_audit.metrics.errors import InputError

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
SETTINGS = Settings(alpha=0.05, seed=0, minimum_cell=3)
KNOWN, STRANGERS, D = 40, 60, 24
RNG = np.random.default_rng(0)
WHO = {f"p{n:03}": RNG.normal(size=D) for n in range(KNOWN + STRANGERS)}
GLASSES = 2 * RNG.normal(size=D)


def wears(person: str) -> bool:
    return int(person[1:]) % 3 == 0


def face(person: str, number: int, role: str, folder: Path, labelled: bool = True) -> Face:
    label = (("glasses", "yes" if wears(person) else "no"),) if labelled else ()
    item = Item(f"{person}/{number}", person, role, folder / f"{person}-{number}.png")
    item = Item(**{**{f: getattr(item, f) for f in item.__slots__}, "attributes": label})
    return make_face(item, f"{person}{number}".rjust(64, "0"), POINTS, (96, 96), "manifest")


def embedded(people: Sequence[str], shows: float, seed: int) -> np.ndarray:
    """Embeddings of faces that show who it is, and so much of the glasses."""
    noise = np.random.default_rng(seed).normal(size=(len(people), D))
    worn = np.array([[wears(p)] for p in people], float)
    return np.float32([3 * WHO[p] for p in people] + shows * worn * GLASSES + 0.3 * noise)


@pytest.fixture
def audited(
    stand_in: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Setup, list[Face]]:
    """Two pictures of each known person to audit; clear ones of them and of strangers."""
    names = list(WHO)
    reference = [face(p, 9, "gallery", tmp_path) for p in names[:KNOWN]]
    reference += [face(p, 9, "background", tmp_path) for p in names[KNOWN:]]
    probes = tuple(face(p, n, "probe", tmp_path) for p in names[:KNOWN] for n in range(2))
    count = len(probes)
    group = Group(
        *("c1", "blur", parse("gaussian:sigma=2"), schema.Anonymizer(family="gaussian")),
        *(probes, (None,) * count, ((0, 0, 96, 96),) * count, True),
    )
    rows = tuple(range(KNOWN)), tuple(range(KNOWN, KNOWN + STRANGERS))
    setup = Setup(
        group=group,
        reference=Reference(clear_faces(reference), *rows),
        context=Context(group.forward, stand_in, None),
        scorer=Scorer.of(stand_in, np.ones((2, D), np.float32), ["p000", "p001"]),
        identities=group.identities,
        original_embeddings=embedded(list(group.identities), 3.0, 5),
        known=np.ones(count, bool),
        batch_size=128,
        perception=Perception(None, None, "cpu"),
        studied=studied(group, group.identities),
    )
    monkeypatch.setattr(inference, "embed_clear", lambda *_: embedded(names, 3.0, 1))
    return setup, reference


def told(audited: tuple[Setup, list[Face]], face: float, context: float) -> schema.Inference:
    setup, reference = audited
    people = list(setup.identities)
    kinds = {
        "attack": embedded(people, face, 2),
        "context-only": embedded(people, context, 3),
        "solid-fill": np.ones((64, D), np.float32),
    }
    outcome = Outcome(name="ridge", status="ok", seen=kinds)
    result = Assessed(schema.AttackResult(name="ridge"), None, np.zeros(0), np.zeros(0))
    (found,) = inferences(outcome, setup, result, ask(setup, reference), SETTINGS)
    return found


def test_what_faces_show_is_told_and_one_colour_tells_nothing(
    audited: tuple[Setup, list[Face]],
) -> None:
    found = told(audited, 3.0, 0.0)
    assert found.attribute == "glasses" and found.people == KNOWN and found.pictures == 2 * KNOWN
    assert found.base_rate == 0.5 and found.filled.value == 0.5
    assert found.balanced_accuracy.value > 0.85 and found.gain.low > 0.2
    assert found.gain.value == pytest.approx(found.balanced_accuracy.value - 0.5)
    assert found.clear.value > 0.85 and found.excess.low > 0
    assert found.p_value == pytest.approx(0.001) and found.p_value_excess < 0.01


def test_knowing_who_it_is_is_not_knowing_the_attribute(audited: tuple[Setup, list[Face]]) -> None:
    """The clear faces of the very people are in the reference, and their faces are all but equal:
    a classifier that had learnt from them would be right about everybody."""
    found = told(audited, 0.0, 0.0)
    assert found.balanced_accuracy.value < 0.7 and found.p_value > 0.02


def test_faces_that_nobody_labelled_are_not_asked_about(
    audited: tuple[Setup, list[Face]], tmp_path: Path
) -> None:
    setup, reference = audited
    bare = [face(f.item.identity, 9, "gallery", tmp_path, labelled=False) for f in reference]
    (question,) = ask(setup, bare)
    assert isinstance(question, Unasked) and "reference faces" in question.reason
    some = [f if n % 2 else b for n, (f, b) in enumerate(zip(reference, bare, strict=True))]
    (asked_for,) = ask(setup, some)
    assert isinstance(asked_for, Question) and len(asked_for.rows) == 2 * KNOWN


@pytest.mark.parametrize(
    ("face", "context", "status", "severity", "said"),
    [
        (3.0, 0.0, "warn", "high", "from anonymised faces"),
        (3.0, 3.0, "warn", "medium", "what stands around"),
        (0.0, 0.0, "pass", "info", "No tested attack"),
    ],
)
def test_findings_say_from_what_it_was_told(
    audited: tuple[Setup, list[Face]],
    face: float,
    context: float,
    status: str,
    severity: str,
    said: str,
) -> None:
    found = told(audited, face, context)
    verdict = schema.Verdict(outcome="INCONCLUSIVE", threshold=0.05)
    controls = schema.Controls(clear_ceiling=schema.Estimate(value=0.95))
    condition = schema.Condition(
        id="c1",
        title="blur",
        anonymizer=schema.Anonymizer(family="gaussian"),
        probes=schema.ProbeCount(),
        controls={found.recognizer: controls},
        verdict=verdict,
    )
    nothing = schema.Count()
    results = schema.Results(
        verdict=verdict,
        data=schema.Data(gallery=nothing, probes=schema.ProbeCount(), background=nothing),
        anonymizer=condition.anonymizer,
        controls=controls,
        attacks=[],
        findings=[],
        inference=[found],
        conditions=[condition],
        run=schema.Run(version="1"),
    )
    (finding,) = asked(results, 0.8)
    assert finding.id == "inference.c1"
    assert (finding.status, finding.severity) == (status, severity)
    assert said in finding.title and "glasses: ridge" in finding.evidence
    assert finding.values.get("attributes", "glasses") == "glasses"


def test_a_manifest_states_attributes_and_an_empty_cell_states_nothing(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    (tmp_path / "m.csv").write_text(
        "image_id,identity,role,path,attribute_sex,attribute_age\n"
        "1,Ada,gallery,a.png,feminine,\n2,Ada,probe,b.png,feminine,older\n"
    )
    data = load(tmp_path / "m.csv")
    assert data.gallery[0].attributes == (("sex", "feminine"),)
    assert data.probes[0].attributes == (("age", "older"), ("sex", "feminine"))
    (tmp_path / "n.csv").write_text("image_id,identity,role,path,attribute_\n1,A,gallery,a.png,x\n")
    with pytest.raises(InputError, match="names no attribute"):
        load(tmp_path / "n.csv")


def test_people_who_do_not_exist_bring_what_is_true_of_them() -> None:
    for seed in range(12):
        true = attributes(seed, 0)
        assert (true["sex"] == "feminine") == identity(seed).feminine
        assert (true["beard"] == "yes") == (identity(seed).hair.beard != "none")
    habit = [identity(n).glasses.habit for n in range(40)]
    assert [attributes(n, 0)["glasses"] for n in range(40) if habit[n] == 0] == ["no"] * (
        habit.count(0)
    )
