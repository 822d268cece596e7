"""The plane of identification against utility, and tools that are not ours as defences."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from reid_audit.audit.bench import beside, figures, plan, plane
from reid_audit.audit.bench.config import resolve
from reid_audit.audit.bench.page import html
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.table import markdown
from reid_audit.audit.results.schema import Estimate, Geometry, Utility
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.geometry import MEASURES


def row(defence: str, attack: str, high: float, utility: float | None, **own: Any) -> Row:
    return Row(
        data="lfw",
        people=10,
        strangers=0,
        probes=20,
        gallery_people=10,
        gallery_pictures=10,
        background_pictures=0,
        face_width=94,
        pose="any",
        defence=defence,
        method=defence,
        region="image",
        belief="matched",
        knowledge="gallery only",
        attack=attack,
        recognizer="dlib",
        ira=high - 0.1,
        low=high - 0.2,
        high=high,
        utility=utility,
        faces_found=0.5,
        **{"assumed": defence, **own},
    )


ROWS = [
    row("light", "wiener", 0.95, 0.9),
    row("light", "naive", 0.6, 0.9),
    row("heavy", "wiener", 0.5, 0.6),
    row("worse", "wiener", 0.7, 0.5),
    row("swirl", "naive", 0.1, 0.8),
    row("solid", "wiener", 0.1, 0.2),
    row("unmeasured", "wiener", 0.1, None),
]


def test_each_setting_is_one_mark_at_the_upper_end_of_its_strongest_attack() -> None:
    found = {mark.defence: mark for mark in plane.marks(ROWS)}
    assert set(found) == {"light", "heavy", "worse", "swirl", "solid"}
    assert found["light"].risk == 0.95 and found["light"].attack == "wiener"
    assert [name for name, mark in found.items() if mark.front] == ["solid", "heavy", "light"]


def test_what_only_generic_attackers_saw_is_marked_and_never_on_the_front() -> None:
    found = {mark.defence: mark for mark in plane.marks(ROWS)}
    assert not found["swirl"].suitable and not found["swirl"].front
    unknown = plane.marks([row("tool", "wiener", 0.2, 0.9, assumed=None)])
    assert not unknown[0].suitable
    (line,) = [line for line in plane.table(list(found.values())) if line[1] == "swirl"]
    assert plane.UNSUITED in line


def test_the_page_draws_every_mark_and_writes_no_markup_of_a_users() -> None:
    page = html([*ROWS, row("<b>x</b>", "naive", 0.3, 0.3)], "t", "", 8)
    assert page.count('id="plane-t"') == 1 and "<b>x</b>" not in page
    for number, name in enumerate(("swirl", "solid", "&lt;b&gt;x", "heavy", "worse", "light"), 1):
        assert f'<th scope="row">{number}</th><td>{name}' in page
    assert plane.UNSUITED in markdown(ROWS, "t", "", 7)
    assert "<svg" not in html([row("a", "naive", 0.3, None)], "t", "", 1)


LADDER = [
    row(f"gaussian:sigma={sigma}", attack, high, None, **strength)
    for sigma, attack, high in (
        (7.8, "student", 0.95),
        (20, "student", 0.6),
        (7.8, "naive", 0.4),
        (20, "naive", 0.2),
    )
    for strength in [
        {
            "sigma_over_face_width": sigma / 94,
            "effective_resolution": 120 / sigma,
            "of_ceiling": 0.9,
        }
    ]
]


def test_attacks_are_drawn_over_the_strength_of_the_blur() -> None:
    drawing = figures.strength(LADDER)
    assert drawing is not None
    assert [line[:3] for line in drawing.rows] == [
        ["student", "0.083", "0.850"],
        ["student", "0.213", "0.500"],
        ["naive", "0.083", "0.300"],
        ["naive", "0.213", "0.100"],
    ]
    assert figures.strength([line for line in LADDER if "7.8" in line.method]) is None
    wrong = [line.model_copy(update={"belief": "mismatched"}) for line in LADDER]
    assert figures.strength(wrong) is None


def test_unlike_operations_are_drawn_over_the_detail_they_leave() -> None:
    mosaic = row("pixelate:b=8", "ridge", 0.5, None, effective_resolution=12.0, of_ceiling=0.4)
    drawing = figures.remaining([*LADDER[:2], mosaic])
    assert drawing is not None and [line[0] for line in drawing.rows] == [
        "gaussian:sigma=20",
        "gaussian:sigma=7.8",
        "pixelate:b=8",
    ]
    assert figures.remaining([mosaic]) is None


def test_what_all_measurements_share_is_said_once() -> None:
    page = html(LADDER, "t", "", 4)
    (shared,) = re.findall(r"The same in every measurement: [^<]*", page)
    assert "recogniser dlib" in shared and "PSNR" not in shared
    heads = re.findall(r'<th scope="col">([^<]*)</th>', page)
    assert "recogniser" not in heads and "sample" not in heads and "attack" in heads


def grid(defence: object) -> Any:
    import yaml

    return yaml.safe_dump({"defences": [defence]})


def test_a_command_is_a_defence_whose_setting_nobody_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bench.yaml"
    file.write_text(grid({"command": "/opt/tools/deface {file} --output {out} --mask-scale 2"}))
    config = resolve(file)
    plan.check(config)
    (setting,) = plan.settings(config)
    assert setting.method == "deface --output --mask-scale 2" and setting.region == "face"
    assert setting.beliefs == ("estimated",)


@pytest.mark.parametrize(
    ("defence", "said"),
    [
        ({"command": "tool {in}"}, "{out}"),
        ({"command": "tool {in} {out}", "method": "solid"}, "one of the two"),
        ({"region": "face"}, "one of the two"),
    ],
)
def test_what_is_wrong_with_a_defence_is_said(tmp_path: Path, defence: object, said: str) -> None:
    file = tmp_path / "bench.yaml"
    file.write_text(grid(defence))
    with pytest.raises(InputError, match=said):
        plan.check(resolve(file))


@pytest.mark.slow
def test_a_bench_of_a_tool_that_is_not_ours(
    tmp_path: Path, layout: Any, plumbing: None, monkeypatch: pytest.MonkeyPatch, stand_in: Any
) -> None:
    from reid_audit.audit.bench.run import run_bench

    monkeypatch.setattr("reid_audit.audit.bench.run.load_recognizer", lambda spec, device: stand_in)
    (tmp_path / "tool.py").write_text(
        "import sys; from PIL import Image, ImageFilter\n"
        "p = Image.open(sys.argv[1]).convert('RGB')\n"
        "p.filter(ImageFilter.GaussianBlur(3)).save(sys.argv[2])\n"
    )
    file = tmp_path / "bench.yaml"
    command = f"{sys.executable} {tmp_path / 'tool.py'} {{file}} {{out}}"
    file.write_text(grid({"command": command}))
    given = {"data": str(layout(tmp_path / "data")), "attacks": "naive", "device": "cpu"}
    config = resolve(file, given={**given, "sample.people": 4, "sample.background": 8})
    (found,) = run_bench(config, tmp_path / "out", lambda *_: None)
    assert found.status == "ok" and found.method.endswith("tool.py") and found.probes > 0
    assert found.effective_resolution is None and found.utility is not None
    assert found.link_rank_1 is not None and found.link_d_sys_chance is not None
    assert plane.UNSUITED in (tmp_path / "out" / "bench.md").read_text()


def test_linkage_and_traces_stand_in_tables_of_their_own() -> None:
    from reid_audit.audit.bench import beside

    linked = [
        row("light", "naive", 0.6, 0.9, link_rank_1=0.4, link_excess=0.1, link_excess_low=0.05),
        row("light", "wiener", 0.6, 0.9, link_rank_1=0.8, link_excess=0.3, link_excess_low=0.2),
    ]
    (line,) = beside.linked([*linked, *ROWS])
    assert line[:4] == ["light", "dlib", "wiener", "0.800"] and line[-1] == "0.300 (at least 0.200)"
    replaced = row("swap", "naive", 0.1, 0.9, traced=0.7, traced_by="ridge", traced_context=0.02)
    assert beside.traced([replaced, *ROWS])[0][:5] == ["swap", "dlib", "0.700", "ridge", "0.020"]
    text = markdown([*linked, replaced], "t", "", 3)
    assert "## Linkage of the anonymised pictures" in text and "## Replaced faces" in text
    assert "## Replaced faces" not in markdown(linked, "t", "", 2)


def test_a_row_holds_what_dense_landmarks_say_where_they_were_measured() -> None:
    share = Estimate(value=0.8, low=0.7, high=0.9)
    names = ("detected", "landmark_shift", "pose_change", "ssim_outside", "lpips_outside")
    axis = Utility(
        condition="c1", pictures=9, people=9, usefulness=share, **dict.fromkeys(names, share)
    )
    without = beside.fields(None, None, axis)
    assert without["utility"] == 0.8 and "gaze_change" not in without
    values = {"yaw": 2.0, "pitch": 7.0, "roll": 0.0, "landmark_distance": 0.05, "gaze": 0.1}
    values |= dict(zip(MEASURES, (0.01, 0.02, 0.03, 0.06), strict=True))
    figures = {name: Estimate(value=value) for name, value in values.items()}
    measured = axis.model_copy(update={"geometry": Geometry(pictures=9, **figures)})
    told = beside.fields(None, None, measured)
    own = ("landmark_distance", "head_turn", "expression_change", "gaze_change")
    assert [told[name] for name in own] == pytest.approx([0.05, 7.0, 0.03, 0.1])
    assert row("light", "wiener", 0.9, 0.8, **{name: told[name] for name in own}).head_turn == 7.0
