"""What an audit is asked to do: one frozen record, resolved once, written beside the results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reid_audit.attacks.recognition.cache import AUTO, judge_beside, strongest
from reid_audit.metrics.documents import read_yaml, yaml_of
from reid_audit.metrics.errors import InputError

ENV_PREFIX = "REID_AUDIT_"
Profile = Literal["quick", "standard", "full"]
PairMap = Literal["bare", "negation", "ridge", "nearest", "unet"]

_QUICK = ("naive", "degraded-gallery", "wiener", "ridge")
_STANDARD = (*_QUICK, "parrot", "student")
MAPS: tuple[PairMap, ...] = ("bare", "negation", "ridge", "nearest")
_RESTORERS = ("fantomas", "mmse", "flow", "revelio", "revelio-vote")
_FULL = (*_STANDARD, "parrot-tuned", *_RESTORERS, "fusion")
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"attacks": _QUICK, "recognizers": ("auto",)},
    "standard": {"attacks": _STANDARD, "recognizers": ("auto",)},
    "full": {
        "attacks": _FULL,
        "recognizers": ("auto",),
        "options": {"student": {"epochs": 18}, "fusion": {"epochs": 18}},
        "worlds": ("closed", "open"),
        "pair_maps": (*MAPS, "unet"),
    },
}
"""What a profile sets where neither the command line, the environment nor a file does."""

OPERATIONAL = frozenset({"batch_size", "workers", "fail_on", "waivers", "cache", "time_limit"})
"""Fields that change how a run goes but no figure of it: a run may be resumed with others, with a
longer time limit to do what was left out."""

NO_JUDGE = "none"
"""In the place of a judge: no other recogniser scores."""

SHIPPED = "shipped"
"""In the place of a checkpoint's folder: the one that comes with the program."""

OPTIONS: Mapping[str, str] = {"checkpoints": "checkpoint", "options": "option"}
"""Command-line options that are not called as their field is."""

SHORT: Mapping[str, tuple[str, ...]] = {
    "student": ("student", "fusion"),
    "parrot": ("parrot-tuned",),
    "revelio": ("revelio", "revelio-vote"),
    "posterior": ("posterior",),
    "flow": ("flow",),
}
"""First word of an option in one word, such as `revelio_rounds`, and the attacks it is set for."""
STUDENT_EPOCHS = "student_epochs"
"""A setting that is short for the option of that name."""

AttackOptions = dict[str, dict[str, Any]]
Rate = Annotated[float, Field(gt=0, lt=1)]


class AuditConfig(BaseModel):
    """Every setting of `reid-audit scan`. Rates are fractions in (0, 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile = "standard"
    attacks: tuple[str, ...] = Field(_STANDARD, min_length=1)
    recognizers: tuple[str, ...] = Field(("dlib",), min_length=1)
    """Networks that attackers learn with and are scored by; `auto` is the strongest installed."""
    judge: str | None = None
    """Network that scores restored faces as well, without having been attacked with; `auto` is the
    strongest installed of another make."""
    time_limit: float | None = Field(None, gt=0)
    """Seconds that attacks may take, also written `90s`, `20m` or `1h30m`: the worthiest come first
    and what does not fit is left out. None is as long as it takes."""
    seed: int = Field(0, ge=0, lt=2**32)
    device: str = "auto"
    batch_size: int = Field(128, ge=1)
    """Probes decoded and attacked together: bounds memory and what an interruption can cost."""
    workers: int | None = Field(None, ge=1)
    """Processes or threads for decoding; None is one per core."""

    threshold: Rate = 0.05
    """The identification rate above which pictures count as identifiable."""
    alpha: Rate = 0.05
    minimum_ceiling: Rate = 0.8
    """Clear-picture rank-1 below which a recogniser is too weak to say anything."""
    minimum_cell: int = Field(10, ge=1)
    """Subgroups of fewer people are suppressed in the report."""

    method: str | None = None
    """Spec of the anonymisation, where it is known better than it can be estimated; "unknown" where
    nobody knows it and estimates would mislead: attackers that learnt from pairs remain."""
    anonymizer: str | None = None
    """Command that made the pictures to audit from the originals, where the scan had it do so."""
    region: str | None = None
    """face, image or box:x0,y0,x1,y1: where it was applied; None takes the best source."""
    smallest_face: float = Field(20.0, ge=12)
    """Width in pixels of the smallest faces that are looked for."""
    identities: Literal["labels", "auto"] = "labels"
    """Who the faces show: as the data says, or by clustering the faces of the originals."""
    worlds: tuple[Literal["closed", "open"], ...] = Field(("closed",), min_length=1)
    """What trained attackers may learn from: "closed" is background and gallery, "open" is
    background alone. The first is the one that controls are measured with."""
    distractors: bool = False
    """Whether background people of known identity stand in the gallery as well."""
    pair_maps: tuple[PairMap, ...] = Field(MAPS, min_length=1)
    """Ways from replaced faces back to the originals, from pairs; `unet` takes minutes."""
    cache: str | None = None
    """Folder for intermediate arrays that several runs may share; None keeps them in the run."""
    options: AttackOptions = Field(default_factory=dict)
    """Tuning of single attacks, such as `revelio: {rounds: 3}`; `reid-audit info NAME` names what
    there is. In one word, `revelio_rounds: 3` sets it for `revelio-vote` as well."""
    checkpoints: dict[str, str] = Field(default_factory=dict)
    """Folders of trained attackers by attack, instead of the shipped ones; `shipped` names the
    student's, which otherwise is trained in the run."""

    authorization: str | None = None
    """Basis on which the audit is made, in the auditor's words."""
    auditor: str | None = None
    client: str | None = None
    scope: str | None = None
    """Who audits what for whom; stands on the report's first page."""
    plan: str | None = None
    """File with what was declared before the run; its digest goes into the results."""
    evidence: Literal["none", "restricted"] = "none"
    fail_on: str | None = None
    waivers: str | None = None
    """YAML file of accepted findings: see `audit.evaluation.waivers`."""

    @field_validator("attacks", "recognizers", "worlds", "pair_maps", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        """A list may be written as `naive,ridge`, as on the command line."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _known_options(cls, value: object) -> AttackOptions:
        return options_by_attack(value)

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        """On the command line and in the environment checkpoints are `name=folder,...`."""
        if isinstance(value, str):
            value = tuple(part for part in value.split(",") if part.strip())
        if isinstance(value, tuple | list):
            if not all("=" in str(part) for part in value):
                raise ValueError("write NAME=FOLDER")
            return {
                name.strip(): folder.strip()
                for name, _, folder in (str(part).partition("=") for part in value)
            }
        return value

    @field_validator("time_limit", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        return seconds_of(value) if isinstance(value, str) else value

    @field_validator("attacks", "recognizers", "worlds", "pair_maps")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))


_DURATION = re.compile(r"(?=\S)(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?")


def seconds_of(text: str) -> float:
    """A duration in seconds: `90s`, `20m`, `1h30m`; a bare number is seconds, as in a stored file.

    Raises:
        ValueError: not written like that.

    >>> seconds_of("1h30m"), seconds_of("90s")
    (5400.0, 90.0)
    """
    try:
        return float(text)
    except ValueError:
        match = _DURATION.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ValueError("write a duration such as 90s, 20m or 1h30m") from None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def options_by_attack(given: object) -> AttackOptions:
    """Options by attack and then by name, checked against what each attack declares.

    Args:
        given: `{attack: {option: value}}`, options in one word (`{"revelio_rounds": 3}`), or as on
            the command line, `ATTACK.OPTION=VALUE`.

    Raises:
        InputError: no such attack or option (the nearest is named), or a wrong value.
    """
    if isinstance(given, str):
        given = [part for part in given.split(",") if part.strip()]
    if isinstance(given, tuple | list):
        pairs: dict[str, Any] = {}
        for part in map(str, given):
            name, equals, value = part.partition("=")
            attack, dot, option = name.strip().rpartition(".")
            if not equals or not dot:
                raise InputError(f"{part!r}: write ATTACK.OPTION=VALUE, e.g. revelio.rounds=3.")
            pairs.setdefault(attack, {})[option] = yaml_of(value, part)
        given = pairs
    if not isinstance(given, Mapping):
        raise InputError(f"write ATTACK: {{OPTION: VALUE}} lines, not {given!r}.")
    by_attack: AttackOptions = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            by_attack.setdefault(str(name), {}).update(value)
            continue
        prefix, _, option = str(name).partition("_")
        if prefix not in SHORT or not option:
            raise InputError(
                f"{name!r}: write ATTACK: {{OPTION: VALUE}}, e.g. revelio: {{rounds: 3}}."
            )
        for attack in SHORT[prefix]:
            by_attack.setdefault(attack, {}).setdefault(option, value)
    if by_attack:
        from reid_audit.attacks.registry import make_attack

        for attack, options in by_attack.items():
            make_attack(attack, options)
    return by_attack


def joined_options(layers: Sequence[Mapping[str, Any]]) -> AttackOptions:
    """The options of several layers of settings, where later ones win; `student_epochs` is one.

    Raises:
        InputError: as `options_by_attack`.
    """
    joined: AttackOptions = {}
    for layer in layers:
        given = options_by_attack(layer.get("options") or {})
        if (epochs := layer.get(STUDENT_EPOCHS)) is not None:
            value = yaml_of(epochs, STUDENT_EPOCHS) if isinstance(epochs, str) else epochs
            for attack, options in options_by_attack({STUDENT_EPOCHS: value}).items():
                given[attack] = {**options, **given.get(attack, {})}
        for attack, options in given.items():
            joined[attack] = {**joined.get(attack, {}), **options}
    return joined


def resolve(
    cli: Mapping[str, Any], env: Mapping[str, str] | None = None, file: Path | None = None
) -> AuditConfig:
    """The configuration of a scan: command line before environment before file before profile.

    Args:
        cli: fields by name; None means not given.
        env: variables; `REID_AUDIT_<FIELD>` sets a field, others are passed over.
        file: YAML with fields at its first level.

    Raises:
        InputError: an unknown or impossible field; the message says where it was set.
    """
    names = (*AuditConfig.model_fields, STUDENT_EPOCHS)
    variables = {ENV_PREFIX + name.upper(): name for name in names}
    layers: list[tuple[str, dict[str, Any]]] = [
        ("", {name: value for name, value in cli.items() if value is not None}),
        ("", {variables[name]: v for name, v in (env or {}).items() if name in variables and v}),
        (str(file), _read_yaml(file) if file else {}),
    ]
    origin: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for place, (source, values) in enumerate(layers):
        for name, value in values.items():
            option = OPTIONS.get(name, name.replace("_", "-"))
            label = (f"--{option}", f"{ENV_PREFIX}{name.upper()}")
            origin.setdefault(name, label[place] if place < 2 else f"{source}: {name}")
            settings.setdefault(name, value)
    preset = PRESETS.get(str(settings.get("profile", "standard")), {})
    lowest_first = [preset, *(values for _, values in reversed(layers))]
    settings = {**preset, **settings}
    if settings.get("options") or settings.get(STUDENT_EPOCHS) is not None:
        settings["options"] = _named_options(lowest_first, origin)
    settings.pop(STUDENT_EPOCHS, None)
    config = _validate(settings, origin)
    named = (strongest() if name == AUTO else name for name in config.recognizers)
    recognizers = tuple(dict.fromkeys(named))
    judge = config.judge
    if judge == AUTO or (judge is None and config.recognizers == (AUTO,)):
        judge = judge_beside(recognizers[0])
    return config.model_copy(
        update={
            "recognizers": recognizers,
            "judge": None if judge in (*recognizers, NO_JUDGE) else judge,
        }
    )


def _named_options(layers: Sequence[Mapping[str, Any]], origin: Mapping[str, str]) -> AttackOptions:
    try:
        return joined_options(layers)
    except InputError as error:
        where = origin.get("options", origin.get(STUDENT_EPOCHS, "options"))
        raise InputError(f"{where}: {error}") from None


def load_config(path: Path) -> AuditConfig:
    """Read a resolved configuration back.

    Raises:
        InputError: missing, not YAML, or a field this version does not know.
    """
    values = _read_yaml(path)
    return _validate(values, {name: f"{path}: {name}" for name in values})


def dump_config(config: AuditConfig) -> str:
    """The resolved configuration as YAML, every field stated."""
    values = config.model_dump(mode="json")
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if (
        yaml.safe_load(text) != values
    ):  # Unicode's rarer line breaks are folded when left as they are
        text = yaml.safe_dump(values, sort_keys=False)
    return text


def differences(before: AuditConfig, after: AuditConfig) -> list[str]:
    """Fields in which two configurations could give different results, as `field: old -> new`."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [
        f"{name}: {old[name]!r} -> {new[name]!r}"
        for name in old
        if name not in OPERATIONAL and old[name] != new[name]
    ]


def _read_yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold `field: value` lines, e.g. `profile: quick`.")
    return {str(name): value for name, value in content.items()}


def _validate(settings: Mapping[str, Any], origin: Mapping[str, str]) -> AuditConfig:
    try:
        return AuditConfig.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "configuration"
        where = origin.get(name, name)
        if first["type"] == "extra_forbidden":
            nearest = get_close_matches(name, AuditConfig.model_fields, n=1)
            hint = f", did you mean {nearest[0]!r}?" if nearest else "; remove it."
            raise InputError(f"{where}: no such setting{hint}") from None
        raise InputError(f"{where}: {first['msg']}, not {first['input']!r}.") from None
