"""Ended, killed and stopped at moments that nobody chose: what is on the disk is whole."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import cv2

from edgecam import resources
from tests.e2e.command import Running
from tests.faults.watched import PATIENCE, rounds, worked
from tests.helpers.waiting import until

MODEL = resources.folder("models") / "classify-person.tflite"
RULES = """
[[rule]]
name = "somebody"
min_score = 0.01
cooldown = 0
"""


def pictures(film: Path) -> int:
    reader = cv2.VideoCapture(str(film), cv2.CAP_FFMPEG)
    count = 0
    while reader.read()[0]:
        count += 1
    reader.release()
    return count


def test_files_are_whole_whenever_it_ends(tmp_path: Path) -> None:
    """Films that have their name play to the end, pictures open, lines but a killed run's last are JSON."""
    chance = random.Random(7)
    kept, results, settings = tmp_path / "kept", tmp_path / "results.jsonl", tmp_path / "settings.toml"
    settings.write_text(RULES)
    sinks = [f"record:{kept}/?segment=1s&codec=jpeg", f"snapshots:{kept}", f"jsonl:{results}"]
    command: list[object] = ["run", "synthetic:?fps=20&size=320x240", "--config", settings, "--model", MODEL]
    for sink in sinks:
        command += ["--sink", sink]
    killed = 0
    for _ in range(rounds(6)):
        killed += _end_somehow(command, results, chance)
        assert killed or not list(kept.rglob(".*.part"))
    films = list(kept.rglob("segment-*.mp4"))
    assert films
    assert all(pictures(film) > 0 for film in films)
    assert all(cv2.imread(str(picture)) is not None for picture in kept.rglob("snapshot-*.jpg"))
    assert all(json.loads(facts.read_text()) for facts in kept.rglob("*.json"))
    assert sum(not _is_json(line) for line in results.read_text().splitlines()) <= killed


def _end_somehow(command: list[object], results: Path, chance: random.Random) -> bool:
    """Begin a run, wait until results come, and a little; whether it was killed."""
    before = results.stat().st_size if results.exists() else 0
    with Running(*command) as run:

        def goes_on() -> bool:
            assert run.process.poll() is None, "it ended by itself"
            return results.exists() and results.stat().st_size > before

        try:
            until("no results come", goes_on, PATIENCE)
        except AssertionError as error:
            spent = worked(run.process.pid)
            raise AssertionError(f"{error}; it computed for {spent} s and said: {run.err}") from error
        time.sleep(chance.uniform(0, 2.5))
        number = chance.choice((signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP))
        if number == signal.SIGSTOP:
            run.process.send_signal(number)
            time.sleep(chance.uniform(0, 1))
            run.process.send_signal(signal.SIGCONT)
            number = chance.choice((signal.SIGTERM, signal.SIGKILL))
        code = run.end(number)
    assert code == (0 if number == signal.SIGTERM else -number), run.err
    return number == signal.SIGKILL


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
