"""Silence, also for what does not go through Python."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from converters.quiet import quiet


def test_nothing_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("from Python")
        os.write(1, b"from C\n")
        os.write(2, b"an error from C\n")
    print("after")
    print("after too", file=sys.stderr)
    out, err = capfd.readouterr()
    assert (out, err) == ("after\n", "after too\n")


def test_a_failure_tells_what_was_said(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        with quiet():
            print("said in Python")
            os.write(2, b"the reason\n")
            raise ZeroDivisionError

    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError):
        fail()
    assert "the reason" in caplog.text
    assert "said in Python" in caplog.text
    assert capfd.readouterr().out == ""
