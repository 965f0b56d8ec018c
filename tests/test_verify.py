"""Golden samples: what counts as kept, what as broken, and files that are damaged."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import flatmodel
from converters.embed import embed
from converters.passport import roles
from edgecam import build, contract, jpeg, metadata, verify
from edgecam.config import Settings
from edgecam.errors import ModelError
from edgecam.preprocess import Preprocessor
from edgecam.types import Classification, Detections
from edgecam.verify import Expected, Golden

MODELS = Path(__file__).resolve().parent.parent / "models"
IMAGE = np.zeros((100, 200, 3), np.uint8)
WIDE = np.zeros((8, 5000, 3), np.uint8)
LABELS = ("cat", "dog", "")


def classes(*results: tuple[int, float]) -> Classification:
    ids, scores = zip(*results, strict=True) if results else ((), ())
    return Classification(np.array(scores, np.float32), np.array(ids, np.int32))


def boxes(*results: tuple[int, float, Sequence[float]]) -> Detections:
    return Detections(
        np.array([r[2] for r in results], np.float32).reshape(-1, 4),
        np.array([r[1] for r in results], np.float32),
        np.array([r[0] for r in results], np.int32),
    )


def golden(*expect: Expected) -> Golden:
    return Golden("golden/0.jpg", IMAGE, expect, floor=0.3, score=0.05, box=0.02)


CAT = Expected(0, 0.8)
CAT_BOX = Expected(0, 0.8, (20, 10, 120, 60))


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        (classes((0, 0.8), (1, 0.1)), []),
        (classes((0, 0.84), (1, 0.33)), []),
        (classes((0, 0.76)), []),
        (classes((0, 0.86)), ["cat 0.80 has 0.86"]),
        (classes((0, 0.74)), ["cat 0.80 has 0.74"]),
        (classes((1, 0.8)), ["cat 0.80 is missing", "dog 0.80 was not promised"]),
        (classes((0, 0.8), (2, 0.36)), ["#2 0.36 was not promised"]),
        (classes(), ["cat 0.80 is missing"]),
        (boxes((0, 0.8, (0, 0, 9, 9))), ["the result is of another kind"]),
    ],
)
def test_a_classifier_s_promise(result: Classification, problems: list[str]) -> None:
    outcome = verify.check(golden(CAT), result, LABELS)
    assert list(outcome.problems) == problems
    assert outcome.passed == (not problems)


def test_the_best_answer_must_be_of_the_promised_class() -> None:
    near = golden(Expected(0, 0.5), Expected(1, 0.46))
    assert verify.check(near, classes((0, 0.5), (1, 0.49)), LABELS).passed
    swapped = verify.check(near, classes((0, 0.48), (1, 0.49)), LABELS)
    assert swapped.problems == ("cat 0.50 is not the best answer",)


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        (boxes((0, 0.82, (23, 11, 117, 59))), []),
        (
            boxes((0, 0.82, (25, 10, 120, 60))),
            ["cat 0.80 is missing (one lies at 25, 10,", "cat 0.82 was"],
        ),
        (boxes((0, 0.82, (20, 13, 120, 60))), ["cat 0.80 is missing (one lies at", "cat 0.82 was"]),
        (boxes((1, 0.82, (20, 10, 120, 60))), ["cat 0.80 is missing", "dog 0.82 was not promised"]),
        (boxes((0, 0.8, (20, 10, 120, 60)), (0, 0.8, (21, 10, 120, 60))), ["cat 0.80 was not promised"]),
        (classes((0, 0.8)), ["the result is of another kind"]),
    ],
)
def test_a_detector_s_promise(result: Detections, problems: list[str]) -> None:
    """Two per cent of 200 x 100 pixels are 4 across and 2 down."""
    outcome = verify.check(golden(CAT_BOX), result, LABELS)
    assert len(outcome.problems) == len(problems)
    assert all(said.startswith(wanted) for said, wanted in zip(outcome.problems, problems, strict=True))


def test_what_lies_at_the_floor_may_come_and_go() -> None:
    sample = golden(CAT, Expected(1, 0.32))
    assert verify.check(sample, classes((0, 0.8)), LABELS).passed
    assert verify.check(sample, classes((0, 0.8), (1, 0.27)), LABELS).passed
    assert not verify.check(sample, classes((0, 0.8), (1, 0.39)), LABELS).passed


def test_a_picture_of_nothing() -> None:
    assert verify.check(golden(), boxes()).passed
    assert not verify.check(golden(), boxes((0, 0.4, (0, 0, 9, 9)))).passed


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0.3, 1)), unique_by=lambda r: r[0], max_size=5),
    st.data(),
)
def test_within_the_tolerance_passes_and_the_deviation_is_right(
    expect: list[tuple[int, float]], data: st.DataObject
) -> None:
    """Whatever moves by less than the tolerance, if the best stays the best."""
    expect = sorted(expect, key=lambda r: -r[1])
    moved = [data.draw(st.floats(-0.049, 0.049)) for _ in expect]
    said = [(c, min(max(s + d, 0.0), 1.0)) for (c, s), d in zip(expect, moved, strict=True)]
    outcome = verify.check(golden(*(Expected(c, s) for c, s in expect)), classes(*said))
    best = max(said, key=lambda r: r[1], default=None)
    if best is None or best[0] == expect[0][0]:
        assert outcome.passed
    moves = [abs(float(np.float32(b)) - a) for (_, a), (_, b) in zip(expect, said, strict=True)]
    assert outcome.deviation == pytest.approx(max(moves, default=0.0), abs=1e-6)


def test_the_threshold_to_ask_for() -> None:
    assert verify.lowest([golden(CAT), replace(golden(CAT), floor=0.6)]) == pytest.approx(0.25)
    assert verify.lowest([replace(golden(CAT), floor=0.02)]) == 0.0


def test_the_words_of_a_promise() -> None:
    assert verify.promise(golden(CAT), LABELS) == "cat 0.80"
    assert verify.promise(golden(CAT, Expected(7, 0.5), Expected(1, 0.4)), LABELS) == "cat 0.80 and 2 more"
    assert verify.promise(golden()) == "nothing"


@pytest.mark.parametrize(
    # Eight, but five where all of the file must stay under 300 kB.
    ("name", "count"),
    [("detect-coco", 8), ("classify-person", 8), ("classify-things10", 5), ("face", 8)],
)
def test_the_bundled_models_carry_samples(name: str, count: int) -> None:
    spec, samples = verify.load(MODELS / f"{name}.tflite")
    assert spec.name == name
    assert len(samples) == count
    assert len({verify.fingerprint(sample.image) for sample in samples}) == count
    assert all(sample.expect for sample in samples)
    allowed = (0.03, 0.02) if name == "face" else (0.1, 0.05)
    assert {(sample.score, sample.box) for sample in samples} == {allowed}


@pytest.mark.parametrize("name", ["detect-coco", "classify-person", "classify-things10", "face"])
@pytest.mark.parametrize(
    "change",
    [{"color": "bgr"}, {"mean": (0.0,), "std": (64.0,)}, {"mean": (160.0,)}],
    ids=["colours swapped", "wrong scale", "wrong mean"],
)
def test_a_wrong_normalisation_is_seen(name: str, change: dict[str, Any]) -> None:
    _, samples = verify.load(MODELS / f"{name}.tflite")
    model = build.load_model(Settings(model=name, threshold=verify.lowest(samples), top_k=1000))
    wrong = Preprocessor(replace(model.spec, **change), model.engine.input)
    passed = []
    for sample in samples:
        tensor, geometry = wrong.from_image(sample.image)
        passed.append(verify.check(sample, model.head.decode(model.engine.infer(tensor), geometry)).passed)
    assert not all(passed)


def test_every_jpeg_decoder_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """TurboJPEG, OpenCV and Pillow."""
    import io

    from PIL import Image as pil

    _, samples = verify.load(MODELS / "detect-coco.tflite")
    appended = metadata.Appended((MODELS / "detect-coco.tflite").read_bytes())
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    for sample in samples:
        data = appended.read(sample.name) or b""
        np.testing.assert_array_equal(jpeg.decode(data), sample.image)
        np.testing.assert_array_equal(np.asarray(pil.open(io.BytesIO(data))), sample.image)


def changed(target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """classify-person with other golden samples."""
    source = MODELS / "classify-person.tflite"
    spec = contract.read(source)
    assert spec is not None
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name.startswith("golden/")}
    entries = json.loads(json.dumps([dict(entry) for entry in spec.golden]))
    change(entries[0], files)
    bare = flatmodel.bare(source.read_bytes())
    target.write_bytes(embed(bare, replace(spec, golden=tuple(entries)), roles(bare, spec), files))
    return target


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda entry, files: entry.pop("expect"), "not valid"),
        (lambda entry, files: entry.update(expect=[[1, 2, 3]]), "not valid"),
        (lambda entry, files: entry.update(expect=[["cat", 0.5]]), "not valid"),
        (lambda entry, files: entry.update(expect=5), "not valid"),
        (lambda entry, files: entry.update(crc32="x"), "not valid"),
        (lambda entry, files: entry.update(score=2), "outside of 0 to 1"),
        (lambda entry, files: entry.update(picture="../etc/passwd"), "is not in the file"),
        (lambda entry, files: files.pop("golden/0.jpg"), "is not in the file"),
        (lambda entry, files: files.update({"golden/0.jpg": b"broken"}), "JPEG"),
        (lambda entry, files: files.update({"golden/0.jpg": files["golden/1.jpg"]}), "not the pixels"),
        (lambda entry, files: entry.update(crc32=entry["crc32"] ^ 1), "not the pixels"),
        (
            lambda entry, files: files.update(
                {"golden/0.jpg": jpeg.encode(np.zeros((8, 5000, 3), np.uint8))}
            ),
            "over 4096 pixels",
        ),
    ],
)
def test_samples_that_are_damaged(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None], match: str
) -> None:
    path = changed(tmp_path / "changed.tflite", change)
    with pytest.raises(ModelError, match=match) as caught:
        verify.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_files_without_samples(tmp_path: Path) -> None:
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(flatmodel.bare((MODELS / "face.tflite").read_bytes()))
    with pytest.raises(ModelError, match="carries no contract"):
        verify.load(bare)
    spec = contract.read(MODELS / "face.tflite")
    assert spec is not None
    without = tmp_path / "without.tflite"
    without.write_bytes(embed(bare.read_bytes(), replace(spec, golden=()), ["boxes", "scores"]))
    with pytest.raises(ModelError, match="carries no golden samples"):
        verify.load(without)
