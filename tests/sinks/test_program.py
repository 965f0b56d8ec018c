"""A program for each step of an event: what it gets, how many there are, and those that do not end."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam.errors import SinkError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.program import ExecSink
from tests.helpers.waiting import until
from tests.sinks.mqtt.support import context, seen
from tests.sinks.support import Listener


def script(folder: Path, text: str) -> Path:
    path = folder / "hook"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def started(uri: str, live: bool = True) -> Iterator[ExecSink]:
    sink = ExecSink(parse_uri(uri))
    sink.start(context(Listener(), live=live))
    try:
        yield sink
    finally:
        sink.close()
        assert not sink.failed


def test_it_gets_the_event_on_its_input_and_its_arguments_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECAM_TOKEN", "secret")
    monkeypatch.setenv("OTHER", "kept")
    path = script(
        tmp_path, f'cat >> {tmp_path}/in; echo "$#|$1|$2|$EDGECAM_TOKEN|$OTHER" >> {tmp_path}/args\n'
    )
    with started(f"exec:{path} 'two words' $(touch%20{tmp_path}/evil);ls", live=False) as sink:
        for number in range(3):
            sink.push(seen(number, [("start", f"e-{number}"), ("end", f"e-{number}")]))
    text = (tmp_path / "in").read_text().replace("}{", "}\n{")
    steps = [json.loads(line) for line in text.splitlines()]
    assert [(s["id"], s["phase"]) for s in steps] == [
        (f"e-{n}", phase) for n in range(3) for phase in ("start", "end")
    ]
    assert steps[0]["device"] == "cam-1" and steps[0]["model"]["name"] == "detect"
    assert (tmp_path / "args").read_text().splitlines()[0] == "3|two words|$(touch||kept"
    assert not (tmp_path / "evil").exists()


def test_one_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/me; wait\n")
    with started(f"exec:{path}?timeout=0.5s") as sink:
        sink.push(seen(0, [("start", "e-0")]))
        until("it is killed", lambda: "took over 0.5 s and was killed" in sink.trouble)
        assert sink._runner is not None and sink._runner.killed == 1 and sink.queue.delivered == 1
    for name in ("me", "child"):
        until(f"{name} is gone", lambda name=name: gone(int((tmp_path / name).read_text())))


def gone(number: int) -> bool:
    """No such process, or one that is dead and waits for its parent."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_no_more_run_at_once_than_asked(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        f"cd {tmp_path}; mkdir run.$$; ls -d run.* | wc -l >> seen; sleep 0.1; rmdir run.$$\n",
    )
    with started(f"exec:{path}?at_once=3", live=False) as sink:
        for number in range(12):
            sink.push(seen(number, [("start", f"e-{number}")]))
    at_once = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert len(at_once) == 12 and max(at_once) <= 3


def test_what_waits_is_bounded_and_counted(tmp_path: Path) -> None:
    path = script(tmp_path, f"cat >> {tmp_path}/in; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done\n")
    with started(f"exec:{path}?queue_count=5") as sink:
        for number in range(30):
            sink.push(seen(number, [("start", f"e-{number}")]))
        until(
            "one runs, the others wait or went", lambda: sum((sink.queue.dropped, sink.queue.waiting)) == 29
        )
        assert sink.queue.waiting in (4, 5) and sink.queue.size > 500
        (tmp_path / "go").touch()
        until(
            "the newest ran", lambda: (tmp_path / "in").exists() and "e-29" in (tmp_path / "in").read_text()
        )


def test_what_fails_is_said_once_and_works_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = script(tmp_path, f"[ -e {tmp_path}/good ] || exit 3\n")
    with started(f"exec:{path}") as sink:
        for number in range(4):
            sink.push(seen(number, [("start", f"e-{number}")]))
        until("all ran", lambda: sink.queue.delivered == 4)
        assert sink.trouble == f"exec: {path} ended with status 3"
        assert caplog.text.count("ended with status 3") == 1
        (tmp_path / "good").touch()
        sink.push(seen(5, [("start", "e-5")]))
        until("it works", lambda: not sink.trouble)


def test_an_end_does_not_wait_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecam.sinks import program

    monkeypatch.setattr(program, "_LIVE_DRAIN", 0.2)
    path = script(tmp_path, f"echo $$ > {tmp_path}/me; exec sleep 600\n")
    began = time.monotonic()
    with started(f"exec:{path}") as sink:
        sink.push(seen(0, [("start", "e-0")]))
        until("it runs", lambda: (tmp_path / "me").exists() and (tmp_path / "me").read_text())
    until("it is gone", lambda: gone(int((tmp_path / "me").read_text())))
    assert time.monotonic() - began < 60


def test_wrong_programs(tmp_path: Path) -> None:
    for text, says in (("exec:", "names no program"), ("exec:'open", "No closing quotation")):
        with pytest.raises(UsageError, match=says):
            ExecSink(parse_uri(text))
    (tmp_path / "data").write_text("")
    with pytest.raises(SinkError, match="is no program that can be run"):
        ExecSink(parse_uri(f"exec:{tmp_path}/data")).start(context(Listener()))
    with pytest.raises(UsageError, match="from 1 to 16"):
        ExecSink(parse_uri("exec:true?at_once=17"))


def test_a_program_that_goes_away(tmp_path: Path) -> None:
    path = script(tmp_path, "true\n")
    with started(f"exec:{path}") as sink:
        path.unlink()
        sink.push(seen(0, [("start", "e-0")]))
        until("it is said", lambda: "cannot be run (No such file or directory)" in sink.trouble)
