"""The result of an audit as data: what `results.json` holds and every report is made from.

Fractions lie in [0, 1], never percent; what is unknown is `null` beside a `reason`. No field can
hold a path or a real identity: people appear as per-run pseudonyms. The one picture is of somebody
whom numbers drew. The module needs
pydantic alone, so that a report can be rendered years later without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from reid_audit.metrics.documents import read_json_text
from reid_audit.metrics.errors import InputError as InputError
from reid_audit.metrics.errors import IntegrityError as IntegrityError

SCHEMA_VERSION = 1

Outcome = Literal["LEAK_DEMONSTRATED", "BOUNDED", "INCONCLUSIVE"]
Status = Literal["ok", "failed", "skipped"]


class Record(BaseModel):
    """Immutable, and strict about its fields: an unknown key is an error, not a silent loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """What a sentence of the results was made from: its key in the catalogues of `audit/results`,
    and the values it speaks of. A report in another language is written from it.

    Values named `condition`, `attack` and `recognizer` hold the run's own names for these."""

    key: str
    values: dict[str, str | int | float | Message | list[Message]] = Field(default_factory=dict)


MessageValue = str | int | float | Message | list[Message]


def _absent(value: object) -> bool:
    """Whether a record has no message: then it says nothing of one, as before there were any."""
    return not value


class Estimate(Record):
    """A figure with its interval; `value` is null when it was not computed: see `reason`."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    n_identities: int = 0
    method: str | None = None
    reason: str | None = None
    told: Message | None = Field(default=None, exclude_if=_absent)
    """What `reason` was made from."""


class Verdict(Record):
    """The answer. `leak` and `bounded` can both be false (INCONCLUSIVE) and, for two attackers of
    different strength, both be reported; `outcome` states the graver one."""

    outcome: Outcome
    threshold: float
    alpha: float = 0.05
    worst_attack: str | None = None
    worst_recognizer: str | None = None
    worst_condition: str | None = None
    leak: bool = False
    bounded: bool = False
    upper_bound: float | None = None
    detectable_risk: float | None = None
    control_rate: float | None = None
    """Of the worst attack: what it names on the same pictures with the faces painted over."""
    p_value: float | None = None
    """Of the worst attack against that control: exact McNemar, one-sided, adjusted (Holm)."""
    left_out: list[str] = Field(default_factory=list)
    """Attacks that were asked for and left out for want of time: without them nothing is
    bounded."""
    people_needed: int | None = None
    """How many people would show the worst attack's excess, should its rates hold; null when it
    is shown or there is none."""
    reasons: list[str] = Field(default_factory=list)
    told: list[Message] = Field(default_factory=list, exclude_if=_absent)
    """What each of the `reasons` was made from."""


class Count(Record):
    """How many people and pictures."""

    identities: int = 0
    images: int = 0


class ProbeCount(Count):
    """The probes: of people in the gallery (mated), of others, and those without a face to
    attack."""

    mated_images: int = 0
    mated_identities: int = 0
    nonmated_images: int = 0
    nonmated_identities: int = 0
    failed_to_acquire: int = 0


class Stage(Record):
    """One step of the attrition flow from files to scored trials."""

    name: str
    count: int
    note: str | None = None
    told: list[Message] = Field(default_factory=list, exclude_if=_absent)
    """What `name`, and `note` where there is one, were made from."""


class Excluded(Record):
    """A picture left out, by pseudonymous id, and why."""

    image: str
    role: str
    reason: str
    duplicate: bool = False
    """Whether it was left out for being a picture to audit as well."""


class OriginalsCount(Record):
    """Originals that were given: how many pictures met theirs, and by what."""

    by_path: int = 0
    by_name: int = 0
    by_content: int = 0
    unmatched: int = 0
    """Pictures to audit without an original."""
    unpaired: int = 0
    """Originals without a picture to audit."""


class FaceBand(Record):
    """Faces of one range of widths in pixels of the anonymised pictures."""

    name: str
    found: int = 0
    covered: int = 0
    partial: int = 0
    missed: int = 0
    without_original: int = 0


class OpenFace(Record):
    """A face that was not covered, or in part only, in a picture under pseudonym."""

    image: str
    state: Literal["missed", "partial"]
    box: tuple[int, int, int, int]
    """About the face, x0, y0, x1, y1 in pixels of the anonymised picture as its original lies."""
    width: float
    """Of the face, in pixels."""
    untouched: float
    """Share of the face that nothing was done to."""


class MendFirst(Record):
    """A picture to mend before others, and why."""

    image: str
    reason: Literal["missed", "partial", "named"]
    condition: str | None = None
    width: float | None = None
    """Of a face that is not covered, in pixels."""
    named_by: int = 0
    """Attacks that named its person, out of `attacks`."""
    attacks: int = 0
    margin: float | None = None
    """By how much these put the person before the next: mean, in deviations of a probe's scores."""


class Faces(Record):
    """Every face of the anonymised pictures, by what became of it. `found` is the sum of the
    others."""

    found: int = 0
    covered: int = 0
    partial: int = 0
    missed: int = 0
    without_original: int = 0
    """In pictures without an original, which alone could tell."""
    different_original: int = 0
    """In pictures whose original shows another picture."""
    regions_without_face: int = 0
    """Processed places beside the faces: badges, plates; nothing is attacked there."""
    smallest: float | None = None
    """Width in pixels of the smallest faces that were looked for."""
    detectors: list[str] = Field(default_factory=list)
    """What looked for faces in the originals."""
    by_size: list[FaceBand] = Field(default_factory=list)
    open: list[OpenFace] = Field(default_factory=list)
    """Those missed, then those covered in part, the largest first."""


class Clustering(Record):
    """How people were told where no label says so: faces of the originals, joined by a recogniser.
    Those of whom it failed to join the faces count as others."""

    recognizer: str
    threshold: float
    """Similarity from which faces count as one person's: cosine, or minus Euclidean distance."""
    threshold_source: Literal["impostor pairs", "published"]
    target_false_match_rate: float | None = None
    """At which the threshold was set; null where it is the recogniser's published one."""
    false_match_rate: Estimate
    """Measured on pairs surely of two people; `n` is their number."""
    faces: int
    people: int
    """Those seen in two pictures or more."""
    pictures_of_people: int
    joined_pairs: int
    """Pairs of faces taken as one person's."""
    expected_wrong_pairs: float | None = None
    """Share of them that would be two people's if as many pairs were joined wrongly as single pairs
    pass at the target rate; joining by the mean over many pairs makes it fewer. Null without a
    target."""


class Data(Record):
    """What was audited: pictures by role, the inventory of faces, and what was left out."""

    faces: Faces = Faces()
    gallery: Count
    probes: ProbeCount
    background: Count
    spare: Count = Count()
    """Other pictures of the gallery's people, to train on in a closed world."""
    stages: list[Stage] = Field(default_factory=list)
    excluded: list[Excluded] = Field(default_factory=list)
    originals: OriginalsCount | None = None
    """Null when no originals were given."""
    frame_sources: dict[str, int] = Field(default_factory=dict)
    """Where the probes' face positions came from: originals, manifest, anonymised, ..."""
    identities: Literal["labels", "clustered", "both"] = "labels"
    """Who says whom the faces show; "both": two audits, where a gallery names some people and the
    others were told by clustering. Counts are then those of the audit by labels."""
    clustering: Clustering | None = None


class Anonymizer(Record):
    """What was done to the pictures, as identified or documented, and what physics leaves."""

    family: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    spec: str | None = None
    source: Literal["sidecar", "identified", "configured", "unknown"] = "unknown"
    region: str | None = None
    sigma_over_face_width: float | None = None
    face_width: float | None = None
    effective_resolution: float | None = None
    bits_per_channel: float | None = None
    predicted_psnr: float | None = None
    confidence: float | None = None
    tool: str | None = None
    """The real tool that does this by default, as people call it; the nearest of several, none
    where several do the same."""
    tools_that_fit: list[str] = Field(default_factory=list)
    """Names of all tools of the catalogue whose default fits, the nearest first."""
    reason: str | None = None


class Controls(Record):
    """Reference lines beside every attack, all rank-1 rates through the same pipeline."""

    chance: Estimate = Estimate()
    clear_ceiling: Estimate = Estimate()
    naive: Estimate = Estimate()
    solid_fill: Estimate = Estimate()
    context_only: Estimate = Estimate()
    known_weak: Estimate = Estimate()
    disjoint_identity: Estimate = Estimate()

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: object) -> object:
        """Runs of earlier versions hold `label_permutation`, which was never filled: their reports
        can still be rendered."""
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if name != "label_permutation"}
        return values


class Unaided(Record):
    """What identification from the pixels alone says of probes whose setting a record states, or
    their originals settle."""

    tried: int
    right: int
    """Probes given the right family."""
    true_size: float | None = None
    """Kernel or block size, in pixels, where the tool has one."""
    sizes: list[float] = Field(default_factory=list)
    """The same as estimated, of each probe given the right family."""


class Condition(Record):
    """The probes that share one anonymisation, and the controls of each recogniser on them."""

    id: str
    title: str
    anonymizer: Anonymizer
    probes: ProbeCount
    controls: dict[str, Controls] = Field(default_factory=dict)
    """By recogniser name."""
    verdict: Verdict | None = None
    """The answer for these probes alone, by the same rules; the run's verdict is the gravest."""
    unaided: Unaided | None = None
    """Null where the setting was identified anyway, or where nothing states it."""


class Cost(Record):
    """What an attack took: wall-clock seconds, memory in MiB, and the size of its network."""

    seconds: float = 0.0
    device: str = "cpu"
    peak_memory_mib: float | None = None
    parameters: int | None = None
    network_evaluations: int | None = None


class Curve(Record):
    """Points of a line. Names that reports draw: `cmc` (rank, identification rate), `det` (false
    positive, false negative identification rate), `idd_mated` and `idd_nonmated` (bin centre in
    radians, density)."""

    x: list[float] = Field(default_factory=list)
    y: list[float] = Field(default_factory=list)
    low: list[float] | None = None
    high: list[float] | None = None


class Stratum(Record):
    """One subgroup's rate; cells under the suppression size carry a null value and a reason."""

    name: str
    ira: Estimate


class LargerGallery(Record):
    """What an attack's rate would be among so many people, told from how others score: no
    measurement."""

    people: int
    ira: Estimate


class AttackResult(Record):
    """One attack, scored by one recogniser, on one condition."""

    name: str
    recognizer: str | None = None
    condition: str | None = None
    status: Status = "ok"
    reason: str | None = None
    left_out: bool = False
    """Whether it was skipped for want of time."""
    title: str | None = None
    paper: str | None = None
    knowledge: str | None = None
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    curves: dict[str, Curve] = Field(default_factory=dict)
    strata: list[Stratum] = Field(default_factory=list)
    worst_off: list[Stratum] = Field(default_factory=list)
    larger_galleries: list[LargerGallery] = Field(default_factory=list)
    """Beside the measured rate; sizes that the gallery itself holds are left out."""
    inferred: dict[str, float] = Field(default_factory=dict)
    """What the attack found out about the probes on its way, as means over them; yes is 1, no 0."""
    cost: Cost = Cost()


class Linkage(Record):
    """Whether covered faces were found among all faces of the originals by one attack: no
    identification, since the mate is the same picture. Intervals count faces of one picture as a
    cluster; `n_identities` are pictures."""

    attack: str
    recognizer: str
    condition: str
    rank_1: Estimate
    filled: Estimate
    """The same attack on the same faces painted over."""
    chance: Estimate


class Linkability(Record):
    """Whether anonymised pictures of one person were told from those of two by one attack.

    Measures: `auroc`, `tar_far_01` and `tar_far_001` (true-accept rate at a false-accept rate of
    .01 and .001), `eer`, `d_sys` (ISO/IEC 24745) and `rank_1` (the most similar other picture shows
    the same person). Intervals are over people.
    """

    attack: str
    recognizer: str
    condition: str
    knowledge: str | None = None
    status: Status = "ok"
    reason: str | None = None
    people: int = 0
    """Those shown by two pictures or more."""
    pictures: int = 0
    """That were compared with one another."""
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    context_only: dict[str, Estimate] = Field(default_factory=dict)
    """The same attack on the same pictures with the faces painted over."""
    filled: dict[str, Estimate] = Field(default_factory=dict)
    """The same attack on pictures of one colour."""
    shuffled: dict[str, Estimate] = Field(default_factory=dict)
    """The measures when who is whom is shuffled: chance, and the range that it takes."""
    clear: dict[str, Estimate] = Field(default_factory=dict)
    """The recogniser on the originals; empty without them."""
    excess: Estimate = Estimate()
    """AUROC less that of `context_only`."""
    p_value: float | None = None
    """Of that excess: one-sided, by bootstrap over people, not adjusted for other attacks."""
    p_value_context: float | None = None
    """Of `context_only` being better than the shuffled names: one-sided, by permutation."""


class Inference(Record):
    """Whether an attribute that the data states was told from anonymised faces by one attack, by a
    classifier that learnt from clear reference faces of other people. Rates are balanced accuracies
    with intervals over people."""

    attribute: str
    attack: str
    recognizer: str
    condition: str
    knowledge: str | None = None
    status: Status = "ok"
    reason: str | None = None
    classes: int = 0
    people: int = 0
    pictures: int = 0
    base_rate: float | None = None
    """Balanced accuracy of a guess: one over the number of classes."""
    balanced_accuracy: Estimate = Estimate()
    gain: Estimate = Estimate()
    """Over the base rate."""
    context_only: Estimate = Estimate()
    """The same attack with the faces painted over."""
    filled: Estimate = Estimate()
    """The same attack on pictures of one colour."""
    clear: Estimate = Estimate()
    """The same classifier on the originals."""
    excess: Estimate = Estimate()
    """Over `context_only`."""
    p_value: float | None = None
    """That this is a guess: by permutation, one picture a person."""
    p_value_excess: float | None = None
    """That painting the faces over changes nothing: exact McNemar, one-sided, one picture a
    person."""
    p_value_context: float | None = None
    """That `context_only` is a guess."""


class ReplacementMap(Record):
    """One way from a replaced face's identity to the original's, learnt from other people's pairs:
    `bare` (none), `negation`, `ridge` (linear), `nearest` (of the pairs with the most similar
    outputs), `unet` (the original drawn by a network)."""

    name: str
    rank_1: Estimate
    """The person of the original came first among all originals, the output's own one included."""
    rank_1_other: Estimate
    """The same among the other originals: without the picture itself, by the person alone."""
    context_only: Estimate
    """As `rank_1`, with the faces of the outputs painted over."""
    p_value: float
    """That painting them over changes nothing: exact McNemar, one-sided, one picture a person."""


class Replacement(Record):
    """What pairs of replaced faces and their originals give away, without names or a gallery."""

    recognizer: str
    condition: str
    pairs: int
    people: int
    """By name, else by likeness of the originals."""
    named: bool
    false_match_rate: float
    """Of two people's originals, at the threshold of `kept` and `shared`."""
    kept: Estimate
    """Outputs that match their own original."""
    own_similarity: Estimate
    stranger_similarity: float
    """Mean of an output and its original, and of two people's originals: cosine, or minus the
    Euclidean distance. An output farther from its original than strangers are was pushed away."""
    shared: Estimate
    """Pairs of two people's outputs that match: identities that came from one donor."""
    largest_share: float
    """Outputs in the largest set that match one another."""
    chance: float
    maps: list[ReplacementMap] = Field(default_factory=list)


class Geometry(Record):
    """What became of the faces' geometry, by dense landmarks of the pictures and their originals.

    Means of absolute changes over the pictures on both of which the network sees the face, with
    intervals over people. Expression is a few lengths of the face: geometry, no emotion.
    """

    pictures: int
    landmark_distance: Estimate
    """Of 468 points of the face from where they were. This, mouth and brows are told in distances
    of the outer corners of the eyes."""
    yaw: Estimate
    pitch: Estimate
    roll: Estimate
    """Turn of the head in degrees: about the upright axis, nodding, and in the picture's plane."""
    mouth_opening: Estimate
    mouth_width: Estimate
    brow_height: Estimate
    eye_opening: Estimate
    """Between the lids, in widths of the eye."""
    gaze: Estimate
    """Distance of the irises from where they stood between the corners of the eyes, in widths of
    the eye."""


class Utility(Record):
    """What the pictures of a condition are still good for, beside their originals. Intervals are
    over people."""

    condition: str
    pictures: int
    people: int
    detected: Estimate
    """Faces that a detector still finds."""
    landmark_shift: Estimate
    """Mean distance of eyes, nose and mouth from where they were, in face widths, where a face is
    found."""
    pose_change: Estimate
    """Degrees by which the head seems to turn, from these five points, where a face is found."""
    ssim_outside: Estimate
    lpips_outside: Estimate
    """Of the picture without the face."""
    usefulness: Estimate
    """Mean of four shares: a face is found, its place and its pose are kept, and the picture
    outside it."""
    geometry: Geometry | None = None
    geometry_reason: str | None = None
    """Why dense landmarks were not measured; null where they were."""
    geometry_told: Message | None = Field(default=None, exclude_if=_absent)
    """What `geometry_reason` was made from."""


class Waiver(Record):
    """Somebody's acceptance of a finding, until a date. It changes gates, never the verdict."""

    reason: str
    expires: str
    """ISO 8601 date, the last on which it counts."""
    approved_by: str | None = None


class FindingMessages(Record):
    """What the sentences of a finding were made from. The title leaves the condition out, which
    `Finding.title` names behind a colon."""

    title: Message
    evidence: list[Message]
    recommendation: list[Message]


class Finding(Record):
    """One thing the audit found out, how grave it is, and what to do about it."""

    id: str
    severity: Literal["critical", "high", "medium", "low", "info"]
    status: Literal["fail", "warn", "pass", "manual"]
    title: str
    evidence: str
    recommendation: str
    values: dict[str, str] = Field(default_factory=dict)
    """What the sentences are about: condition, setting, people, kind ..."""
    told: FindingMessages | None = Field(default=None, exclude_if=_absent)
    """Null in results of versions that recorded sentences alone."""
    waiver: Waiver | None = None


class Check(Record):
    """One question about the attacker's strength: a failed attack means little if it fails this."""

    name: str
    passed: bool | None = None
    evidence: str
    kind: str | None = None
    """Which question it is: knows-clear, breaks-weak, solid-at-chance."""
    recognizer: str | None = None
    condition: str | None = Field(default=None, exclude_if=_absent)
    """Title of the condition, in a run of several."""
    told: Message | None = Field(default=None, exclude_if=_absent)
    """What `evidence` was made from."""


class Fact(Record):
    """One line of the method statement."""

    topic: str
    name: str
    value: str
    told: list[Message] = Field(default_factory=list, exclude_if=_absent)
    """What the three were made from."""


class Commission(Record):
    """Who audits what for whom, in the auditor's words; null where nobody said."""

    auditor: str | None = None
    client: str | None = None
    scope: str | None = None
    plan_sha256: str | None = None
    """Of the plan that was handed in with the run; null without one."""


Jpeg = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+=*$", max_length=40_000)]


class DrawnExample(Record):
    """A face that nobody has, under a condition's setting, and as an attack restored it. Pictures
    are small JPEG files in base64."""

    condition: str
    restorer: str | None = None
    """Name of the attack; null where none restored it."""
    clear: Jpeg
    anonymised: Jpeg
    restored: Jpeg | None = None


class Run(Record):
    """Times and places of a run: everything here may differ between two equal audits."""

    tool: str = "reid-audit"
    version: str
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    time_limit: float | None = None
    """Seconds that attacks were allowed to take; null without a limit."""
    peak_memory_mib: float | None = None
    device: str = "cpu"


class Results(Record):
    """The whole of `results.json`."""

    schema_version: Literal[1] = 1
    title: str = "Re-identification audit"
    commission: Commission = Commission()
    verdict: Verdict
    data: Data
    anonymizer: Anonymizer
    """The condition of the worst attack; all of them stand in `conditions`."""
    controls: Controls
    """Of the worst attack's condition and recogniser; all of them stand in `conditions`."""
    attacks: list[AttackResult]
    findings: list[Finding]
    mend_first: list[MendFirst] = Field(default_factory=list)
    """The pictures most in need, first; some dozens at most."""
    linkage: list[Linkage] = Field(default_factory=list)
    """Empty where originals or unlabelled faces are missing."""
    linkability: list[Linkability] = Field(default_factory=list)
    """Empty where nobody is shown by two anonymised pictures, or nobody is named."""
    inference: list[Inference] = Field(default_factory=list)
    """Empty where the data states no attribute of the faces."""
    replacement: list[Replacement] = Field(default_factory=list)
    """Empty where no condition has replaced faces, or their originals are missing."""
    utility: list[Utility] = Field(default_factory=list)
    """Empty where originals are missing."""
    conditions: list[Condition] = Field(default_factory=list)
    example: DrawnExample | None = None
    checks: list[Check] = Field(default_factory=list)
    method: list[Fact] = Field(default_factory=list)
    limitations: list[str] = Field(default_factory=list)
    limitations_told: list[Message] = Field(default_factory=list, exclude_if=_absent)
    untested: list[str] = Field(default_factory=list)
    untested_told: list[Message] = Field(default_factory=list, exclude_if=_absent)
    reassess_by: str | None = None
    seed: int = 0
    run: Run


def read_results(path: Path) -> Results:
    """Load and check a `results.json`.

    Raises:
        InputError: the file is missing.
        IntegrityError: it is not a result this version can read; the message names the field.
    """
    if not path.exists():
        raise InputError(f"{path}: no results.json there; give a run directory of `scan`.")
    text = read_json_text(path)
    try:
        return Results.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise IntegrityError(f"{path}: {where}: {first['msg']}; re-run the scan.") from error


def dump_results(results: Results) -> str:
    """Canonical text of the results: contract order, two-space indent, final newline."""
    return results.model_dump_json(indent=2) + "\n"
