"""Whose word counts: the user's, the contract's, the default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecam.errors import ContractError, UnknownNameError, UsageError
from edgecam.heads import options as read
from edgecam.heads.support import check_labels, check_shape, need_output, only_output, to_detections
from edgecam.types import HeadOptions
from tests.heads.support import SAME, output, spec


def test_the_user_comes_before_the_contract_and_the_contract_before_the_default() -> None:
    found = read.limits(
        spec("yolov8", options={"threshold": 0.3, "top_k": 7}),
        HeadOptions(threshold=0.9),
        threshold=0.5,
        top_k=100,
        iou=0.7,
    )
    assert (found.threshold, found.top_k, found.iou, found.classes) == (0.9, 7, 0.7, None)


def test_what_is_shown_is_the_threshold_before_weaker_results_are_let_through() -> None:
    found = read.limits(spec("yolov8"), HeadOptions(threshold=0.6, weak=0.5), threshold=0.1, top_k=1)
    assert (found.threshold, found.shown) == (0.3, 0.6)


def test_zero_is_a_wish_too() -> None:
    found = read.limits(spec("yolov8"), HeadOptions(threshold=0.0, iou=0.0), threshold=0.5, top_k=1)
    assert (found.threshold, found.iou) == (0.0, 0.0)


def test_classes_by_label() -> None:
    labels = ("crane", "", "cat", "crane")
    found = read.limits(
        spec("yolov8", labels=labels), HeadOptions(classes=("cat", "crane")), threshold=0.5, top_k=1
    )
    assert found.classes is not None and found.classes.tolist() == [0, 2, 3]
    with pytest.raises(UnknownNameError, match=r"\blabel\b.*did you mean 'crane'"):
        read.limits(spec("yolov8", labels=labels), HeadOptions(classes=("cranes",)), threshold=0.5, top_k=1)
    with pytest.raises(UnknownNameError):
        read.limits(spec("yolov8", labels=labels), HeadOptions(classes=("",)), threshold=0.5, top_k=1)


def test_classes_of_a_model_without_labels_by_number() -> None:
    found = read.limits(spec("yolov8"), HeadOptions(classes=("#7",)), threshold=0.5, top_k=1)
    assert found.classes is not None and found.classes.tolist() == [7]
    with pytest.raises(UnknownNameError):
        read.limits(spec("yolov8"), HeadOptions(classes=("cat",)), threshold=0.5, top_k=1)


@pytest.mark.parametrize(
    "wish", [{"threshold": 1.5}, {"threshold": -0.1}, {"top_k": 0}, {"iou": 2.0}, {"iou": float("nan")}]
)
def test_a_wish_out_of_range_is_a_usage_error(wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wish))):
        read.limits(spec("yolov8"), HeadOptions(**wish), threshold=0.5, top_k=1)


@pytest.mark.parametrize("option", [{"threshold": "0.5"}, {"threshold": True}, {"top_k": 1.5}, {"iou": 7}])
def test_a_contract_option_of_a_wrong_type_or_out_of_range(option: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=next(iter(option))):
        read.limits(spec("yolov8", options=option), HeadOptions(), threshold=0.5, top_k=1)


def test_typed_options() -> None:
    assert read.flag({}, "on", True) is True
    assert read.choice({"mode": "b"}, "mode", ("a", "b"), "a") == "b"
    assert read.numbers({"list": [1, 2.5]}, "list").dtype == np.float32
    for call in (
        lambda: read.flag({"on": 1}, "on", True),
        lambda: read.choice({"mode": ["b"]}, "mode", ("a", "b"), "a"),
        lambda: read.numbers({"list": [[1], [1, 2]]}, "list"),
        lambda: read.numbers({"list": "abc"}, "list"),
        lambda: read.numbers({"list": []}, "list"),
        lambda: read.numbers({}, "list"),
        lambda: read.integer({}, "count"),
    ):
        with pytest.raises(ContractError):
            call()


def test_a_flag_that_is_none_is_refused_with_the_remedy() -> None:
    with pytest.raises(ContractError, match="option far is 1") as caught:
        read.flag({"far": 1}, "far", True)
    assert caught.value.remedy == "give true or false"


def test_outputs_by_name_and_by_index() -> None:
    outputs = [output("a", (1, 2)), output("1", (1, 2)), output("c", (1, 2))]
    assert need_output(spec("x", outputs={"boxes": "c"}), outputs, "boxes") == 2
    assert need_output(spec("x", outputs={"boxes": "0"}), outputs, "boxes") == 0
    assert need_output(spec("x", outputs={"boxes": "1"}), outputs, "boxes") == 1
    for roles in ({}, {"boxes": "d"}, {"boxes": "3"}):
        with pytest.raises(ContractError, match="boxes"):
            need_output(spec("x", outputs=roles), outputs, "boxes")
    with pytest.raises(ContractError) as error:
        need_output(spec("x"), outputs, "boxes")
    assert error.value.remedy == "add --output boxes= with one of 0 (a), 1 (1), 2 (c)"
    assert only_output(spec("x"), outputs[:1], "scores") == 0
    with pytest.raises(ContractError):
        only_output(spec("x"), outputs, "scores")
    with pytest.raises(ContractError):
        only_output(spec("x", outputs={"scores": "z"}), outputs[:1], "scores")


def test_equal_scores_keep_their_order() -> None:
    n = 100
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (n, 1)) + np.arange(n, dtype=np.float32)[:, None]
    found = to_detections(boxes, np.full(n, 0.5, np.float32), np.arange(n), SAME, 50)
    assert found.class_id.tolist() == list(range(50))


def test_shapes_and_labels() -> None:
    check_shape(spec("x"), output("a", (1, 5, 4)), "boxes", (1, None, 4), "")
    with pytest.raises(ContractError, match=r"\[1, 5, 4\], expected \[1, N, 5\]: mend it"):
        check_shape(spec("x"), output("a", (1, 5, 4)), "boxes", (1, None, 5), "mend it")
    check_labels(spec("x"), 80)
    check_labels(spec("x", labels=("a", "b")), 2)
    with pytest.raises(ContractError, match="2 labels for 3 classes"):
        check_labels(spec("x", labels=("a", "b")), 3)


def test_of_equal_scores_the_earlier_box_comes_first_however_many() -> None:
    n = 200
    left = np.arange(n, dtype=np.float32)
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)
    score = np.full(n, 0.5, np.float32)
    score[::7] = 0.75
    found = to_detections(boxes, score, np.arange(n), SAME, n)
    assert found.class_id.tolist() == [*range(0, n, 7), *(i for i in range(n) if i % 7)]
