"""The spec grammar: `name:key=value,key=value|name:...` <-> operators."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, get_args, get_origin

from reid_audit.attacks.operators.base import Chain, Operator, Untouched, require
from reid_audit.attacks.operators.blur import Box, make_gaussian
from reid_audit.attacks.operators.codec import Jpeg, WebP
from reid_audit.attacks.operators.deface import DefaceBlur, DefaceMosaic, DefaceSolid
from reid_audit.attacks.operators.ffmpeg import FfmpegBox, FfmpegGaussian
from reid_audit.attacks.operators.fill import Solid
from reid_audit.attacks.operators.ksame import KSame
from reid_audit.attacks.operators.masked import Ellipse, ImageNetBlur, Mask, Masked
from reid_audit.attacks.operators.move import Permute, Rotate
from reid_audit.attacks.operators.noise import DpPix, DpSnow, Noise
from reid_audit.attacks.operators.opencv import CvBox, CvGaussian, Median, Motion
from reid_audit.attacks.operators.pillow import PillowBox, PillowGaussian
from reid_audit.attacks.operators.pixelate import Downscale, Grid, Pixelate
from reid_audit.attacks.operators.ranged import Ranged
from reid_audit.attacks.operators.reduced import ReducedGaussian
from reid_audit.attacks.operators.relative import Relative
from reid_audit.attacks.operators.shift import IdentityShift
from reid_audit.metrics.errors import InputError

GRAMMAR = "NAME:key=value,key=value|NAME:..., e.g. gaussian:k=81 or pixelate:b=16|jpeg:q=75"


def _around(kind: type[Masked] | type[Relative]) -> Callable[..., Operator]:
    """A factory of the mask or proportion alone; `parse` puts what stands before it inside."""

    def make(**settings: Any) -> Operator:
        return kind(Untouched(), **settings)

    own = list(inspect.signature(kind, eval_str=True).parameters.values())[1:]
    make.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    make.__doc__ = kind.__doc__
    return make


_CLASSES: tuple[type[Operator], ...] = (
    Untouched, Box, CvBox, CvGaussian, Median, Motion, PillowBox, PillowGaussian, FfmpegBox,
    FfmpegGaussian, ReducedGaussian, Pixelate, Grid, Downscale, Solid, ImageNetBlur, DefaceBlur,
    DefaceMosaic, DefaceSolid, Noise, DpPix, DpSnow, KSame, IdentityShift, Rotate, Permute,
    Jpeg, WebP,
)  # fmt: skip
_AROUND = (Ellipse, Mask, Relative)
"""Operators that change how what stands before them works."""
_BUILT_IN: dict[str, Callable[..., Operator]] = {
    "gaussian": make_gaussian,
    **{around.name: _around(around) for around in _AROUND},
    **{operator.name: operator for operator in _CLASSES},
}


@cache
def available() -> dict[str, Callable[..., Operator]]:
    """Every operator by its name in the grammar: ours, the catalogue of real tools, and those of
    installed packages (entry-point group `reid_audit.operators`, a callable whose keyword arguments
    are the parameters)."""
    from reid_audit.attacks.operators.tools.operator import factories  # is written in the grammar

    third_party = {e.name: e.load() for e in entry_points(group="reid_audit.operators")}
    return factories() | _BUILT_IN | third_party


def parameters(name: str) -> dict[str, str]:
    """What can be set about an available operator: each key of the grammar with its kind, and its
    default or that it is needed.

    >>> parameters("pillow-box")
    {'r': 'a number; needed'}
    >>> parameters("solid")["shape"]
    'box, ellipse or eyes; default box'
    """
    accepted = inspect.signature(available()[name], eval_str=True).parameters
    return {key: f"{_kind_text(p.annotation)}; {_default(p)}" for key, p in accepted.items()}


def _kind_text(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        *others, last = get_args(annotation)
        return f"{', '.join(others)} or {last}"
    kinds = _kinds(annotation)
    if str in kinds:
        return "text"
    return "a number" if float in kinds else "a whole number"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "needed"
    return "optional" if parameter.default is None else f"default {parameter.default}"


def parse(spec: str) -> Operator:
    """Read a spec into an operator.

    >>> str(parse("gaussian:sigma=7.8"))
    'gaussian:k=49,sigma=7.8'

    A value may be a range, drawn from anew for every picture; `ellipse` pastes what stands before
    it through an ellipse, `mask` through other shapes.

    >>> str(parse("box:k=21..41|ellipse:soft=.1"))
    'box:k=21..41|ellipse:soft=0.1'

    After `relative`, lengths are those for a region of `side` pixels and grow with the region.

    >>> parse("box:k=51|relative:side=100").on(60, 60).k
    31

    Raises:
        InputError: not in the grammar, an unknown name or key (the nearest is named), or an
            impossible value.
    """
    steps: list[Operator] = []
    for text in spec.split("|"):
        step = _parse_step(text.strip())
        if isinstance(step, _AROUND):
            require(bool(steps), f"{spec!r}: {step.name} needs a step before it; write {GRAMMAR}.")
            steps = [replace(step, inner=_in_turn(steps))]
        else:
            steps.append(step)
    return _in_turn(steps)


def _in_turn(steps: list[Operator]) -> Operator:
    return steps[0] if len(steps) == 1 else Chain(tuple(steps))


def _parse_step(step: str) -> Operator:
    name, _, rest = step.partition(":")
    factories = available()
    if name not in factories:
        raise InputError(
            f"{step!r}: no operator {name!r}{_nearest(name, factories)}; write {GRAMMAR}."
        )
    factory = factories[name]
    accepted = inspect.signature(factory, eval_str=True).parameters
    low: dict[str, object] = {}
    high: dict[str, object] = {}
    for pair in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{step!r}: {pair!r} is no key=value; write {GRAMMAR}.")
        if key not in accepted:
            known = ", ".join(accepted) or "no key at all"
            raise InputError(
                f"{step!r}: {name} has no {key!r}{_nearest(key, accepted)}; it takes {known}."
            )
        annotation, where = accepted[key].annotation, f"{step!r}: {key}"
        first, dots, last = value.partition("..") if _is_number(annotation) else (value, "", "")
        low[key] = _convert(first, annotation, where)
        high[key] = _convert(last if dots else first, annotation, where)
    missing = [k for k, p in accepted.items() if p.default is p.empty and k not in low]
    if missing:
        raise InputError(f"{step!r}: {name} also needs {', '.join(missing)}.")
    if low == high:
        return factory(**low)
    wraps = name in [around.name for around in _AROUND]
    require(not wraps, f"{step!r}: {name} takes no range.")
    return Ranged(factory, factory(**low), factory(**high))


LARGEST = 1_000_000
"""Magnitude of a number in a spec: pixels and qualities stay far below."""


def _kinds(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) or (annotation,)


def _is_number(annotation: object) -> bool:
    return not {int, float}.isdisjoint(_kinds(annotation))


def _convert(text: str, annotation: object, where: str) -> object:
    if get_origin(annotation) is Literal:
        if text in (choices := get_args(annotation)):
            return text
        raise InputError(f"{where} must be one of {', '.join(choices)}, not {text!r}.")
    kinds = _kinds(annotation)
    for kind in (int, float, str):
        if kind in kinds:
            try:
                value = kind(text)
            except ValueError:
                continue
            # Neither NaN, which no comparison refuses, nor what no picture is large enough for.
            # A key may be any number: it is secret, not a size.
            if isinstance(value, str) or abs(value) <= LARGEST or where.endswith(": key"):
                return value
            break
    wanted = "a whole number" if int in kinds else "a number"
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    raise InputError(f"{where} must be {wanted} of at most {LARGEST:,}, not {shown!r}.")


def _nearest(word: str, known: object) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)  # type: ignore[call-overload]
    return f", did you mean {match[0]!r}?" if match else ""
