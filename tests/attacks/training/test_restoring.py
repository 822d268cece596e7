"""The frame, the way back into the picture, consistency with the evidence, and packs from files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import AnonymizedFaces
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.networks.frame import FACE, crop_transform, cut, paste, template, to_crops
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.align import ARCFACE, DLIB, FACENET, crop
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.restoration.consistency import backproject, residual
from reid_audit.attacks.restoration.restorer import log_sigmas, strength_in_pixels
from reid_audit.audit.commands.blackbox import anonymize_by_command
from reid_audit.audit.commands.train import (
    Request,
    build_pack,
    objective_class,
)
from reid_audit.metrics.errors import InputError

LANDMARKS = np.array([[182, 200], [241, 194], [215, 228], [190, 256], [238, 251]], np.float32)
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth picture `(440, 420, 3)`, so that resampling twice changes little."""
    y, x = np.mgrid[:440, :420] / 420
    planes = [0.5 + 0.4 * np.sin(5 * x + 3 * y), 0.5 + 0.4 * np.cos(4 * y), 0.2 + 0.6 * x * y]
    return np.rint(255 * np.stack(planes, axis=2)).clip(0, 255).astype(np.uint8)


def test_the_frame_shows_the_face_as_wide_as_it_says() -> None:
    from reid_audit.attacks.recognition.align import face_width

    for size in (32, 64, 128):
        assert float(face_width(template(size).points)) == pytest.approx(FACE * size)


def test_a_frame_is_a_crop_and_goes_on_past_the_border_by_reflection(picture: np.ndarray) -> None:
    inside = cut([picture], LANDMARKS[None], 64)[0]
    np.testing.assert_array_equal(inside, crop([picture], LANDMARKS[None], template(64))[0])
    tight = picture[150:310, 130:290]
    points = LANDMARKS - np.array([130, 150], np.float32)
    frame = cut([tight], points[None], 64)[0]
    assert (frame.max(axis=2) > 0).all()  # no black border
    reflected = np.pad(tight, ((90, 90), (90, 90), (0, 0)), mode="reflect")
    expected = crop([reflected], points[None] + 90, template(64))[0]
    assert np.abs(frame.astype(int) - expected).max() <= 1


def test_a_change_made_in_the_frame_lands_where_it_was_made(picture: np.ndarray) -> None:
    frame = cut([picture], LANDMARKS[None], 64)[0].astype(np.float32)
    middle = np.zeros_like(frame)
    middle[22:42, 22:42] = 20
    changed = paste(picture, middle, LANDMARKS)
    assert changed.shape == picture.shape
    again = cut([np.rint(changed).clip(0, 255).astype(np.uint8)], LANDMARKS[None], 64)[0]
    inner = (again - frame)[26:38, 26:38]
    np.testing.assert_allclose(inner, 20, atol=1.5)
    np.testing.assert_array_equal(paste(picture, 0 * middle, LANDMARKS), picture)
    corner = np.abs(paste(picture, np.full_like(frame, 50), LANDMARKS) - picture)[:3, :3]
    assert corner.max() == 0  # outside the frame


@pytest.mark.parametrize("target", [ARCFACE, DLIB, FACENET], ids=lambda t: t.name)
def test_recognisers_crops_of_the_frame_are_those_of_the_picture(
    picture: np.ndarray, target: Any
) -> None:
    frame = cut([picture], LANDMARKS[None], 160)
    tensor = torch.from_numpy(frame).permute(0, 3, 1, 2).float()
    found = to_crops(tensor, crop_transform(target, 160), target.size)
    # Landmarks that are no exact similarity of the template are fitted twice: use the frame's own.
    own = np.asarray(template(160).points, np.float32)
    expected = crop([frame[0]], own[None], target)[0].astype(np.float32)
    difference = np.abs(found[0].permute(1, 2, 0).numpy() - expected)
    side = target.size // 8
    assert difference[side:-side, side:-side].mean() < 0.6


def test_strength_is_sigma_and_what_stands_in_its_place() -> None:
    assert strength_in_pixels(parse("gaussian:sigma=12.5")) == pytest.approx(12.5, rel=0.01)
    assert strength_in_pixels(parse("box:k=21")) == pytest.approx(21 / 12**0.5, rel=0.01)
    assert strength_in_pixels(parse("gaussian:sigma=4|jpeg:q=75")) == pytest.approx(4, rel=0.01)
    assert strength_in_pixels(parse("none")) == 0
    found = log_sigmas(parse("gaussian:sigma=8"), np.array([80.0, 160.0]))
    np.testing.assert_allclose(np.exp(found), [0.1, 0.05], rtol=0.01)


def test_back_projection_takes_back_what_contradicts_the_evidence(pack: Pack) -> None:
    rng = np.random.default_rng(0)
    clear = np.array(pack.faces[0])
    region = np.array([0, 0, pack.side, pack.side])
    for spec in ("gaussian:sigma=3", "box:k=7", "gaussian:sigma=3|jpeg:q=90"):
        operator = parse(spec)
        restorer = Restorer(ForwardModel(operator, (pack.face_width,)), pack.spectra)
        window = operator.apply(clear, rng)
        truth = residual(clear, window, region, restorer)
        wrong = clear + rng.normal(0, 15, (1, 1, 3)) + rng.normal(0, 5, clear.shape)
        before = residual(wrong, window, region, restorer)
        mended = backproject(wrong, window, region, restorer)
        after = residual(mended, window, region, restorer)
        assert after < 0.5 * before and after < truth + 0.3
        if spec == "gaussian:sigma=3":
            assert truth == pytest.approx(12**-0.5, rel=0.1)  # rounding alone
    part = np.array([10, 8, 40, 38])
    outside = backproject(np.zeros_like(clear), clear, part, restorer)
    np.testing.assert_array_equal(outside[:8], clear[:8])


@pytest.mark.parametrize("name", ["mmse", "flow", "fantomas"])
def test_a_restoring_attack_says_how_consistent_it_is(
    name: str, scene: Make, quick: Callable[..., Any]
) -> None:
    made = scene("gaussian:sigma=3")
    attack = quick(name).fit(made.reference, made.context)
    few: AnonymizedFaces = next(made.probes.batches(3))
    output = attack.run(few, made.context)
    left = [estimate["consistency_residual"] for estimate in output.estimates]
    assert all(0.2 < value < 0.5 for value in left) == (name != "fantomas")
    assert output.network_evaluations == (9 if name == "flow" else 3)


def test_settings_drawn_for_each_picture_are_found(scene: Make) -> None:
    made = scene("gaussian:sigma=2..5")
    attack = attack_class("mmse")().fit(made.reference, made.context)
    output = attack.run(next(made.probes.batches(4)), made.context)
    assert all(estimate["consistency_residual"] < 1 for estimate in output.estimates)


def test_a_gallery_is_restored_once(scene: Make, tmp_path: Path) -> None:
    made = scene("gaussian:sigma=3", cache=tmp_path)
    first = attack_class("mmse")().fit(made.reference, made.context)
    files = sorted(tmp_path.glob("restored-*.npy"))
    assert len(files) == 1
    before = files[0].stat().st_mtime_ns
    again = attack_class("mmse")().fit(made.reference, made.context)
    np.testing.assert_array_equal(first.seen_templates_, again.seen_templates_)
    assert files[0].stat().st_mtime_ns == before


def test_packs_come_from_files_and_from_another_program(
    cast_folder: Path, tmp_path: Path, stand_in: Recognizer
) -> None:
    data = tmp_path / "data"
    for person in ("person-0000", "person-0001"):
        shutil.copytree(cast_folder / person, data / person)
    tool = tmp_path / "tool.py"
    tool.write_text(
        "import sys, shutil, pathlib\n"
        "for f in pathlib.Path(sys.argv[1]).rglob('*.png'):\n"
        "    to = pathlib.Path(sys.argv[2]) / f.relative_to(sys.argv[1])\n"
        "    to.parent.mkdir(parents=True, exist_ok=True); shutil.copy(f, to)\n"
    )
    said = f"{sys.executable} {tool} {{in}} {{out}}"
    copies = anonymize_by_command(said, data, tmp_path / "made; touch harmed")
    assert not (tmp_path / "harmed").exists()
    told: list[str] = []
    request = Request(data, "tiny", anonymized=copies)
    for _ in range(2):
        pack = build_pack(request, tmp_path / "pack", "cpu", lambda what, *_: told.append(what))
    assert told.count("packing faces") == len(pack) <= 8  # the second time it was there
    np.testing.assert_array_equal(pack.faces, pack.anonymized)
    assert set(pack.identities) == {"person-0000", "person-0001"}
    for wrong in ("tool {in}", "no-such-program-anywhere {in} {out}", "false {in} {out}"):
        with pytest.raises(InputError, match="--command"):
            anonymize_by_command(wrong, data, tmp_path / "none")
    with pytest.raises(InputError, match="no training for"):
        objective_class("naive")


def test_train_from_the_command_line_on_pairs(cast_folder: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from reid_audit.attacks.checkpoint import Checkpoint
    from reid_audit.attacks.operators import parse
    from reid_audit.audit.cli.main import cli
    from reid_audit.audit.commands.anonymize import anonymize

    data, other, out = tmp_path / "data", tmp_path / "anonymized", tmp_path / "out"
    for person in range(4):
        shutil.copytree(cast_folder / f"person-{person:04d}", data / f"person-{person:04d}")
    anonymize(data, other, parse("box:k=9"), region="image", seed=0)
    said = ["train", "mmse", str(data), "-o", str(out), "--size", "tiny", "--steps", "3"]
    said += ["--batch", "4", "--device", "cpu", "--anonymized", str(other)]
    done = CliRunner().invoke(cli, said, catch_exceptions=False)
    assert done.exit_code == 0
    card = Checkpoint.open(out, "mmse").card
    assert "pairs" in card.operators["kind"] and card.training["steps"] == 3
    assert card.metrics["psnr linear"] > card.metrics["psnr anonymized"]
