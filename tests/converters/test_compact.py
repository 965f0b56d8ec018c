"""Files in fewer bytes, to the bit the same models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters import flatmodel
from edgecam.flatbuffer import root
from tests.converters.test_flatmodel import NAMES, answers, bundled

pytestmark = pytest.mark.convert


def held(model: bytes) -> Any:
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def assert_same(one: Any, other: Any, where: str = "model") -> None:
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        assert np.array_equal(one, other), where
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            assert_same(mine, theirs, f"{where}[{number}]")
    elif hasattr(one, "__dict__"):
        for name, value in vars(one).items():
            assert_same(value, getattr(other, name), f"{where}.{name}")
    else:
        assert one == other, where


@pytest.mark.parametrize("name", NAMES)
def test_all_that_a_model_holds_is_kept(name: str) -> None:
    from converters.compact import compact, packed

    model = flatmodel.bare(bundled(name))
    again, smaller = packed(held(model)), compact(model)
    assert_same(held(model), held(again))
    assert len(smaller) == min(len(model), len(again))
    for one, other in zip(answers(model), answers(again), strict=True):
        assert np.array_equal(one, other)


def test_zero_points_stand_in_it_once_and_weights_where_the_interpreter_wants_them() -> None:
    from converters.compact import compact

    model = flatmodel.bare(bundled("classify-things10"))
    twice = packed_plainly(model)
    smaller = compact(twice)
    tensors = [tensor for graph in root(smaller, b"TFL3").tables(2) for tensor in graph.tables(0)]
    quantised = [table for tensor in tensors if (table := tensor.table(4)) is not None]
    vectors = {table.vector(3, 8) for table in quantised if table.vector(3, 8)[0] > 1}
    assert len({count for count, _ in vectors}) == len(vectors)
    many = sum(8 * table.vector(3, 8)[0] for table in quantised if table.vector(3, 8)[0] > 1)
    once = sum(8 * count for count, _ in vectors)
    assert len(twice) - len(smaller) > 0.9 * (many - once) > 5000
    for buffer in root(smaller, b"TFL3").tables(4):
        assert buffer.vector(0, 1)[1] % 16 == 0  # 0 where there is none


def packed_plainly(model: bytes) -> bytes:
    """As the schema's own code writes it."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(held(model).Pack(builder), b"TFL3")
    return bytes(builder.Output())
