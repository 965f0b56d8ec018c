"""A cluster that asks for Ray's token, as ``ray start`` does where one lies in the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.converters.sweeping.test_sweep import LOOPBACK
from tests.helpers.broker import free_port

pytestmark = pytest.mark.convert

JOIN = """
import sys
from converters.sweeping.cluster import joined
with joined(sys.argv[1]) as ray:
    print("processors", ray.cluster_resources()["CPU"])
"""


@pytest.fixture
def short() -> Iterator[str]:
    """A folder with a short name: Ray's sockets lie deep in it."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield name


def test_the_token_in_the_home_folder_is_shown(tmp_path: Path, short: str) -> None:
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env |= {"HOME": str(home), "RAY_raylet_start_wait_time_s": "300", "RAY_USAGE_STATS_ENABLED": "0"}
    port = free_port()
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    start += [f"--node-ip-address={LOOPBACK}", "--num-cpus=1", "--include-dashboard=false"]
    start += ["--object-store-memory=80000000", f"--temp-dir={short}"]
    with (tmp_path / "said").open("w") as said:
        head = subprocess.Popen(start, env=env, stdout=said, stderr=said, start_new_session=True)
    try:
        end = time.monotonic() + 300
        while "Ray runtime started" not in (tmp_path / "said").read_text():
            assert head.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        joined = subprocess.run(
            [sys.executable, "-c", JOIN, f"{LOOPBACK}:{port}"],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert joined.returncode == 0, joined.stderr[-2000:]
        assert "processors 1.0" in joined.stdout
    finally:
        head.terminate()
        head.wait(60)
