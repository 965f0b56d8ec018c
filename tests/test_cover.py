"""What `make coverage` says of the figures of coverage.py."""

from __future__ import annotations

import pytest

from scripts import cover


def figures(lines: int, run: int, branches: int = 0, taken: int = 0) -> dict[str, int]:
    return {
        "num_statements": lines,
        "covered_lines": run,
        "num_branches": branches,
        "covered_branches": taken,
    }


def test_packages_are_summed_by_lines_and_weak_files_named(capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "edgecam/good.py": figures(90, 90, 10, 5),
        "edgecam/sinks/weak.py": figures(10, 5, 10, 10),
        "edgecam/empty.py": figures(0, 0),
        "converters/good.py": figures(200, 190),
    }
    assert cover.report(files) == 0
    said = capsys.readouterr().out
    assert " 95.0 % of 100 lines, 75.0 % of 20 branches" in said and " 95.0 % of 200 lines, - of 0" in said
    assert "edgecam/sinks/weak.py:  50.0 % of 10 lines" in said and "good.py:" not in said
    assert "empty.py" not in said


@pytest.mark.parametrize(
    "converters", [{"converters/few.py": figures(100, 89)}, {}], ids=["too few lines", "never imported"]
)
def test_too_little_of_one_package_is_a_gate_that_was_missed(converters: dict[str, dict[str, int]]) -> None:
    assert cover.report({"edgecam/good.py": figures(1000, 1000), **converters}) == 3
