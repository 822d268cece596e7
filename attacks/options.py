"""What can be set about an attack: a frozen dataclass each, checked before any work is done.

>>> @dataclass(frozen=True)
... class Options:
...     steps: Annotated[int, Ge(1)] = option(6, "steps of the flow")
>>> read_options(Options, {"steps": 3}, "flow")
Options(steps=3)
>>> declared(Options)
(Option(name='steps', kind='whole number from 1', default=6, meaning='steps of the flow'),)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge
from pydantic import ConfigDict, TypeAdapter, ValidationError

from reid_audit.metrics.errors import InputError

Options = TypeVar("Options")
_WORDS: Mapping[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "yes or no",
}


def option(default: Any, meaning: str) -> Any:
    """A field of an attack's options: its default, and what it means, for a reader."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class NoOptions:
    """Nothing to set."""


@dataclass(frozen=True)
class Option:
    """One thing that can be set: what it takes, in words, its default and its meaning."""

    name: str
    kind: str
    default: object
    meaning: str


def declared(options: type) -> tuple[Option, ...]:
    """What a dataclass of options holds, in its order."""
    hints = get_type_hints(options, include_extras=True)
    return tuple(
        Option(f.name, _kind(hints[f.name]), f.default, f.metadata["meaning"])
        for f in fields(options)
    )


def read_options(options: type[Options], given: Mapping[str, object], attack: str) -> Options:
    """Options from values by name; what is not given keeps its default.

    Args:
        attack: its name, for the sentence.

    Raises:
        InputError: an unknown name (the nearest is named), or a value of a wrong type or range.
    """
    known = {entry.name: entry for entry in declared(options)}
    hints = get_type_hints(options, include_extras=True)
    for name, value in given.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            takes = f"it takes {', '.join(known)}" if known else "it has nothing to set"
            hint = f"did you mean {near[0]!r}?" if near else f"{takes}."
            raise InputError(f"attack {attack!r} has no option {name!r}; {hint}")
        try:
            TypeAdapter(hints[name], config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError:
            entry = known[name]
            raise InputError(
                f"attack {attack!r}: option {name!r} ({entry.meaning}) must be a "
                f"{entry.kind}, not {value!r}."
            ) from None
    return options(**given)


def _kind(hint: Any) -> str:
    """A type in words.

    >>> _kind(Annotated[int, Ge(1)] | None), _kind(Literal["a", "b"])
    ('whole number from 1, or nothing', "choice of 'a' or 'b'")
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [f" from {bound.ge}" for bound in arguments[1:] if isinstance(bound, Ge)]
        return _kind(arguments[0]) + "".join(limits)
    if origin is Literal:
        return f"choice of {' or '.join(map(repr, arguments))}"
    if NoneType in arguments:
        (other,) = (argument for argument in arguments if argument is not NoneType)
        return f"{_kind(other)}, or nothing"
    return _WORDS.get(hint, str(hint))
