"""One training over several devices and hosts: JAX in processes of its own, on the processor."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.training import files

pytestmark = pytest.mark.convert

# Hosts must have met before "auto" asks what computes; on a processor it is float32.
CHANGED = {"cutout": 0.25, "mixup": 0.2, "shift": 0.1}
SETTINGS = {"epochs": 2, "batch": 16, "rate": 0.01, "ema": 0.9, "precision": "auto", **CHANGED}
# To compile. With --xla_backend_optimization_level=0 losses were NaN on an AMD processor.
QUICK = "--xla_llvm_disable_expensive_passes=true"
ONE = {"XLA_FLAGS": QUICK}
TWO = {"XLA_FLAGS": f"{QUICK} --xla_force_host_platform_device_count=2"}


def start(folder: Path, devices: int, more: dict[str, str], **settings: Any) -> subprocess.Popen[str]:
    said = json.dumps({**SETTINGS, "devices": devices, **settings})
    command = [sys.executable, "-m", "tests.converters.training.spreading", str(folder), said]
    environment = {**os.environ, **more}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def end(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, error = process.communicate(timeout=900)
    assert process.returncode == 0, error[-2000:]
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def hosts(count: int) -> list[dict[str, str]]:
    """What each of several hosts on loopback is told."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    told = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count)}
    return [{**ONE, **told, "KERAS_DISTRIBUTION_PROCESS_ID": str(number)} for number in range(count)]


def test_several_devices_and_several_hosts_learn_as_one(tmp_path: Path) -> None:
    alone = end(start(tmp_path / "alone", 1, ONE))
    two = end(start(tmp_path / "two", 2, TWO))
    both = [start(tmp_path / f"host{n}", 0, told) for n, told in enumerate(hosts(2))]
    first, second = map(end, both)
    assert alone["said"][0] == "JAX: 1 device (cpu:0)"
    assert two["said"][0] == "JAX: 2 devices (cpu:0, cpu:1)"
    assert first["said"][0].startswith("JAX: 2 devices on 2 hosts")
    assert alone["losses"][1] < alone["losses"][0]
    for found in (two, first, second):
        assert found["losses"] == pytest.approx(alone["losses"], rel=1e-3)
        assert found["seen"] == pytest.approx(alone["seen"], rel=1e-3)
    # Every host has the same weights, and TensorFlow reads them.
    one, other = (files.load_model(tmp_path / f"host{n}" / "model.keras") for n in range(2))
    assert all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    lone = files.load_model(tmp_path / "alone" / "model.keras")
    assert np.asarray(one(pictures)) == pytest.approx(np.asarray(lone(pictures)), abs=1e-2)


@pytest.mark.parametrize(
    ("devices", "more", "settings", "said"),
    [
        (3, {}, {}, "devices = 3, but JAX sees 1 (cpu:0): a processor counts as several by XLA_FLAGS="),
        (2, TWO, {"batch": 15}, "a batch of 15 cannot be divided among 2 devices: batch = 16"),
    ],
)
def test_what_cannot_be_shared_out_is_said(
    tmp_path: Path, devices: int, more: dict[str, str], settings: dict[str, Any], said: str
) -> None:
    process = start(tmp_path, devices, more, **settings)
    _, error = process.communicate(timeout=400)
    assert process.returncode == 1
    assert said in error.splitlines()[-1]


def test_devices_without_jax(tmp_path: Path) -> None:
    from converters.training import spread
    from edgecam.errors import UsageError
    from tests.converters.training.pictures import Remembering

    with pytest.raises(UsageError, match="several devices or hosts need JAX: --backend jax"):
        spread.begin({"backend": "tensorflow", "devices": 2}, Remembering())
