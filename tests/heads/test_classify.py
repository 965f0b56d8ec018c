"""The classification head on made-up outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecam.errors import ContractError
from edgecam.heads.classify import ClassifyHead
from edgecam.types import Classification, HeadOptions, TensorInfo
from tests.heads.support import INPUT, SAME, output, spec


def decode(
    values: Any, info: TensorInfo | None = None, user: HeadOptions | None = None, **fields: Any
) -> Classification:
    array = np.asarray(values, np.float32)[None] if info is None else np.asarray(values, info.dtype)[None]
    info = info or output("scores", array.shape)
    head = ClassifyHead(spec("classify", **fields), INPUT, [info], user or HeadOptions())
    return head.decode([array.reshape(info.shape)], SAME)


def test_the_best_first_and_no_more_than_asked() -> None:
    found = decode([0.1, 0.5, 0.04, 0.36], user=HeadOptions(top_k=2))
    assert found.class_id.tolist() == [1, 3]
    np.testing.assert_allclose(found.score, [0.5, 0.36])
    assert decode([0.1, 0.5, 0.04, 0.36], user=HeadOptions(threshold=0.05, top_k=9)).class_id.tolist() == [
        1,
        3,
        0,
    ]
    assert len(decode([0.5, 0.5], user=HeadOptions(threshold=0.6))) == 0


def test_equal_scores_come_in_the_order_of_classes() -> None:
    assert decode([0.25, 0.25, 0.25, 0.25]).class_id.tolist() == [0, 1, 2]
    many = np.where(np.arange(500) % 3, 0.25, 0.5)
    assert decode(many, user=HeadOptions(top_k=400)).class_id.tolist() == [
        *range(0, 500, 3),
        *[i for i in range(500) if i % 3][:233],
    ]


def test_a_score_that_misses_one_by_a_hair_is_one() -> None:
    assert decode([1.005, 0.25]).score.tolist() == [1.0, 0.25]


def test_softmax_only_where_the_contract_says_so() -> None:
    logits = np.log([0.7, 0.2, 0.1]) + 3
    found = decode(logits, user=HeadOptions(threshold=0.0), options={"activation": "softmax"})
    np.testing.assert_allclose(found.score, [0.7, 0.2, 0.1], rtol=1e-5)
    untouched = decode([0.7, 0.2, 0.1])
    np.testing.assert_allclose(untouched.score, [0.7, 0.2, 0.1])


def test_sigmoid_scores_need_not_sum_to_one() -> None:
    found = decode([0.0, 2.0, -9.0], options={"activation": "sigmoid"})
    np.testing.assert_allclose(found.score, [0.880797, 0.5], rtol=1e-5)


@pytest.mark.parametrize("logits", [[3.0, 0.1], [-2.0, 0.5]])
def test_logits_taken_for_probabilities_are_refused_with_the_remedy(logits: list[float]) -> None:
    with pytest.raises(ContractError, match="not probabilities: set the contract's option activation"):
        decode(logits)


def test_quantised_logits_are_refused_before_the_first_frame() -> None:
    info = output("scores", (1, 5), "int8", 0.1, 10)
    with pytest.raises(ContractError, match=r"scaled for values up to 11\.7"):
        ClassifyHead(spec("classify"), INPUT, [info], HeadOptions())
    ClassifyHead(spec("classify", options={"activation": "softmax"}), INPUT, [info], HeadOptions())
    ClassifyHead(spec("classify"), INPUT, [output("scores", (1, 5), "int8", 1 / 256, -128)], HeadOptions())


def test_quantised_scores_are_dequantised() -> None:
    info = output("scores", (1, 3), "uint8", 1 / 256, 0)
    found = decode([64, 128, 0], info)
    assert found.class_id.tolist() == [1, 0] and found.score.tolist() == [0.5, 0.25]


def test_quantised_logits_with_softmax() -> None:
    info = output("scores", (1, 2), "int8", 0.1, 10)
    found = decode([30, 10], info, options={"activation": "softmax"})
    np.testing.assert_allclose(found.score, [np.e**2 / (np.e**2 + 1), 1 / (np.e**2 + 1)], rtol=1e-5)


def test_a_background_output_is_never_reported() -> None:
    found = decode([0.6, 0.1, 0.3], options={"label_offset": -1}, labels=("cat", "dog"))
    assert found.class_id.tolist() == [1, 0]


def test_classes_asked_for() -> None:
    found = decode([0.6, 0.1, 0.3], user=HeadOptions(classes=("b",)), labels=("a", "b", "c"))
    assert found.class_id.tolist() == [1]


def test_pooled_shapes_are_taken() -> None:
    info = output("scores", (1, 1, 1, 3))
    assert decode([0.2, 0.5, 0.3], info).class_id.tolist() == [1, 2, 0]


def test_labels_and_shapes_that_do_not_fit() -> None:
    with pytest.raises(ContractError, match="2 labels for 3 classes"):
        decode([0.6, 0.1, 0.3], labels=("a", "b"))
    with pytest.raises(ContractError, match="shape"):
        ClassifyHead(spec("classify"), INPUT, [output("map", (1, 7, 7, 3))], HeadOptions())


def test_one_of_several_outputs_is_named() -> None:
    outputs = [output("embedding", (1, 4)), output("probabilities", (1, 2))]
    head = ClassifyHead(spec("classify", outputs={"scores": "probabilities"}), INPUT, outputs, HeadOptions())
    arrays = [np.full((1, 4), 9, np.float32), np.array([[0.2, 0.8]], np.float32)]
    assert head.decode(arrays, SAME).class_id.tolist() == [1, 0]
    with pytest.raises(ContractError, match="no output has the role 'scores'"):
        ClassifyHead(spec("classify"), INPUT, outputs, HeadOptions())
