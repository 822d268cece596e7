"""Where and how a picture was processed, as the configuration or a record states it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reid_audit.audit.data import Box, Item
from reid_audit.audit.probes.boxes import area, as_box
from reid_audit.audit.probes.faces import Landmarks
from reid_audit.audit.probes.inventory import Region
from reid_audit.audit.probes.named import holds_middle
from reid_audit.audit.probes.pairs import Turn
from reid_audit.audit.probes.scene import Task
from reid_audit.metrics.errors import InputError


def nothing_stated(items: Sequence[Item]) -> bool:
    """Whether no record says what was done to a picture."""
    return all(item.spec is None for item in items)


def stated_whole(task: Task, shape: tuple[int, ...]) -> bool:
    """Whether a picture of `shape` (height, width) is stated to be processed as a whole."""
    everything = (0, 0, shape[1], shape[0])
    stated = [region for item in task.items for region in item.regions]
    return task.region == "image" or (task.region is None and everything in stated)


def stated_regions(task: Task, turn: Turn, shape: tuple[int, int]) -> tuple[Region, ...]:
    """Regions that the configuration or a record states, as the picture lies now."""
    before = turn.shape(shape)
    if task.region is not None and task.region.startswith("box:"):
        box = parse_box(task.region.removeprefix("box:"))
        return (Region(turn.box(box, before), "box", "configured"),)
    if task.region == "image":
        return ()
    boxes = dict.fromkeys(region for item in task.items for region in item.regions)
    return tuple(Region(turn.box(box, before), "box", "sidecar") for box in boxes)


def stated_on(landmarks: Landmarks, stated: Sequence[Region]) -> Region | None:
    """The stated region that holds a face's middle, the smallest of several."""
    holding = [region for region in stated if holds_middle(landmarks, region.box)]
    return min(holding, key=lambda region: area(region.box), default=None)


def parse_box(text: str) -> Box:
    """A box as the option --region writes it.

    Raises:
        InputError: not four whole numbers.
    """
    numbers = re.findall(r"-?\d+", text)
    if len(numbers) != 4:
        raise InputError(f"--region box:{text}: give four whole numbers, box:x0,y0,x1,y1.")
    return as_box(numbers)
