"""The queue on the disk: order, bounds, restarts, and a disk that fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import SinkError
from edgecam.outbox import MEMORY, Bounds, Outbox, default_place

MANY = Bounds(1_000_000, 1 << 30)


def make(place: str | Path = MEMORY, bounds: Bounds = MANY) -> tuple[Outbox, list[str]]:
    said: list[str] = []
    return Outbox(place, bounds, said.append), said


def bodies(outbox: Outbox, count: int = 1000) -> list[bytes]:
    return [entry.body for entry in outbox.first(count)]


def test_first_in_first_out_until_done() -> None:
    outbox, _ = make()
    outbox.put([("a", b"1"), ("b", b"2")])
    outbox.put([("a", b"3")])
    first, second, third = outbox.first(10)
    assert [(e.topic, e.body) for e in (first, second, third)] == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    assert outbox.first(10, after=second.id) == [third] and outbox.first(1) == [first]
    outbox.done([second.id])
    assert bodies(outbox) == [b"1", b"3"]
    outbox.done([first.id, third.id, third.id, 12345])
    state = outbox.state
    assert (state.waiting, state.size, state.dropped, state.delivered) == (0, 0, 0, 3)


def test_it_is_there_after_a_restart_and_ids_are_never_used_again(tmp_path: Path) -> None:
    place = tmp_path / "new" / "q.sqlite"
    outbox, _ = make(place)
    outbox.put([("t", b"1"), ("t", b"2")])
    last = outbox.first(2)[1]
    size = outbox.size
    outbox.done([last.id])
    outbox.close()
    outbox.close()
    again, said = make(place)
    assert bodies(again) == [b"1"] and not said and again.size * 2 == size
    again.put([("t", b"3")])
    assert again.first(2)[1].id > last.id
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    again.close()


def test_what_was_put_survives_a_kill(tmp_path: Path) -> None:
    place = tmp_path / "q.sqlite"
    program = f"""
        from edgecam.outbox import Bounds, Outbox
        outbox = Outbox({str(place)!r}, Bounds(), print)
        number = 0
        while True:
            outbox.put([("t", b"%d" % number)])
            print(number, flush=True)
            number += 1
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = -1
    while said < 20:
        said = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    said = max([said, *(int(line) for line in child.stdout.read().split())])
    child.stdout.close()
    outbox, lines = make(place)
    kept = [int(body) for body in bodies(outbox, 100_000)]
    assert kept[: said + 1] == list(range(said + 1)) and not lines
    outbox.close()


def test_over_the_count_the_oldest_go_and_it_is_said_once() -> None:
    outbox, said = make(bounds=Bounds(count=10))
    for number in range(25):
        outbox.put([("t", b"%d" % number)])
    assert bodies(outbox) == [b"%d" % n for n in range(15, 25)]
    assert outbox.dropped == 15
    (line,) = said
    assert line == "the queue is full (10 entries or 32 MB): the oldest are dropped"
    outbox.done([entry.id for entry in outbox.first(10)])
    for number in range(12):  # it was empty in between: the next time is news
        outbox.put([("t", b"%d" % number)])
    assert len(said) == 2 and outbox.dropped == 17


def test_over_the_bytes_the_oldest_go() -> None:
    outbox, _ = make(bounds=Bounds(count=1000, size=10_000))
    for number in range(50):
        outbox.put([("t", bytes([number]) * 1000)])
        assert outbox.size <= 10_000
    left = bodies(outbox)
    assert left == [bytes([n]) * 1000 for n in range(50 - len(left), 50)] and 8 <= len(left) <= 9
    outbox.put([("t", b"x" * 20_000)])  # more than may wait at all
    assert outbox.waiting == 0 and outbox.dropped == 51


def test_bounds_that_became_narrower(tmp_path: Path) -> None:
    outbox, _ = make(tmp_path / "q")
    outbox.put([("t", b"%d" % n) for n in range(100)])
    outbox.close()
    narrow, said = make(tmp_path / "q", Bounds(count=7))
    assert bodies(narrow) == [b"%d" % n for n in range(93, 100)] and narrow.dropped == 93 and said
    narrow.close()


@given(
    st.lists(
        st.one_of(
            st.lists(st.binary(max_size=200), min_size=1, max_size=8),
            st.integers(0, 12),
        ),
        max_size=40,
    ),
    st.integers(1, 12),
    st.integers(65, 1500),
)
def test_it_is_a_bounded_queue(steps: list[list[bytes] | int], count: int, size: int) -> None:
    """Against the plainest model: what is left is always the newest of what was put and is not done."""
    outbox, _ = make(bounds=Bounds(count, size))
    model: list[bytes] = []
    put = done = 0
    for step in steps:
        if isinstance(step, int):
            entries = outbox.first(step)
            assert [entry.body for entry in entries] == model[:step]
            outbox.done([entry.id for entry in entries])
            done += len(entries)
            model = model[step:]
        else:
            outbox.put([("t", body) for body in step])
            put += len(step)
            model += step
            model = model[len(model) - outbox.waiting :]
        assert bodies(outbox) == model
        assert outbox.waiting == len(model) <= count
        assert outbox.size == sum(len(body) + 65 for body in model) <= size
        assert put == done + outbox.dropped + outbox.waiting
    outbox.close()


def test_a_million_events_stay_within_bounds(tmp_path: Path) -> None:
    place = tmp_path / "q.sqlite"
    outbox, said = make(place, Bounds(count=500, size=1 << 20))
    for start in range(0, 1_000_000, 2500):
        outbox.put([("edgecam/door/event/visitor", b'{"n":%d}' % n) for n in range(start, start + 2500)])
    assert outbox.waiting == 500 and outbox.dropped == 999_500 and len(said) == 1
    assert bodies(outbox, 2000)[-1] == b'{"n":999999}'
    outbox.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8 << 20


def test_a_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, _ = make()
    for number, jump in enumerate((0.0, 1e9, -1e9, 0.0)):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda now=now, jump=jump: now + jump)
        outbox.put([("t", b"%d" % number)])
    assert bodies(outbox) == [b"0", b"1", b"2", b"3"]


def test_two_processes_do_not_share_it(tmp_path: Path) -> None:
    outbox, _ = make(tmp_path / "q")
    with pytest.raises(SinkError, match=r"in use by another edgecam: give each its own device_id, or"):
        make(tmp_path / "q")
    outbox.close()
    make(tmp_path / "q")[0].close()


def test_a_broken_file_is_put_aside(tmp_path: Path) -> None:
    place = tmp_path / "q.sqlite"
    place.write_bytes(os.urandom(8192))
    outbox, said = make(place)
    assert "is broken" in said[0] and "put aside as q.sqlite.broken" in said[0]
    outbox.put([("t", b"1")])
    assert bodies(outbox) == [b"1"]
    assert (tmp_path / "q.sqlite.broken").stat().st_size == 8192
    outbox.close()


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"cannot be used .*name a file with queue=FILE, or queue=memory"):
        make(tmp_path / "file" / "q.sqlite")
    with pytest.raises(SinkError, match="cannot be used"):
        make(tmp_path)


def test_a_disk_that_is_full_is_said_and_what_it_does_not_take_counted(tmp_path: Path) -> None:
    outbox, said = make(tmp_path / "q")
    outbox.put([("t", b"1")])
    base: sqlite3.Connection = outbox._base
    pages = base.execute("PRAGMA page_count").fetchone()[0]
    base.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to a full disk
    for _ in range(3):
        outbox.put([("t", b"x" * 100_000)])
    assert outbox.trouble == "database or disk is full" and outbox.dropped == 3
    assert said == ["the queue cannot be written (database or disk is full): what comes is dropped"]
    assert bodies(outbox) == [b"1"] and outbox.waiting == 1
    base.execute("PRAGMA max_page_count=100000")
    outbox.put([("t", b"2")])
    assert not outbox.trouble and bodies(outbox) == [b"1", b"2"]
    outbox.close()


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, two = default_place("mqtt", "host:1", "a/b"), default_place("mqtt", "host:1", "a b")
    assert one.parent == tmp_path / "edgecam" / "queues" and one != two
    assert one.name.startswith("mqtt-host_1-a_b-") and one == default_place("mqtt", "host:1", "a/b")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgecam:/x")
    assert default_place("webhook", "x").parent == Path("/x/queues")  # the service's own
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_place("mqtt", "x").parent == Path("/home/me/.local/state/edgecam/queues")
