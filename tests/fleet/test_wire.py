"""What comes over the broker is what it should be, or is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import ModelError
from edgecam.fleet.rollout import Staging, waves
from edgecam.fleet.roster import Roster
from edgecam.fleet.wire import PIECE, Command, Job, Manifest, Tree
from edgecam.slots.orders import Plan

TREE = Tree("site/edgecam")


@given(st.text(max_size=200))
def test_what_is_sent_is_read_back(message: str) -> None:
    command = Command.new("install", "ab" * 32, Plan(1.5, 2.5, 3.5, 0.5))
    assert Command.decode(command.encode()) == command
    manifest = Manifest.of(b"x" * (PIECE + 1), "door.tflite", "signature")
    assert Manifest.decode(manifest.encode()) == manifest and manifest.pieces == 2
    job = Job.decode(Job("a", "done", "", message).encode())
    assert job is not None and job.stage == "done" and "\n" not in job.message and len(job.message) <= 500


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_one_line(body: bytes) -> None:
    for decode in (Command.decode, Manifest.decode):
        with pytest.raises(ModelError) as caught:
            decode(body)
        assert "\n" not in str(caught.value)
    assert Job.decode(body) is None


GOOD = json.loads(Command.new("install", "ab" * 32).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"do": "format"}, {"do": None}, {"sha256": "../../etc"}, {"sha256": 3}, {"id": "../x"}, {"id": ""},
        {"plan": {"shadow": -1}}, {"plan": {"trial": 1e9}}, {"plan": {"agreement": 2}}, {"plan": {"x": 1}},
        {"plan": {"shadow": float("nan")}}, {"plan": {"slower": "much"}}, {"plan": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_command_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        Command.decode(json.dumps(GOOD | change).encode())


@pytest.mark.parametrize(
    "change",
    [{"size": 0}, {"size": 1 << 40}, {"size": "1"}, {"sha256": "x"}, {"signature": "x" * 9000}],
    ids=str,
)
def test_a_wrong_manifest_is_refused(change: dict[str, object]) -> None:
    good = json.loads(Manifest.of(b"x", "a", "").encode())
    with pytest.raises(ModelError):
        Manifest.decode(json.dumps(good | change).encode())


def test_a_name_from_elsewhere_cannot_paint_the_terminal() -> None:
    assert Manifest.decode(Manifest.of(b"x", "a\x1b[2Jb\n", "").encode()).name == "a?[2Jb?"


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("site/edgecam/hall-1/fleet/job", ("hall-1", "fleet/job")),
        ("site/edgecam/_models/ab/0", ("", "")),
        ("edgecam/hall-1/online", ("", "")),
        ("site/edgecam/a\x1b[0m/online", ("", "")),
    ],
)
def test_topics_are_taken_apart(topic: str, expected: tuple[str, str]) -> None:
    assert TREE.split(topic) == expected


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_each_device_is_in_one_wave_and_the_first_is_small(count: int, canary: float, wave: float) -> None:
    names = [f"d{n}" for n in range(count)]
    parts = waves(names, Staging(canary=canary, wave=wave))
    assert [name for part in parts for name in part] == names
    assert all(parts) and len(parts[0]) <= max(1, count * canary + 1)


def test_ten_percent_of_fifty_are_five() -> None:
    assert [len(p) for p in waves([str(n) for n in range(50)], Staging(0.1, 0.5))] == [5, 25, 20]


@given(
    st.lists(
        st.tuples(st.sampled_from(["online", "state", "fleet/job", "fleet/slots"]), st.binary(max_size=40))
    )
)
def test_a_roster_takes_anything(messages: list[tuple[str, bytes]]) -> None:
    roster = Roster(TREE)
    for what, body in messages:
        roster.hear(f"site/edgecam/cam/{what}", body)
    for device in roster.devices():
        assert isinstance(device.state, str) and device.model == "" and isinstance(device.slot, str)
