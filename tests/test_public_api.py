"""What a researcher types: the names at the top, and five lines for an attack."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError

import reid_audit
from reid_audit import (
    AnonymizedFaces,
    ClearFaces,
    Context,
    InputError,
    Naive,
    Operator,
    Reference,
    Ridge,
    Scorer,
    Wiener,
    attack_class,
    parse,
    rank,
)
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import names

LANDMARKS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
"""Where the drawing program puts the features of a face in 96 pixels, within a few of them."""
GREY = np.full((40, 30, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def people(cast_folder: Path) -> dict[str, list[Path]]:
    """Picture files of 16 people who do not exist, four each."""
    folders = sorted(folder for folder in cast_folder.iterdir() if folder.is_dir())
    return {folder.name: sorted(folder.glob("*.png")) for folder in folders}


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def parts(
    people: dict[str, list[Path]], blur: Operator
) -> tuple[Reference, AnonymizedFaces, tuple[str, ...]]:
    """Eight people looked up by their last pictures, among two of each; the others to train on."""
    known, others = sorted(people)[:8], sorted(people)[8:]
    gallery = ClearFaces.of(
        [people[who][i] for who in known for i in (0, 1)],
        [who for who in known for _ in (0, 1)],
        landmarks=LANDMARKS,
    )
    background = ClearFaces.of(
        [read(path) for who in others for path in people[who]],
        [who for who in others for _ in people[who]],
        landmarks=LANDMARKS,
    )
    blurred = [blur(read(people[who][i])) for who in known for i in (2, 3)]
    probes = AnonymizedFaces.of(blurred, landmarks=LANDMARKS)
    truth = tuple(who for who in known for _ in (2, 3))
    return Reference.of(gallery=gallery, background=background), probes, truth


def test_every_public_name_is_what_type_checkers_are_told() -> None:
    source = ast.parse(Path(reid_audit.__file__).read_text(encoding="utf-8"))
    block = next(node for node in source.body if isinstance(node, ast.If))
    told = {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == reid_audit._HOME
    assert list(reid_audit.__all__) == sorted(told)
    for name in reid_audit.__all__:
        assert getattr(reid_audit, name) is not None
    assert set(reid_audit.__all__) <= set(dir(reid_audit))


def test_every_built_in_attack_stands_at_the_top() -> None:
    at_the_top = {
        value.info.name
        for name in reid_audit.__all__
        if isinstance(value := getattr(reid_audit, name), type) and hasattr(value, "info")
    }
    assert set(names()) <= at_the_top


def test_an_unknown_name_is_refused_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'perse'"):
        reid_audit.perse  # noqa: B018
    assert reid_audit.metrics.errors.InputError is InputError


def test_five_lines_from_pictures_to_names(people: dict[str, list[Path]]) -> None:
    blur = parse("gaussian:sigma=4")
    reference, probes, truth = parts(people, blur)
    context = Context.of(operator=blur, recognizer="dlib", probes=probes)
    output = Ridge().fit(reference, context).run(probes, context)
    assert output.scores is not None
    assert output.scores.shape == (16, 8)
    named = rank(output.scores, reference.columns(truth)).hits().mean()
    assert named >= 0.5  # by chance 1 in 8
    assert context.forward.face_width == pytest.approx(
        Context.of(blur, "dlib", probes).forward.face_width
    )


def test_what_an_attack_did_not_score_is_scored(
    people: dict[str, list[Path]], stand_in: Recognizer
) -> None:
    blur = parse("gaussian:sigma=2")
    reference, probes, truth = parts(people, blur)
    context = Context.of(blur, stand_in, probes)
    output = Wiener().fit(reference, context).run(probes, context)
    scores, embeddings = Scorer.against(reference, context).complete(output, probes)
    assert scores.shape == (16, 8) and embeddings is not None
    assert rank(scores, reference.columns(truth)).mated.all()
    assert reference.columns(["nobody", None]).tolist() == [-1, -1]


@pytest.mark.parametrize("name", names())
def test_nothing_runs_before_it_is_fitted(
    name: str, people: dict[str, list[Path]], stand_in: Recognizer
) -> None:
    _, probes, _ = parts({who: people[who] for who in sorted(people)[:9]}, parse("none"))
    with pytest.raises(NotFittedError, match="fit"):
        attack_class(name)().run(probes, Context.of("none", stand_in))


def test_short_texts(people: dict[str, list[Path]], stand_in: Recognizer) -> None:
    blur = parse("gaussian:sigma=2")
    reference, probes, _ = parts(people, blur)
    context = Context.of(blur, stand_in, probes, seed=3)
    output = Naive().fit(reference, context).run(probes, context)
    assert repr(reference.faces) == "ClearFaces(48 faces of 16 people)"
    assert repr(probes) == "AnonymizedFaces(16 faces, 96 x 96 pixels)"
    assert repr(reference) == "Reference(16 faces of 8 people, 32 background, closed world)"
    assert repr(context) == f"Context({blur} on whole picture, stand-in, seed 3, cpu)"
    assert repr(output) == "AttackOutput(16 restored pictures)"


def test_an_operator_is_called_like_a_function() -> None:
    blur = parse("gaussian:sigma=3")
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    before = picture.copy()
    np.testing.assert_array_equal(blur(picture), blur.apply(picture, np.random.default_rng(0)))
    np.testing.assert_array_equal(picture, before)
    noise = parse("noise:sigma=5|jpeg:q=75")
    one, two = (noise(picture, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(InputError, match=r"noise:sigma=5.*random.*give a generator"):
        noise(picture)
    assert parse("permute:b=8,key=3")(picture).shape == picture.shape


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (GREY[..., 0], r"shape \(40, 30\); give RGB"),
        (GREY.transpose(2, 0, 1), r"shape \(3, 40, 30\); give RGB as \(H, W, 3\)"),
        (GREY / 255, "type float64; give uint8 from 0 to 255"),
        (GREY.tolist(), "type list; give a NumPy array"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(picture: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse("solid")(picture)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Picture 0"):
        AnonymizedFaces.of([picture], landmarks=LANDMARKS)  # type: ignore[list-item]


def test_faces_from_a_folder(people: dict[str, list[Path]], tmp_path: Path) -> None:
    from reid_audit.attacks.faces import detect_landmarks

    who = next(name for name in people if detect_landmarks(read(people[name][0])) is not None)
    (tmp_path / "a" / "later").mkdir(parents=True)
    shutil.copy(people[who][0], tmp_path / "a" / "later" / "1.png")
    shutil.copy(people[who][0], tmp_path / "2.png")
    Image.fromarray(GREY).save(tmp_path / "a" / "grey.png")
    with pytest.warns(UserWarning, match="1 picture of 3 left out"):
        faces = ClearFaces.from_folder(tmp_path)
    assert sorted(faces.identities)[0] == "a" and sorted(faces.identities)[1].startswith("unnamed")
    assert faces.ids[0] == faces.ids[1]
    seen = detect_landmarks(read(people[who][0]))
    assert seen is not None
    width = faces.load(0).shape[1]
    assert np.ptp(faces.landmarks[0], axis=0) == pytest.approx(np.ptp(seen, axis=0), abs=1e-3)
    assert 0 < faces.landmarks[0][:, 0].min() < faces.landmarks[0][:, 0].max() < width
    with pytest.raises(InputError, match="no such folder"):
        ClearFaces.from_folder(tmp_path / "none")
    shutil.rmtree(tmp_path / "a" / "later")
    (tmp_path / "2.png").unlink()
    with pytest.raises(InputError, match="1 picture, and no face to be seen"):
        ClearFaces.from_folder(tmp_path)


def test_faces_that_cannot_be_seen_stand_where_others_do(people: dict[str, list[Path]]) -> None:
    blank = [np.full((192, 96, 3), 90, np.uint8)]
    with pytest.raises(InputError, match="No face can be seen in any of 1 picture"):
        AnonymizedFaces.of(blank)
    gallery = ClearFaces.of([read(people[min(people)][0])], ["a"], landmarks=LANDMARKS)
    assert gallery.load(0).shape == (96, 96, 3)
    placed = AnonymizedFaces.of(blank, like=gallery).landmarks[0]
    np.testing.assert_allclose(placed, LANDMARKS * [1, 2], atol=1e-4)
    assert AnonymizedFaces.of(blank, like=gallery).regions.tolist() == [[0, 0, 96, 192]]


def test_a_reference_holds_every_face_once(people: dict[str, list[Path]]) -> None:
    files = people[min(people)]
    known = ClearFaces.of(files[:2], ["a", "a"], landmarks=LANDMARKS)
    others = ClearFaces.of([files[1], files[2]], landmarks=LANDMARKS)
    reference = Reference.of(known, others)
    assert (len(reference.faces), reference.gallery, reference.background) == (3, (0, 1), (1, 2))
    assert reference.people == ("a",)
    np.testing.assert_array_equal(reference.faces.load(2), others.load(1))
    with pytest.raises(InputError, match="two names"):
        Reference.of(known, ClearFaces.of(files[:1], ["b"], landmarks=LANDMARKS))
    with pytest.raises(InputError, match="gallery is empty"):
        Reference.of(known.select(()))
    with pytest.raises(InputError, match="2 people for 1 pictures"):
        ClearFaces.of(files[:1], ["a", "b"], landmarks=LANDMARKS)
    with pytest.raises(InputError, match=r"landmarks have the shape \(3, 5, 2\)"):
        ClearFaces.of(files[:2], landmarks=np.stack([LANDMARKS] * 3))


def test_the_region_follows_from_the_probes(
    people: dict[str, list[Path]], stand_in: Recognizer
) -> None:
    pictures = [read(path) for path in people[min(people)]]
    boxed = AnonymizedFaces.of(
        pictures, landmarks=LANDMARKS, regions=np.array([20, 10, 76, 80]), ids=list("abcd")
    )
    forward = Context.of("gaussian:sigma=2", stand_in, boxed).forward
    assert forward.box is not None
    assert forward.region(pictures[0], LANDMARKS).tolist() == [20, 10, 76, 80]
    assert Context.of("gaussian:sigma=2", stand_in).forward.face_widths == ()


@pytest.mark.slow
def test_figures_on_real_faces(shared_data: Path) -> None:
    """The linear map against a blur of 7.8 pixels, on people of LFW: far above the recogniser."""
    import pandas as pd

    table = pd.read_csv(shared_data / "lfw.csv").groupby("identity").path.apply(list)
    several = table[table.map(len) >= 3].iloc[:60]
    files = several.map(lambda paths: [shared_data / path for path in paths])
    known = files.iloc[:12]
    blur = parse("gaussian:sigma=7.8")
    gallery = ClearFaces.of([f for own in known for f in own[:2]], list(np.repeat(known.index, 2)))
    background = ClearFaces.of([own[0] for own in files.iloc[12:]])
    probes = AnonymizedFaces.of([blur(read(own[2])) for own in known], like=gallery)
    context = Context.of(blur, "dlib", probes)
    reference = Reference.of(gallery, background)
    mates = reference.columns(list(known.index))
    scores = Ridge().fit(reference, context).run(probes, context).scores
    assert scores is not None
    assert rank(scores, mates).hits().mean() >= 0.4  # by chance 1 in 12
