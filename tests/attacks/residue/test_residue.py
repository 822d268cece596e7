"""Each leak is put into a file that has none, and must be found; the clean file must stay clean."""

import base64
import io
import time
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from reid_audit.attacks.residue import Severity, gravest, inspect
from reid_audit.metrics.errors import InputError

BOX = (40, 40, 120, 120)


def scene(seed: int = 0, size: int = 160) -> np.ndarray:
    """A picture with structure at every scale, as a photograph has."""
    rng = np.random.default_rng(seed)
    total = sum(
        cv2.resize(rng.normal(0, 1.6**k, (size >> k, size >> k, 3)), (size, size)) for k in range(6)
    )
    return np.clip(128 + 9 * total, 0, 255).astype(np.uint8)


@pytest.fixture
def original() -> np.ndarray:
    return scene()


@pytest.fixture
def blurred(original: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = BOX
    out = original.copy()
    out[y0:y1, x0:x1] = cv2.GaussianBlur(out[y0:y1, x0:x1], (0, 0), 8)
    return out


def encode(picture: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


def write(folder: Path, content: bytes, name: str = "probe.png") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def kinds(path: Path, **options: object) -> dict[str, Severity]:
    return {residue.kind: residue.severity for residue in inspect(path, **options)}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_clean_file_has_no_residue(tmp_path: Path, blurred: np.ndarray, form: str) -> None:
    assert kinds(write(tmp_path, encode(blurred, form))) == {}


def thumbnail_exif(picture: np.ndarray) -> bytes:
    """An EXIF block whose second directory is a JPEG thumbnail, laid out by hand (TIFF 6, big
    endian)."""
    small = np.asarray(Image.fromarray(picture).resize((80, 80), Image.Resampling.LANCZOS))
    jpeg = encode(small, "JPEG", quality=80)
    entry = lambda tag, value: tag.to_bytes(2) + b"\0\4\0\0\0\1" + value.to_bytes(4)  # noqa: E731
    first = b"\0\0" + (14).to_bytes(4)
    second = b"\0\2" + entry(0x201, 44) + entry(0x202, len(jpeg)) + bytes(4)
    return b"Exif\0\0MM\0*\0\0\0\x08" + first + second + jpeg


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_thumbnail_of_the_original(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray, form: str
) -> None:
    leaky = write(tmp_path, encode(blurred, form, exif=thumbnail_exif(original)))
    assert kinds(leaky) == {"embedded-clear": Severity.HIGH}
    harmless = write(tmp_path, encode(blurred, form, exif=thumbnail_exif(blurred)))
    assert kinds(harmless) == {"embedded-picture": Severity.INFO}


def test_thumbnail_in_xmp(tmp_path: Path, original: np.ndarray, blurred: np.ndarray) -> None:
    small = base64.b64encode(encode(original[::2, ::2], "JPEG")).decode()
    xmp = f"<x:xmpmeta><xmpGImg:image>{small}</xmpGImg:image></x:xmpmeta>".encode()
    leaky = write(tmp_path, encode(blurred, "WEBP", xmp=xmp))
    assert kinds(leaky) == {"embedded-clear": Severity.HIGH}


def test_exif_fields(tmp_path: Path, blurred: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Jane Roe"
    exif[ExifTags.Base.Make] = "Acme"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 24.0)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:01 10:00:00"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.BodySerialNumber] = "77-1234"
    path = write(tmp_path, encode(blurred, "JPEG", exif=exif))
    assert kinds(path) == {
        "names": Severity.HIGH,
        "location": Severity.HIGH,
        "serial-number": Severity.MEDIUM,
        "device": Severity.LOW,
        "time": Severity.LOW,
    }
    told = " ".join(residue.evidence for residue in inspect(path))
    assert not any(secret in told for secret in ("Jane", "Roe", "Acme", "77", "48", "2024"))
    assert "probe" not in told and str(tmp_path) not in told


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_face_boxes_and_names(tmp_path: Path, blurred: np.ndarray, form: str) -> None:
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li mwg-rs:Name="Jane Roe"
        mwg-rs:Type="Face"><mwg-rs:Area stArea:x=".5"/></rdf:li></x:xmpmeta>"""
    if form == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        content = encode(blurred, form, pnginfo=info)
    elif form == "TIFF":
        content = encode(blurred, form, tiffinfo={700: xmp})
    else:
        content = encode(blurred, form, xmp=xmp)
    assert kinds(write(tmp_path, content)) == {
        "face-boxes": Severity.MEDIUM,
        "names": Severity.HIGH,
    }


def test_comments(tmp_path: Path, blurred: np.ndarray) -> None:
    info = PngInfo()
    info.add_text("Description", "Jane at work")
    assert kinds(write(tmp_path, encode(blurred, "PNG", pnginfo=info))) == {"text": Severity.MEDIUM}
    assert kinds(write(tmp_path, encode(blurred, "JPEG", comment="Jane"))) == {
        "text": Severity.MEDIUM
    }


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_trailing_data(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray, form: str
) -> None:
    clean = encode(blurred, form)
    for padding in (bytes(64), b"\r\n", b"\n", b"\xff" * 300, b"    "):
        assert kinds(write(tmp_path, clean + padding)) == {}, "padding tells nothing"
    assert kinds(write(tmp_path, clean + b"some notes")) == {"trailing-data": Severity.MEDIUM}
    whole = clean + encode(original, "JPEG")
    assert kinds(write(tmp_path, whole)) == {"embedded-clear": Severity.HIGH}
    whole = clean + encode(blurred, "JPEG")
    assert kinds(write(tmp_path, whole)) == {"embedded-picture": Severity.INFO}
    other = clean + encode(scene(seed=9), "JPEG")
    assert kinds(write(tmp_path, other)) == {"embedded-other": Severity.MEDIUM}
    (residue,) = inspect(write(tmp_path, clean + b"PK\3\4" + b"notes" * 20))
    assert residue.severity is Severity.MEDIUM and "an archive" in residue.evidence


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


@pytest.mark.parametrize("cut", [3000, 9001, 20011])
def test_overwritten_png_is_recovered(tmp_path: Path, cut: int) -> None:
    """CVE-2023-21036 as the screenshot editors left it: 8 KiB chunks, file not truncated."""
    large = scene(seed=3, size=256)
    raw = b"".join(b"\0" + row.tobytes() for row in large)
    stream = zlib.compress(raw, 6)
    header = (256).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    old = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    old += b"".join(chunk(b"IDAT", stream[i : i + 8192]) for i in range(0, len(stream), 8192))
    old += chunk(b"IEND", b"")
    new = encode(np.full((40, 40, 3), 127, np.uint8), "PNG")
    (residue,) = inspect(write(tmp_path, new + old[max(cut, len(new)) :]))
    assert residue.severity is Severity.HIGH
    assert "CVE-2023-21036" in residue.evidence
    recovered = int(residue.evidence.split("; ")[1].split()[0])
    assert recovered > 0.5 * (1 - cut / len(old)) * len(raw)


def test_noise_after_png_is_not_called_recoverable(tmp_path: Path, blurred: np.ndarray) -> None:
    noise = np.random.default_rng(0).bytes(6000)
    tail = noise + chunk(b"IDAT", noise) + chunk(b"IEND", b"")
    assert kinds(write(tmp_path, encode(blurred, "PNG") + tail)) == {
        "trailing-data": Severity.MEDIUM
    }


def test_rest_of_an_overwritten_jpeg(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray
) -> None:
    content = encode(blurred, "JPEG") + encode(original, "JPEG", quality=95)[-4000:]
    assert kinds(write(tmp_path, content)) == {"trailing-data": Severity.HIGH}


def test_original_under_alpha(tmp_path: Path, original: np.ndarray) -> None:
    x0, y0, x1, y1 = BOX
    alpha = np.full(original.shape[:2], 255, np.uint8)
    alpha[y0:y1, x0:x1] = 0
    leaky = np.dstack([original, alpha])
    assert kinds(write(tmp_path, encode(leaky, "PNG"))) == {"under-alpha": Severity.HIGH}
    leaky[y0:y1, x0:x1] = 0
    assert kinds(write(tmp_path, encode(leaky, "PNG"))) == {}


@pytest.mark.parametrize("form", ["TIFF", "PNG", "WEBP", "MPO", "GIF"])
def test_further_frames(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray, form: str
) -> None:
    several = lambda second: encode(  # noqa: E731
        blurred, form, save_all=True, append_images=[Image.fromarray(second)]
    )
    assert kinds(write(tmp_path, several(original))) == {"embedded-clear": Severity.HIGH}
    if form == "GIF":  # frames of equal colours are joined by the writer
        return
    honest = blurred.copy()
    honest[:8, :8] = 0  # a frame of its own
    assert kinds(write(tmp_path, several(honest))) == {"embedded-picture": Severity.INFO}


def test_the_gravest_frame_is_the_one_reported(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray
) -> None:
    pages = [Image.fromarray(p) for p in (original, blurred, scene(seed=5))]
    content = encode(blurred, "TIFF", save_all=True, append_images=pages)
    worst = gravest(inspect(write(tmp_path, content)))
    assert worst["embedded-clear"].evidence.startswith("A picture of 160 x 160 pixels as frame 2")
    assert set(worst) == {"embedded-clear", "embedded-picture", "embedded-other"}


def film(frames: list[np.ndarray], form: str = "mp4", codec: str = "mpeg4") -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["mp4", "avi", "matroska"])
def test_film_behind_a_still(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray, form: str
) -> None:
    still = encode(blurred, "JPEG")
    clear = write(tmp_path, still + film([original] * 4, form))
    assert kinds(clear)["embedded-clear"] is Severity.HIGH
    assert kinds(write(tmp_path, still + film([blurred] * 4, form))) == {
        "embedded-picture": Severity.INFO
    }


def test_a_film_that_cannot_be_decoded_is_said(tmp_path: Path, blurred: np.ndarray) -> None:
    broken = film([blurred] * 4)[:400]
    path = write(tmp_path, encode(blurred, "JPEG") + broken)
    assert kinds(path) == {"embedded-unread": Severity.MEDIUM}


@pytest.mark.parametrize("box", [(80, 64, 128, 128), (20, 300, 80, 380)])
def test_small_letterboxed_thumbnail_of_a_wide_scene(
    tmp_path: Path, box: tuple[int, int, int, int]
) -> None:
    """Bars fill the thumbnail up to 4:3, and the hidden place is a tenth of its width."""
    wide = np.concatenate([scene(seed=k, size=512)[:432] for k in (1, 2)], axis=1)
    hidden = wide.copy()
    x0, y0, x1, y1 = box
    hidden[y0:y1, x0:x1] = cv2.GaussianBlur(wide[y0:y1, x0:x1], (0, 0), 14)

    def exif(picture: np.ndarray) -> bytes:
        small = Image.fromarray(picture).resize((160, 68), Image.Resampling.LANCZOS)
        frame = Image.new("RGB", (160, 120))
        frame.paste(small, (0, 26))
        jpeg = encode(np.asarray(frame), "JPEG", quality=85)
        return b"Exif\0\0II*\0" + (8).to_bytes(4, "little") + bytes(6) + jpeg

    leaky = write(tmp_path, encode(hidden, "JPEG", quality=90, exif=exif(wide)))
    assert kinds(leaky)["embedded-clear"] is Severity.HIGH
    honest = write(tmp_path, encode(hidden, "JPEG", quality=90, exif=exif(hidden)))
    assert set(kinds(honest).values()) == {Severity.INFO}


def test_what_moves_in_an_animation_is_no_accusation(tmp_path: Path) -> None:
    """A blurred place that wanders uncovers the background it hid before: no leak."""
    ground, face = scene(seed=1), cv2.GaussianBlur(scene(seed=2)[:64, :64], (0, 0), 8)
    frames = []
    for x in (10, 20, 32, 50, 80):
        frame = ground.copy()
        frame[50:114, x : x + 64] = face
        frames.append(Image.fromarray(frame))
    content = encode(np.asarray(frames[0]), "TIFF", save_all=True, append_images=frames[1:])
    assert "embedded-clear" not in kinds(write(tmp_path, content))


def test_gain_map_is_information(tmp_path: Path, blurred: np.ndarray) -> None:
    gain = 255 - cv2.GaussianBlur(blurred, (0, 0), 3)[::2, ::2].mean(-1).astype(np.uint8)
    content = encode(blurred, "JPEG") + encode(gain, "JPEG")
    assert set(kinds(write(tmp_path, content)).values()) == {Severity.INFO}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("filling", ["noise", "beginnings", "films", "chunks"])
def test_megabytes_after_the_end_take_about_a_second(
    tmp_path: Path, blurred: np.ndarray, form: str, filling: str
) -> None:
    size = 30 << 20
    rest = {
        "noise": np.random.default_rng(0).bytes(size),
        "beginnings": b"\xff\xd8\xff\xe0" * (size // 4),
        "films": b"\0\0\0\x08ftyp" * (size // 8),
        "chunks": np.random.default_rng(0).bytes(size - 64) + chunk(b"IEND", b""),
    }[filling]
    path = write(tmp_path, encode(blurred, form) + rest)
    start = time.process_time()
    assert {"trailing-data", "embedded-unread"} & set(kinds(path))
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "damage", [{"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\xff"}, {"comment": b"\xff\xfe"}]
)
def test_damaged_metadata_hides_no_other_leak(
    tmp_path: Path, original: np.ndarray, blurred: np.ndarray, damage: dict[str, bytes]
) -> None:
    content = encode(blurred, "JPEG", **damage) + encode(original, "PNG")
    assert kinds(write(tmp_path, content))["embedded-clear"] is Severity.HIGH


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"\x1c\x02\x50\0\x03Ann", "names"),
        (b"\x1c\x02\x50\0", "damaged-part"),  # cut off within the length of a field
        (b"\x1d\x02\x50\0\x03Ann", "damaged-part"),  # no field begins like this
        (b"\x1c\x02\x50\x90\xff\xff", "damaged-part"),  # a length of sixteen bytes
    ],
)
def test_iptc_and_its_damage_are_said(
    tmp_path: Path, blurred: np.ndarray, fields: bytes, kind: str
) -> None:
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(fields).to_bytes(4) + fields
    file = encode(blurred, "JPEG")
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2) + block
    path = write(tmp_path, file[:2] + segment + file[2:])
    assert set(kinds(path)) == {kind}


def test_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"probe\.png: not a readable picture"):
        inspect(write(tmp_path, b"no picture"))


def test_blurred_face_with_thumbnail_of_the_clear_one(tmp_path: Path, shared_data: Path) -> None:
    """On real faces: a clear thumbnail is told from a blurred one."""
    for path in sorted((shared_data / "lfw").glob("*/*_0001.jpg"))[:6]:
        clear = np.asarray(Image.open(path).convert("RGB"))
        blurred = clear.copy()
        blurred[60:190, 70:180] = cv2.GaussianBlur(clear[60:190, 70:180], (0, 0), 7.8)
        leaky = write(tmp_path, encode(blurred, "JPEG", exif=thumbnail_exif(clear)))
        assert kinds(leaky) == {"embedded-clear": Severity.HIGH}
        harmless = write(tmp_path, encode(blurred, "JPEG", exif=thumbnail_exif(blurred)))
        assert kinds(harmless) == {"embedded-picture": Severity.INFO}
