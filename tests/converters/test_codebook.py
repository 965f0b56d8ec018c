"""k-means codebooks: the best split, and that a model keeps all but the values of its weights."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import codebook, graph

MODELS = Path(__file__).parent.parent.parent / "models"


def loss(values: np.ndarray, counts: np.ndarray, labels: np.ndarray) -> float:
    total = 0.0
    for cluster in np.unique(labels):
        mine = labels == cluster
        centre = np.average(values[mine], weights=counts[mine])
        total += float((counts[mine] * (values[mine] - centre) ** 2).sum())
    return total


@given(
    st.lists(
        st.tuples(st.integers(-128, 127), st.integers(1, 50)),
        min_size=2,
        max_size=8,
        unique_by=lambda p: p[0],
    ),
    st.integers(1, 4),
)
def test_no_split_is_better(pairs: list[tuple[int, int]], k: int) -> None:
    pairs.sort()
    values, counts = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    k = min(k, len(values))
    labels = codebook.means(values, counts, k)
    assert labels.tolist() == sorted(labels)
    assert set(labels) == set(range(k))
    others = (
        loss(values, counts, np.searchsorted(cuts, np.arange(len(values)), side="right"))
        for cuts in itertools.combinations(range(1, len(values)), k - 1)
    )
    assert loss(values, counts, labels) == pytest.approx(min(others), abs=1e-6)


def test_weights_keep_their_shape_and_few_values() -> None:
    weights = np.random.default_rng(0).normal(0, 40, (16, 3, 3, 8)).clip(-127, 127).astype(np.int8)
    out = codebook.share(weights, 16)
    assert (out.shape, out.dtype) == (weights.shape, np.int8)
    assert len(np.unique(out)) == 16
    assert np.abs(out.astype(int) - weights).mean() < 5
    np.testing.assert_array_equal(codebook.share(weights, 255), weights)


def test_a_model_changes_in_its_weights_only(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    shutil.copy(MODELS / "classify-person.tflite", path)
    data = path.read_bytes()
    out = codebook.apply(data, 16)
    assert len(out) == len(data)
    assert codebook.compressed(out) < codebook.compressed(data) - 10_000
    before, after = graph.read(data), graph.read(out)
    assert before == after
    assert codebook.apply(out, 16) == out
