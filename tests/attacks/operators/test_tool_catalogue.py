"""The catalogue as data, what its tools leave, and which of them is recognised by its default."""

import datetime

import numpy as np
import pytest

from reid_audit.attacks.operators import Nature, available, parse
from reid_audit.attacks.operators.leakage import limit
from reid_audit.attacks.operators.tools import (
    face_box,
    find,
    matching_tools,
    named,
    tools,
    tools_that_fit,
)
from reid_audit.attacks.operators.tools.matching import face_under
from reid_audit.attacks.operators.tools.remaining import remaining
from reid_audit.metrics.errors import InputError

FRAME = (1080, 1920)


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_every_entry_says_what_it_is_and_where_that_was_read(tool):
    assert tool.operation.endswith(".") and tool.default.endswith(".")
    assert tool.source and tool.version
    assert datetime.date.fromisoformat(tool.read) >= datetime.date(2026, 11, 1)
    assert tool.tested in ("tool", "description")
    assert tool.shape in ("box", "ellipse", "soft")
    assert tool.name in available()
    for width in (8, 40, 120, 400):
        placed = tool.place(face_box(width, FRAME), FRAME)
        assert parse(str(placed.operator)) == placed.operator


def test_names_are_unique_and_a_slip_is_answered():
    names = [tool.name for tool in tools()]
    assert len(set(names)) == len(names)
    with pytest.raises(InputError, match="did you mean signal-android"):
        find("signal-andriod")


def test_a_fixed_kernel_is_the_same_for_every_face_and_a_share_grows_with_it():
    for width in (40, 80, 160):
        face = face_box(width, FRAME)
        assert str(find("ultralytics").place(face, FRAME).operator) == "cv-box:kx=50"
        share = find("supervision-blur").place(face, FRAME).operator
        assert share.parameters["box_x"] == width // 3


def test_a_rule_of_the_picture_does_not_see_the_face():
    small, large = (find("signal-android").place(face_box(w, FRAME), FRAME) for w in (40, 400))
    assert small.operator == large.operator
    assert small.operator.parameters["sigma_x"] == pytest.approx(10.6 * 1920 / 300)


def test_a_resized_picture_was_blurred_before(texture):
    """The tool saw a picture twice as large: its 50 pixels are 25 of this one."""
    picture = texture(60, 80)
    halved = parse("ultralytics").scaled(0.5)
    np.testing.assert_array_equal(
        halved.apply(picture, np.random.default_rng(0)),
        parse("cv-box:kx=25").apply(picture, np.random.default_rng(0)),
    )
    assert str(parse("signal-android").framed(1080, 1920)) == "signal-android:fw=1920,fh=1080"
    assert parse("ultralytics").framed(1080, 1920) == parse("ultralytics")


def test_what_a_tool_leaves_is_that_of_its_operator():
    """A Gaussian on a box leaves the same detail per area as on the whole frame."""
    left = remaining(find("deep-privacy2-gaussian"), 120, FRAME)
    whole = limit(parse("gaussian:k=21,sigma=7"), 120)
    assert left.left.effective_resolution == pytest.approx(whole.effective_resolution, rel=0.03)
    assert left.sigma_over_face_width == pytest.approx(7 / 120, rel=0.3)  # cut to 21 taps
    assert remaining(find("deface-solid"), 120, FRAME).left.effective_resolution == 0
    assert find("deface-solid").place(face_box(120, FRAME), FRAME).operator.nature is Nature.ERASING


def test_a_face_larger_than_the_picture_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        remaining(find("uniface"), 400, (300, 500))


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_the_face_is_found_under_the_region_that_a_tool_changes(tool):
    face = (800, 400, 917, 553)
    region = tool.covers(face, FRAME)
    under = face_under(tool, region, FRAME)
    slack = 2 + 2 * tool.grid * (tool.grid > 1)
    assert np.abs(np.subtract(under, face)).max() <= slack


@pytest.mark.parametrize("width", [60, 120, 240])
def test_a_tool_is_named_by_its_default(width):
    """From the lengths that its source gives, computed here by hand."""
    face = face_box(width, FRAME)
    w, h = face[2] - face[0], face[3] - face[1]

    def rule(size):
        kernel = int(size / 3) - (int(size / 3) % 2 == 0)
        return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8

    sigma = {"sigma_x": rule(w), "sigma_x_sd": 0.1, "sigma_y": rule(h), "sigma_y_sd": 0.1}
    assert matching_tools("gaussian", sigma, face, FRAME, "box")[0] == "pyimagesearch"
    blocks = {"block_x": w / 10, "block_y": w / 10}
    assert "obscuracam" in matching_tools("pixelate", blocks, face, FRAME, "box")
    boxes = {"box_x": 50, "box_y": 50}
    assert "ultralytics" in matching_tools("box", boxes, face, FRAME, "box")
    region = find("deface-blur").covers(face, FRAME)
    half = {"box_x": (region[2] - region[0]) // 2, "box_y": (region[3] - region[1]) // 2}
    assert matching_tools("box", half, region, FRAME, "ellipse") == ["deface-blur"]


def test_nothing_is_named_that_no_tool_does():
    face = face_box(120, FRAME)
    odd = {"sigma_x": 31.0, "sigma_x_sd": 0.2, "sigma_y": 31.0, "sigma_y_sd": 0.2}
    assert matching_tools("gaussian", odd, face, FRAME, "box") == []
    assert matching_tools("noise", {"sigma": 9}, face, FRAME, "box") == []
    assert matching_tools("solid", {}, face, FRAME, "ellipse") == []


def test_a_plain_box_is_no_one_tool():
    face = face_box(120, FRAME)
    black = tools_that_fit("solid", {"color": (0, 1, 0)}, face, FRAME, "box")
    names = {fit.tool.name for fit in black}
    assert {"deface-solid", "uniface-blackout", "ffmpeg-drawbox"} <= names
    assert named(black) is None and named(black[:1]) is black[0].tool
    assert not tools_that_fit("solid", {"color": (200, 10, 10)}, face, FRAME, "box")
