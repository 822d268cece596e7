"""What pixels give away of a setting that a record states; and names that are refused at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.operators import parse
from reid_audit.audit.checkpoints import check
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.evaluation.unaided import AT_MOST, unaided
from reid_audit.metrics.errors import InputError


def group(folder: Path, spec: str, source: str = "sidecar") -> Any:
    """Ten pictures that went through an operator, as far as `unaided` looks at a group."""
    operator, rng, faces = parse(spec), np.random.default_rng(3), []
    for number in range(10):
        noise = rng.normal(128, 40, (24, 24, 3)).clip(0, 255).astype(np.uint8)
        picture = np.asarray(Image.fromarray(noise).resize((120, 120), Image.Resampling.BICUBIC))
        path = folder / f"{number}.png"
        Image.fromarray(operator.apply(picture, rng)).save(path)
        faces.append(SimpleNamespace(item=SimpleNamespace(path=path)))

    class Group(list[Any]):
        pass

    found = Group(faces)
    found.faces, found.operator, found.title = faces, operator, "a blur"  # type: ignore[attr-defined]
    found.anonymizer = SimpleNamespace(source=source)  # type: ignore[attr-defined]
    found.settled = ()  # type: ignore[attr-defined]
    return found


def silent(*_: object) -> None:
    pass


def test_blocks_are_found_without_the_record(tmp_path: Path) -> None:
    found = unaided(group(tmp_path, "pixelate:b=10"), silent)
    assert found is not None
    assert (found.tried, found.right, found.true_size) == (AT_MOST, AT_MOST, 10)
    assert found.sizes == [10] * AT_MOST


def test_a_fill_has_no_size_and_an_identified_setting_no_truth(tmp_path: Path) -> None:
    found = unaided(group(tmp_path, "solid"), silent)
    assert found is not None and found.true_size is None and not found.sizes
    assert unaided(group(tmp_path, "solid", source="identified"), silent) is None


def test_a_tool_whose_kernel_grows_with_the_region_has_no_size_either(tmp_path: Path) -> None:
    found = unaided(group(tmp_path, "pyimagesearch"), silent)
    assert found is not None and found.right == AT_MOST
    assert found.true_size is None and not found.sizes


def test_what_originals_settle_stands_beside_what_pixels_alone_say(tmp_path: Path) -> None:
    """Settings that grow with the region, each read 10 % too large; one taken for another tool."""

    def blocks(size: float, family: str = "pixelate") -> Identification:
        return Identification((0, 0, 9, 9), family, parameters={"block_x": size, "block_y": size})

    pairs = group(tmp_path, "solid", source="identified")
    pairs.settled = tuple((blocks(size), blocks(1.1 * size)) for size in (10.0, 20.0, 40.0))
    pairs.settled += ((blocks(20.0), blocks(20.0, "box")),)
    found = unaided(pairs, silent)
    assert found is not None and (found.tried, found.right, found.true_size) == (4, 3, 20)
    assert found.sizes == pytest.approx([22, 22, 22])


def test_a_misspelt_attack_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="ridge"):
        check(AuditConfig(attacks=("rigde",), device="cpu"))
