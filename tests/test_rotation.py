"""A file that begins anew: no line is lost, none is split, and no more files stay than asked for."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.rotation import RotatingFile, Turn
from edgecam.sinks.jsonl import JsonlSink
from tests.sinks.support import Listener, packet


def texts(path: Path) -> list[str]:
    """Of the file and those before it, the newest first."""
    files = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, 50))]
    return [file.read_text() for file in files if file.exists()]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100), st.integers(0, 4))
def test_lines_are_whole_and_in_order(lengths: list[int], size: int, keep: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        file = RotatingFile(path, Turn(size=size, keep=keep))
        lines = [f"{number:03d}" + "x" * length + "\n" for number, length in enumerate(lengths)]
        for line in lines:
            file.write(line.encode())
        file.close()
        kept = texts(path)
        assert len(kept) <= keep + 1
        text = "".join(reversed(kept))
        assert "".join(lines).endswith(text)
        assert all(len(one) <= size or one.count("\n") == 1 for one in kept)
        if file.turned <= keep:
            assert text == "".join(lines)


def test_by_age_whatever_the_clock_on_the_wall_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    file = RotatingFile(tmp_path / "out", Turn(age=60, keep=2), clock=lambda: now[0])
    file.write(b"a\n")
    monkeypatch.setattr(time, "time", lambda: 9e9)
    file.write(b"b\n")
    now[0] += 59
    file.write(b"c\n")
    assert file.turned == 0
    now[0] += 1
    file.write(b"d\n")
    now[0] += 1000  # nothing to write is nothing to turn
    file.close()
    assert texts(tmp_path / "out") == ["d\n", "a\nb\nc\n"]


@pytest.mark.parametrize(("old", "turned"), [(7200.0, 1), (10.0, 0), (-1e6, 0)])
def test_a_file_that_is_continued_is_as_old_as_its_first_line(
    tmp_path: Path, old: float, turned: int
) -> None:
    path = tmp_path / "out"
    path.write_text(json.dumps({"time": time.time() - old}) + '\n{"cut')
    file = RotatingFile(path, Turn(age=3600))
    file.write(b"new\n")
    file.close()
    assert file.turned == turned and path.read_text().endswith("new\n")
    assert "\n".join(texts(path)).count('{"cut\n') == 1


def test_fewer_are_kept_than_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for number in range(1, 8):
        path.with_name(f"out.{number}").write_text(str(number))
    file = RotatingFile(path, Turn(size=1, keep=2))
    file.write(b"a\n")
    file.write(b"b\n")
    file.close()
    assert texts(path) == ["b\n", "a\n", "1"] and len(list(tmp_path.iterdir())) == 3


def test_the_sink(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(parse_uri(f"jsonl:{path}?size=2k&keep=100"))
    sink.start(Listener().context(live=False))
    for seq in range(100):
        sink.push(packet(seq))
    sink.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 5 and all(file.stat().st_size <= 2048 for file in files)
    lines = [json.loads(line) for text in reversed(texts(path)) for line in text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(100))


def test_wrong_options() -> None:
    with pytest.raises(UsageError, match="does not begin anew"):
        JsonlSink(parse_uri("jsonl:-?size=1M"))
    with pytest.raises(UsageError, match="from 0 to 10000"):
        JsonlSink(parse_uri("jsonl:x?keep=-1"))
    with pytest.raises(UnknownNameError, match="size"):
        JsonlSink(parse_uri("jsonl:x?sise=1"))
