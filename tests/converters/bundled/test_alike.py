"""Model files that another processor rounded differently are the same; any others are not."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from converters.bundled.alike import alike
from edgecam import resources
from edgecam.flatbuffer import root


@pytest.fixture(scope="module")
def data() -> bytes:
    return (resources.folder("models") / "classify-person.tflite").read_bytes()


def scale_of(data: bytes) -> bytes:
    """A scale of the first tensor that has one, as it stands in the file."""
    for tensor in next(root(data, b"TFL3").tables(2)).tables(0):
        quantisation = tensor.table(4)
        if quantisation is not None and (scales := quantisation.numbers(2, "f")):
            return struct.pack("<f", scales[0])
    raise AssertionError("no scales")


@pytest.mark.parametrize(("factor", "same"), [(1.0, True), (1 + 4e-7, True), (1.001, False)])
def test_scales_may_differ_in_their_last_bits(data: bytes, factor: float, same: bool) -> None:
    scale = scale_of(data)
    other = struct.pack("<f", struct.unpack("<f", scale)[0] * factor)
    assert alike(data, data.replace(scale, other)) is same


def test_a_few_weights_may_differ_and_no_more(data: bytes) -> None:
    chance = np.random.default_rng(0)
    weights = np.frombuffer(data, np.uint8).copy()
    middle = len(weights) // 2
    weights[middle : middle + 20] += 1
    assert alike(data, weights.tobytes())
    places = middle + chance.permutation(len(weights) // 4)[: len(weights) // 100]
    weights[places] += 1
    assert not alike(data, weights.tobytes())


def test_another_length_is_another_file(data: bytes) -> None:
    assert not alike(data, data[:-1])
    assert not alike(b"", data)
