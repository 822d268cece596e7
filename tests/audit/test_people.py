"""Procedural people: pictures follow from numbers alone, and faces are found in them."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid_audit.audit.people import cast, identity, name, nuisance, render
from reid_audit.audit.people.mesh import Part, join, patch
from reid_audit.audit.people.raster import rasterise
from reid_audit.metrics.errors import InputError

SIZE = 64  # small and quick


def test_picture_is_rgb_bytes_of_the_size_asked_for():
    picture = render(identity(1), nuisance(1, 0), SIZE)
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 20  # neither blank nor burnt out


def test_same_numbers_same_pixels():
    first, again = (render(identity(5), nuisance(5, 2), SIZE) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**20))
def test_traits_follow_from_the_seed_and_stay_plausible(seed, k):
    person = identity(seed)
    assert person == identity(seed)
    assert nuisance(seed, k) == nuisance(seed, k)
    skull, nose, mouth = person.skull, person.nose, person.mouth
    assert skull.chin_y < mouth.y < nose.tip_y < 0 < person.brows.height < skull.top
    assert skull.chin_width < skull.jaw_width < skull.width + 0.5
    assert person.eyes.width < person.eyes.spacing
    assert person.feminine <= (person.hair.beard == "none")


def test_people_differ_and_one_persons_pictures_differ():
    assert len({identity(seed) for seed in range(300)}) == 300
    assert len({nuisance(3, k) for k in range(300)}) == 300
    for field in fields(identity(0)):
        values = {getattr(identity(seed), field.name) for seed in range(60)}
        assert len(values) > 1, f"{field.name} never varies"


def test_pose_light_and_mood_fade_with_hard():
    calm = nuisance(4, 1, hard=0.0)
    assert (calm.yaw, calm.pitch, calm.roll, calm.smile, calm.light_azimuth) == (0, 0, 0, 0, 0)
    yaws = [[nuisance(9, k, hard).yaw for k in range(200)] for hard in (0.5, 1.0)]
    assert np.std(yaws[0]) == pytest.approx(np.std(yaws[1]) / 2)


def test_traits_reach_the_picture():
    person, mood = identity(8), nuisance(8, 0, hard=0.0)
    plain = render(person, mood, SIZE).astype(int)
    changed = {
        "nose": replace(person, nose=replace(person.nose, wing=person.nose.wing + 0.5)),
        "mouth": replace(person, mouth=replace(person.mouth, width=person.mouth.width + 0.6)),
        "skin": replace(person, skin=replace(person.skin, melanin=1 - person.skin.melanin)),
        "glasses": replace(person, glasses=replace(person.glasses, habit=1.0)),
    }
    for trait, somebody in changed.items():
        assert np.abs(render(somebody, mood, SIZE) - plain).max() > 20, trait


@pytest.mark.parametrize("style", ["long", "bob", "updo", "wavy", "short", "side", "buzz", "bald"])
@pytest.mark.parametrize("beard", ["none", "full"])
def test_every_haircut_renders(style, beard):
    person = identity(2)
    person = replace(person, hair=replace(person.hair, style=style, beard=beard))
    assert render(person, nuisance(2, 0), 48).shape == (48, 48, 3)


def test_extreme_moods_render():
    mood = replace(nuisance(2, 0), smile=1.0, mouth_open=1.0, blink=1.0, glasses=0.0, yaw=0.9)
    assert render(identity(2), mood, 48).shape == (48, 48, 3)


def _square(depth: float):
    corners = np.asarray([2.0, 14.0], np.float32)
    x, y = np.meshgrid(corners, corners)
    return patch(Part.FACE, x, y, np.full_like(x, depth), closed=False)


def test_rasteriser_fills_a_square_once_and_keeps_the_nearest():
    mesh = join([_square(5.0), _square(3.0)])
    x, y, depth = mesh.position.T
    hits = rasterise(x, y, depth, mesh.triangles, 16)
    rows, columns = np.divmod(hits.pixel, 16)
    expected = {(r, c) for r in range(2, 14) for c in range(2, 14)}
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
    np.testing.assert_allclose(hits.depth, 3.0)
    np.testing.assert_allclose(hits.weights.sum(1), 1, atol=1e-6)
    corners = mesh.triangles[hits.triangle]
    np.testing.assert_allclose((x[corners] * hits.weights).sum(1), columns + 0.5, atol=1e-4)
    np.testing.assert_allclose((y[corners] * hits.weights).sum(1), rows + 0.5, atol=1e-4)


def test_cast_is_the_same_in_any_order_with_any_workers(tmp_path: Path):
    alone = cast(tmp_path / "one", [3, 1], [0, 1], size=48, workers=1)
    together = cast(tmp_path / "two", [1, 3], [1, 0], size=48, workers=2)
    assert [p.relative_to(tmp_path / "one").as_posix() for p in alone] == [
        "person-0003/000.png",
        "person-0003/001.png",
        "person-0001/000.png",
        "person-0001/001.png",
    ]
    bytes_of = {p.relative_to(tmp_path / "two"): p.read_bytes() for p in together}
    for path in alone:
        assert path.read_bytes() == bytes_of[path.relative_to(tmp_path / "one")]
    np.testing.assert_array_equal(
        np.asarray(Image.open(alone[0])), render(identity(3), nuisance(3, 0), 48)
    )


def test_cast_keeps_what_matches_and_replaces_what_does_not(tmp_path: Path):
    (path,) = cast(tmp_path, [1], [0], size=48, workers=1)
    made = path.stat().st_mtime_ns
    seen = []
    cast(tmp_path, [1], [0], size=48, workers=1, progress=seen.append)
    assert path.stat().st_mtime_ns == made
    assert seen == [1]
    cast(tmp_path, [1], [0], size=56, workers=1)
    assert Image.open(path).size == (56, 56)
    path.write_bytes(b"cut off")
    cast(tmp_path, [1], [0], size=56, workers=1)
    assert Image.open(path).size == (56, 56)
    assert [p.name for p in path.parent.iterdir()] == ["000.png"]  # nothing half-written


def test_cast_refuses_what_it_cannot_draw(tmp_path: Path):
    with pytest.raises(InputError, match="32 pixels"):
        cast(tmp_path, [1], [0], size=8)
    with pytest.raises(InputError, match="0 or more"):
        cast(tmp_path, [-1], [0])
    assert cast(tmp_path, [], []) == []
    assert name(12) == "person-0012"


def test_no_torch():
    code = "import sys, reid_audit.audit.people; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.slow
def test_detector_finds_the_faces():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(min_face_size=40, device="cpu")
    shots = [render(identity(seed), nuisance(seed, 0)) for seed in range(100, 112)]
    boxes = [mtcnn.detect(shot)[0] for shot in shots]
    found = [b[0] for b in boxes if b is not None and b[0] is not None]
    assert len(found) >= 11
    for x0, y0, x1, y1 in found:
        assert 40 < x1 - x0 < 130 and 50 < y1 - y0 < 150
