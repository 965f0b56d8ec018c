"""Runs the guest_*.py beside it inside the virtual machine; they are ordinary pytest files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from . import machine

GUESTS = sorted(str(path.relative_to(machine.ROOT)) for path in Path(__file__).parent.glob("guest_*.py"))
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--color=no", "--durations=8"]


@pytest.mark.vm
def test_cameras_of_a_real_kernel() -> None:
    try:
        outcome = machine.run([sys.executable, *PYTEST, *GUESTS])
    except machine.Unavailable as missing:
        pytest.skip(str(missing))
    print(outcome.output)
    assert outcome.code is not None, f"the tests did not end\n{outcome.console}"
    assert outcome.code == 0
