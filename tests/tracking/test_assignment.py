"""Who is who: the sum is the best there is."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecam.tracking.assignment import assign
from edgecam.types import Array

COSTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    # Few different costs make ties, and ties make mistakes show.
    elements=st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, np.inf, np.nan]), st.floats(-2, 2)),
)


def gain(cost: Array, rows: Array, columns: Array, limit: float) -> float:
    return float((limit - cost[rows, columns]).sum())


def best_gain(cost: Array, limit: float) -> float:
    """By trying all: each row gets a column or none."""
    n, m = cost.shape
    gains = np.where(cost < limit, limit - cost, 0.0)
    places = [*range(m), *[-1] * n]
    tries = {tuple(way) for way in permutations(places, n)}
    return max(sum(gains[i, j] for i, j in enumerate(way) if j >= 0) for way in tries)


@given(COSTS, st.floats(-1, 2))
def test_no_other_choice_gains_more(cost: Array, limit: float) -> None:
    rows, columns = assign(cost, limit)
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist())) == len(columns)
    assert (cost[rows, columns] < limit).all() and (np.diff(rows) > 0).all()
    # 3 rows and columns are tried out fully; more would be millions of ways.
    small = cost[:3, :3]
    a, b = assign(small, limit)
    assert gain(small, a, b, limit) == pytest.approx(best_gain(small, limit), abs=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_a_swap_of_any_two_gains_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0, 1, (12, 12))
    rows, columns = assign(cost, 2.0)
    assert len(rows) == 12
    now = cost[rows, columns][:, None] + cost[rows, columns]
    swapped = cost[rows][:, columns] + cost[rows][:, columns].T
    assert (now <= swapped + 1e-9).all()


def test_who_is_alone_with_a_column_does_not_take_part_in_the_search() -> None:
    cost = np.full((4, 4), np.inf)
    cost[[0, 1, 1, 2, 2], [3, 0, 1, 0, 1]] = [0.4, 0.1, 0.2, 0.1, 0.9]
    rows, columns = assign(cost, 1.0)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 3, 1: 1, 2: 0}


@pytest.mark.convert  # SciPy is in the environment with TensorFlow, and only there
@pytest.mark.parametrize("limit", [0.3, 0.6, 2.0])
@pytest.mark.parametrize("shape", [(1, 9), (20, 20), (40, 25), (25, 40), (60, 60)])
def test_the_sum_is_that_of_scipy(shape: tuple[int, int], limit: float) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cost = rng.uniform(0, 1, shape)
        cost[rng.random(shape) < 0.3] = np.inf
        rows, columns = assign(cost, limit)
        clipped = np.minimum(cost, limit)
        wanted = (limit - clipped[optimize.linear_sum_assignment(clipped)]).sum()
        assert gain(cost, rows, columns, limit) == pytest.approx(wanted)
