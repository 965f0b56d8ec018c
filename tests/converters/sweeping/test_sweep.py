"""``edgecam-convert sweep`` on Ray: on a cluster of two nodes of which one is killed, and on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from converters.work import Work
from tests.converters import models_for_tests
from tests.converters.training import pictures

pytestmark = pytest.mark.convert

LOOPBACK = "127.0.0.2"  # where Ray reads 127.0.0.1, it takes the machine's outer address instead
COMMAND = [sys.executable, "-c", "from converters.cli import main; main()"]
JUDGED = """
[[step]]
run = "quantize"
calibration = 6
[[step]]
run = "evaluate"
layers = 0
max_drop = 100.0
max_class_drop = 100.0
"""
TRAINED = f"""
[sweep.grid]
train.widths = [[4, 4, 4], [4, 4, 8]]
[[step]]
run = "data"
fractions = [0.5, 0.2, 0.3]
[[step]]
run = "train"
network = "plain"
epochs = 60
batch = 18
shift = 0.0
{JUDGED}
"""
CONVERTED = f"""
[sweep]
shard = 4
retries = 0
[[sweep.list]]
name = "plain"
[[sweep.list]]
name = "wrong"
quantize = {{preprocess = "upside-down"}}
[[step]]
run = "data"
{JUDGED}
"""


def sweep(recipe: Path, *argv: object) -> subprocess.Popen[str]:
    command = [*COMMAND, "sweep", *map(str, (recipe, *argv))]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(what: Any, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 400
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


def node() -> dict[str, Any]:
    """A small node of a cluster on loopback. Ray waits only some seconds for helpers that choose ports."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in free:
            each.bind((LOOPBACK, 0))
        ports = [each.getsockname()[1] for each in free]
    names = (
        "metrics_agent_port",
        "dashboard_agent_listen_port",
        "runtime_env_agent_port",
        "metrics_export_port",
    )
    small = {"num_cpus": 1, "node_ip_address": LOOPBACK, "object_store_memory": 80 << 20}
    return {**small, **dict(zip(names, ports, strict=True))}


def result(work: Path, variant: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "variants" / variant / "result.json").read_text())
    return found


def test_a_node_is_killed_half_way_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine is slow to start nodes and to answer; the killed one is missed by its closed connection.
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "300000")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "100")
    from ray.cluster_utils import Cluster

    data, work, recipe = tmp_path / "colours", tmp_path / "work", tmp_path / "sweep.toml"
    pictures.write(data, (12, 12, 12))
    recipe.write_text(TRAINED)
    cluster = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    try:
        other = cluster.add_node(**node())
        process = sweep(recipe, "--data", data, "--work", work, "--address", cluster.address)
        # Both train: one here, one there.
        wait_for(lambda: len(list(work.glob("variants/*/trained/state.npz"))) == 2, process)
        cluster.remove_node(other, allow_graceful=False)
        _, said = process.communicate(timeout=500)
        assert process.returncode == 0, said
        assert "2 variants on 2 processors" in said
        again = sweep(recipe, "--data", data, "--work", work, "--address", cluster.address)
        assert "2 of 2 variants are done already" in again.communicate(timeout=200)[1]
    finally:
        cluster.shutdown()
    names = sorted(path.name for path in (work / "variants").iterdir())
    assert names == ["widths-4-4-4", "widths-4-4-8"]
    found = [result(work, name) for name in names]
    assert sorted(entry["tries"] for entry in found) == [1, 2]
    (lost,) = (entry["variant"] for entry in found if entry["tries"] == 2)
    assert f"{lost}: top-1" in said
    assert "after 2 tries" in said
    # From its checkpoint, not from the start.
    assert "training goes on after epoch" in (work / "variants" / lost / "log.txt").read_text()
    for name in names:
        trained = Work(work / "variants" / name).figures("train")
        assert trained is not None
        assert [row["epoch"] for row in trained["history"]] == list(range(1, 61))
    page = (work / "report.html").read_text()
    assert all(f"{name} · int8" in page for name in names)
    assert "one file after another" in page


def test_what_fails_is_named_and_what_travels_is_the_same(models: Path, tmp_path: Path) -> None:
    data, work, recipe = tmp_path / "colours", tmp_path / "work", tmp_path / "sweep.toml"
    data.mkdir()
    models_for_tests.write_pictures(data)
    recipe.write_text(CONVERTED)
    arguments = ("--model", models / "scaling.keras", "--data", data)
    process = sweep(recipe, *arguments, "--work", work, "--travel")
    _, said = process.communicate(timeout=500)
    assert process.returncode == 1, said
    assert said.splitlines()[-1].startswith("edgecam-convert: 1 of 2 variants failed: wrong: ")
    assert "wrong: " in said
    assert not (work / "variants" / "wrong" / "result.json").exists()
    found = result(work, "plain")
    assert found["figures"]["pictures"] > 4  # so it was judged in shares
    # The same files, judged in one go where they lie now.
    from converters.dataset import Dataset
    from converters.judge import judge_all

    mine = Work(work / "variants" / "plain")
    split = Dataset.from_json(mine.path("data.json").read_text())
    files = {name: mine.path(file) for name, file in found["figures"]["paths"].items()}
    judged = judge_all(files, split.test, split.names)
    for name, entry in judged.figures.items():
        assert entry.accuracy.top1 == found["figures"]["models"][name]["accuracy"]["top1"]
        assert entry.sha256 == found["figures"]["models"][name]["sha256"]
    assert "wrong" in (work / "report.html").read_text()


def test_no_cluster_answers(tmp_path: Path) -> None:
    recipe = tmp_path / "sweep.toml"
    recipe.write_text(TRAINED)
    pictures.write(tmp_path / "colours", (3, 3, 3))
    process = sweep(
        recipe, "--data", tmp_path / "colours", "--work", tmp_path / "w", "--address", "127.0.0.2:1"
    )
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "no Ray cluster answers at 127.0.0.2:1" in said.splitlines()[-1]
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".lock"]
