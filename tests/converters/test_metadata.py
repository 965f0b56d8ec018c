"""The standard metadata, read back as other programs read it."""

from __future__ import annotations

import pytest

from converters import metadata
from edgecam.contract import ModelSpec
from edgecam.flatbuffer import Table, root

SSD = ("boxes", "classes", "scores", "count")


def spec(**changes: object) -> ModelSpec:
    values = {
        "name": "things",
        "task": "detect",
        "decoder": "ssd-postprocess",
        "labels": ("cat", "", "dog"),
        "mean": (127.5,),
        "std": (127.5,),
        "description": "finds things",
        "version": "1.2.3",
        "licence": "CC0-1.0",
    }
    return ModelSpec(**(values | changes))  # type: ignore[arg-type]


def read(data: bytes) -> tuple[Table, Table]:
    """(the model's table, its graph's)"""
    top = root(data, b"M001")
    return top, next(top.tables(3))


def test_texts() -> None:
    top, _ = read(metadata.build(spec(), SSD))
    assert [top.string(n) for n in (0, 1, 2, 5)] == ["things", "finds things", "1.2.3", "CC0-1.0"]
    assert top.string(7) == "1.2.0"


def test_input_says_how_to_normalise() -> None:
    _, graph = read(metadata.build(spec(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)), SSD))
    (image,) = graph.tables(2)
    (unit,) = image.tables(4)
    options = unit.table(1)
    assert options is not None
    assert unit.integer(0, "B") == 1
    assert options.numbers(0, "f") == (1, 2, 3)
    assert options.numbers(1, "f") == (4, 5, 6)
    stats = image.table(5)
    assert stats is not None
    assert stats.numbers(0, "f") == pytest.approx((254 / 4, 253 / 5, 42))
    assert stats.numbers(1, "f") == pytest.approx((-1 / 4, -2 / 5, -0.5))


@pytest.mark.parametrize(("color", "space"), [("rgb", 1), ("bgr", 0), ("gray", 2)])
def test_colour_space(color: str, space: int) -> None:
    _, graph = read(metadata.build(spec(color=color), SSD))
    content = next(graph.tables(2)).table(3)
    assert content is not None
    properties = content.table(1)
    assert properties is not None
    assert (content.integer(0, "B"), properties.integer(0, "b")) == (2, space)


def test_detector_outputs_have_the_names_that_mediapipe_looks_for() -> None:
    _, graph = read(metadata.build(spec(), ("scores", "boxes", "count", "classes")))
    names = [tensor.string(0) for tensor in graph.tables(3)]
    assert names == ["score", "location", "number of detections", "category"]
    (group,) = graph.tables(8)
    assert group.strings(1) == ["location", "category", "score"]
    boxes = list(graph.tables(3))[1].table(3)
    assert boxes is not None
    corners = boxes.table(1)
    assert corners is not None
    assert corners.integers(0, "I") == (1, 0, 3, 2)
    assert corners.integer(1, "b") == 1


def test_detector_labels_are_values_and_classifier_labels_an_axis() -> None:
    _, graph = read(metadata.build(spec(), SSD))
    files = [list(tensor.tables(6)) for tensor in graph.tables(3)]
    assert [len(group) for group in files] == [0, 1, 0, 0]
    assert (files[1][0].string(0), files[1][0].integer(2, "b")) == ("labels.txt", 3)
    _, graph = read(metadata.build(spec(task="classify", decoder="classify"), ("scores",)))
    (scores,) = graph.tables(3)
    (file,) = scores.tables(6)
    assert (scores.string(0), file.string(0), file.integer(2, "b")) == ("probability", "labels.txt", 2)


def test_other_decoders_only_name_their_outputs() -> None:
    _, graph = read(metadata.build(spec(decoder="blazeface", labels=("face",)), ("boxes", "scores")))
    assert [tensor.string(0) for tensor in graph.tables(3)] == ["boxes", "scores"]
    assert list(graph.tables(8)) == []
