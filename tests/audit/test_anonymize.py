"""Anonymising pictures and folders, and the record of it."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.commands.anonymize import NO_FACE, anonymize
from reid_audit.audit.data import load
from reid_audit.audit.data.sidecar import read_sidecar
from reid_audit.metrics.errors import InputError, NothingToAudit

BOX = (10, 12, 50, 44)


def test_faces_are_looked_for_by_both_detectors(tmp_path, monkeypatch):
    """What the two find together is what is anonymised."""

    class Both:
        def __init__(self, device):
            pass

        def detect(self, pictures, smallest):
            points = np.array([[20, 20], [35, 20], [27, 28], [22, 36], [33, 36]], np.float32)
            return [[Detection(np.array(BOX, np.float32), points, 0.8)]]

    monkeypatch.setattr("reid_audit.attacks.recognition.scenes.SceneDetector", Both)
    Image.fromarray(noise()).save(tmp_path / "a.png")
    done = anonymize(tmp_path / "a.png", tmp_path / "b.png", parse("solid"))
    x0, y0, x1, y1 = BOX
    assert done.regions == 1 and not read(tmp_path / "b.png")[y0:y1, x0:x1].any()


def noise(seed=0, size=(64, 80)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def read(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture
def folder(tmp_path):
    """Two people's pictures, one of them with metadata that turns it and names a place."""
    source = tmp_path / "in"
    for person in ("ann", "bob"):
        (source / person).mkdir(parents=True)
        Image.fromarray(noise()).save(source / person / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    exif[0x010E] = "12 Privet Drive"
    Image.fromarray(noise(1)).save(source / "ann" / "2.jpg", exif=exif, quality=100)
    return source


def test_folder_structure_pixels_and_record(folder, tmp_path):
    out = tmp_path / "out"
    steps = []
    summary = anonymize(
        folder,
        out,
        parse("box:k=9"),
        region="box:10,12,50,44",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (summary.written, summary.regions, summary.warnings) == (3, 3, [])
    assert steps[0] == (0, 3)
    assert steps[-1] == (3, 3)
    before, after = read(folder / "bob/1.png"), read(out / "bob/1.png")
    x0, y0, x1, y1 = BOX
    inside = parse("box:k=9").apply(before[y0:y1, x0:x1].copy(), np.random.default_rng(0))
    np.testing.assert_array_equal(after[y0:y1, x0:x1], inside)
    outside = np.ones(before.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(after[outside], before[outside])
    record = json.loads((out / "anonymized.json").read_text())
    assert record["spec"] == "box:k=9"
    assert record["parameters"] == {"k": 9}
    by_path = {picture["path"]: picture for picture in record["pictures"]}
    assert sorted(by_path) == ["ann/1.png", "ann/2.png", "bob/1.png"]
    digest = hashlib.sha256((out / "bob/1.png").read_bytes()).hexdigest()
    assert by_path["bob/1.png"]["sha256"] == digest
    assert read_sidecar(out).pictures[0].region == (BOX,)


def test_pictures_come_out_upright_and_without_metadata(folder, tmp_path):
    anonymize(folder, tmp_path / "out", parse("solid"), region="box:0,0,4,4")
    with Image.open(tmp_path / "out/ann/2.png") as image:
        assert image.size == (64, 80)  # was 80 x 64 before the turn
        assert not image.getexif()
    assert b"Privet" not in (tmp_path / "out/ann/2.png").read_bytes()


def test_a_codec_at_the_end_codes_the_whole_file_once(folder, tmp_path):
    anonymize(folder, tmp_path / "out", parse("pixelate:b=16|jpeg:q=40"), region="image")
    picture = read(folder / "ann/1.png")
    rng = np.random.default_rng(0)
    pixels = parse("pixelate:b=16").apply(picture, rng)
    assert (tmp_path / "out/ann/1.jpg").read_bytes() == parse("jpeg:q=40").encode(pixels)


def test_randomness_follows_seed_and_path_alone(folder, tmp_path):
    operator = parse("noise:sigma=20")
    anonymize(folder, tmp_path / "a", operator, region="image", seed=5)
    shutil.rmtree(folder / "bob")
    anonymize(folder, tmp_path / "b", operator, region="image", seed=5)
    anonymize(folder, tmp_path / "c", operator, region="image", seed=6)
    first = read(tmp_path / "a/ann/1.png")
    np.testing.assert_array_equal(first, read(tmp_path / "b/ann/1.png"))
    assert (first != read(tmp_path / "c/ann/1.png")).any()
    # The same picture of another person got noise of its own.
    assert (first != read(tmp_path / "a/bob/1.png")).any()


def test_nothing_is_overwritten_but_repeating_is_fine(folder, tmp_path):
    out = tmp_path / "out"
    anonymize(folder, out, parse("box:k=9"), region="image")
    before = (out / "anonymized.json").read_bytes()
    anonymize(folder, out, parse("box:k=9"), region="image")
    assert (out / "anonymized.json").read_bytes() == before
    with pytest.raises(InputError, match="choose another folder"):
        anonymize(folder, out, parse("box:k=11"), region="image")
    (out / "anonymized.json").unlink()
    with pytest.raises(InputError, match="never overwritten"):
        anonymize(folder, out, parse("box:k=11"), region="image")
    anonymize(folder, out, parse("box:k=11"), region="image", force=True)
    assert read_sidecar(out).spec == "box:k=11"
    with pytest.raises(InputError, match="inside"):
        anonymize(folder, folder / "out", parse("solid"), region="image")


def test_one_bad_picture_does_not_stop_the_rest(folder, tmp_path):
    (folder / "bob/2.png").write_bytes(b"no picture")
    (folder / "bob/1.jpg").write_bytes((folder / "ann/2.jpg").read_bytes())  # also bob/1.png
    summary = anonymize(folder, tmp_path / "out", parse("solid"), region="image")
    assert summary.written == 3
    assert set(summary.failed) == {"bob/1.png", "bob/2.png"}
    assert "not a picture" in summary.failed["bob/2.png"]
    assert str(tmp_path) not in json.dumps(summary.failed)
    assert json.loads(json.dumps(summary.to_dict()))["written"] == 3
    assert "2 files left out" in summary.sentence()


def test_films_and_other_files_of_a_folder_are_named(folder, tmp_path):
    (folder / "ann/clip.mp4").write_bytes(b"film")
    (folder / "notes.txt").write_text("notes")
    (folder / ".DS_Store").write_bytes(b"settings")
    summary = anonymize(folder, tmp_path / "out", parse("solid"), region="image")
    assert set(summary.failed) == {"ann/clip.mp4", "notes.txt"}
    assert any("ann/clip.mp4: a film" in warning for warning in summary.warnings)
    (tmp_path / "films").mkdir()
    (tmp_path / "films/clip.mp4").write_bytes(b"film")
    with pytest.raises(NothingToAudit, match=r"first left out: clip\.mp4: a film"):
        anonymize(tmp_path / "films", tmp_path / "out2", parse("solid"), region="image")
    with pytest.raises(InputError, match=r"clip\.mp4: a film; take it apart into frames"):
        anonymize(tmp_path / "films/clip.mp4", tmp_path / "out3", parse("solid"))


def test_several_given_faces_and_their_widths(folder, tmp_path):
    given = {"ann/1.png": [BOX, (55, 20, 90, 60)], "ann/2.jpg": [BOX], "bob/1.png": [BOX]}
    anonymize(folder, tmp_path / "out", parse("gaussian:k=21"), boxes=given)
    record = json.loads((tmp_path / "out/anonymized.json").read_text())
    first = record["pictures"][0]
    assert first["region"] == [list(BOX), [55, 20, 80, 60]]  # cut off at the border
    for face in first["faces"]:
        assert face["sigma_over_face_width"] == pytest.approx(3.5 / face["face_width"], rel=0.02)
    before, after = read(folder / "ann/1.png"), read(tmp_path / "out/ann/1.png")
    np.testing.assert_array_equal(after[20:60, 51:55], before[20:60, 51:55])
    assert (after[20:60, 55:80] != before[20:60, 55:80]).any()


def test_manifest_takes_its_probes_and_their_boxes(folder, tmp_path):
    (folder / "m.csv").write_text(
        "image_id,identity,role,path,face_box\n"
        'a,ann,gallery,ann/1.png,\nb,ann,probe,ann/2.jpg,"10,12,50,44"\n'
    )
    summary = anonymize(folder / "m.csv", tmp_path / "out", parse("solid"))
    assert summary.written == 1
    assert (read(tmp_path / "out/ann/2.png")[12:44, 10:50] == 0).all()


def test_single_picture_to_a_file_and_an_audit_reads_the_record(folder, tmp_path):
    anonymize(folder / "ann/1.png", tmp_path / "o/x.png", parse("solid"), region="image")
    assert not read(tmp_path / "o/x.png").any()
    root = tmp_path / "audit"
    shutil.copytree(folder, root / "gallery")
    anonymize(folder, root / "anonymized", parse("gaussian:k=9"), region="image")
    probe = load(root).probes[0]
    assert (probe.spec, probe.regions) == ("gaussian:k=9", ((0, 0, 80, 64),))


@pytest.mark.parametrize("region", ["faces", "box:1,2,3", "box:5,5,5,9", "box:200,200,210,210"])
def test_impossible_regions(folder, tmp_path, region):
    with pytest.raises(InputError, match=r"region|box"):
        anonymize(folder, tmp_path / "out", parse("solid"), region=region)
    assert not (tmp_path / "out").exists()


def test_absent_and_empty_sources(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToAudit):
        anonymize(tmp_path / "empty", tmp_path / "out", parse("solid"))
    with pytest.raises(InputError, match="no such"):
        anonymize(tmp_path / "absent", tmp_path / "out", parse("solid"))


def test_a_missed_face_is_a_warning(tmp_path):
    flat = tmp_path / "flat.png"
    Image.new("RGB", (96, 96), (90, 120, 90)).save(flat)
    summary = anonymize(flat, tmp_path / "out", parse("solid"))
    assert summary.warnings == [f"flat.png: {NO_FACE}"]
    assert "from 20 pixels wide up; smaller faces may be missed" in summary.sentence()
    told = json.loads((tmp_path / "out/anonymized.json").read_text())
    assert told["smallest_face"] == 20
    assert read_sidecar(tmp_path / "out").pictures[0].region == ()


def test_detected_faces_of_real_pictures(shared_data, tmp_path):
    """Two people side by side: both are found, hidden, and measured."""
    names = ["lfw/AJ_Cook/AJ_Cook_0001.jpg", "lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg"]
    pair = np.concatenate([read(shared_data / name) for name in names], axis=1)
    Image.fromarray(pair).save(tmp_path / "pair.png")
    anonymize(tmp_path / "pair.png", tmp_path / "out", parse("gaussian:sigma=8"))
    record = json.loads((tmp_path / "out/anonymized.json").read_text())["pictures"][0]
    assert len(record["faces"]) == 2
    for face in record["faces"]:
        assert 75 < face["face_width"] < 115
        assert face["sigma_over_face_width"] == pytest.approx(8 / face["face_width"], rel=0.02)


def test_sizes_of_faces_are_told_only_where_faces_were_looked_for(folder, tmp_path):
    summary = anonymize(folder, tmp_path / "out", parse("solid"), region="image")
    assert "pixels wide" not in summary.sentence()
    with pytest.raises(InputError, match="12 or more"):
        anonymize(folder, tmp_path / "less", parse("solid"), smallest_face=5)


def test_small_faces_beside_a_large_one_are_hidden(shared_data, tmp_path):
    """Faces 26 and 188 px wide: looking for a share of the picture leaves the small one clear."""
    large = read(shared_data / "lfw/AJ_Cook/AJ_Cook_0001.jpg")
    small = read(shared_data / "lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg")
    scene = np.full((600, 1000, 3), 120, np.uint8)
    scene[20:520, 20:520] = np.asarray(Image.fromarray(large).resize((500, 500)))
    scene[500:570, 900:970] = np.asarray(Image.fromarray(small).resize((70, 70)))
    Image.fromarray(scene).save(tmp_path / "scene.png")
    anonymize(tmp_path / "scene.png", tmp_path / "out", parse("solid"))
    changed = read(tmp_path / "out/scene.png") != scene
    assert changed[260:320, 230:310].any(-1).mean() > 0.9
    assert changed[530:545, 928:943].any(-1).mean() > 0.9
