"""Restorers from outside, by stand-ins: a small program, an ONNX file, a TorchScript file."""

from __future__ import annotations

import pickle
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reid_audit.attacks.recognition.align import fit_similarity
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.restoration.external import read
from reid_audit.attacks.restoration.external.square import cut, paste, square_matrix
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.fidelity import psnr

Make = Callable[..., Any]
SIDE = 192

SHARPEN = """
    import sys
    from pathlib import Path
    from PIL import Image, ImageFilter
    given, made = map(Path, sys.argv[1:3])
    (made / "results").mkdir()
    for number, path in enumerate(sorted(given.glob("*.png"))):
        picture = Image.open(path)
        if "--copy" not in sys.argv:
            picture = picture.filter(ImageFilter.UnsharpMask(3, 120, 0))
        picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
        if "--skip" not in sys.argv or number:
            picture.save(made / "results" / f"{path.stem}_out.png")
"""


class Sharpen(torch.nn.Module):
    """Unsharp mask of pictures from -1 to 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        smooth = torch.nn.functional.avg_pool2d(x, 9, 1, 4, count_include_pad=False)
        return (x + 0.8 * (x - smooth)).clamp(-1, 1)


@pytest.fixture
def describe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A function that writes restorers/stand-in.yaml in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        file = tmp_path / "restorers" / "stand-in.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    return write


@pytest.fixture
def program(tmp_path: Path) -> str:
    """argv of a stand-in restorer, as YAML."""
    script = tmp_path / "a folder with spaces" / "sharpen.py"
    script.parent.mkdir()
    script.write_text(textwrap.dedent(SHARPEN))
    return f'["{sys.executable}", "{script}", "{{in}}", "{{out}}"'


def decibel(a: np.ndarray, b: np.ndarray) -> float:
    return float(psnr(a[None], b[None])[0])


def gain(made: Any, restored: tuple[np.ndarray, ...]) -> float:
    pairs = zip(made.originals, restored, made.probes.pictures, strict=True)
    return float(np.mean([decibel(x, r) - decibel(x, y) for x, r, y in pairs]))


@pytest.mark.parametrize("picture", ["face", "window"])
def test_a_program_restores_a_folder(
    describe: Callable[[str], Path], program: str, picture: str, scene: Make
) -> None:
    describe(f"""
        title: Unsharp mask
        command: {program}]
        written: results/{{name}}_out.png
        picture: {picture}
        size: 256
    """)
    made = scene("gaussian:sigma=1.5")
    attack = attack_class("external:stand-in")
    assert attack.info.name == "external:stand-in" and attack.info.title == "Unsharp mask"
    output = attack().fit(made.reference, made.context).run(made.probes, made.context)
    assert [p.shape for p in output.restored] == [p.shape for p in made.probes.pictures]
    assert gain(made, output.restored) > 0.15


def test_wiener_first_is_a_row_of_its_own(
    describe: Callable[[str], Path], program: str, scene: Make
) -> None:
    copy = f'command: {program}, "--copy"]'
    describe(copy + "\nwritten: results/{name}_out.png\npicture: window")
    made = scene("gaussian:sigma=4")
    plain, after = (attack_class(f"external:stand-in{tail}") for tail in ("", ":wiener"))
    assert after.info.name == "external:stand-in:wiener" and "operator" in after.info.needs
    first, second = (
        cls().fit(made.reference, made.context).run(made.probes, made.context)
        for cls in (plain, after)
    )
    assert gain(made, second.restored) > gain(made, first.restored) + 1


def test_an_unanswered_picture_stays_as_it_was(
    describe: Callable[[str], Path], program: str, scene: Make
) -> None:
    describe(f'command: {program}, "--skip"]\nwritten: results/{{name}}_out.png\npicture: window')
    made = scene("gaussian:sigma=2")
    attack = attack_class("external:stand-in")().fit(made.reference, made.context)
    pairs = list(
        zip(attack.run(made.probes, made.context).restored, made.probes.pictures, strict=True)
    )
    assert sum(np.array_equal(after, before) for after, before in pairs) == 1
    with pytest.raises(InputError, match="no picture came back"):
        attack.run(next(made.probes.batches(1)), made.context)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_model_file_restores_a_face(
    kind: str, describe: Callable[[str], Path], tmp_path: Path, scene: Make
) -> None:
    if kind == "onnx":
        onnx_sharpen(tmp_path / "model")
    else:
        torch.jit.trace(Sharpen(), torch.zeros(1, 3, SIDE, SIDE)).save(str(tmp_path / "model"))
    describe(f"{kind}: ../model\nsize: {SIDE}\nrange: [-1, 1]")
    made = scene("gaussian:sigma=1.5")
    attack = attack_class("external:stand-in")().fit(made.reference, made.context)
    output = attack.run(made.probes, made.context)
    assert gain(made, output.restored) > 0.15
    single = attack.run(next(made.probes.batches(1)), made.context).restored[0]
    np.testing.assert_array_equal(single, output.restored[0])


def varint(value: int) -> bytes:
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protocol-buffer message of numbered whole numbers and byte strings."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += varint(number << 3) + varint(value)
        else:
            made += varint(number << 3 | 2) + varint(len(value)) + value
    return made


def onnx_sharpen(path: Path, side: int = SIDE) -> None:
    """The network of `Sharpen` as ONNX, written byte by byte: a writer would be one more package.

    Field numbers as in the format's onnx.proto.
    """

    def node(kind: str, inputs: str, output: str, *attributes: bytes) -> tuple[int, bytes]:
        names = [(1, name.encode()) for name in inputs.split()]
        rest = [(5, attribute) for attribute in attributes]
        return 1, message(*names, (2, output.encode()), (4, kind.encode()), *rest)

    def integers(name: str, *values: int) -> bytes:
        return message((1, name.encode()), *((8, v) for v in values), (20, 7))

    def constant(name: str, value: float) -> tuple[int, bytes]:
        raw = np.float32(value).tobytes()
        return 5, message((2, 1), (8, name.encode()), (9, raw))

    def place(number: int, name: str) -> tuple[int, bytes]:
        shape = message(*((1, message((1, n))) for n in (1, 3, side, side)))
        kind = message((1, message((1, 1), (2, shape))))
        return number, message((1, name.encode()), (2, kind))

    graph = message(
        node("AveragePool", "x", "s", integers("kernel_shape", 9, 9), integers("pads", 4, 4, 4, 4)),
        node("Sub", "x s", "d"),
        node("Mul", "d gain", "g"),
        node("Add", "x g", "o"),
        node("Clip", "o low high", "y"),
        (2, b"sharpen"),
        constant("gain", 0.8),
        constant("low", -1),
        constant("high", 1),
        place(11, "x"),
        place(12, "y"),
    )
    path.write_bytes(message((1, 8), (7, graph), (8, message((1, b""), (2, 13)))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: [tool, '{in}', '{out}']\nonnx: a", "exactly one of"),
        ("command: [tool, '{in}']", "name the folder {out}"),
        ("onnx: nowhere.onnx", "no file"),
        ("titel: x\nonnx: a", "no such field 'titel'"),
        ("command: [tool, '{in}', '{out}']\npicture: both", "face or window"),
        ("command: [tool, '{in}', '{out}']\nsize: big", "whole number"),
        ("- a list", "field: value"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_faulty_description_is_refused_in_a_sentence(
    text: str, said: str, describe: Callable[[str], Path]
) -> None:
    with pytest.raises(InputError) as refused:
        read(describe(text))
    assert said in str(refused.value) and "stand-in.yaml" in str(refused.value)


def attempt(made: Any) -> Any:
    attack = attack_class("external:stand-in")().fit(made.reference, made.context)
    return attack.run(made.probes, made.context)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('no GPU here')", "no GPU here"),
        ("import time; time.sleep(60)", "took longer than 0.2 s"),
    ],
)
def test_a_failing_program_is_reported(
    code: str, said: str, describe: Callable[[str], Path], scene: Make
) -> None:
    made = scene("gaussian:sigma=2")
    describe(f"""
        command: ["{sys.executable}", "-c", "{code}", "{{in}}", "{{out}}"]
        timeout: {0.2 if "sleep" in code else 60}
    """)
    with pytest.raises(InputError, match=said):
        attempt(made)
    describe('command: ["/no/such/program", "{in}", "{out}"]')
    with pytest.raises(InputError, match="no program that can be run"):
        attempt(made)


def test_an_unknown_restorer_is_named(describe: Callable[[str], Path]) -> None:
    describe("onnx: a")
    with pytest.raises(InputError, match=r"restorers/gfpgan\.yaml"):
        attack_class("external:gfpgan")


def test_a_torchscript_file_with_a_python_object_is_refused(
    describe: Callable[[str], Path], tmp_path: Path, scene: Make
) -> None:
    """Its archive holds pickles of its own kind: one that calls Python must not be obeyed."""

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (Path.touch, (tmp_path / "obeyed",))

    torch.jit.trace(Sharpen(), torch.zeros(1, 3, 64, 64)).save(str(tmp_path / "good"))
    with (
        zipfile.ZipFile(tmp_path / "good") as good,
        zipfile.ZipFile(tmp_path / "evil", "w") as evil,
    ):
        for name in good.namelist():
            content = good.read(name)
            evil.writestr(name, pickle.dumps(Evil()) if name.endswith("/data.pkl") else content)
    describe("torchscript: ../evil\nsize: 64")
    made = scene("gaussian:sigma=2")
    attack = attack_class("external:stand-in")().fit(made.reference, made.context)
    with pytest.raises(InputError, match="cannot be loaded"):
        attack.run(made.probes, made.context)
    assert not (tmp_path / "obeyed").exists()


@given(st.floats(-0.6, 0.6), st.floats(0.4, 3), st.floats(-40, 40))
def test_the_square_moves_with_the_face(angle: float, scale: float, shift: float) -> None:
    """Turning, scaling and moving a face moves its square alike: landmarks land where they did."""
    face = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], float)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def landed(points: np.ndarray) -> np.ndarray:
        matrix = square_matrix(points, 512)
        return points @ matrix[:, :2].T + matrix[:, 2]

    np.testing.assert_allclose(landed(face), landed(face @ turn.T + shift), atol=1e-6)
    # FFHQ's own 512-px squares show eyes some 126 px apart.
    assert 100 < landed(face)[1, 0] - landed(face)[0, 0] < 140
    np.testing.assert_allclose(
        fit_similarity(face, landed(face)), square_matrix(face, 512), atol=1e-6
    )


@pytest.mark.parametrize("size", [64, 512])
def test_cut_and_paste_change_little(size: int, pictures: dict[Any, np.ndarray]) -> None:
    picture = cv2.resize(next(iter(pictures.values())), (192, 192), interpolation=cv2.INTER_CUBIC)
    landmarks = 2 * np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
    matrix = square_matrix(landmarks, size)
    square = cut(picture, matrix, size)
    assert square.shape == (size, size, 3)
    back = paste(picture, square, matrix)
    assert back.shape == picture.shape
    assert decibel(picture, back) > (43 if size == 512 else 24)
