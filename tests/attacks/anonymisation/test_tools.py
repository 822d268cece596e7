"""One tool, one rule: what many single estimates say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from reid_audit.attacks.anonymisation import Identification, ToolSample, estimate_tools
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.metrics.errors import InputError

PICTURE = (800, 1200)
SIDES = (34, 48, 66, 90, 120, 160)


def sample(
    family: str, length: float, side: int = 100, confidence: float = 0.95, **more: float
) -> ToolSample:
    """A part of `side` pixels whose setting was read as `length`."""
    parameters: dict[str, float] = {}
    spec: str | None = family
    if family == "gaussian":
        parameters = {"sigma_x": length, "sigma_y": length, **more}
        spec = f"gaussian:sigma={length:.4g}"
    elif family == "box":
        parameters = {"box_x": round(length), "box_y": round(length)}
        spec = f"box:k={round(length) | 1}"
    elif family == "unknown":
        spec = None
    region = (40, 40, 40 + side, 40 + side) if side else (0, 0, PICTURE[1], PICTURE[0])
    answer = Identification(region, family, parameters=parameters, spec=spec, confidence=confidence)
    return ToolSample(answer, PICTURE, side / 1.1 if side else None)


def scattered(values: Sequence[float], seed: int = 0, spread: float = 0.05) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(v) for v in np.array(values) * np.exp(rng.normal(0, spread, len(values)))]


def test_a_fixed_length_is_fixed_whatever_the_faces() -> None:
    lengths = scattered([15] * 12)
    tools = estimate_tools(
        [sample("box", v, side) for v, side in zip(lengths, SIDES * 2, strict=True)]
    )
    assert len(tools) == 1 and tools[0].rule == "pixels" and len(tools[0].members) == 12
    assert tools[0].length == pytest.approx(15, abs=1)
    assert str(tools[0].operator()) == "box:k=15"


def test_a_length_that_grows_with_the_region_is_one_tool() -> None:
    sides = SIDES * 2
    lengths = scattered([side / 2 for side in sides])
    tools = estimate_tools([sample("box", v, s) for v, s in zip(lengths, sides, strict=True)])
    assert len(tools) == 1 and tools[0].rule in ("region", "face")
    operator = tools[0].operator()
    assert operator is not None
    for side in sides:  # every face gets its own setting
        sharp = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
        expected = parse(f"box:k={2 * round((side / 2 - 1) / 2) + 1}").transfer(side, side)
        assert expected is not None
        made = operator.transfer(side, side)
        assert made is not None and np.abs(made - expected).mean() < 0.02
        assert (
            apply_to_box(operator, sharp, (0, 0, side, side), np.random.default_rng(0)).std() < 30
        )


def test_one_misread_picture_is_no_tool_but_several_alike_are() -> None:
    blurred = [sample("gaussian", v) for v in scattered([8] * 20)]
    assert len(estimate_tools([*blurred, sample("box", 21)])) == 1
    assert len(estimate_tools([*blurred, sample("unknown", 0)])) == 1
    clear = [sample("none", 0, 0, confidence=0.99) for _ in range(5)]
    slipped = estimate_tools([*blurred, *clear])
    assert [tool.family for tool in slipped] == ["gaussian", "none"]
    assert slipped[1].members == tuple(range(20, 25))


def test_a_pair_settles_what_one_picture_is() -> None:
    blurred = [replace(sample("gaussian", 9.0), settled=True) for _ in range(5)]
    clear = replace(sample("none", 0, confidence=1.0), settled=True)
    tools = estimate_tools([*blurred, clear, *blurred])
    assert [(t.family, len(t.members)) for t in tools] == [("gaussian", 10), ("none", 1)]


def test_two_settings_in_one_folder_are_told_apart() -> None:
    lengths = scattered([4] * 10 + [9] * 10)
    tools = estimate_tools([sample("gaussian", v) for v in lengths])
    assert [tool.members for tool in tools] == [tuple(range(10)), tuple(range(10, 20))]
    assert sorted(tool.length or 0 for tool in tools) == pytest.approx([4, 9], rel=0.05)


def test_a_setting_drawn_for_every_picture_is_a_range() -> None:
    lengths = np.linspace(3, 9, 24).tolist()
    tools = estimate_tools([sample("gaussian", v) for v in scattered(lengths, spread=0.02)])
    assert len(tools) == 1 and tools[0].rule == "drawn"
    assert ".." in str(tools[0].operator())


def test_surer_pictures_count_more() -> None:
    spreads = {12.2: 0.9, 12.5: 0.01, 12.9: 0.9}
    tools = estimate_tools(
        [sample("gaussian", v, sigma_x_sd=s, sigma_y_sd=s) for v, s in spreads.items()]
    )
    assert tools[0].length == pytest.approx(12.5, abs=0.15)


def test_the_order_of_pictures_changes_nothing() -> None:
    samples = [sample("gaussian", v) for v in scattered([5] * 6 + [12] * 4)]
    forth, back = estimate_tools(samples), estimate_tools(samples[::-1])
    assert [t.length for t in forth] == pytest.approx([t.length for t in back])


def test_no_picture_is_an_error() -> None:
    with pytest.raises(InputError, match="no pictures"):
        estimate_tools([])


def test_a_rule_that_only_a_catalogue_knows_is_one_tool() -> None:
    """Blocks of a twelfth of the longer side, down to a multiple of 8: steps, no proportion."""
    samples = []
    for side in (100, 190, 200, 290, 300, 390, 400, 480):
        length = max(8, side // 12 // 8 * 8)
        answer = Identification(
            (48, 48, 48 + side, 48 + side),
            "pixelate",
            parameters={"block_x": length, "block_y": length},
            spec=f"pixelate:b={length}",
            confidence=1.0,
            tools=("sgblur",),
        )
        samples.append(ToolSample(answer, PICTURE, side / 1.1))
    estimates = estimate_tools(samples)
    assert len(estimates) == 1 and estimates[0].entry == "sgblur"
    assert estimates[0].typical.tools == ("sgblur",)
    assert "pillow-box" in str(estimates[0].operator())
    alone = [replace(s, identification=replace(s.identification, tools=())) for s in samples]
    assert [e.entry for e in estimate_tools(alone)] == ["sgblur"]


def test_a_blur_that_leaves_one_colour_is_still_the_tools_blur() -> None:
    """Its length cannot be read from a response that is nothing; the entry says it."""
    answer = Identification(
        (40, 40, 100, 120),
        "box",
        "ellipse",
        parameters={"kx": 400, "ky": 600},
        spec="cv-box:kx=400,ky=600|ellipse",
        confidence=1.0,
        tools=("egoblur",),
    )
    (estimate,) = estimate_tools([ToolSample(answer, PICTURE, 50.0)] * 4)
    assert "400" in str(estimate.operator()) and "600" in str(estimate.operator())


def test_attackers_get_the_kernel_that_originals_settled() -> None:
    """A kernel that was cut short is no Gaussian of its own standard deviation."""
    samples = []
    for number, side in enumerate((60, 110, 180, 260)):
        answer = Identification(
            (40, 40, 40 + side, 40 + side),
            "gaussian",
            parameters={"sigma_x": 5.2 + 0.01 * number, "sigma_y": 5.2},
            spec="gaussian:k=21,sigma=7",
            confidence=1.0,
            tools=("deep-privacy2-gaussian",),
        )
        samples.append(ToolSample(answer, PICTURE, side / 1.1))
    (estimate,) = estimate_tools(samples)
    assert estimate.operator() == parse("gaussian:k=21,sigma=7")


@pytest.mark.parametrize(
    ("tool", "family", "share", "mask", "spec"),
    [
        ("deface-blur", "box", 1 / 2, "|ellipse", "deface-blur:scale=1"),
        ("pyimagesearch", "gaussian", 1 / 3, "", "pyimagesearch"),
    ],
)
def test_a_rule_that_originals_settled_is_handed_on_as_it_is(
    tool: str, family: str, share: float, mask: str, spec: str
) -> None:
    """In proportion to the median region, windows of other regions would be off by pixels."""
    samples = []
    for width, height in ((60, 80), (91, 130), (140, 171), (77, 120)):
        kx, ky = int(share * width) | 1, int(share * height) | 1
        gaussian = {"sigma_x": 0.15 * kx + 0.35, "sigma_y": 0.15 * ky + 0.35}
        answer = Identification(
            (40, 40, 40 + width, 40 + height),
            family,
            "ellipse" if mask else "box",
            parameters={"box_x": kx, "box_y": ky} if family == "box" else gaussian,
            spec=(f"cv-box:kx={kx},ky={ky}" if family == "box" else f"cv-gaussian:k={kx},ky={ky}")
            + mask,
            confidence=1.0,
            tools=(tool,),
        )
        samples.append(ToolSample(answer, PICTURE, 50.0))
    (estimate,) = estimate_tools(samples)
    assert estimate.operator() == parse(spec)
