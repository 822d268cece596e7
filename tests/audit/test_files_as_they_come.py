"""Files as users have them: each is read as what it shows, or left out with a reason."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from reid_audit.audit.data import clean, decode, load, scan_files
from reid_audit.audit.data.depth import to_eight_bits
from reid_audit.audit.data.manifest import parse_box
from reid_audit.audit.data.originals import bare
from reid_audit.metrics.errors import InputError, NothingToAudit


def scene(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A random picture with most of its energy in low frequencies, as a photograph has."""
    rng = np.random.default_rng(seed)
    total = sum(
        cv2.resize(rng.normal(0, 1.6**k, (height >> k, width >> k, 3)), (width, height))
        for k in range(5)
    )
    return np.clip(128 + 9 * total, 0, 255).astype(np.uint8)


def put(path: Path, picture: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def hidden(picture: np.ndarray) -> np.ndarray:
    """The picture with its middle filled, as a face would be."""
    covered = picture.copy()
    height, width = picture.shape[:2]
    covered[height // 4 : height // 2, width // 3 : 2 * width // 3] = 90
    return covered


# ---- bit depths --------------------------------------------------------------------------------

GREY = scene(0)[..., 0]


@pytest.mark.parametrize(
    ("name", "samples", "off"),
    [
        ("a.png", GREY.astype(np.uint16) * 257, 0),
        ("a.png", GREY.astype(np.uint16) * 16, 0),
        ("a.tif", GREY.astype(np.uint16) * 4, 0),
        ("a.tif", GREY.astype(np.uint16), 0),
        ("a.tif", (GREY / 255 * 1023).round().astype(np.uint16), 1),
        ("a.png", scene(1).astype(np.uint16) * 257, 0),
        ("a.png", scene(1).astype(np.uint16) * 16, 0),
        ("a.tif", (scene(1) / 255 * 4095).round().astype(np.uint16), 1),
        ("a.tif", (scene(1) / 255).astype(np.float32), 0),
        ("a.tif", (GREY / 255).astype(np.float32), 0),
        ("a.tif", GREY.astype(np.float32), 0),
        ("a.png", np.dstack([scene(1), np.full((64, 64), 255)]).astype(np.uint16) * 257, 0),
    ],
)
def test_deep_samples_are_the_picture_they_show(
    tmp_path: Path, name: str, samples: np.ndarray, off: int
) -> None:
    assert cv2.imwrite(str(tmp_path / name), samples)
    shown = decode(tmp_path / name)
    truth = GREY[..., None] if samples.ndim == 2 else scene(1)[..., ::-1]
    assert np.abs(shown.astype(int) - truth).max() <= off


def test_whole_numbers_of_32_bits(tmp_path: Path) -> None:
    put(tmp_path / "a.tif", GREY.astype(np.int32))
    np.testing.assert_array_equal(decode(tmp_path / "a.tif")[..., 1], GREY)
    for wrong in (GREY.astype(np.int32) << 20, -GREY.astype(np.int32)):
        with pytest.raises(InputError, match="a bit depth that cannot be told"):
            decode(put(tmp_path / "b.tif", wrong))


@pytest.mark.parametrize("scale", [3.0, 1e6, -1.0, float("nan")])
def test_real_numbers_of_no_known_range(tmp_path: Path, scale: float) -> None:
    path = put(tmp_path / "a.tif", (GREY / 255 * scale).astype(np.float32))
    with pytest.raises(InputError, match="8 or 16 bits a channel"):
        decode(path)


def test_the_stated_white_counts_more_than_the_measured() -> None:
    np.testing.assert_array_equal(to_eight_bits(np.array([[0, 500]]), white=1000), [[0, 128]])


@given(st.integers(0, 2**32), st.sampled_from([10, 12, 14, 16]))
def test_eight_bits_shifted_up_come_back(seed: int, bits: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (5, 5))
    grey[0, 0] = 255
    np.testing.assert_array_equal(to_eight_bits(grey << (bits - 8)), grey)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_deep_colour_is_turned_upright_once(tmp_path: Path, ending: str, turned: int) -> None:
    picture = scene(2, 48, 64)
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
        content, exif = path.read_bytes(), Image.Exif()
        exif[ExifTags.Base.Orientation] = turned
        tiff = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = b"eXIf" + tiff
        import zlib

        block = len(tiff).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        path.write_bytes(content[:33] + block + content[33:])
    else:
        tifffile = pytest.importorskip("tifffile")
        deep = picture.astype(np.uint16) * 257
        tag = [(274, "H", 1, turned, True)]
        tifffile.imwrite(path, deep, photometric="rgb", extratags=tag)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[turned]
    np.testing.assert_array_equal(decode(path), np.rot90(picture, turns))


# ---- files of a folder -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["gif", "avif", "jfif", "jpe", "jp2", "ppm", "JPG", "heic"])
def test_endings_that_tools_write(tmp_path: Path, ending: str) -> None:
    formats = {"jfif": "JPEG", "jpe": "JPEG", "JPG": "JPEG", "heic": "HEIF", "jp2": "JPEG2000"}
    options = {"format": formats[ending]} if ending in formats else {}
    put(tmp_path / "a" / "ada" / f"x.{ending}", scene(0), **options)
    (probe,) = clean(data := load(anonymized=tmp_path / "a"), scan_files(data)).probes
    difference = decode(probe.path).astype(int) - scene(0)
    assert (
        np.abs(difference).mean() < 25
        and np.corrcoef(decode(probe.path).ravel(), scene(0).ravel())[0, 1] > 0.7
    )


def test_every_file_is_audited_or_listed(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    put(folder / "ada" / "x.png", scene(0))
    put(folder / "ada" / "no ending", scene(1), format="PNG")
    put(folder / "ada" / "wrong.png", scene(2), format="JPEG")
    (folder / "ada" / "notes.txt").write_text("hello")
    (folder / "ada" / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    put(folder / ".hidden" / "x.png", scene(3))
    (folder / "bo").symlink_to(put(tmp_path / "a" / "real" / "y.png", scene(4)).parent)
    (folder / "real" / "back").symlink_to(folder)
    (folder / "nowhere.png").symlink_to(folder / "none.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    os.mkfifo(folder / "pipe.png")
    (folder / ".DS_Store").write_bytes(b"x")
    data = load(anonymized=folder)
    assert [p.image_id for p in data.probes] == [
        *("ada/no ending", "ada/wrong.png", "ada/x.png"),
        *("bo/y.png", "real/y.png"),
    ]
    reasons = {e.image_id: e.reason for e in data.excluded}
    assert reasons.keys() == {
        *("ada/notes.txt", "ada/film.mp4", ".hidden/x.png", "nowhere.png", "loop.png", "pipe.png")
    }
    assert "a film" in reasons["ada/film.mp4"] and "pipe" in reasons["pipe.png"]


def test_what_is_no_file_is_not_decoded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(InputError, match="not a file"):
            decode(path)


def test_the_limit_of_pixels_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.png", scene(0))
    monkeypatch.setenv("REID_AUDIT_MAX_MEGAPIXELS", "0.004")
    with pytest.raises(InputError, match=r"64 x 64 pixels, above the limit of 0\.004 million"):
        decode(path)
    monkeypatch.setenv("REID_AUDIT_MAX_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="'many' is no positive number"):
        decode(path)


# ---- a gallery that is gone --------------------------------------------------------------------


def test_a_linked_gallery(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "ada" / "1.png", scene(0))
    put(tmp_path / "data" / "anonymized" / "ada" / "x.png", scene(1))
    (tmp_path / "data" / "gallery").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"All 1 gallery pictures .* leads outside .*--root"):
        load(tmp_path / "data")
    assert len(load(tmp_path / "data", base=tmp_path).gallery) == 1


def test_originals_given_as_gallery(tmp_path: Path) -> None:
    for seed, person in enumerate(("ada", "bo")):
        put(tmp_path / "o" / person / "x.png", scene(seed))
        put(tmp_path / "a" / person / "x.png", cv2.GaussianBlur(scene(seed), (0, 0), 3))
    data = load(gallery=tmp_path / "o", anonymized=tmp_path / "a")
    with pytest.raises(InputError, match=r"2 are the same as pictures to audit: .*--originals"):
        clean(data, scan_files(data))


# ---- originals ---------------------------------------------------------------------------------


def pairs(data: Path) -> dict[str, str | None]:
    """Name of each probe's original below its folder, after everything was tried."""
    dataset = clean(found := load(data), scan_files(found))
    folder = data / "originals"
    return {
        p.image_id: p.original.relative_to(folder).as_posix() if p.original else None
        for p in dataset.probes
    }


def test_originals_by_path_in_folders_of_equal_names(tmp_path: Path) -> None:
    for seed, place in enumerate(("ada/cam1", "ada/cam2", "bo/cam1", "bo/cam2")):
        put(tmp_path / "originals" / place / "IMG_1.JPG", scene(seed))
        put(tmp_path / "anonymized" / place / "img_1.png", hidden(scene(seed)))
    assert pairs(tmp_path) == {
        f"{place}/img_1.png": f"{place}/IMG_1.JPG"
        for place in ("ada/cam1", "ada/cam2", "bo/cam1", "bo/cam2")
    }


@pytest.mark.parametrize(
    "name",
    [
        *("{}_blurred.png", "{}_anonymized.png", "{}-anon.png", "{}.jpg_redacted.png"),
        *("blurred_{}.png", "{} (anonymised).webp", "{}.anonymized.png", "{}_face_blurred.bmp"),
    ],
)
def test_originals_by_name(tmp_path: Path, name: str) -> None:
    for seed in range(3):
        put(tmp_path / "originals" / f"IMG_{seed}.JPG", scene(seed))
        put(tmp_path / "anonymized" / name.format(f"IMG_{seed}"), hidden(scene(seed)))
    dataset = load(tmp_path)
    assert [p.original and p.original.stem for p in dataset.probes] == ["IMG_0", "IMG_1", "IMG_2"]
    assert dataset.originals and dataset.originals.by_name == 3


@pytest.mark.parametrize("name", ["workout", "img_2", "face_1", "blurred"])
def test_words_within_a_name_stay(name: str) -> None:
    assert bare(f"{name}.png") in (name, "1")


def test_equal_names_in_different_folders_share_no_original(tmp_path: Path) -> None:
    put(tmp_path / "originals" / "bo" / "x.jpg", scene(9))
    for seed, person in enumerate(("ada", "cy")):
        put(tmp_path / "anonymized" / person / "x.png", hidden(scene(seed)))
    put(tmp_path / "originals" / "ada" / "x.jpg", scene(0))
    assert pairs(tmp_path) == {"ada/x.png": "ada/x.jpg", "cy/x.png": None}
    dataset = clean(found := load(tmp_path), scan_files(found))
    assert [p.image_id for p in dataset.unmatched] == ["cy/x.png"]
    assert dataset.originals and [p.parent.name for p in dataset.originals.unpaired] == ["bo"]


def test_versions_in_one_folder_share_their_original(tmp_path: Path) -> None:
    put(tmp_path / "originals" / "a.jpg", scene(0))
    for version in ("blurred", "pixelated"):
        put(tmp_path / "anonymized" / f"a_{version}.png", hidden(scene(0)))
    assert set(pairs(tmp_path).values()) == {"a.jpg"}


def test_originals_by_content(tmp_path: Path) -> None:
    for seed in range(4):
        put(tmp_path / "originals" / f"IMG_{seed}.JPG", scene(seed), quality=90)
    for seed in (2, 0, 7):
        put(tmp_path / "anonymized" / f"{'abcdefgh'[seed]}.png", hidden(scene(seed)))
    assert pairs(tmp_path) == {"a.png": "IMG_0.JPG", "c.png": "IMG_2.JPG", "h.png": None}


def test_pictures_of_one_fixed_camera_are_not_matched_by_content(tmp_path: Path) -> None:
    street = scene(0)
    for number in range(3):
        frame = street.copy()
        frame[5:15, 20 * number : 20 * number + 8] = 200
        put(tmp_path / "originals" / f"IMG_{number}.png", frame)
        put(tmp_path / "anonymized" / f"{'abc'[number]}.png", hidden(frame))
    assert set(pairs(tmp_path).values()) == {None}


# ---- manifests ---------------------------------------------------------------------------------


def manifest(folder: Path, header: str, rows: list[str], encoding: str = "utf-8") -> Path:
    put(folder / "g" / "Zoë.png", scene(0))
    put(folder / "a" / "Zoë.png", scene(1))
    path = folder / "data.csv"
    path.write_text("\n".join([header, *rows]), encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_manifest_as_spreadsheets_write_it(tmp_path: Path, encoding: str) -> None:
    rows = ["g;Zoë;gallery;g\\Zoë.png;;;;;", "a;Zoë;probe;a\\Zoë.png;10,4;20;30;20,2;"]
    path = manifest(tmp_path, "image_id;Identity;role;path;x;y;w;h;", rows, encoding)
    data = load(path)
    assert data.gallery[0].path == tmp_path / "g" / "Zoë.png"
    assert data.probes[0].face_box == (10, 20, 40, 40) and data.probes[0].row == 3


def test_a_guessed_encoding_is_refused_when_paths_lead_nowhere(tmp_path: Path) -> None:
    rows = ["g,Zoë,gallery,g/Zoë.png", "a,Zoë,probe,a/Zoë.png"]
    path = manifest(tmp_path, "image_id,identity,role,path", rows, "mac_roman")
    with pytest.raises(InputError, match="row 2: the table is not UTF-8"):
        load(path)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("https://example.org/a.png", "row 2: path .* is an address"),
        ("a", "row 2: path 'a' is no file"),
        ("pipe.png", "row 2: path 'pipe.png' is no file"),
        ("loop.png", "row 2: path 'loop.png' is a link that leads nowhere"),
        ("a\0b", "row 2: path .* cannot be a path"),
        ("x" * 10_000, "row 2: path .* cannot be a path"),
        ("x" * 300, "row 2: path .* cannot be read"),
    ],
)
def test_paths_that_are_no_pictures(tmp_path: Path, path: str, sentence: str) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(InputError, match=sentence) as refused:
        load(manifest(tmp_path, "image_id,identity,role,path", [f"a,Ada,probe,{path}"]))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("box", "cut"),
    [("-5,-3,30,40", (0, 0, 30, 40)), ("[-5.2; 0; 1010; 1044]", (0, 0, 64, 64))],
)
def test_boxes_are_cut_at_the_border(
    tmp_path: Path, box: str, cut: tuple[int, int, int, int]
) -> None:
    data = load(
        manifest(tmp_path, "image_id,identity,role,path,face_box", [f'a,A,probe,a/Zoë.png,"{box}"'])
    )
    assert clean(data, scan_files(data)).probes[0].face_box == cut


@pytest.mark.parametrize("box", ["400,400,410,410", "-9,-9,-3,-3", "64,0,80,20"])
def test_boxes_outside_are_named_by_row(tmp_path: Path, box: str) -> None:
    rows = [f'a,A,probe,a/Zoë.png,"{box}"']
    data = load(manifest(tmp_path, "image_id,identity,role,path,face_box", rows))
    with pytest.raises(NothingToAudit, match=r"row 2: face_box .* outside the picture of 64 x 64"):
        clean(data, scan_files(data))


@pytest.mark.parametrize("box", ["0,0,1e300,1e300", "0,0,inf,9", "nan,0,9,9", "0,0,1e7,9"])
def test_boxes_without_measure(box: str) -> None:
    with pytest.raises(InputError, match=r"row 2: face_box .* lies outside any picture"):
        parse_box(box, "row 2")


def test_a_box_given_by_its_size_is_recognised() -> None:
    with pytest.raises(InputError, match="x,y,width,height, give them in columns x, y, w and h"):
        parse_box("80,70,50,69", "row 2")


def test_sizes_that_could_be_corners_are_recognised_by_what_they_would_make(
    tmp_path: Path,
) -> None:
    """80,70,89,119 is a box of 9 x 49 pixels, or a face of 89 x 119."""
    head = "image_id,identity,role,path,face_box"
    rows = [f'a{n},A,probe,a{n}.png,"{80 + n},70,{89 + n},119"' for n in range(3)]
    with pytest.raises(InputError, match=r"3 of 3 values of face_box.*columns x, y, w and h"):
        load(manifest(tmp_path, head, rows))
    corners = [f'a{n},A,probe,a{n}.png,"{80 + n},70,{169 + n},189"' for n in range(3)]
    assert len(load(manifest(tmp_path, head, corners)).probes) == 3


@given(st.text(max_size=40))
def test_any_text_is_a_box_or_refused(text: str) -> None:
    try:
        x0, y0, x1, y1 = parse_box(text, "row 2")
    except InputError as error:
        assert str(error).startswith("row 2: ")
    else:
        assert x0 < x1 and y0 < y1


@pytest.mark.parametrize("path", ["../../secret.png", "/etc/passwd", "a\0b.png"])
def test_a_sidecar_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    put(tmp_path / "a" / "x.png", scene(0))
    sidecar = {"spec": "solid", "pictures": [{"path": path, "region": [[0, 0, 9, 9]]}]}
    (tmp_path / "a" / "anonymized.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=r"pictures\.0\.path .* leads outside"):
        load(anonymized=tmp_path / "a")


@pytest.mark.slow
def test_validate_counts_flat_folders(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    for seed in range(2):
        put(tmp_path / "originals" / f"{seed}.jpg", scene(seed))
        put(tmp_path / "anonymized" / f"{seed}.png", hidden(scene(seed)))
    put(tmp_path / "anonymized" / "2.png", scene(2))
    code, out, _ = cli("validate", tmp_path, "--json")
    counts = json.loads(out)["counts"]
    assert code == 0
    assert (
        counts["probes"],
        counts["probes_with_original"],
        counts["probes_without_original"],
    ) == (*(3, 2, 1),)
