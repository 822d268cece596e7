"""LPIPS and the FID Inception: loaded from files only, refused when those are not the network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import Inception3, alexnet
from torchvision.models.inception import InceptionA

from reid_audit.metrics.errors import IntegrityError, MissingWeights
from reid_audit.metrics.inception import _average, _replace_pool, inception_features, load_inception
from reid_audit.metrics.perceptual import load_lpips, lpips


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """An AlexNet with random weights: enough for everything but the published values."""
    torch.manual_seed(0)
    state = {f"features.{key}": value for key, value in alexnet().features.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "alexnet.safetensors"
    save_file(state, path)
    return path, state


def pictures(n: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_lpips_equals_torchmetrics_on_the_same_backbone(backbone):
    path, state = backbone
    reference = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    renamed = {k: state[f"features.{k.split('.', 1)[1]}"] for k in reference.net.state_dict()}
    reference.net.load_state_dict(renamed)
    x, y = pictures(3), pictures(3)[::-1].copy()
    a, b = (torch.from_numpy(z).permute(0, 3, 1, 2) / 127.5 - 1 for z in (x, y))
    with torch.no_grad():
        expected = reference(a, b).flatten()
    network = load_lpips(path)
    np.testing.assert_allclose(lpips(x, y, network), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(lpips(x, y, network, batch_size=2), expected, rtol=1e-5, atol=1e-7)
    assert (lpips(x, x, network) == 0).all()


def test_loading_lpips_leaves_the_random_state_alone(backbone):
    before = torch.random.get_rng_state()
    load_lpips(backbone[0])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("load", [load_lpips, load_inception])
def test_wrong_files_are_refused_with_a_sentence(load, tmp_path):
    with pytest.raises(MissingWeights, match="weights fetch"):
        load(tmp_path / "absent.safetensors")
    (tmp_path / "noise.pth").write_bytes(b"not weights")
    with pytest.raises(IntegrityError, match="noise"):
        load(tmp_path / "noise.pth")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(IntegrityError, match="other"):
        load(tmp_path / "other.safetensors")


def test_the_pool_of_the_reference_ignores_padding():
    block = InceptionA(8, pool_features=8).eval()
    block.branch_pool = torch.nn.Identity()
    flat = torch.ones(1, 8, 5, 5)
    with torch.no_grad():
        assert block(flat)[0, -1, 0, 0].item() == pytest.approx(4 / 9)
        _replace_pool(block, _average)
        assert torch.equal(block(flat)[:, -8:], flat)


@pytest.mark.slow
def test_inception_features_do_not_depend_on_batches(tmp_path):
    torch.manual_seed(0)
    network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    loaded = load_inception(tmp_path / "inception.pth")
    features = inception_features(pictures(3), loaded)
    assert features.shape == (3, 2048)
    parts = inception_features(pictures(3), loaded, batch_size=2)
    np.testing.assert_allclose(parts, features, atol=1e-5)
