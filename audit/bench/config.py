"""What a bench is asked to measure: a YAML file, a preset, or a preset changed by a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reid_audit.audit.config import (
    PRESETS,
    STUDENT_EPOCHS,
    AttackOptions,
    joined_options,
    options_by_attack,
)
from reid_audit.metrics.documents import read_yaml, yaml_of
from reid_audit.metrics.errors import InputError

MATCHED, ESTIMATED = "matched", "estimated"
"""Beliefs with a name of their own: the true method, and what identification found."""

DRAWN = "people who do not exist"
"""Data of a bench that names none."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(_Settings):
    """Which pictures of the data take part; None takes all there are."""

    people: int | None = Field(None, ge=2)
    """People whose pictures are anonymised and attacked."""
    pictures: int | None = Field(None, ge=1)
    """Gallery pictures of each person."""
    distractors: int | None = Field(0, ge=0)
    """Background people who stand in the gallery as well."""
    background: int | None = Field(None, ge=0)
    """Background pictures, at least, that attackers learn from; people are taken whole."""
    strangers: float = Field(0.0, ge=0, lt=1)
    """Share of the people whom the gallery does not hold: they are to be noticed as such."""
    face_width: float | None = Field(None, ge=8)
    """Pixels; larger probes are made smaller before they are anonymised."""
    pose: Literal["any", "frontal", "side"] = "any"
    """Frontal and side are the thirds of all probes that are turned least and most."""


class Defence(_Settings):
    """One anonymisation, at one or several strengths, or a tool that is not ours.

    `{}` in `method` stands for the strength; a length may be written in face widths, as in
    `gaussian:sigma=.083w`. `command` starts a tool, as `scan --anonymizer` does.
    """

    method: str | None = None
    command: str | None = None
    strengths: tuple[float, ...] = ()
    region: Literal["image", "face"] = "image"
    beliefs: tuple[str, ...] | None = Field(None, min_length=1)
    """Instead of the bench's own; `{}` and `w` as in `method`."""

    @model_validator(mode="after")
    def _method_or_command(self) -> Defence:
        if (self.method is None) == (self.command is None):
            raise ValueError("give `method` or `command`, one of the two")
        return self

    @field_validator("strengths", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("beliefs", mode="before")
    @classmethod
    def _one_belief(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class BenchConfig(_Settings):
    """Every setting of `reid-audit bench`."""

    title: str = "Bench"
    about: str = ""
    data: str | None = None
    """Folder with gallery/, originals/ and background/, or a manifest whose probes are clear;
    None draws people who do not exist."""
    sample: Sample = Sample()
    vary: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Fields of `sample` and the values each of them takes in turn."""
    defences: tuple[Defence, ...] = Field(min_length=1)
    beliefs: tuple[str, ...] = Field((MATCHED,), min_length=1)
    """What the attacker takes the method to be: matched, estimated, or a method."""
    attacks: tuple[str, ...] = Field(tuple(PRESETS["standard"]["attacks"]), min_length=1)
    recognizers: tuple[str, ...] = Field(("dlib",), min_length=1)
    worlds: tuple[Literal["closed", "open"], ...] = Field(("closed",), min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Of the attackers; the first also draws the sample."""
    device: str = "auto"
    batch_size: int = Field(128, ge=1)
    workers: int | None = Field(None, ge=1)
    options: AttackOptions = Field(default_factory=dict)
    """Tuning of single attacks, as of a scan."""
    checkpoints: dict[str, str] = Field(default_factory=dict)
    """Folders of trained attackers by attack, instead of the shipped ones."""
    alpha: float = Field(0.05, gt=0, lt=1)

    @field_validator("options", mode="before")
    @classmethod
    def _known_options(cls, value: object) -> AttackOptions:
        return options_by_attack(value)

    @field_validator("defences", mode="before")
    @classmethod
    def _bare_methods(cls, value: object) -> object:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(
                {"method": method} if isinstance(method, str) else method for method in value
            )
        return value

    @field_validator("beliefs", "attacks", "recognizers", "worlds", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _one_seed(cls, value: object) -> object:
        return (value,) if isinstance(value, int) else value

    @field_validator("vary")
    @classmethod
    def _samples(cls, value: Mapping[str, tuple[Any, ...]]) -> Mapping[str, tuple[Any, ...]]:
        for name, values in value.items():
            if name not in Sample.model_fields:
                raise ValueError(f"{name!r} is no field of sample{_nearest(name, Sample)}")
            if not values:
                raise ValueError(f"{name} needs at least one value")
            for entry in values:
                Sample.model_validate({name: entry})
        return value


def resolve(
    file: Path | None = None, preset: str | None = None, given: Mapping[str, Any] | None = None
) -> BenchConfig:
    """The configuration of a bench: `given` (the command line) before file before preset.

    Args:
        given: fields by name, those of `sample` as `sample.people`; None means not given.

    Raises:
        InputError: no such file or preset, or an unknown or impossible field, which is named.
    """
    if file is None and preset is None:
        raise InputError("Name what to measure: -c FILE, or --preset NAME (list shows them).")
    layers = [_read_preset(preset)] if preset else []
    if file is not None:
        layers.append(_fields(read_yaml(file), str(file)))
    settings: dict[str, Any] = {}
    for layer in layers:
        sample = {**_mapping(settings.get("sample")), **_mapping(layer.get("sample"))}
        settings |= layer
        if sample:
            settings["sample"] = sample
    for name, value in (given or {}).items():
        if value is None:
            continue
        block, _, field = name.rpartition(".")
        if block:
            settings[block] = {**_mapping(settings.get(block)), field: value}
        else:
            settings[name] = value
    if file is not None and settings.get("data") and not (given or {}).get("data"):
        settings["data"] = str(file.parent / settings["data"])
    where = str(file or f"preset {preset}")
    settings.pop(STUDENT_EPOCHS, None)
    try:
        settings["options"] = joined_options([*layers, given or {}])
    except InputError as error:
        raise InputError(f"{where}: options: {error}") from None
    return _validate(settings, where)


def presets() -> dict[str, str]:
    """Name and what it measures, of every preset."""
    folder = resources.files("reid_audit.audit.bench.presets")
    names = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name[-5:] == ".yaml")
    return {name: str(_read_preset(name).get("about", "")).strip() for name in names}


def dump_config(config: BenchConfig) -> str:
    """The resolved configuration as YAML, every field stated."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def _read_preset(name: str) -> dict[str, Any]:
    folder = resources.files("reid_audit.audit.bench.presets")
    known = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name[-5:] == ".yaml")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(known)}."
        raise InputError(f"--preset {name!r}: no such preset; {hint}")
    return _fields(yaml_of((folder / f"{name}.yaml").read_text("utf-8"), name), name)


def _fields(content: Any, name: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(f"{name}: must hold `field: value` lines, e.g. `defences: [solid]`.")
    return {str(key): value for key, value in content.items()}


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _validate(settings: Mapping[str, Any], where: str) -> BenchConfig:
    try:
        return BenchConfig.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            last = str(first["loc"][-1])
            owners: dict[str, type[BaseModel]] = {"sample": Sample, "defences": Defence}
            owner = owners.get(str(first["loc"][0]), BenchConfig)
            hint = _nearest(last, owner) or "; remove it."
            raise InputError(f"{where}: {field}: no such setting{hint}") from None
        if first["type"] == "missing":
            raise InputError(f"{where}: {field} is missing; add it.") from None
        told = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {field}: {told}, not {first['input']!r}.") from None


def _nearest(name: str, model: type[BaseModel]) -> str:
    near = get_close_matches(name, model.model_fields, n=1)
    return f", did you mean {near[0]!r}?" if near else ""
