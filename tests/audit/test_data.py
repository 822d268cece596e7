"""Ingest: every picture is used, or counted with a reason; nothing leads outside the data."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from reid_audit.audit.data import (
    Pseudonyms,
    clean,
    data_digests,
    decode,
    load,
    run_key,
    scan_files,
    user_secret,
)
from reid_audit.audit.data.fingerprint import SAME_PICTURE, fingerprint
from reid_audit.metrics.errors import InputError, NothingToAudit


def scene(seed: int, size: int = 64) -> np.ndarray:
    """A random picture with most of its energy in low frequencies, as a photograph has."""
    rng = np.random.default_rng(seed)
    total = sum(
        cv2.resize(rng.normal(0, 1.6**k, (size >> k, size >> k, 3)), (size, size)) for k in range(5)
    )
    return np.clip(128 + 9 * total, 0, 255).astype(np.uint8)


def put(path: Path, picture: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ada and Bo in the gallery; probes of Ada, Bo and Cy (non-mated), with originals."""
    data = tmp_path / "data"
    for seed, person in enumerate(("ada", "bo")):
        put(data / "gallery" / person / "1.png", scene(seed))
    for seed, person in enumerate(("ada", "bo", "cy"), start=10):
        put(data / "originals" / person / "p.jpg", scene(seed), quality=95)
        put(data / "anonymized" / person / "p.png", blur(scene(seed), 3))
    put(data / "background" / "dee" / "1.png", scene(20))
    return data


def test_folders(root: Path) -> None:
    data = load(root)
    assert [len(items) for items in data.by_role().values()] == [2, 3, 1, 0]
    assert [p.identity for p in data.mated] == ["ada", "bo"]
    assert [p.identity for p in data.nonmated] == ["cy"]
    assert data.probes[0].original == root / "originals" / "ada" / "p.jpg"
    assert data.probes[0].image_id == "ada/p.png"


def test_options_replace_the_folders_of_the_root(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "other" / "cy" / "1.png", scene(30))
    data = load(root, gallery=tmp_path / "other")
    assert [p.identity for p in data.mated] == ["cy"]
    alone = load(gallery=root / "gallery", anonymized=root / "anonymized")
    assert len(alone.mated) == 2 and alone.probes[0].original is None


def test_probes_without_people_or_gallery_can_still_be_examined(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png", scene(0))
    data = load(anonymized=tmp_path / "a")
    assert not data.has_ground_truth and data.probes[0].identity is None


def write_manifest(folder: Path, rows: list[dict[str, str]], name: str = "data.csv") -> Path:
    table = pd.DataFrame(rows)
    table.to_csv(folder / name, index=False) if name.endswith("csv") else table.to_parquet(
        folder / name
    )
    return folder / name


ROWS = [
    {"image_id": "g1", "identity": "001", "role": "gallery", "path": "gallery/ada/1.png"},
    {
        **{"image_id": "p1", "identity": "001", "role": "probe", "path": "anonymized/ada/p.png"},
        **{"original": "originals/ada/p.jpg", "face_box": "4; 5, 40 41", "stratum": "NA"},
    },
]


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_manifest(root: Path, name: str) -> None:
    data = load(write_manifest(root, ROWS, name))
    (probe,) = data.probes
    assert (probe.identity, probe.stratum, probe.face_box) == ("001", "NA", (4, 5, 40, 41))
    assert probe.original == root / "originals/ada/p.jpg"
    assert data.gallery[0].face_box is None and data.gallery[0].stratum is None


@pytest.mark.parametrize("below", ["originals/ada/p.png", "ada/p.png", "p.png"])
def test_manifest_with_a_folder_of_anonymised_copies(
    root: Path, tmp_path: Path, below: str
) -> None:
    rows = [ROWS[0], {**ROWS[0], "image_id": "p", "role": "probe", "path": "originals/ada/p.jpg"}]
    rows.append({**rows[1], "image_id": "q", "path": "originals/bo/q.jpg"})
    put(tmp_path / "anon" / below, scene(1))
    put((tmp_path / "anon" / below).with_suffix(".jpg"), scene(1))
    data = load(write_manifest(root, rows), anonymized=tmp_path / "anon")
    (probe,) = data.probes
    assert probe.path == tmp_path / "anon" / below, "lossless before lossy"
    assert probe.original == root / "originals/ada/p.jpg"
    assert [(e.image_id, e.reason[:20]) for e in data.excluded] == [("q", "no anonymised copy o")]


def test_sidecar_says_how_and_where(root: Path) -> None:
    pictures = [{"path": "ada/p.png", "region": [[1, 2, 30, 31]], "face_width": 20.5}]
    sidecar = {"tool": "x", "spec": "gaussian:k=19", "pictures": pictures}
    (root / "anonymized" / "anonymized.json").write_text(json.dumps(sidecar))
    ada, bo, _ = load(root).probes
    assert (ada.spec, ada.regions, ada.face_width) == ("gaussian:k=19", ((1, 2, 30, 31),), 20.5)
    assert bo.spec is None
    (root / "anonymized" / "anonymized.json").write_text("{}")
    with pytest.raises(InputError, match=r"anonymized\.json: spec: .*repair or delete"):
        load(root)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rolle": "x"}, "unknown column 'rolle'; did you mean 'role'"),
        ({"role": "probes"}, "row 2: role 'probes' is none of gallery"),
        ({"path": "../secret.png"}, r"row 2: path '\.\./secret.png' leads outside"),
        ({"path": "/etc/passwd"}, "row 2: path '/etc/passwd' leads outside"),
        ({"path": "link.png"}, "row 2: path 'link.png' leads outside .* --root"),
        ({"identity": ""}, "row 2: identity is empty"),
        ({"path": ""}, "row 2: path is empty"),
        ({"image_id": "p1"}, "image_id 'p1' stands twice"),
        ({"face_box": "1,2,3"}, "row 2: face_box '1,2,3' is not"),
        ({"face_box": "9,9,3,3"}, "row 2: face_box '9,9,3,3' is empty"),
    ],
)
def test_manifest_mistakes(
    root: Path, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    put(tmp_path / "secret.png", scene(0))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    manifest = write_manifest(root, [{**ROWS[0], **change}, ROWS[1]])
    with pytest.raises(InputError, match=sentence):
        load(manifest)


def test_base_widens_the_bounds(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "gallery.png", scene(0))
    manifest = write_manifest(root, [{**ROWS[0], "path": "../gallery.png"}, ROWS[1]])
    assert load(manifest, base=tmp_path).gallery[0].path.exists()


def test_link_out_of_a_folder_is_left_out(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "secret.png", scene(0))
    (root / "gallery" / "ada" / "2.png").symlink_to(tmp_path / "secret.png")
    (out,) = load(root).excluded
    assert out.image_id == "ada/2.png" and "outside" in out.reason


def test_missing_and_empty(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none: no such folder or manifest"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match="empty: holds no picture"):
        load(root, gallery=tmp_path / "empty")
    with pytest.raises(NothingToAudit, match="--anonymized"):
        load(tmp_path / "empty")
    with pytest.raises(NothingToAudit):
        load(write_manifest(root, ROWS[:1]))
    with pytest.raises(InputError, match="No anonymised picture shows a person of the gallery"):
        load(write_manifest(root, [{**ROWS[0], "identity": "9"}, ROWS[1]]))


def test_bad_pictures_are_recorded_and_do_not_stop_the_run(root: Path) -> None:
    whole = (root / "anonymized/ada/p.png").read_bytes()
    (root / "anonymized/ada/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "gallery/ada/zero.jpg").write_bytes(b"")
    (root / "gallery/bo/text.jpg").write_text("no picture")
    (root / "originals/bo/p.jpg").write_bytes(b"\xff\xd8\xff")
    dataset = load(root)
    seen: list[tuple[int, int]] = []
    facts = scan_files(dataset, 2, lambda done, total: seen.append((done, total)))
    data = clean(dataset, facts)
    assert seen[-1] == (len(facts), len(facts)) and len(seen) == len(facts)
    reasons = {(e.role, e.image_id): e.reason for e in data.excluded}
    assert set(reasons) == {
        ("gallery", "ada/zero.jpg"),
        ("gallery", "bo/text.jpg"),
        ("probe", "ada/cut.png"),
        ("original", "bo/p.png"),
    }
    assert "empty" in reasons["gallery", "ada/zero.jpg"]
    assert "not a picture" in reasons["gallery", "bo/text.jpg"]
    assert "cut short" in reasons["probe", "ada/cut.png"]
    assert not any(str(root) in reason for reason in reasons.values())
    assert len(data.probes) == 3 and data.probes[1].original is None


def test_pictures_standing_in_two_roles(root: Path) -> None:
    put(root / "gallery/ada/exact.jpg", scene(0))
    (root / "gallery/ada/exact.jpg").write_bytes((root / "originals/ada/p.jpg").read_bytes())
    resized = cv2.resize(scene(11), (50, 50), interpolation=cv2.INTER_AREA)
    put(root / "gallery/bo/resaved.jpg", resized, quality=60)
    put(root / "background/dee/again.png", scene(12))
    data = clean(dataset := load(root), scan_files(dataset))
    assert {(e.role, e.image_id, e.twin) for e in data.excluded} == {
        ("gallery", "ada/exact.jpg", "ada/p.png"),
        ("gallery", "bo/resaved.jpg", "bo/p.png"),
        ("background", "dee/again.png", "cy/p.png"),
    }
    assert [len(items) for items in data.by_role().values()] == [2, 3, 1, 0]
    blind = replace(dataset, probes=tuple(replace(p, original=None) for p in dataset.probes))
    found = {e.image_id for e in clean(blind, scan_files(dataset)).excluded}
    assert found == {"ada/exact.jpg", "bo/resaved.jpg", "dee/again.png"}, "seen through the blur"


def test_copies_of_real_pictures_match_and_others_do_not(shared_data: Path) -> None:
    data = load(shared_data / "london.csv")
    pairs = list(zip(data.gallery, data.probes, strict=True))[:40]
    for neutral, smiling in pairs:
        assert neutral.identity == smiling.identity
        picture = decode(neutral.path)
        mark = fingerprint(picture)
        half = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
        assert mark @ fingerprint(half) >= SAME_PICTURE
        assert mark @ fingerprint(blur(picture, 16)) >= SAME_PICTURE
        assert mark @ fingerprint(decode(smiling.path)) < SAME_PICTURE


def test_digests_change_with_the_data_only(root: Path) -> None:
    data = load(root)
    before = data_digests(data, scan_files(data, 1))
    assert before == data_digests(data, scan_files(data, 3))
    put(root / "gallery/ada/1.png", scene(99))
    after = data_digests(data, scan_files(data))
    assert {role for role in before if before[role] != after[role]} == {"gallery"}


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr", "RGBA", "LA", "I;16", "I", "F"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None], 24, axis=0)
    if mode in ("I;16", "I"):
        image = Image.fromarray((grey.astype(np.uint16) << 8) + 7)
        image = image if mode == "I;16" else image.convert("I")
    else:
        image = Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.tif")
    picture = decode(tmp_path / "a.tif")
    assert picture.shape == (24, 32, 3) and picture.dtype == np.uint8
    if mode != "1":
        assert np.abs(picture.astype(int) - grey[..., None]).max() <= 4


def test_orientation_and_transparency(tmp_path: Path) -> None:
    picture = scene(0)[:40]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = put(tmp_path / "a.png", picture, exif=exif)
    np.testing.assert_array_equal(decode(path), np.rot90(picture, -1))
    clear = np.dstack([picture, np.zeros(picture.shape[:2], np.uint8)])
    assert decode(put(tmp_path / "b.png", clear)).max() == 0


def test_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    Image.new("1", (10_000, 8_001)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png: 10000 x 8001 pixels, above the limit"):
        decode(tmp_path / "bomb.png")


def test_secret_is_made_once_and_private(tmp_path: Path) -> None:
    env = {"REID_AUDIT_SECRET": str(tmp_path / "keys" / "secret")}
    secret = user_secret(env)
    assert user_secret(env) == secret and len(secret) == 32
    path = tmp_path / "keys" / "secret"
    assert path.stat().st_mode & 0o777 == 0o600 and list(path.parent.iterdir()) == [path]
    path.write_bytes(b"short")
    with pytest.raises(InputError, match="holds 5 bytes instead of 32"):
        user_secret(env)


def test_pseudonyms_depend_on_secret_and_data() -> None:
    keys = [run_key("d", b"s" * 32), run_key("d", b"t" * 32), run_key("e", b"s" * 32)]
    assert len({Pseudonyms(key).person("Ada") for key in keys}) == 3
    names = Pseudonyms(keys[0])
    assert names.person("Ada") == Pseudonyms(run_key("d", b"s" * 32)).person("Ada")
    assert names.person("Ada")[2:] != names.image("Ada")[2:]
    assert "s" * 8 not in repr(names)
