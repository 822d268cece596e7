"""What was done, settled on a picture and its original."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest

from reid_audit.attacks.anonymisation import (
    Placings,
    Region,
    find_regions,
    identify,
    identify_pair,
)
from reid_audit.attacks.anonymisation.compression import stored_again
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.operators.tools import Placed, Tool, face_under, find, tools
from reid_audit.metrics.errors import InputError

BOX = (70, 60, 166, 180)


def scenery(seed: int, height: int = 250, width: int = 250) -> np.ndarray:
    """Detail at every scale, like a photograph's."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 125.0)
    for step in (64, 32, 16, 8, 4, 2):
        size = (height // step + 2, width // step + 2)
        cloud = rng.normal(0, 1, (*size, 1)) + rng.normal(0, 0.3, (*size, 3))
        whole = cv2.resize(cloud, (size[1] * step, size[0] * step), interpolation=cv2.INTER_CUBIC)
        picture += 3 * step**0.5 * whole[:height, :width]
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("spec", "family", "name", "low", "high"),
    [
        ("gaussian:sigma=6", "gaussian", "sigma_x", 5.9, 6.1),
        ("gaussian:sigma=6|jpeg:q=75", "gaussian", "sigma_x", 5.8, 6.2),
        ("box:k=21", "box", "box_x", 21, 21),
        ("deface-blur:scale=1", "box", "box_y", 57, 61),
        ("median:k=9", "median", "k", 9, 9),
        ("pixelate:b=12", "pixelate", "block_x", 12, 12),
        ("downscale:f=6", "downscale", "factor_x", 5.7, 6.3),
    ],
)
def test_the_setting_is_that_of_least_residual(
    spec: str, family: str, name: str, low: float, high: float
) -> None:
    clear = scenery(1)
    hidden = apply_to_box(parse(spec), clear, BOX, np.random.default_rng(0))
    shape = "ellipse" if "deface" in spec else "box"
    answer = identify_pair(clear, hidden, Region(BOX, shape)).settled
    assert answer.family == family and answer.region == BOX
    assert low <= answer.parameters[name] <= high


def test_what_no_operator_makes_of_the_original_was_put_there() -> None:
    clear, other = scenery(1), scenery(2)
    hidden = clear.copy()
    hidden[BOX[1] : BOX[3], BOX[0] : BOX[2]] = other[BOX[1] : BOX[3], BOX[0] : BOX[2]]
    assert identify_pair(clear, hidden, BOX).settled.family == "generative"
    filled = clear.copy()
    filled[BOX[1] : BOX[3], BOX[0] : BOX[2]] = (200, 10, 60)
    answer = identify_pair(clear, filled, BOX).settled
    assert answer.family == "solid" and answer.parameters["color"] == (200, 10, 60)


def test_an_untouched_region_is_none_even_through_a_codec() -> None:
    clear = scenery(3)
    coded = parse("jpeg:q=90").apply(clear, np.random.default_rng(0))
    assert identify_pair(clear, clear, BOX).settled.family == "none"
    assert identify_pair(clear, coded, BOX).settled.family == "none"


def test_pairs_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        identify_pair(scenery(1), scenery(1, 200, 200))


def test_a_given_ellipse_is_read_inside() -> None:
    hidden = apply_to_box(
        parse("gaussian:sigma=5|ellipse"), scenery(4), BOX, np.random.default_rng(0)
    )
    answer = identify(hidden, region=Region(BOX, "ellipse"))
    assert answer.region_shape == "ellipse" and answer.region == BOX
    assert answer.family == "gaussian"


def test_every_processed_part_of_a_scene_is_told() -> None:
    scene = scenery(5, 500, 700)
    boxes = [(60, 80, 140, 180), (300, 40, 420, 190), (520, 300, 600, 400)]
    for box in boxes:
        scene = apply_to_box(parse("gaussian:sigma=8"), scene, box, np.random.default_rng(0))
    told = find_regions(scene)
    for x0, y0, x1, y1 in boxes:
        near = [r.box for r in told if max(map(abs, np.subtract(r.box, (x0, y0, x1, y1)))) <= 3]
        assert len(near) == 1
    assert len(told) == 3
    assert find_regions(scenery(6, 500, 700)) == ()


def would(box: tuple[int, int, int, int], shape: str) -> dict[str, Placings]:
    """What the catalogue's tools would do to change this region of the scenery."""
    size = (250, 250)

    def within(tool: Tool, inset: int) -> Placed:
        x0, y0, x1, y1 = box
        less = (x0 + inset, y0 + inset, x1 - inset, y1 - inset)
        return tool.place(face_under(tool, less, size), size)

    return {
        tool.name: Placings(partial(within, tool), 20 if tool.shape == "soft" else 1)
        for tool in tools()
        if tool.shape in (shape, "soft")
    }


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize(
    "name",
    (
        *("deface-blur", "deface-mosaic", "egoblur", "signal-android", "uniface", "obscuracam"),
        *("pyimagesearch", "supervision-pixelate-20", "deep-privacy2-pixelation8", "sgblur"),
    ),
)
def test_the_tool_that_was_used_explains_the_pair_best(name: str, quality: int | None) -> None:
    clear, tool = scenery(3), find(name)
    face = (80, 64, 160, 176)
    made = apply_to_box(parse(name), clear, face, np.random.default_rng(0))
    hidden = made if quality is None else stored_again(made, quality)
    box = tool.covers(face, (250, 250))
    pair = identify_pair(clear, hidden, Region(box, tool.shape), None, would(box, tool.shape))
    assert pair.settled.tools[0] == name
    assert pair.settled.family == parse(name).family
    assert pair.settled.operator() is not None
    assert not pair.unaided.tools


def test_no_tool_is_named_that_leaves_more_than_another_setting_does() -> None:
    clear = scenery(3)
    hidden = apply_to_box(parse("gaussian:sigma=9.7"), clear, BOX, np.random.default_rng(0))
    pair = identify_pair(clear, hidden, BOX, None, would(BOX, "box"))
    assert pair.settled.family == "gaussian" and pair.settled.tools == ()
    assert pair.settled.parameters["sigma_x"] == pytest.approx(9.7, rel=0.02)


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize(
    ("name", "beyond"), [("understand-ai", 4), ("imagenet", 17), ("uniface-elliptical", 17)]
)
def test_a_tool_with_a_fading_edge_is_found_where_its_place_was_seen_too_large(
    name: str, beyond: int, quality: int | None
) -> None:
    clear, tool = scenery(3), find(name)
    face = (95, 84, 155, 166)
    made = apply_to_box(parse(name), clear, face, np.random.default_rng(0))
    hidden = made if quality is None else stored_again(made, quality)
    x0, y0, x1, y1 = tool.covers(face, (250, 250))
    seen = (x0 - beyond, y0 - beyond, x1 + beyond, y1 + beyond)
    shape = "ellipse" if "elliptical" in name else "box"
    settled = identify_pair(clear, hidden, Region(seen, shape), None, would(seen, shape)).settled
    assert settled.tools == (name,)
