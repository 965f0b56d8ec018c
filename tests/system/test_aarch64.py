"""edgecam on the processor of a Raspberry Pi: a Debian for aarch64, emulated, with a camera of its kernel."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from edgecam.sources import demo
from tests.vm.kernel import Unavailable

from . import debian, packages
from .virtual import Virtual

pytestmark = pytest.mark.virtual

EDGECAM, PYTHON = "/opt/env/bin/edgecam", "/opt/env/bin/python3"
PICTURE = Path(demo.__file__).parent / "assets" / "wall.jpg"
MODELS = ("detect-coco", "classify-person")
Here: TypeAlias = Callable[..., str]
SNAPSHOT = (
    "import base64, urllib.request as u; "
    "print(base64.b64encode(u.urlopen('http://127.0.0.1:8080/snapshot.jpg?raw=1').read()).decode())"
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with edgecam's own wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    packages.wheel(folder)
    return folder


@pytest.fixture(scope="module")
def guest(own: Path) -> Iterator[Virtual]:
    """Switched on, with edgecam installed by pip from wheels."""
    try:
        root = debian.unpacked("arm64", "bookworm")
        wheels = packages.wheels(debian.SUITES["bookworm"], "aarch64")
        guest = Virtual(root, "arm64", {"/srv/wheels": wheels, "/srv/own": own}, memory=4096)
    except Unavailable as missing:
        pytest.skip(str(missing))
    with guest:
        guest.run("python3", "-m", "venv", "--without-pip", "/opt/env", timeout=600)
        # Debian's pip as it lies there: to install one, and to compile all, would take as long again.
        pip = "PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /opt/env/bin/python3 -m pip"
        command = f"{pip} install --no-compile --no-index --find-links /srv/wheels /srv/own/edgecam-*.whl"
        said = guest.run("sh", "-c", command, timeout=3000).stdout
        print(said.strip().splitlines()[-1])
        yield guest


def test_it_is_what_a_raspberry_pi_has(guest: Virtual) -> None:
    assert guest.run("uname", "-m").stdout.strip() == "aarch64"
    assert guest.run("ps", "-o", "comm=", "-p", "1").stdout.strip() == "systemd"
    said = guest.run(EDGECAM, "devices", "--json", timeout=900).stdout
    litert = next(entry for entry in json.loads(said)["interpreters"] if entry["name"] == "litert")
    assert litert["state"] == "works", litert


@pytest.mark.parametrize("model", MODELS)
def test_the_same_answers_as_on_this_machine(guest: Virtual, here: Here, wall: str, model: str) -> None:
    arguments = ["image", "--no-copies", "--model", model]
    theirs = guest.run(EDGECAM, *arguments, wall, timeout=600).stdout
    compare(theirs, here("-m", "edgecam", *arguments, str(PICTURE)))


def test_only_making_small_differs_and_the_network_does_not(guest: Virtual, here: Here, wall: str) -> None:
    """The decoder and the interpreter give the same to the bit; OpenCV's bilinear is a few levels off."""
    script = Path(__file__).with_name("parity.py")
    guest.put("/srv/parity.py", script.read_text())
    theirs = json.loads(guest.run(PYTHON, "/srv/parity.py", wall, *MODELS, timeout=900).stdout)
    ours = json.loads(here(str(script), str(PICTURE), *MODELS))
    for model in MODELS:
        key = f"{model}: input"
        a, b = (
            np.frombuffer(zlib.decompress(base64.b64decode(said.pop(key))), np.uint8)
            for said in (theirs, ours)
        )
        apart = np.abs(a.astype(int) - b)
        print(f"{model}: inputs differ by {apart.max()} grey levels at most, {apart.mean():.2f} on average")
        assert apart.max() <= 3
        assert apart.mean() < 1
    assert theirs == ours


@pytest.fixture(scope="module")
def wall(guest: Virtual) -> str:
    """The path of the picture in the guest."""
    text = base64.b64encode(PICTURE.read_bytes()).decode()
    guest.run("sh", "-c", "base64 -d > /srv/wall.jpg", text=text)
    return "/srv/wall.jpg"


@pytest.fixture(scope="module")
def here(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Here:
    """Runs Python on this machine with the very wheel that the guest has."""
    place = tmp_path_factory.mktemp("here")
    packages.install_wheel(next(own.glob("*.whl")), place)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-P", *arguments]
        environment = os.environ | {"PYTHONPATH": str(place)}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    return run


def compare(theirs: str, ours: str) -> None:
    """The same labels, and the same best one with about the same score.

    The scores of the others are not held: inputs differ by up to three grey levels (see the next test), and
    what a network is not sure of moves with that: noise of one level on a tenth of the pixels moves
    the second person between 0.50 and 0.74 on x86-64 alone.
    """
    found, known = answers(theirs), answers(ours)
    print(f"aarch64 {found}; x86_64 {known}")
    assert known and found[0][0] == known[0][0]
    assert found[0][1] == pytest.approx(known[0][1], abs=0.03)
    assert sorted(label for label, _ in found) == sorted(label for label, _ in known)


@pytest.mark.parametrize("model", MODELS)
def test_the_golden_samples_hold(guest: Virtual, model: str) -> None:
    said = guest.run(EDGECAM, "model", "verify", model, timeout=600).stdout
    print(said)
    assert said.count(" pass ") >= 4 and "fail" not in said.lower()


def answers(text: str) -> list[tuple[str, float]]:
    record: dict[str, Any] = json.loads(text)["pictures"][0]
    rows = record.get("detections") or record.get("classes") or []
    return [(row["label"], row["score"]) for row in rows]


def test_a_minute_on_a_camera(guest: Virtual, here: Here, tmp_path: Path) -> None:
    guest.load("vivid", "n_devs=1 node_types=0x1")
    run = [EDGECAM, "run", "/dev/video0", "--model", "classify-person", "--duration", "60"]
    guest.run(
        *("systemd-run", "--unit", "run", "--property", "StandardError=journal"),
        *(*run, "--sink", "jsonl:/srv/out.jsonl", "--sink", "web:"),
    )
    picture = ""
    while not picture:
        if guest.run("systemctl", "is-active", "run", check=False).stdout != "active\n":
            raise AssertionError(guest.run("journalctl", "-u", "run", "-o", "cat").stdout)
        picture = guest.run("python3", "-c", SNAPSHOT, check=False).stdout.strip()
    guest.run("sh", "-c", "while systemctl is-active --quiet run; do sleep 1; done", timeout=300)
    said = guest.run("journalctl", "-u", "run", "-o", "cat").stdout
    assert "60 s are over" in said, said
    lines = guest.run("cat", "/srv/out.jsonl").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    print(f"{len(records)} frames in 60 s, emulated")
    assert len(records) > 30 and {record["state"] for record in records[5:]} == {"running"}
    assert records[-1]["time"] - records[0]["time"] > 40
    top = {record["classes"][0]["label"] for record in records}
    # The very picture of the camera, judged on this machine.
    path = tmp_path / "picture.jpg"
    path.write_bytes(base64.b64decode(picture))
    ours = answers(here("-m", "edgecam", "image", "--no-copies", "--model", "classify-person", str(path)))
    print(f"on the camera {top}; the same picture here {ours[:2]}")
    # The pattern moves, and near the edge the answer turns with it: this picture's must be among those given.
    label, score = ours[0][:2]
    assert [
        record
        for record in records
        if record["classes"][0]["label"] == label and abs(record["classes"][0]["score"] - score) < 0.1
    ]
