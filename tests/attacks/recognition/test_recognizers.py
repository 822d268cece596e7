"""Recognisers by spec: files an auditor brings, what can be wrong with them, plug-ins."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from reid_audit.attacks.recognition import recognizers
from reid_audit.attacks.recognition.align import ARCFACE
from reid_audit.attacks.recognition.interface import Preprocessing
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.metrics.errors import InputError, MissingWeights

SIDECAR = {"size": 64, "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.5]}
ARCHITECTURE = "test_efficientnet"  # timm's smallest, made for tests


def crops(count, side):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    return timm.create_model(ARCHITECTURE, num_classes=24).eval()


@pytest.fixture
def brought(tmp_path, network):
    """A random network as safetensors with a sidecar."""
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.json").write_text(json.dumps(SIDECAR))
    return tmp_path / "net.safetensors"


@pytest.fixture
def onnx_file(tmp_path):
    """A network that takes single pictures only: the mean of each channel."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "mean.onnx")
    (tmp_path / "mean.json").write_text(json.dumps({**SIDECAR, "channels": "BGR", "batch": 1}))
    return tmp_path / "mean.onnx"


def test_timm_file_computes_what_the_network_does(brought, network):
    recognizer = load_recognizer(f"timm:{ARCHITECTURE}:{brought}")
    faces = crops(3, 64)
    scaled = (faces / 255 - SIDECAR["mean"]) / SIDECAR["std"]
    with torch.no_grad():
        expected = network(torch.tensor(scaled, dtype=torch.float32).permute(0, 3, 1, 2))
    embeddings = recognizer.embed(faces)
    np.testing.assert_allclose(embeddings, expected, atol=1e-4)
    assert embeddings.dtype == np.float32 and recognizer.dimension == 24
    module = recognizer.module()
    again = module(recognizer.preprocess(torch.from_numpy(faces).permute(0, 3, 1, 2)))
    np.testing.assert_allclose(again.detach(), embeddings, atol=1e-5)
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert str(brought.parent) not in recognizer.name


def test_onnx_file_of_single_pictures_and_bgr(onnx_file):
    recognizer = load_recognizer(f"onnx:{onnx_file}")
    faces = crops(5, 64)
    means = faces[..., ::-1].mean((1, 2)) / 255
    expected = (means - SIDECAR["mean"]) / SIDECAR["std"]
    np.testing.assert_allclose(recognizer.embed(faces), expected, atol=1e-5)
    assert not recognizer.trainable
    with pytest.raises(InputError, match="frozen"):
        recognizer.module()


def test_digest_tells_weights_and_preprocessing_apart(brought, network):
    spec = f"timm:{ARCHITECTURE}:{brought}"
    first = load_recognizer(spec).digest
    assert load_recognizer(spec).digest == first
    brought.with_suffix(".json").write_text(json.dumps({**SIDECAR, "mean": [0.5, 0.5, 0.5]}))
    second = load_recognizer(spec).digest
    state = network.state_dict()
    name = next(key for key in state if key.endswith("weight"))
    save_file({**state, name: state[name] + 1}, brought)
    assert len({first, second, load_recognizer(spec).digest}) == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": "large"}, "size"),
        ({"mean": [0.5]}, "mean"),
        ({"std": [0.5, 0, 0.5]}, "std"),
        ({"template": "ffhq"}, "template"),
        ({"template": [[1, 2]]}, "template"),
        ({"distance": "manhattan"}, "distance"),
        ({"batch": 0}, "batch"),
        ({"chanels": "RGB"}, "chanels"),
    ],
)
def test_a_wrong_sidecar_field_is_named(brought, change, field):
    brought.with_suffix(".json").write_text(json.dumps(SIDECAR | change))
    with pytest.raises(InputError, match=rf"net\.json: field '{field}' is wrong"):
        load_recognizer(f"timm:{ARCHITECTURE}:{brought}")


def test_sidecar_may_give_five_points_of_its_own(brought):
    points = np.round(ARCFACE.resized(64).points, 2).tolist()
    brought.with_suffix(".json").write_text(json.dumps({**SIDECAR, "template": points}))
    template = load_recognizer(f"timm:{ARCHITECTURE}:{brought}").template
    assert template.size == 64 and np.array_equal(template.points, points)


def test_unusable_specs_say_what_to_do(brought, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    (tmp_path / "broken.json").write_text(json.dumps(SIDECAR))
    other = tmp_path / "lonely.onnx"
    other.write_bytes(b"nothing")
    for spec, message in {
        "dlbi": "did you mean dlib?",
        "timm:test_eficientnet:x.safetensors": "did you mean test_efficientnet?",
        f"timm:{ARCHITECTURE}": "give timm:ARCHITECTURE:FILE",
        f"timm:{ARCHITECTURE}:absent.safetensors": "'absent.safetensors' does not exist",
        f"timm:test_vit:{brought}": "does not fit the architecture",
        f"onnx:{broken}": "broken.onnx cannot be used",
        f"onnx:{other}": "lonely.json",
    }.items():
        with pytest.raises(InputError) as caught:
            load_recognizer(spec)
        assert message in str(caught.value)


def test_facenet_asks_for_its_weights_then_loads_them(tmp_path):
    """Random weights stand in for the published ones: what is checked is the loading."""
    from facenet_pytorch import InceptionResnetV1

    with pytest.raises(MissingWeights, match="reid-audit weights fetch facenet-vggface2"):
        load_recognizer("facenet-vggface2", weights_dir=tmp_path)
    torch.manual_seed(0)
    network = InceptionResnetV1(classify=True, num_classes=4).eval()
    torch.save(network.state_dict(), tmp_path / "20180402-114759-vggface2.pt")
    recognizer = load_recognizer("facenet-vggface2", weights_dir=tmp_path)
    faces = crops(2, 160)
    network.classify = False
    with torch.no_grad():
        inputs = (torch.from_numpy(faces).permute(0, 3, 1, 2) - 127.5) / 128
        expected = network(inputs)
    np.testing.assert_allclose(recognizer.embed(faces), expected, atol=1e-4)


def test_pickled_code_in_weights_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"x": Trap()}, tmp_path / "20180402-114759-vggface2.pt")
    with pytest.raises(InputError, match="cannot be used"):
        load_recognizer("facenet-vggface2", weights_dir=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_other_packages_add_recognisers(monkeypatch):
    point = EntryPoint("theirs", "tests_plugin:build", "reid_audit.recognizers")
    monkeypatch.setattr(recognizers, "entry_points", lambda group: [point])
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda argument, settings: argument)
    assert load_recognizer("theirs:with:colons") == "with:colons"
    assert "theirs" in recognizers.registry()


def test_crops_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(B, 150, 150, 3\)"):
        load_recognizer("dlib").embed(crops(1, 112))


def test_preprocessing_is_differentiable():
    pictures = torch.full((1, 3, 2, 2), 100.0, requires_grad=True)
    Preprocessing((0.0, 0.0, 0.0), (1.0, 2.0, 4.0), "BGR")(pictures).sum().backward()
    assert pictures.grad[0, :, 0, 0].tolist() == [0.25, 0.5, 1.0]


@pytest.mark.slow
def test_development_recognisers_agree(shared_weights):
    """EdgeFace as ONNX and as torch weights is one network."""
    onnx = load_recognizer(f"onnx:{shared_weights / 'edgeface_xs.onnx'}")
    trainable = load_recognizer(
        f"timm:edgenext_x_small:{shared_weights / 'edgeface_xs.safetensors'}"
    )
    faces = crops(3, 112)
    cosines = np.diag(onnx.similarity(onnx.embed(faces), trainable.embed(faces)))
    assert cosines.min() > 0.999
    single = load_recognizer(f"onnx:{shared_weights / 'mobilefacenet.onnx'}")
    assert single.embed(faces).shape == (3, 128)


def low_rank(state: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """A network's weights in the form EdgeFace is published in: linear layers but the head as a
    product of two."""
    published = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        if value.ndim == 2 and kind == "weight" and "head" not in key:
            u, s, v = torch.linalg.svd(value, full_matrices=False)
            published[f"model.{layer}.linear1.weight"] = v[:rank]
            published[f"model.{layer}.linear2.weight"] = u[:, :rank] * s[:rank]
            if f"{layer}.bias" in state:
                published[f"model.{layer}.linear2.bias"] = state[f"{layer}.bias"]
        elif f"model.{layer}.linear1.weight" not in published:
            published[f"model.{key}"] = value
    return published


def published_order(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights before biases, so that `low_rank` knows a layer when it meets its bias."""
    return dict(sorted(state.items(), key=lambda item: not item[0].endswith("weight")))


def test_edgeface_is_fused_into_the_plain_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = timm.create_model("edgenext_x_small", num_classes=512).eval()
    state = published_order(plain.state_dict())
    file = tmp_path / "edgeface_xs_gamma_06.pt"
    torch.save(low_rank(state, 10_000), file)  # of full rank, so that nothing is lost
    recognizer = load_recognizer("edgeface-xs", weights_dir=tmp_path)
    faces = crops(2, 112)
    inputs = (torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        expected = plain(inputs)
    np.testing.assert_allclose(recognizer.embed(faces), expected, atol=1e-3)
    assert recognizer.trainable and recognizer.dimension == 512


def test_edgeface_of_another_size_is_refused(tmp_path: Path) -> None:
    other = timm.create_model("edgenext_xx_small", num_classes=512)
    torch.save(
        {f"model.{k}": v for k, v in other.state_dict().items()},
        tmp_path / "edgeface_xs_gamma_06.pt",
    )
    with pytest.raises(InputError, match="does not fit the architecture"):
        load_recognizer("edgeface-xs", weights_dir=tmp_path)


@pytest.mark.parametrize("name", ["edgeface-s", "arcface-r50", "facenet-casia"])
def test_what_was_not_fetched_names_the_command(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=f"weights fetch {name}"):
        load_recognizer(name, weights_dir=tmp_path)


def test_edgeface_of_the_shared_weights(shared_weights: Path, tmp_path: Path) -> None:
    """The real network, wrapped as its publisher wraps it, gives what the plain form gives."""
    from safetensors.torch import load_file

    state = load_file(shared_weights / "edgeface_xs.safetensors")
    torch.save(
        {f"model.{key}": value for key, value in state.items()},
        tmp_path / "edgeface_xs_gamma_06.pt",
    )
    plain = load_recognizer(f"timm:edgenext_x_small:{shared_weights / 'edgeface_xs.safetensors'}")
    faces = crops(4, 112)
    named = load_recognizer("edgeface-xs", weights_dir=tmp_path)
    np.testing.assert_allclose(named.embed(faces), plain.embed(faces), atol=1e-5)
