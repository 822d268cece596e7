"""From a picture and its original to its faces: which were covered, in part or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.anonymisation import read_encoded, stored_alike
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.data import Item, decode
from reid_audit.audit.engine import Local
from reid_audit.audit.people import identity, nuisance, render
from reid_audit.audit.probes.alone import no_part_seen, usual_places
from reid_audit.audit.probes.difference import Difference, difference_of
from reid_audit.audit.probes.examined import examine_all
from reid_audit.audit.probes.faces import Found
from reid_audit.audit.probes.grouping import probes_of
from reid_audit.audit.probes.inventory import coverage
from reid_audit.audit.probes.pairs import TURNS, Turn, compare, placed, toned_as
from reid_audit.audit.probes.scene import Task
from reid_audit.audit.probes.scenes import examine
from reid_audit.audit.probes.stated import parse_box
from reid_audit.audit.probes.wholly import changed_as_whole
from reid_audit.metrics.errors import InputError

Picture = np.ndarray
POINTS = np.array([[82, 90], [118, 90], [100, 112], [85, 132], [115, 132]], np.float32)
"""A face about 90 pixels wide about (100, 110)."""
FACE = (45, 45, 155, 180)


def ground(seed: int, height: int = 240, width: int = 420) -> Picture:
    """Structure at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120.0)
    for step in (96, 48, 24, 12, 6, 3):
        size = (height // step + 3, width // step + 3)
        cloud = rng.normal(0, 1, (*size, 3))
        whole = cv2.resize(cloud, (size[1] * step, size[0] * step), interpolation=cv2.INTER_CUBIC)
        picture += 4 * step**0.4 * whole[step : step + height, step : step + width]
    return picture.clip(0, 255).astype(np.uint8)


def within(picture: Picture, box: tuple[int, int, int, int], sigma: float = 12) -> Picture:
    x0, y0, x1, y1 = box
    picture = picture.copy()
    picture[y0:y1, x0:x1] = cv2.GaussianBlur(picture[y0:y1, x0:x1], (0, 0), sigma)
    return picture


def coded(picture: Picture, quality: int) -> Picture:
    _, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_picture_is_laid_as_its_original_lies(turn: Turn) -> None:
    original = ground(1)
    hidden = within(original, FACE)
    # Found by turning the anonymised picture back.
    lying = next(
        t.apply(hidden) for t in TURNS if np.array_equal(turn.apply(t.apply(hidden)), hidden)
    )
    pair = compare(coded(lying, 85), original)
    assert pair.turn == turn
    assert pair.relation == ("same" if turn == Turn() else "turned")
    marked = np.zeros((*lying.shape[:2], 3), np.uint8)
    marked[10:14, 20:30] = 1
    ys, xs = np.nonzero(turn.apply(marked)[..., 0])
    box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert turn.box((20, 10, 30, 14), (lying.shape[0], lying.shape[1])) == box


def test_another_picture_is_told_and_a_scaled_or_wholly_blurred_one_is_not() -> None:
    original = ground(1)
    assert compare(within(ground(2), FACE), original).relation == "different"
    for same in (
        cv2.resize(within(original, FACE), (210, 120), interpolation=cv2.INTER_AREA),
        cv2.GaussianBlur(original, (0, 0), 8),
        np.zeros_like(original),
    ):
        assert compare(same, original).relation == "same"


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize("seed", range(4))
def test_a_fill_that_leaves_narrow_strips_is_made_from_its_original(
    seed: int, quality: int | None
) -> None:
    original = ground(seed, 250, 250)
    filled = original.copy()
    filled[:, 20:230] = (0, 90, 40)  # no more than a tile is left on either side
    filled = filled if quality is None else coded(filled, quality)
    assert compare(filled, original).relation == "same"
    assert compare(filled, ground(seed + 50, 250, 250)).relation == "different"


def test_a_codecs_border_is_no_change_of_scale() -> None:
    original = ground(1)
    grown = cv2.copyMakeBorder(within(original, FACE), 0, 8, 0, 12, cv2.BORDER_REPLICATE)
    pair = compare(grown, original)
    assert pair.relation == "same" and pair.padded
    np.testing.assert_array_equal(placed(original, (248, 432), True)[:240, :420], original)


@pytest.mark.parametrize("quality", [None, 92, 75])
@pytest.mark.parametrize(
    ("boxes", "state"),
    [
        ([FACE], "covered"),
        ([], "missed"),
        ([(60, 78, 140, 102)], "partial"),  # a bar over the eyes
        ([(45, 45, 155, 112)], "partial"),  # the upper half
        ([(250, 60, 330, 160)], "missed"),  # something else
        ([(60, 170, 140, 200)], "missed"),  # a badge under the chin
    ],
)
def test_what_became_of_a_face(
    quality: int | None, boxes: list[tuple[int, int, int, int]], state: str
) -> None:
    original = hidden = ground(3)
    for box in boxes:
        hidden = within(hidden, box)
    if quality is not None:
        hidden = coded(hidden, quality)
    (told,) = coverage(Difference.between(hidden, original), [POINTS])
    assert told.state == state
    if state == "covered":
        assert told.region is not None and told.region.shape == "box"
        slack = 0 if quality is None else 4
        np.testing.assert_allclose(told.region.box, FACE, atol=slack)


SMALL = np.array([[96, 106], [103, 106], [100, 110], [97, 114], [103, 114]], np.float32)
"""A face about 17 pixels wide about (100, 110)."""


def grained(picture: Picture) -> Picture:
    """With the noise of a camera."""
    grain = np.random.default_rng(0).normal(0, 6, (*picture.shape[:2], 1))
    return (picture + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [65, 80])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("points", [POINTS, SMALL])
def test_what_a_jpeg_does_to_an_untouched_face_is_no_cover(
    quality: int, apart: bool, points: Picture, tmp_path: Path
) -> None:
    """Stored from the original, or both from one source that nobody kept; something else in the
    picture was blurred."""
    source = ground(6)
    for x, y in points.round().astype(int).tolist():
        cv2.circle(source, (x, y), round(0.1 * np.ptp(points[:, 0])) + 1, (30, 20, 20), -1)
    source = grained(source)
    Image.fromarray(source).save(tmp_path / "o.jpg", quality=95)
    original = source if apart else decode(tmp_path / "o.jpg")
    for name, box in (("clear", (270, 55, 380, 190)), ("hidden", (20, 30, 180, 195))):
        Image.fromarray(within(original, box)).save(tmp_path / f"{name}.jpg", quality=quality)
    states = []
    for name in ("clear", "hidden"):
        path = tmp_path / f"{name}.jpg"
        item = Item("a", "ada", "probe", path, original=tmp_path / "o.jpg")
        task = Task(name, path, item.original, (item,), detected(points), None, "solid")
        states += [face.state for face in examine(task).faces]
    assert states == ["missed", "covered"]


def test_a_picture_made_from_its_original_differs_only_where_it_was_changed(
    tmp_path: Path,
) -> None:
    Image.fromarray(ground(7)).save(tmp_path / "o.jpg", quality=90)
    original = decode(tmp_path / "o.jpg")
    Image.fromarray(within(original, FACE)).save(tmp_path / "a.jpg", quality=70, subsampling=0)
    picture = decode(tmp_path / "a.jpg")
    stored = stored_alike(original, tmp_path / "a.jpg")
    assert stored is not None
    np.testing.assert_array_equal(picture[:, 260:], stored[:, 260:])  # beyond the blocks of FACE
    assert not np.array_equal(picture[:, 260:], original[:, 260:])
    Image.fromarray(original).save(tmp_path / "a.png")
    assert stored_alike(original, tmp_path / "a.png") is None
    before = Difference.between(picture, original)
    after = before.without_coding(stored, read_encoded(tmp_path / "a.jpg").tables[0])
    assert before.noise > 1 and not (after.picture - after.original)[:, 260:].any()
    # Nothing is taken out of what was stored without loss.
    exact = Difference.between(within(original, FACE), original)
    assert exact.without_coding(stored, np.full((8, 8), 16.0)) is exact


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("shift", [0, 3, 6])
def test_ringing_in_the_blocks_of_a_region_is_no_part_of_it(
    quality: int, shift: int, tmp_path: Path
) -> None:
    """The sides lie at the border of a JPEG's block and inside one."""
    x0, y0, x1, y1 = (side + shift for side in (48, 40, 144, 168))
    original = grained(ground(3))
    Image.fromarray(original).save(tmp_path / "o.png")
    hidden = within(original, (x0, y0, x1, y1))
    Image.fromarray(hidden).save(tmp_path / "a.jpg", quality=quality)
    item = Item("a", "ada", "probe", tmp_path / "a.jpg", original=tmp_path / "o.png")
    task = Task("1", item.path, item.original, (item,), detected(POINTS), None, "solid")
    (face,) = examine(task).faces
    assert face.region is not None and face.region.shape == "box"
    np.testing.assert_allclose(face.region.box, (x0, y0, x1, y1), atol=1)


@pytest.mark.parametrize("width", [12, 16, 20])
@pytest.mark.parametrize("seed", [0, 2, 5])
def test_the_clear_half_of_a_small_face_is_not_hidden_by_the_ringing_of_the_other(
    width: int, seed: int, tmp_path: Path
) -> None:
    """A block of a JPEG is half of such a face."""
    x, y = 200 + seed, 110 + 3 * seed
    original = coded(rough(seed), 95)
    points = np.asarray((POINTS - (100, 110)) * width / 90 + (x, y), np.float32)
    hidden = original.copy()
    hidden[y : y + round(0.85 * width), x - round(0.55 * width) : x + round(0.55 * width)] = 0
    Image.fromarray(hidden).save(tmp_path / "a.jpg", quality=90)
    path = tmp_path / "a.jpg"
    difference = difference_of(decode(path), original, path, read_encoded(path))
    (told,) = coverage(difference, [points])
    assert (told.state, told.features) == ("partial", 1)


def rough(seed: int, height: int = 240, width: int = 420) -> Picture:
    """The same with the contrast of leaves or hair."""
    strong = 3.0 * (ground(seed, height, width) - 120.0) + 120
    return strong.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("stored", [None, 90])
@pytest.mark.parametrize("sigma", [2, 6])
def test_a_picture_blurred_as_a_whole_has_no_parts(sigma: float, stored: int | None) -> None:
    """Its smooth places hardly change, so that what changes falls into pieces."""
    original = rough(3)
    original[:, 250:] = (180, 190, 200)
    original[5:235, 330:415] = rough(4, 230, 85)
    hidden = cv2.GaussianBlur(original, (0, 0), sigma)
    hidden = hidden if stored is None else coded(hidden, stored)
    difference = Difference.between(hidden, original)
    assert difference.smoothed and len(difference.places) > 0
    assert changed_as_whole(difference, hidden, original, EncodedInfo("png"))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: coded(p, 20),
        lambda p: within(p, (10, 10, 380, 230)),
        lambda p: coded(within(p, (10, 10, 380, 230)), 50),
        lambda p: cv2.resize(p[::2, ::2], p.shape[1::-1], interpolation=cv2.INTER_CUBIC),
    ],
    ids=["coded", "a part", "a part, coded", "as a whole, resampled"],
)
def test_what_leaves_detail_somewhere_did_not_smooth_the_whole(make) -> None:
    original = rough(3)
    difference = Difference.between(make(original), original)
    assert not difference.smoothed


def test_a_fill_that_takes_all_detail_with_it_is_a_part() -> None:
    """What is left clear is a frame of its colour and a wall out of focus."""
    original = rough(4)
    original[:, :60] = cv2.GaussianBlur(original, (0, 0), 6)[:, :60]
    original[:, :30] = 0
    hidden = original.copy()
    hidden[:, 46:] = 0
    difference = Difference.between(hidden, original)
    assert difference.smoothed
    assert not changed_as_whole(difference, hidden, original, EncodedInfo("png"))


def test_one_face_that_holds_all_the_detail_is_a_part() -> None:
    original = np.full((300, 300, 3), 150, np.uint8)
    original[90:210, 100:200] = rough(5, 120, 100)
    hidden = within(original, (90, 80, 210, 220))
    difference = Difference.between(hidden, original)
    assert difference.smoothed and not changed_as_whole(
        difference, hidden, original, EncodedInfo("png")
    )


def test_a_tool_that_drops_the_colours_is_compared_without_them() -> None:
    picture = ground(6)
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert (toned_as(grey, picture) == grey).all()
    assert toned_as(picture, picture) is picture


def test_a_neighbours_ellipse_hides_what_it_covers_of_a_face() -> None:
    """One ellipse over two faces side by side: both lie inside it."""
    original = ground(4)
    faces = [POINTS, POINTS + np.array([62, 24])]
    mask = np.zeros(original.shape[:2], np.uint8)
    cv2.ellipse(mask, (131, 122), (104, 92), 0, 0, 360, 1, -1)
    hidden = np.where(mask[..., None] == 1, cv2.GaussianBlur(original, (0, 0), 12), original)
    told = coverage(Difference.between(hidden, original), faces)
    assert [t.state for t in told] == ["covered", "covered"]
    assert max(t.untouched for t in told) < 0.05


def test_neighbours_are_told_apart() -> None:
    """Overlapping ellipses on two faces, a third beside them clear."""
    original = ground(4)
    faces = [POINTS, POINTS + np.array([95, 5]), POINTS + np.array([210, 0])]
    hidden = original.copy()
    soft = cv2.GaussianBlur(original, (0, 0), 12)
    for face in faces[:2]:
        mask = np.zeros(original.shape[:2], np.uint8)
        x, y = face.mean(axis=0).round().astype(int).tolist()
        cv2.ellipse(mask, (x, y), (58, 70), 0, 0, 360, 1, -1)
        hidden = np.where(mask[..., None] == 1, soft, hidden)
    told = coverage(Difference.between(hidden, original), faces)
    assert [t.state for t in told] == ["covered", "covered", "missed"]
    assert all(t.region is not None and t.region.shape == "ellipse" for t in told[:2])


# ---- whole pictures --------------------------------------------------------------------------


def detected(*points: Picture, shape: tuple[int, int] = (240, 420), score: float = 0.99) -> Found:
    boxes = [np.r_[p.min(axis=0) - 25, p.max(axis=0) + 25].astype(np.float32) for p in points]
    faces = (Detection(b, p.astype(np.float32), score) for b, p in zip(boxes, points, strict=True))
    return Found(shape, tuple(faces))


OTHER = POINTS + np.array([225, 10])
OTHER_FACE = (270, 55, 380, 190)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Two people of whom the left one was hidden; a box beside them that holds nobody too."""
    original = ground(5)
    Image.fromarray(original).save(tmp_path / "o.png")
    hidden = within(within(original, FACE), (180, 200, 230, 230))
    Image.fromarray(hidden).save(tmp_path / "a.png")
    item = Item("a", "ada", "probe", tmp_path / "a.png", original=tmp_path / "o.png")
    return Task("1", item.path, item.original, (item,), detected(POINTS, OTHER), None, "solid")


def test_every_face_of_a_picture_is_accounted_for(task: Task) -> None:
    scene = examine(task)
    assert [face.state for face in scene.faces] == ["covered", "missed"]
    assert scene.faces[0].item == 0 and scene.faces[1].item is None
    assert scene.faces[0].region is not None and scene.faces[0].region.box == FACE
    assert len(scene.without_face) == 1 and not scene.whole
    (probe,) = probes_of(scene, task.items, "unknown", (240, 420))
    assert probe.item.image_id == "a" and probe.region == FACE


def test_a_missed_person_is_not_attacked_as_the_covered_bystander(
    task: Task, tmp_path: Path
) -> None:
    """The label means the large face near the middle, which stayed clear."""
    middle = detected(OTHER - np.array([105, 0]), POINTS - np.array([40, 0]))
    hidden = within(ground(5), (5, 45, 100, 180))
    Image.fromarray(hidden).save(tmp_path / "a.png")
    scene = examine(replace(task, clear=middle))
    assert {face.item: face.state for face in scene.faces} == {0: "missed", None: "covered"}
    (probe,) = probes_of(scene, task.items, "unknown", (240, 420))
    assert probe.item.identity is None and probe.item.image_id == "a#2"


def test_rows_of_a_manifest_name_their_faces(task: Task) -> None:
    boxes = (FACE, OTHER_FACE, (5, 190, 40, 235))
    rows = tuple(
        replace(task.items[0], image_id=name, identity=name, face_box=box)
        for name, box in zip(("ada", "bo", "cy"), boxes, strict=True)
    )
    scene = examine(replace(task, items=rows))
    assert [(face.item, face.state) for face in scene.faces] == [
        (0, "covered"),
        (1, "missed"),
        (2, "missed"),  # nobody was found there, but the row says that somebody is
    ]
    assert scene.faces[2].source == "manifest"


def test_another_original_tells_nothing(task: Task, tmp_path: Path) -> None:
    Image.fromarray(ground(9)).save(tmp_path / "o.png")
    scene = examine(replace(task, seen=detected(OTHER)))
    assert scene.pair is not None and scene.pair.relation == "different" and not scene.told
    assert {face.state for face in scene.faces} == {"unmatched"}


def test_without_an_original_a_stated_region_is_a_face_and_a_clear_face_is_unmatched(
    task: Task,
) -> None:
    item = replace(task.items[0], original=None, regions=(FACE,), spec="gaussian:sigma=12")
    alone = replace(task, original=None, items=(item,), clear=None, seen=detected(OTHER))
    scene = examine(replace(alone, method=None))
    assert [(face.item, face.source, face.state) for face in scene.faces] == [
        (0, "region", "unmatched"),
        (None, "anonymised", "unmatched"),
    ]
    (probe,) = probes_of(scene, alone.items, None, None)
    assert probe.region == FACE and probe.source == "sidecar"


@pytest.mark.parametrize(("ending", "quality"), [("jpg", 80), ("png", None)])
def test_a_probe_of_a_stated_tool_knows_the_jpeg_that_holds_it(
    task: Task, tmp_path: Path, ending: str, quality: int | None
) -> None:
    path = tmp_path / f"b.{ending}"
    with Image.open(task.path) as picture:
        picture.save(path, quality=80)
    stored = replace(task, path=path, items=(replace(task.items[0], path=path),))
    (probe,) = probes_of(examine(stored), stored.items, parse("gaussian:sigma=12"), (240, 420))
    assert probe.quality == quality and probe.source == "configured"


def test_without_an_original_every_part_of_a_face_s_shape_is_a_probe(tmp_path: Path) -> None:
    """Two blurred faces and a blurred plate; nobody is named and no face is seen."""
    picture = grained(ground(11, 320, 640))
    for box in ((40, 60, 150, 190), (260, 100, 360, 220), (440, 250, 620, 290)):
        picture = within(picture, box, 6)
    Image.fromarray(picture).save(tmp_path / "a.png")
    item = Item("a", None, "probe", tmp_path / "a.png")
    scene = examine(Task("1", item.path, None, (item,), None, detected(shape=(320, 640))))
    assert {face.state for face in scene.faces} == {"unmatched"} and not scene.whole
    regions = sorted(face.region.box for face in scene.faces if face.region is not None)
    assert len(regions) == 2
    np.testing.assert_allclose(regions, [(40, 60, 150, 190), (260, 100, 360, 220)], atol=2)
    families = {face.identification.family for face in scene.faces if face.identification}
    assert families == {"gaussian"}
    probes = probes_of(scene, (item,), None, None)
    assert sorted(probe.region for probe in probes if probe.region) == regions


def test_doubtful_detections_count_only_where_somebody_is_named(task: Task) -> None:
    doubtful = detected(POINTS, score=0.65)
    assert len(examine(replace(task, clear=doubtful)).faces) == 1  # the label's
    both = Found(doubtful.shape, (*detected(OTHER).detections, *doubtful.detections))
    named = replace(task.items[0], face_box=OTHER_FACE)
    assert len(examine(replace(task, clear=both, items=(named,))).faces) == 1


def test_what_was_examined_is_found_again_until_something_changes(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = lambda *_: None  # noqa: E731
    (first,) = examine_all([task], tmp_path / "cache", Local(1), quiet)

    def broken(task: Task) -> None:
        raise AssertionError("examined again")

    monkeypatch.setattr("reid_audit.audit.probes.examined.examine", broken)
    (again,) = examine_all([task], tmp_path / "cache", Local(1), quiet)
    assert again.pair == first.pair and again.without_face == first.without_face
    assert [(f.state, f.region, f.item) for f in again.faces] == [
        (f.state, f.region, f.item) for f in first.faces
    ]
    np.testing.assert_array_equal(again.faces[0].landmarks, first.faces[0].landmarks)
    with pytest.raises(AssertionError, match="again"):
        examine_all([replace(task, content="2")], tmp_path / "cache", Local(1), quiet)


def test_a_box_on_the_command_line() -> None:
    assert parse_box("1,2,30,40") == (1, 2, 30, 40)
    for wrong in ("1,2,3", ""):
        with pytest.raises(InputError, match="four whole numbers"):
            parse_box(wrong)


@pytest.mark.slow
def test_a_picture_in_which_nothing_stands_out_is_looked_at_where_the_others_were_processed(
    tmp_path: Path,
) -> None:
    """Beside flat walls a blurred face has no sides: what most pictures say tells where it is. A
    picture that nobody touched stays untouched."""
    box = (70, 60, 170, 180)
    tasks = []
    for number in range(6):
        picture = render(identity(number), nuisance(number, 0), 240)
        if number == 4:  # a flat wall around the face
            flat = np.full_like(picture, 90)
            flat[box[1] : box[3], box[0] : box[2]] = picture[box[1] : box[3], box[0] : box[2]]
            picture = flat
        if number != 5:
            picture = within(picture, box, 8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture).save(path)
        item = Item(str(number), "p", "probe", path)
        tasks.append(Task(str(number), path, None, (item,), None, Found((240, 240), ())))
    scenes = [examine(each) for each in tasks]
    usual = usual_places(scenes)
    assert set(usual) == {(240, 240)}
    place, family = usual[240, 240]
    assert family == "gaussian" and place == box
    assert no_part_seen(scenes[4]) and no_part_seen(scenes[5])
    again = examine(replace(tasks[5], usual=usual[240, 240]))
    assert no_part_seen(again)
    wall = examine(replace(tasks[4], usual=usual[240, 240]))
    assert wall.faces[0].region is not None and wall.faces[0].region.box == box
    assert usual_places(scenes[:2]) == {}


def test_a_tool_whose_setting_follows_from_the_largest_face_is_told_on_every_face(
    tmp_path: Path,
) -> None:
    original = ground(9, 400, 700)
    faces = [(80, 110, 180, 240), (400, 150, 450, 212)]
    hidden = parse("imagenet").apply_to_boxes(original, faces, np.random.default_rng(0))
    clear, path = tmp_path / "clear.png", tmp_path / "hidden.png"
    Image.fromarray(original).save(clear)
    Image.fromarray(hidden).save(path)
    items = tuple(
        Item(f"{row}", None, "probe", path, original=clear, face_box=box)
        for row, box in enumerate(faces)
    )
    nobody = Found((400, 700), ())
    scene = examine(Task("x", path, clear, items, nobody, nobody))
    answers = {face.item: face.identification for face in scene.faces}
    assert [answers[row].tools for row in (0, 1)] == [("imagenet",)] * 2
    assert answers[1].parameters["sigma_x"] == pytest.approx(13, rel=0.05)


def test_a_tool_that_blurs_the_whole_picture_is_told_on_a_face_far_smaller_than_its_blur(
    tmp_path: Path,
) -> None:
    original = ground(10, 600, 900)
    original[:, 450:] //= 3
    face = (400, 250, 424, 282)  # sigma is 31.8 pixels here: what is shown there came from afar
    hidden = parse("signal-android").apply_in(original, face, np.random.default_rng(0))
    clear, path = tmp_path / "clear.png", tmp_path / "hidden.png"
    Image.fromarray(original).save(clear)
    Image.fromarray(hidden).save(path)
    item = Item("0", None, "probe", path, original=clear, face_box=face)
    nobody = Found((600, 900), ())
    told = examine(Task("x", path, clear, (item,), nobody, nobody)).faces[0].identification
    assert told is not None
    assert told.tools == ("signal-android",)
