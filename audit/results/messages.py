"""The sentences of a run, in every language: catalogues by key, and how a message is written.

A run records the English sentence and, beside it, the message that made it; a report writes the
same message in its own language. Both come from the catalogues in `sentences`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

import yaml

from reid_audit.audit.results.numbers import Numbers
from reid_audit.audit.results.schema import Message, MessageValue

_FOLDER = files("reid_audit.audit.results").joinpath("sentences")
_BETWEEN = {"": " ", "list": ", ", "parts": "; "}
"""What stands between the messages of a value, by the form that the sentence asks for."""


def languages() -> list[str]:
    """Codes of the languages that there is a catalogue for."""
    names = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def catalogue(code: str) -> Mapping[str, Any]:
    """The sentences of a language."""
    loaded: Mapping[str, Any] = yaml.safe_load(_FOLDER.joinpath(f"{code}.yaml").read_text("utf-8"))
    return loaded


@cache
def numbers(code: str) -> Numbers:
    """How a language writes numbers."""
    marks = catalogue(code)["marks"]
    return Numbers(code, marks["group"], marks["decimal"])


def say(key: str, /, **values: MessageValue) -> Message:
    """A message, checked against the English catalogue.

    Raises:
        KeyError: there is no such sentence, or it speaks of a value that is not given.
    """
    message = Message(key=key, values=values)
    english(message)
    return message


def english(said: Message | Sequence[Message]) -> str:
    """What the results record as a sentence; several stand behind one another.

    >>> english(say("sample.advice", needed=59))
    'For a bound, audit at least 59 people.'
    """
    messages = [said] if isinstance(said, Message) else said
    return " ".join(write(message, numbers("en")) for message in messages)


def write(message: Message, own: Numbers) -> str:
    """A message in the language of `own`.

    Raises:
        KeyError: the catalogue has no such sentence, or the message lacks a value it speaks of.
        ValueError: a value is not of the kind that the sentence writes.
    """
    node: Any = catalogue(own.code)
    for part in message.key.split("."):
        node = node[part]
    if isinstance(node, Mapping):
        node = node["one" if message.values["count"] == 1 else "other"]
    return _Writer(own).vformat(str(node), (), message.values)


class _Writer(Formatter):
    """Formats `{name:form}`: a number as the form says, a message in the same language."""

    def __init__(self, own: Numbers) -> None:
        self._own = own
        self._forms: dict[str, Callable[[float], str]] = {
            "count": own.count,
            "decimal": own.decimal,
            "declared": own.declared,
            "percent": own.percent,
            "share": lambda fraction: own.percent(fraction, unit=False),
            "whole": lambda fraction: own.declared(round(fraction, 2)),
            "side": lambda pixels: own.decimal(pixels, 2) if pixels % 1 else own.count(pixels),
            "p": own.p_value,
            "fixed": own.fixed,
        }

    def format_field(self, value: Any, form: str) -> str:
        if isinstance(value, Message):
            return write(value, self._own)
        if isinstance(value, list):
            parts = (write(part, self._own) for part in value)
            return _BETWEEN[form].join(parts)
        if form in self._forms:
            if not isinstance(value, int | float):
                raise ValueError(f"{value!r} is no number")
            return self._forms[form](value)
        return str(value)
