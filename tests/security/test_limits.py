"""How often a secret may be tried, and how long a session lasts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.sinks.web.limiter import ALL, EACH, FRIENDS, MOST, Limiter
from edgecam.sinks.web.sessions import LASTS, Sessions
from edgecam.sinks.web.sessions import MOST as MOST_SESSIONS


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_has_five_attempts_and_then_one_in_twelve_seconds() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    assert [limiter.take("192.0.2.1") for _ in range(EACH[0])] == [0.0] * EACH[0]
    assert limiter.take("192.0.2.1") == pytest.approx(EACH[1])
    assert limiter.take("192.0.2.2") == 0
    clock.now += EACH[1]
    assert limiter.take("192.0.2.1") == 0
    assert limiter.take("192.0.2.1") > 0
    clock.now += 1e6
    assert sum(limiter.take("192.0.2.1") == 0 for _ in range(100)) == EACH[0]


def test_what_was_right_does_not_count() -> None:
    limiter = Limiter(Clock())
    for _ in range(100):
        assert limiter.take("192.0.2.1") == 0
        limiter.forgive("192.0.2.1")


def test_many_addresses_share_what_all_have_but_lock_nobody_out_who_has_been_in() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    limiter.take("192.0.2.7")
    limiter.forgive("192.0.2.7")
    tried = sum(limiter.take(f"198.51.100.{i}") == 0 for i in range(200))
    assert tried == ALL[0]
    assert limiter.take("203.0.113.1") > 0
    assert limiter.take("192.0.2.7") == 0


def test_an_ipv6_host_is_its_network_and_a_mapped_address_is_ipv4() -> None:
    limiter = Limiter(Clock())
    assert sum(limiter.take(f"2001:db8::{i:x}") == 0 for i in range(20)) == EACH[0]
    assert sum(limiter.take(a) == 0 for a in ["::ffff:192.0.2.1", "192.0.2.1"] * 10) == EACH[0]
    assert limiter.take("fe80::1%eth0") == 0


@given(st.lists(st.tuples(st.text(max_size=30), st.booleans(), st.floats(0, 30)), max_size=60))
def test_strange_addresses_and_clocks_do_no_harm(steps: list[tuple[str, bool, float]]) -> None:
    clock = Clock()
    limiter = Limiter(clock)
    for address, right, pause in steps:
        clock.now += pause
        wait = limiter.take(address)
        assert 0 <= wait <= max(EACH[1], ALL[1]) * 2
        if right and not wait:
            limiter.forgive(address)


def test_memory_is_bounded_whoever_comes() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    for i in range(10_000):
        clock.now += 5
        limiter.take(f"10.{i >> 16}.{(i >> 8) & 255}.{i & 255}")
        limiter.forgive(f"10.{i >> 16}.{(i >> 8) & 255}.{i & 255}")
    assert len(limiter) <= MOST + FRIENDS


def proof(name: str) -> str:
    return {"anna": "p1", "ben": "p2"}.get(name, "")


def test_a_session_lasts_over_a_restart_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "state" / "sessions.json"
    sessions = Sessions(file, proof)
    cookie = sessions.begin("anna")
    assert len(cookie) >= 43 and cookie not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert Sessions(file, proof).name(cookie) == "anna"
    sessions.end(cookie)
    assert sessions.name(cookie) == Sessions(file, proof).name(cookie) == ""


def test_a_session_ends_with_its_time_or_its_password(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(None, proof, clock)
    anna, ben = sessions.begin("anna"), sessions.begin("ben")
    sessions.rule(lambda name: {"anna": "new", "ben": "p2"}.get(name, ""))
    assert (sessions.name(anna), sessions.name(ben)) == ("", "ben")
    sessions.rule(lambda name: "")  # both are gone
    assert sessions.name(ben) == ""
    sessions.rule(proof)
    clock.now -= 1e9  # a board without a clock begins in the past
    assert sessions.name(ben) == "ben"
    clock.now += 1e9 + LASTS
    assert sessions.name(ben) == ""


def test_sessions_are_bounded_and_the_oldest_goes() -> None:
    sessions = Sessions(None, proof)
    first = sessions.begin("anna")
    cookies = [sessions.begin("anna") for _ in range(MOST_SESSIONS)]
    assert len(sessions) == MOST_SESSIONS
    assert sessions.name(first) == "" and sessions.name(cookies[-1]) == "anna"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"x": 1}',
        '{"x": {"name": "anna"}}',
        '{"x": {"name": 1, "proof": [], "began": "y"}}',
    ],
)
def test_a_broken_file_is_no_session(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sessions.json"
    file.write_text(text)
    sessions = Sessions(file, proof)
    assert sessions.name("x") == ""
    assert sessions.name(sessions.begin("anna")) == "anna"
    assert len(json.loads(file.read_text())) == 1


def test_without_a_place_sessions_are_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sessions = Sessions(tmp_path / "file" / "sessions.json", proof)
    assert sessions.name(sessions.begin("anna")) == "anna"
