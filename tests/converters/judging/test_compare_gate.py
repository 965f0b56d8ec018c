"""A variant against its float twin, and whether it may be shipped."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from converters.average_precision import Truth
from converters.judging import figures, gate
from converters.judging.answers import Answers, Translation, Truths
from converters.judging.compare import ClassChange, Comparison, compare
from converters.judging.gate import Verdict
from edgecam.contract import ModelSpec
from edgecam.types import Classification, Detections

NAMES = ("ant", "bee", "cow")


def classifier(said: Sequence[int], names: Sequence[str] = NAMES) -> Answers:
    answers = Answers(Translation(ModelSpec("m", "classify", "classify", tuple(names)), 0, names))
    for class_id in said:
        result = Classification(np.array([0.9], np.float32), np.array([class_id], np.int32))
        answers.add((result, result))
    return answers


def compared(truth: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Comparison:
    truths = Truths(tuple(map(str, truth)), np.array(truth))
    a, b = classifier(before), classifier(after)
    return compare(a.accuracy(truths), b.accuracy(truths), a, b, truths)


def verdict(truth: Sequence[int], before: Sequence[int], after: Sequence[int], drop: float = 1.0) -> Verdict:
    truths = Truths(tuple(map(str, truth)), np.array(truth))
    a, b = classifier(before), classifier(after)
    return gate.judge(
        "int8",
        a.accuracy(truths),
        b.accuracy(truths),
        compare(a.accuracy(truths), b.accuracy(truths), a, b, truths),
        max_drop=drop,
    )


def test_a_comparison_by_hand() -> None:
    found = compared([0, 0, 1, 1, 2], [0, 0, 1, 0, 1], [0, 1, 1, 1, 1])
    assert (found.worse, found.better, found.pictures) == (1, 1, 5)
    assert found.points == {"top-1": 0.0}
    assert found.agreement == 0.6
    assert found.chance == 1.0
    assert [c.lost for c in found.classes] == [1, -1, 0]
    assert [c.points for c in found.classes] == [50, -50, 0]


def test_a_comparison_goes_through_json() -> None:
    found = compared([0, 1, 2], [0, 1, 1], [0, 0, 1])
    assert Comparison.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


def test_detectors_agree_where_boxes_of_a_class_overlap() -> None:
    def detections(*rows: tuple[float, int]) -> Detections:
        boxes = np.array([(x, 0, x + 10, 10) for x, _ in rows], np.float32).reshape(-1, 4)
        ids = np.array([c for _, c in rows], np.int32)
        return Detections(boxes, np.full(len(rows), 0.9, np.float32), ids)

    def answers(*pictures: Detections) -> Answers:
        made = Answers(Translation(ModelSpec("m", "detect", "ssd-postprocess", NAMES), 0, NAMES))
        for entry in pictures:
            made.add((entry, entry))
        return made

    truth = Truths(
        ("a", "b"), np.array([-1, -1]), (Truth(detections((0, 0)).xyxy, np.zeros(1, np.int32)),) * 2
    )
    a = answers(detections((0, 0), (50, 1)), Detections.empty())
    b = answers(detections((1, 0), (50, 2)), detections((0, 0)))
    found = compare(a.accuracy(truth), b.accuracy(truth), a, b, truth)
    assert found.agreement == pytest.approx(2 / 5)
    # before: one of two found, none false: 51 of 101 recalls; after: both found
    assert found.points["AP50"] == pytest.approx(100 * (51 / 101 - 1))
    assert found.classes[0] == ClassChange("ant", 2, -1)
    assert a.accuracy(truth).false_alarms == 0.5


BASE = [0] * 100 + [1] * 100 + [2] * 10


def test_equal_models_pass() -> None:
    assert verdict(BASE, BASE, BASE).passed


def test_better_models_pass() -> None:
    assert verdict(BASE, [1] * 210, BASE).passed


def test_more_than_a_point_fails_with_the_reason() -> None:
    after = [0] * 98 + [1] * 2 + [1] * 99 + [0] + [2] * 10  # three of 210: 1.43 points
    found = verdict(BASE, BASE, after)
    assert not found.passed
    assert found.reasons == ("int8 loses 1.4 points of top-1 (100.0 to 98.6 on 210 pictures, 1 allowed)",)
    assert "equally good models differ as much in 25% of cases" in found.notes[0]
    assert verdict(BASE, BASE, after, drop=1.5).passed


def test_exactly_the_limit_passes() -> None:
    truth = [0] * 100 + [1] * 100
    after = [0] * 98 + [1] * 102
    assert verdict(truth, truth, after).passed


def test_a_class_that_falls_fails_though_the_whole_is_well() -> None:
    truth = [0] * 1000 + [1] * 100
    after = [0] * 1000 + [1] * 94 + [0] * 6
    found = verdict(truth, truth, after)
    assert found.reasons == (
        "int8 loses 6.0 points of recall of 'bee' (6 of 100 more are missed, 5 points allowed)",
    )
    assert verdict(truth, truth, [0] * 1000 + [1] * 95 + [0] * 5).passed, "five points are allowed"


def test_a_class_of_three_pictures_does_not_decide() -> None:
    truth = [0] * 1000 + [1] * 3
    found = verdict(truth, truth, [0] * 1003)
    assert found.passed
    assert "1 of 2 classes have fewer than 20 test examples and do not decide: bee (3)" in found.notes[-1]


def test_one_picture_never_decides() -> None:
    truth = [0] * 19 + [1] * 20
    assert verdict(truth, truth, [0] * 19 + [0] + [1] * 19).passed
    found = verdict(truth, truth, [0] * 19 + [0] * 2 + [1] * 18)
    assert len(found.reasons) == 2
    assert "only 39 test pictures: each is 2.6 points" in found.notes[0]


def test_a_verdict_goes_through_json() -> None:
    found = verdict(BASE, BASE, [0] * 210)
    assert Verdict.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert not found.as_dict()["passed"]


def test_labels_outside_the_data_have_a_column_of_their_own() -> None:
    labels = ("dog", "cow", "ant", "", "bee")
    translation = Translation(ModelSpec("m", "classify", "classify", labels), 5, NAMES)
    result = Classification(np.array([0.5, 0.3, 0.2], np.float32), np.array([0, 4, 1], np.int32))
    row = translation.scores(result)
    assert row[:3].tolist() == [0, np.float32(0.3), np.float32(0.2)]
    found = figures.of_scores(row[None], np.array([1]), NAMES)
    assert found.confusion == ((0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0))
    assert found.top1 == 0.0
    boxes = Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32), np.array([1, 0], np.int32))
    assert translation.detections(boxes).class_id.tolist() == [2, -1]


def test_a_model_that_had_nothing_to_lose_passes_with_a_word() -> None:
    truth = [0, 1, 2] * 100
    guessing = verdict(truth, [0] * 300, [0] * 300)
    assert guessing.passed
    assert guessing.notes[0].startswith("the float model itself knows next to nothing (top-1 33.3%)")
    for knowing in (truth, [0, 0, 2] * 100):
        assert not any("knows next to nothing" in note for note in verdict(truth, knowing, knowing).notes)


@pytest.mark.parametrize(("right", "noted"), [(50, True), (52, True), (60, False), (75, False)])
def test_of_two_things_a_little_more_than_half_is_something(right: int, noted: bool) -> None:
    truth = np.array([0, 1] * 50)
    said = np.where(np.arange(100) < right, truth, 1 - truth)
    base = figures.of_scores(np.eye(2, dtype=np.float32)[said], truth, ("cat", "dog"))
    comparison = Comparison(100, {"top-1": 0.0}, 1.0, 0, 0, 1.0, ())
    judged = gate.judge("int8", base, base, comparison)
    assert any("next to nothing" in note for note in judged.notes) == noted
