"""Lines of JSON."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from edgecam.errors import SinkError, UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.jsonl import SCHEMA, JsonlSink, encode
from edgecam.types import Classification, Detections, Packet

from .support import PATIENCE, Listener, packet

ROOT = Path(__file__).resolve().parents[2]


def run(uri: str, packets: list[Packet], live: bool = False) -> tuple[JsonlSink, Listener]:
    sink, listener = JsonlSink(parse_uri(uri)), Listener()
    sink.start(listener.context(live))
    for item in packets:
        sink.push(item)
    sink.close()
    return sink, listener


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_line_for_each_packet(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    packets = [packet(seq, media_time=seq / 10) for seq in range(200)]
    sink, listener = run(f"jsonl:{path}", packets)
    lines = read(path)
    assert [line["seq"] for line in lines] == list(range(200))
    assert lines[7] == {"schema": 1, **packets[7].record()}
    assert not sink.failed and not sink.dropped and not listener.reports


def test_lines_appear_at_once_while_live(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.jsonl"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    sink = JsonlSink(parse_uri(f"jsonl:{fifo}"))
    sink.start(Listener().context(live=True))
    with os.fdopen(reader) as lines:
        for seq in (3, 4):
            sink.push(packet(seq))
            assert json.loads(lines.readline())["seq"] == seq
        sink.close()


def test_placards_give_one_line_for_each_change(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sent = [
        packet(0),
        packet(0, state="waiting", message="unplugged"),
        packet(1, state="waiting", message="unplugged, 2 s"),
        packet(1),
        packet(2, state="waiting", message="again"),
    ]
    run(f"jsonl:{path}", sent)
    lines = read(path)
    assert [(line["state"], line.get("message")) for line in lines] == [
        ("running", None),
        ("waiting", "unplugged"),
        ("running", None),
        ("waiting", "again"),
    ]
    assert "detections" not in lines[1] and lines[1]["ms"] == {}


def test_a_file_is_continued_and_half_a_line_ended(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    run(f"jsonl:{path}", [packet(0)])
    with path.open("a") as file:
        file.write('{"cut')
    run(f"jsonl:{path}", [packet(1)])
    lines = path.read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[0])["seq"] == 0 and json.loads(lines[2])["seq"] == 1
    run(f"jsonl:{path}?overwrite=yes", [packet(5)])
    assert [line["seq"] for line in read(path)] == [5]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*No such file or directory.*: name a file"):
        run(f"jsonl:{tmp_path}/absent/out.jsonl", [])


@pytest.mark.parametrize("text", ["jsonl:", "jsonl:?overwrite=yes"])
def test_no_file_named(text: str) -> None:
    with pytest.raises(UsageError, match="names no file"):
        JsonlSink(parse_uri(text))


def test_wrong_options() -> None:
    with pytest.raises(UnknownNameError, match="overwrite"):
        JsonlSink(parse_uri("jsonl:out.jsonl?overwrit=yes"))
    with pytest.raises(UsageError, match="yes or no"):
        JsonlSink(parse_uri("jsonl:out.jsonl?overwrite=maybe"))


def test_disk_full_stops_the_sink_alone() -> None:
    sink, listener = run("jsonl:/dev/full", [packet(0)], live=True)
    assert sink.failed == "No space left on device"
    assert listener.reports == ["jsonl:/dev/full stopped: No space left on device"]
    assert not listener.reasons


def test_the_reader_of_standard_output_may_go_away() -> None:
    """As in ``edgecam run --sink jsonl:- | head -2``: the run ends, quietly."""
    program = """
        from edgecam.registry import parse_uri
        from edgecam.sinks.jsonl import JsonlSink
        from tests.sinks.support import Listener, packet
        listener = Listener()
        sink = JsonlSink(parse_uri("jsonl:-"))
        sink.start(listener.context(live=True))
        seq = 0
        while not listener.stopped.is_set() and seq < 100_000:
            sink.push(packet(seq))
            seq += 1
        sink.close()
        assert listener.reasons == ["the reader of jsonl:- went away"], listener.reasons
        assert not listener.reports and not sink.failed, listener.reports
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stderr is not None
    assert json.loads(child.stdout.readline())["schema"] == 1
    child.stdout.close()
    assert child.wait(PATIENCE) == 0, child.stderr.read().decode()
    assert child.stderr.read() == b""
    child.stderr.close()


def test_what_json_cannot_write() -> None:
    sample = packet(name="caf\udce9.jpg")
    assert json.loads(encode(sample))["name"] == "caf\udce9.jpg"
    found = Detections(
        np.array([[np.nan, 0, np.inf, 1]], np.float32),
        np.array([np.nan], np.float32),
        np.array([9], np.int32),
    )
    line = json.loads(encode(Packet(sample.frame, found, ["狗"], sample.status)))
    assert line["detections"][0]["score"] is None and line["detections"][0]["box"][1:3] == [0, None]
    assert line["detections"][0]["label"] == "#9"


def test_labels_stay_readable() -> None:
    sample = packet()
    line = encode(Packet(sample.frame, sample.result, ["собака"], sample.status))
    assert "собака".encode() in line and line.endswith(b"}\n") and line.count(b"\n") == 1


def keys(value: object, path: str = "") -> set[str]:
    """Every key of a record, written as in the documentation."""
    if isinstance(value, dict):
        found = {f"{path}.{key}".lstrip(".") for key in value}
        return found.union(*(keys(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(keys(item, f"{path}[]") for item in value))
    return set()


def test_every_key_is_documented_and_nothing_else() -> None:
    text = (ROOT / "docs" / "jsonl.md").read_text()
    documented = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    sample = packet()
    times = sample.frame.times
    times.taken = times.preprocessed = times.inferred = times.decoded = times.captured + 1
    points = Detections(
        np.zeros((1, 4), np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        np.zeros((1, 5, 2), np.float32),
        np.ones(1, np.int32),
    )
    top = Classification(np.ones(1, np.float32), np.zeros(1, np.int32))
    written = [
        sample,
        packet(state="waiting"),
        Packet(sample.frame, points, ["a"], sample.status),
        Packet(sample.frame, top, ["a"], sample.status, counts={"a rule": {"events": 1}}, fresh=False),
    ]
    found = set().union(*(keys(json.loads(encode(item))) for item in written))
    assert {key for key in found if not key.startswith("counts.")} == documented
    assert f"## Keys, schema {SCHEMA}" in text
