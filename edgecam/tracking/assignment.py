"""Who is who: pairs of rows and columns whose costs sum up to the least.

SciPy has this too, but its wheel is 35 MB; that both give the same sum is tested.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Index: TypeAlias = npt.NDArray[np.intp]
Costs: TypeAlias = npt.NDArray[np.float64]


def assign(cost: Costs, limit: float) -> tuple[Index, Index]:
    """Pair rows with columns so that the sum of ``limit - cost`` over the pairs is the largest.

    A pair whose cost is ``limit`` or more (or NaN, or infinite) is never made.

    Args:
        cost: float64 (N, M).
        limit: what staying alone costs.

    Returns:
        Rows and columns of the pairs, intp (K,) each, rows ascending.
    """
    near = cost < limit
    # Where each fits just one other there is nothing to choose, and that is nearly always so.
    alone = near & (near.sum(1) == 1)[:, None] & (near.sum(0) == 1)
    rows, columns = np.nonzero(alone)
    left_rows = np.flatnonzero(near.any(1) & ~alone.any(1))
    if not len(left_rows):
        return rows, columns
    left_columns = np.flatnonzero(near.any(0) & ~alone.any(0))
    part = np.where(near, cost, limit)[np.ix_(left_rows, left_columns)] - limit
    if len(left_rows) > len(left_columns):
        b, a = _shortest_paths(np.ascontiguousarray(part.T))
    else:
        a, b = _shortest_paths(part)
    paired = part[a, b] < 0
    rows = np.concatenate((rows, left_rows[a[paired]]))
    columns = np.concatenate((columns, left_columns[b[paired]]))
    order = np.argsort(rows)
    return rows[order], columns[order]


def _shortest_paths(cost: Costs) -> tuple[Index, Index]:
    """A column for every row, the sum of costs the least; there are at least as many columns as rows.

    Shortest augmenting paths with potentials (Jonker and Volgenant, "A shortest augmenting path algorithm for
    dense and sparse linear assignment problems", Computing 38, 1987), O(N² M).
    """
    n, m = cost.shape
    row_price, column_price = np.zeros(n), np.zeros(m + 1)
    owner = np.full(m + 1, -1, np.intp)  # the row that has a column; the last column is where a search begins
    for row in range(n):
        owner[m] = row
        distance, before = np.full(m, np.inf), np.full(m, m, np.intp)
        seen = np.zeros(m + 1, bool)
        here = m
        while owner[here] >= 0:
            seen[here] = True
            reduced = cost[owner[here]] - row_price[owner[here]] - column_price[:m]
            closer = (reduced < distance) & ~seen[:m]
            distance[closer] = reduced[closer]
            before[closer] = here
            here = int(np.argmin(np.where(seen[:m], np.inf, distance)))
            step = distance[here]
            row_price[owner[seen]] += step
            column_price[seen] -= step
            distance[~seen[:m]] -= step
        while here != m:
            owner[here] = owner[before[here]]
            here = int(before[here])
    columns = np.flatnonzero(owner[:m] >= 0)
    return owner[columns], columns
