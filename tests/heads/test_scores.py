"""Scores in the quantised domain say the same as real numbers would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import ContractError
from edgecam.heads.scores import Scores, best_of_columns, best_of_rows, sigmoid, softmax
from edgecam.types import Array, Floats, TensorInfo
from tests.heads.support import output, real_of


@st.composite
def quantised(draw: st.DrawFn) -> TensorInfo:
    dtype = draw(st.sampled_from(["uint8", "int8", "int16"]))
    limits = np.iinfo(dtype)
    zero_point = draw(st.integers(limits.min, limits.max))
    return output("scores", (1, 1), dtype, draw(st.floats(1e-5, 0.5)), zero_point)


def probability(values: Array, activation: str) -> Floats:
    if activation == "none":
        return np.clip(values, 0, 1)
    wide = np.maximum(values.astype(np.float64), -700)
    return (1 / (1 + np.exp(-wide))).astype(np.float32)


@given(quantised(), st.sampled_from(["none", "sigmoid"]), st.floats(0, 1))
def test_every_integer_is_judged_as_its_real_value(
    info: TensorInfo, activation: str, threshold: float
) -> None:
    limits = np.iinfo(info.dtype)
    raw = np.arange(limits.min, limits.max + 1).astype(info.dtype)
    scores = Scores(info, activation, threshold)
    wanted = probability(real_of(raw, info), activation)
    np.testing.assert_allclose(scores(raw), wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(scores.reach(raw), scores(raw) >= np.float32(threshold))


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=50), st.floats(0, 1))
def test_float_logits_above_the_threshold_are_never_missed(values: list[float], threshold: float) -> None:
    raw = np.array(values, np.float32)
    scores = Scores(output("scores", (1, 1)), "sigmoid", threshold)
    index, _, found = scores.final(*[np.flatnonzero(scores.reach(raw))] * 2, raw[scores.reach(raw)])
    assert index.tolist() == np.flatnonzero(probability(raw, "sigmoid") >= np.float32(threshold)).tolist()
    np.testing.assert_allclose(found, probability(raw, "sigmoid")[index], rtol=1e-6)


@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.integers(1, 12),
    st.floats(0, 1),
    st.sampled_from(["int8", "float32"]),
)
def test_the_best_class_of_each_row(seed: int, n: int, c: int, threshold: float, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    info = output(
        "scores", (1, n, c), dtype, 1 / 200 if dtype == "int8" else 0.0, -100 if dtype == "int8" else 0
    )
    raw: Any = rng.uniform(0, 1, (n, c)).astype(np.float32)
    if dtype == "int8":
        raw = rng.integers(-128, 128, (n, c)).astype(np.int8)
    scores = Scores(info, "none", threshold)
    real = probability(real_of(raw, info), "none")
    rows = [i for i in range(n) if real[i].max() >= np.float32(threshold)]
    for index, class_id, found in (
        best_of_rows(raw, scores),
        best_of_columns(np.ascontiguousarray(raw.T), scores),
    ):
        assert index.tolist() == rows
        assert class_id.tolist() == [int(raw[i].argmax()) for i in rows]
        np.testing.assert_allclose(found, [real[i].max() for i in rows], rtol=1e-6)


def test_a_threshold_that_the_type_cannot_reach_finds_nothing() -> None:
    scores = Scores(output("scores", (1, 1), "uint8", 1 / 256, 0), "none", 1.0)
    raw = np.array([0, 255], np.uint8)
    assert not scores.reach(raw).any()


def test_a_threshold_that_only_the_largest_integer_reaches() -> None:
    scores = Scores(output("scores", (1, 1), "uint8", 1 / 255, 0), "none", 1.0)
    assert scores.reach(np.array([254, 255], np.uint8)).tolist() == [False, True]


def test_a_float_logit_just_below_the_threshold_is_not_reported() -> None:
    raw = np.array([-2e-6, 0.0], np.float32)
    scores = Scores(output("scores", (1, 1)), "sigmoid", 0.5)
    both = np.arange(2)
    assert scores.final(both, both, raw)[0].tolist() == [1]


def test_extreme_logits_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e30, -100, 0, 100, 1e30], np.float32)).tolist()[2:] == [0.5, 1, 1]
        assert softmax(np.array([[1e30, 0], [-1e4, 1e4]], np.float32)).tolist() == [[1, 0], [0, 1]]


def test_integers_without_a_scale_are_no_scores() -> None:
    with pytest.raises(ContractError, match="without a scale"):
        Scores(output("scores", (1, 1), "int32"), "none", 0.5)
