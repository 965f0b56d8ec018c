"""What speaks against an installation is said before anything is changed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edgecam import resources
from edgecam.config import Settings
from edgecam.errors import EdgecamError, UsageError
from edgecam.install import checks, units
from edgecam.install.layout import Instance, Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A machine with the service "back", which watches /dev/video0 at port 8080."""
    layout = Layout(tmp_path)
    (layout.units / "multi-user.target.wants").mkdir(parents=True)
    (layout.units / "multi-user.target.wants" / "edgecam@back.service").symlink_to("../edgecam@.service")
    layout.etc.mkdir(parents=True)
    (layout.etc / "back.toml").write_text('source = "/dev/video0"\n')
    return layout


@pytest.mark.parametrize("name", ["Front", "a b", "../x", "edgecam", "-x", "x" * 40, "é"])
def test_a_name_that_no_unit_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        Instance.named(name)


def test_where_things_lie(tmp_path: Path) -> None:
    one, front = Instance("", Layout(tmp_path)), Instance("front", Layout(tmp_path))
    assert (one.unit, one.config.name, one.unit_file.name) == (
        "edgecam.service",
        "edgecam.toml",
        "edgecam.service",
    )
    assert (front.unit, front.config.name) == ("edgecam@front.service", "front.toml")
    assert front.unit_file.name == "edgecam@.service" and front.state == front.layout.state / "front"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Settings(source="/dev/video1"), "has its page at 127.0.0.1:8080 already.*127.0.0.1:8081"),
        (Settings(source="/dev/video0", listen="127.0.0.1:8081"), "has the source '/dev/video0' already"),
        (Settings(source="0", listen="127.0.0.1:9"), "has the source"),
        (Settings(source="rtps://x/", listen="127.0.0.1:9"), "did you mean 'rtsps'"),
        (Settings(source="demo:", listen="127.0.0.1:9", model="detect-cocoa"), "did you mean 'detect-coco'"),
        (Settings(model="/home/me/my.tflite"), "cannot see /home.*lib/edgecam/models"),
        (Settings(model="my.tflite"), "no current folder"),
        (Settings(labels="/root/labels.txt"), "cannot see /root"),
        (Settings(model="/var/lib/edgecam/models/none.tflite", listen="127.0.0.1:9"), "none.tflite"),
    ],
)
def test_what_cannot_work_is_refused(layout: Layout, settings: Settings, problem: str) -> None:
    with pytest.raises(EdgecamError, match=problem):
        checks.settings(Instance("front", layout), settings)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(source="/dev/video1", listen="127.0.0.1:8081"),
        Settings(source="/dev/video1", sinks=("web:9000",)),
        Settings(source="/dev/video1", sinks=("record:out.mp4",)),
        Settings(source="demo:", sinks=("web:0",)),
    ],
)
def test_two_services_that_do_not_meet(layout: Layout, settings: Settings) -> None:
    checks.settings(Instance("front", layout), settings)
    checks.settings(Instance("back", layout), Settings(source="/dev/video0"))


def test_the_two_units_differ_in_the_instance_alone() -> None:
    folder = resources.folder("systemd")
    one, many = (
        [line for line in (folder / name).read_text().splitlines() if not line.startswith("#")]
        for name in ("edgecam.service", "edgecam@.service")
    )
    differing = [(a, b) for a, b in zip(one, many, strict=True) if a != b]
    assert [a.partition("=")[0] for a, _ in differing] == [
        "Description",
        "ExecStart",
        "StateDirectory",
        "WorkingDirectory",
    ]
    assert all("%i" in b for _, b in differing)


@pytest.mark.parametrize("name", ["edgecam.service", "edgecam@.service"])
def test_the_unit_is_hardened(name: str) -> None:
    path = resources.folder("systemd") / name
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed: apt install systemd")
    match = re.search(r"exposure level for .*: ([\d.]+)", said)
    assert match and float(match[1]) <= 1.3
    assert "ProcSubset=pid" not in re.sub("#.*", "", path.read_text())


def test_temperature_is_the_processors(tmp_path: Path) -> None:
    for number, (kind, value) in enumerate([("acpitz", "90000"), ("cpu-thermal", "48312"), ("bad", "x")]):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(value + "\n")
    assert units.temperature(tmp_path) == 48.312
    assert units.temperature(tmp_path / "none") is None
