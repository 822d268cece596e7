"""The spec grammar: `name:key=value,key=value|name:...` <-> operators."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Literal, get_args, get_origin

from attacks.operators.base import Chain, Operator, Untouched
from attacks.operators.blur import Box, make_gaussian
from attacks.operators.codec import Jpeg, WebP
from attacks.operators.fill import Solid
from attacks.operators.move import Permute, Rotate
from attacks.operators.noise import DpPix, DpSnow, Noise
from attacks.operators.pixelate import Downscale, Pixelate
from metrics.errors import InputError

GRAMMAR = "NAME:key=value,key=value|NAME:..., e.g. gaussian:k=81 or pixelate:b=16|jpeg:q=75"

_CLASSES = (
    Untouched, Box, Pixelate, Downscale, Solid, Noise, DpPix, DpSnow, Rotate, Permute, Jpeg, WebP,
)  # fmt: skip
_BUILT_IN: dict[str, Callable[..., Operator]] = {
    "gaussian": make_gaussian,
    **{operator.name: operator for operator in _CLASSES},
}


@cache
def available() -> dict[str, Callable[..., Operator]]:
    """Every operator by its name in the grammar: ours and those of installed packages (entry-point
    group `reid_audit.operators`, a callable whose keyword arguments are the parameters)."""
    third_party = {e.name: e.load() for e in entry_points(group="reid_audit.operators")}
    return _BUILT_IN | third_party


def parse(spec: str) -> Operator:
    """Read a spec into an operator.

    >>> str(parse("gaussian:sigma=7.8"))
    'gaussian:k=49,sigma=7.8'

    Raises:
        InputError: not in the grammar, an unknown name or key (the nearest is named), or an
            impossible value.
    """
    steps = tuple(_parse_step(step.strip()) for step in spec.split("|"))
    return steps[0] if len(steps) == 1 else Chain(steps)


def _parse_step(step: str) -> Operator:
    name, _, rest = step.partition(":")
    factories = available()
    if name not in factories:
        raise InputError(
            f"{step!r}: no operator {name!r}{_nearest(name, factories)}; write {GRAMMAR}."
        )
    factory = factories[name]
    accepted = inspect.signature(factory, eval_str=True).parameters
    arguments: dict[str, object] = {}
    for pair in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{step!r}: {pair!r} is no key=value; write {GRAMMAR}.")
        if key not in accepted:
            known = ", ".join(accepted) or "no key at all"
            raise InputError(
                f"{step!r}: {name} has no {key!r}{_nearest(key, accepted)}; it takes {known}."
            )
        arguments[key] = _convert(value, accepted[key].annotation, f"{step!r}: {key}")
    missing = [k for k, p in accepted.items() if p.default is p.empty and k not in arguments]
    if missing:
        raise InputError(f"{step!r}: {name} also needs {', '.join(missing)}.")
    return factory(**arguments)


def _convert(text: str, annotation: object, where: str) -> object:
    if get_origin(annotation) is Literal:
        if text in (choices := get_args(annotation)):
            return text
        raise InputError(f"{where} must be one of {', '.join(choices)}, not {text!r}.")
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)] or [annotation]
    for kind in (int, float, str):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    wanted = "a whole number" if int in kinds else "a number"
    raise InputError(f"{where} must be {wanted}, not {text!r}.")


def _nearest(word: str, known: object) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)  # type: ignore[call-overload]
    return f", did you mean {match[0]!r}?" if match else ""
