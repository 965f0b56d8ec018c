"""Options of custom operators: read where they are sound, an error where they are not."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import tflite
from edgecam.errors import ModelError
from edgecam.flexbuffer import read_map

INT, FLOAT, MAP, BOOL, STRING, INDIRECT_FLOAT, NULL = 1, 3, 9, 26, 5, 8, 0
WIDE = 2  # four bytes, as a power of two


def write_map(values: dict[str, tuple[int, bytes]]) -> bytes:
    """A map of (kind, four bytes) by name, every element four bytes wide."""
    out = bytearray(struct.pack("<d", 0.25))  # for indirect values to point to
    places = []
    for name in values:
        places.append(len(out))
        out += name.encode() + b"\0"
    out += struct.pack("<I", len(values))
    keys = len(out)
    for place in places:
        out += struct.pack("<I", len(out) - place)
    out += struct.pack("<III", len(out) - keys, 4, len(values))
    start = len(out)
    out += b"".join(data for _, data in values.values())
    out += bytes(kind << 2 | (3 if kind == INDIRECT_FLOAT else WIDE) for kind, _ in values.values())
    return bytes(out + struct.pack("<I", len(out) - start) + bytes([MAP << 2 | WIDE, 4]))


def test_numbers_are_read_and_other_kinds_left_out() -> None:
    data = write_map(
        {
            "flag": (BOOL, struct.pack("<I", 1)),
            "half": (FLOAT, struct.pack("<f", 0.5)),
            "minus": (INT, struct.pack("<i", -7)),
            "none": (NULL, bytes(4)),
            "text": (STRING, struct.pack("<I", 4)),
        }
    )
    assert read_map(data) == {"flag": 1, "half": 0.5, "minus": -7}


def test_values_may_lie_elsewhere() -> None:
    for offset in range(8, 200):
        try:
            found = read_map(write_map({"far": (INDIRECT_FLOAT, struct.pack("<I", offset))}))
        except ModelError:
            continue
        if found == {"far": 0.25}:
            return
    pytest.fail("the number at the start was not found")


def test_what_is_no_map_is_empty() -> None:
    assert read_map(b"") == {}
    assert read_map(bytes([7, INT << 2, 1])) == {}


@given(st.binary(max_size=60))
def test_any_bytes_give_a_map_or_one_line(data: bytes) -> None:
    for candidate in (data, data + bytes([MAP << 2 | WIDE, 4]), data + bytes([MAP << 2, 1])):
        try:
            assert isinstance(read_map(candidate), dict)
        except ModelError as error:
            assert "\n" not in str(error)


@pytest.mark.real
def test_a_real_detector_s_options(real: Path) -> None:
    options = tflite.load(real / "coco_ssd_mobilenet_v1_1.0_quant.tflite").ssd_options
    assert (options["max_detections"], options["num_classes"]) == (10, 90)
    assert (options["y_scale"], options["h_scale"]) == (10.0, 5.0)
    assert options["nms_iou_threshold"] == pytest.approx(0.6)


def test_damage_gives_a_map_or_one_line() -> None:
    data = write_map({name: (INT, struct.pack("<i", 5)) for name in ("a", "bb", "ccc")})
    chance, refused = random.Random(4), 0
    for _ in range(2000):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read_map(bytes(broken))
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 200 < refused < 2000
