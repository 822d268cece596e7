"""Replaced faces from pairs: what is measured and said, and tools that a scan starts itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.commands.blackbox import anonymize_with, anonymized_originals
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.evaluation.replacement import PairedEmbeddings, replaced
from reid_audit.audit.results import schema
from reid_audit.metrics.errors import InputError

N = 60


def pairs(change: Callable[[np.ndarray], np.ndarray], named: bool = True) -> PairedEmbeddings:
    """Two pictures of each of thirty people whose identities were changed."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(N // 2), 2)
    originals = rng.normal(size=(N // 2, 24))[who] + 0.3 * rng.normal(size=(N, 24))
    return PairedEmbeddings(
        np.float32(change(originals)),
        np.float32(rng.normal(size=(N, 24))),
        np.float32(originals),
        np.array([f"p{n:02}" for n in who]),
        tuple(f"{row}" for row in range(N)),
        named,
    )


def measured(stand_in: Recognizer, change: Callable[[np.ndarray], np.ndarray]):
    found = replaced(pairs(change), stand_in, "c1", 0.05, 0)
    assert found is not None
    return found, {way.name: way for way in found.maps}


def fresh(originals: np.ndarray) -> np.ndarray:
    return np.random.default_rng(9).normal(size=originals.shape)


def test_the_opposite_identity_is_traced_though_bare_recognition_fails(
    stand_in: Recognizer,
) -> None:
    found, ways = measured(stand_in, lambda x: -x)
    assert found.people == 30 and found.pairs == N and found.kept.value == 0.0
    assert ways["bare"].rank_1.value < 0.1
    assert ways["negation"].rank_1.value == 1.0 and ways["negation"].rank_1_other.value > 0.9
    assert ways["negation"].p_value < 1e-6
    assert ways["negation"].context_only.value < 0.2


def test_a_fresh_identity_is_not_traced(stand_in: Recognizer) -> None:
    found, ways = measured(stand_in, fresh)
    assert max(way.rank_1.value for way in ways.values()) < 0.2
    assert min(way.p_value for way in ways.values()) > 0.01
    assert found.chance == pytest.approx(2 / N)


def test_a_map_that_draws_pictures_stands_beside_the_others_or_says_why_not(
    stand_in: Recognizer,
) -> None:
    made = pairs(fresh)
    drawn = replace(made, learnt={"unet": (made.originals, made.painted)})
    found = replaced(drawn, stand_in, "c1", 0.05, 0, maps=("ridge",))
    assert found is not None
    ridge, unet = found.maps
    assert (ridge.name, unet.name) == ("ridge", "unet")
    assert unet.rank_1.value == 1.0 and unet.context_only.value < 0.2 and unet.p_value < 1e-6
    (traced,) = findings_on(found)
    assert traced.status == "warn" and "a network that draws the original" in traced.evidence
    few = replace(made, learnt={"unet": "too few pairs"})
    silent = replaced(few, stand_in, "c1", 0.05, 0)
    assert silent is not None
    assert silent.maps[-1].rank_1.value is None and silent.maps[-1].rank_1.reason == "too few pairs"
    assert all(finding.status == "pass" for finding in findings_on(silent))


def findings_on(found: schema.Replacement) -> list[schema.Finding]:
    verdict = schema.Verdict(outcome="INCONCLUSIVE", threshold=0.05)
    condition = schema.Condition(
        id="c1",
        title="swap",
        anonymizer=schema.Anonymizer(family="generative"),
        probes=schema.ProbeCount(),
        verdict=verdict,
    )
    nothing = schema.Count()
    results = schema.Results(
        verdict=verdict,
        data=schema.Data(gallery=nothing, probes=schema.ProbeCount(), background=nothing),
        anonymizer=condition.anonymizer,
        controls=schema.Controls(),
        attacks=[],
        findings=[],
        replacement=[found],
        conditions=[condition],
        run=schema.Run(version="1"),
    )
    return list(asked(results, 0.8))


def test_findings_tell_a_map_from_a_donor_and_from_nothing(stand_in: Recognizer) -> None:
    (traced,) = findings_on(measured(stand_in, lambda x: -x)[0])
    assert traced.id == "replacement.traced.c1" and traced.status == "warn"
    assert traced.severity == "high" and "opposite" in traced.evidence
    (passed,) = findings_on(measured(stand_in, fresh)[0])
    assert passed.status == "pass"
    donor = np.random.default_rng(4).normal(size=24)
    told = findings_on(measured(stand_in, lambda x: donor + 0.05 * fresh(x))[0])
    assert {f.id for f in told} == {"replacement.traced.c1", "replacement.donors.c1"}


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "originals" / "Ada; touch harmed"
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (20, 10), (number, 0, 0)).save(folder / f"{number}.png")
    return folder.parent


WRITE = "import sys; from PIL import Image; Image.new('RGB', (20, 10), 'white').save(sys.argv[2])"


def test_a_tool_for_single_pictures_is_started_for_each_without_a_shell(
    originals: Path, tmp_path: Path
) -> None:
    command = f'{sys.executable} -c "{WRITE}" {{file}} {{out}}'
    source, made = anonymized_originals(command, tmp_path / "data", None, None, tmp_path / "run")
    assert source == originals
    written = sorted(p.relative_to(made) for p in made.rglob("*.png"))
    assert written == sorted(p.relative_to(originals) for p in originals.rglob("*.png"))
    assert not list(tmp_path.rglob("harmed"))


def test_a_function_is_a_tool_as_well(originals: Path, tmp_path: Path) -> None:
    made = anonymize_with(lambda picture: 255 - picture, originals, tmp_path / "made")
    first = np.asarray(Image.open(next(p for p in sorted(made.rglob("0.png")))))
    assert (first == [255, 255, 255]).all()
    with pytest.raises(InputError, match="must return"):
        anonymize_with(lambda picture: picture[..., 0], originals, tmp_path / "wrong")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tool {in}", "write {in} and {out}"),
        ("tool {file}", "write {file} and {out}"),
        ("no-such-tool {in} {out}", "cannot be started"),
        ("tool '{in} {out}", "cannot be read"),
        (f'{sys.executable} -c "" {{file}} {{out}}', "wrote no picture"),
    ],
)
def test_what_is_wrong_with_a_tool_is_said(
    originals: Path, tmp_path: Path, command: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        anonymized_originals(command, tmp_path / "data", None, None, tmp_path / "run")


def test_a_tool_needs_originals_and_nothing_anonymised(originals: Path, tmp_path: Path) -> None:
    for given, said in (
        ((None, None, None), "needs a folder of originals"),
        ((None, originals, tmp_path), "one of the two"),
    ):
        with pytest.raises(InputError, match=said):
            anonymized_originals("tool {in} {out}", *given, tmp_path / "run")


SWAP = """
import sys
import numpy as np
from PIL import Image
picture, donor = (np.array(Image.open(path).convert("RGB")) for path in (sys.argv[1], sys.argv[3]))
y, x = np.mgrid[:96, :96]
weight = np.clip(3 - 3 * np.hypot((x - 48) / 30, (y - 52) / 36), 0, 1)[..., None]
Image.fromarray(np.uint8(weight * donor + (1 - weight) * picture)).save(sys.argv[2])
"""


@pytest.mark.slow
def test_a_scan_of_a_swapping_tool_from_originals_alone(
    cli: Callable[..., tuple[int, str, str]],
    layout: Callable[..., Path],
    plumbing: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every face is blended with one donor's: from the pairs alone it is told that faces were
    replaced, and that they share an identity."""
    monkeypatch.setattr("reid_audit.audit.scan.replacement.FEWEST", 10)
    data = layout(tmp_path / "data", "none")
    donor = sorted((data / "background").rglob("*.png"))[0]
    (tmp_path / "swap.py").write_text(SWAP)
    command = f"{sys.executable} {tmp_path / 'swap.py'} {{file}} {{out}} {donor}"
    given = ["--originals", data / "originals", "--anonymizer", command, "--attacks", "naive"]
    code, _, _ = cli("scan", *given, "-o", tmp_path / "run", "--device", "cpu")
    assert code == 0
    results = schema.read_results(tmp_path / "run" / "results.json")
    assert {c.anonymizer.family for c in results.conditions} == {"generative"}
    (found,) = results.replacement
    assert found.pairs == 16 and found.named  # after their folders
    assert found.shared.value > 0.5 and found.largest_share > 0.5
    assert [way.name for way in found.maps] == ["bare", "negation", "ridge", "nearest"]
    text = (tmp_path / "run" / "report.html").read_text()
    assert str(donor) not in text and "swap.py" not in text
    assert ("Started by the scan", Path(sys.executable).name) in [
        (fact.name, fact.value) for fact in results.method
    ]


@pytest.mark.slow
def test_a_scan_of_shifted_identities_reads_what_was_done_and_tries_the_pairs(
    cli: Callable[..., tuple[int, str, str]],
    layout: Callable[..., Path],
    plumbing: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The anonymiser writes its sidecar; a U-Net asks for more pairs than there are."""
    monkeypatch.setattr("reid_audit.audit.scan.replacement.FEWEST", 10)
    data = layout(tmp_path / "data", "none")
    method = "identity-shift:steps=1"
    tool = f"{sys.executable} -m reid_audit anonymize {{in}} {{out}} --region box:20,16,76,88"
    given = ["--originals", data / "originals", "--anonymizer", f"{tool} --method {method}"]
    more = ["--attacks", "naive", "--pair-maps", "ridge,unet", "--device", "cpu"]
    code, _, _ = cli("scan", *given, *more, "-o", tmp_path / "run")
    assert code == 0
    results = schema.read_results(tmp_path / "run" / "results.json")
    assert {c.anonymizer.family for c in results.conditions} == {"generative"}
    (found,) = results.replacement
    ridge, unet = found.maps
    assert (ridge.name, unet.name) == ("ridge", "unet") and ridge.rank_1.value is not None
    assert unet.rank_1.value is None and "100 pairs" in str(unet.rank_1.reason)
    assert results.utility[0].detected.value is not None


def test_an_anonymiser_without_its_weights_says_what_to_do(
    cli: Callable[..., tuple[int, str, str]],
    originals: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from reid_audit.attacks.shift import picture

    monkeypatch.setattr(picture, "SHIPPED", tmp_path)
    picture._loaded.cache_clear()
    given = originals, tmp_path / "out", "--method", "identity-shift", "--region", "image"
    code, _, said = cli("anonymize", *given)
    assert code == 2 and "train identity-shift" in said and "Traceback" not in said
