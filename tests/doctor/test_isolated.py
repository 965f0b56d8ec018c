"""Children that crash, hang and eat memory do it alone."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from edgecam.doctor.isolated import Outcome, call

VICTIMS = "tests.doctor.victims"


def dies(pid: int) -> bool:
    """Waits for the end of a process that has been killed."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 30)[0])
    finally:
        os.close(handle)


def test_a_value_comes_back_whatever_is_printed() -> None:
    arguments = {"list": [1, 2.5, None], "text": "é", "map": {"a": True}}
    assert call(f"{VICTIMS}:echo", arguments) == Outcome(arguments)


def test_an_error_of_ours_keeps_its_remedy() -> None:
    assert call(f"{VICTIMS}:refuse", {}) == Outcome(
        error="no picture", remedy="take the lens cap off", kind="SourceError"
    )


def test_any_other_error_is_one_line() -> None:
    assert call(f"{VICTIMS}:fail", {}) == Outcome(error="two lines", kind="ValueError")
    assert call(f"{VICTIMS}:fail_in_silence", {}) == Outcome(error="KeyError", kind="KeyError")


def test_what_is_not_there() -> None:
    absent = call("no_such_module_here:f", {})
    assert (absent.kind, absent.crashed) == ("ModuleNotFoundError", False)
    assert call(f"{VICTIMS}:no_such_function", {}).kind == "AttributeError"


def test_a_crash_is_named() -> None:
    assert call(f"{VICTIMS}:segfault", {}) == Outcome(error="crashed (SIGSEGV)", crashed=True)


def test_a_process_that_ends_itself_gives_its_last_words() -> None:
    outcome = call(f"{VICTIMS}:leave", {"code": 3})
    assert outcome == Outcome(error="ended its process (exit code 3): OMP: cannot go on", crashed=True)


def test_a_child_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    outcome = call(f"{VICTIMS}:hang", {"pid_file": str(pids)}, timeout=3)
    assert outcome == Outcome(error="did not answer within 3 s", crashed=True)
    child, grandchild = map(int, pids.read_text().split())
    assert dies(child)
    assert dies(grandchild)


def test_memory_is_bounded() -> None:
    assert call(f"{VICTIMS}:devour", {"megabytes": 50}, memory=200 << 20).value == 50 << 20
    outcome = call(f"{VICTIMS}:devour", {"megabytes": 500}, memory=200 << 20)
    assert (outcome.error, outcome.kind) == ("needs more than 200 MB of memory", "MemoryError")


def test_the_kernel_shall_kill_the_child_first() -> None:
    assert call(f"{VICTIMS}:score", {}).value == "1000"


def test_an_answer_that_cannot_be_told_is_a_crash() -> None:
    outcome = call(f"{VICTIMS}:give_something_odd", {})
    assert outcome.crashed
    assert "TypeError" in outcome.error


@pytest.mark.parametrize("code", [1, 255])
def test_exit_codes(code: int) -> None:
    assert f"exit code {code}" in call(f"{VICTIMS}:leave", {"code": code}).error
