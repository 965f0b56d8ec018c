"""Cameras: nodes, permission, who holds one, Picamera2, and a first picture."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecam.doctor import processes
from edgecam.doctor.context import Context, settings_of
from edgecam.doctor.findings import Finding, failure, ok, warning
from edgecam.doctor.isolated import Outcome

_HERE = "edgecam.doctor.camera"
SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")
DARK = 8  # mean brightness, of 255, under which a picture is black
#: Drivers of the port for camera modules on Raspberry Pi boards.
CSI_DRIVERS = ("unicam", "rp1-cfe")


# -- V4L2


def list_cameras() -> list[dict[str, Any]]:
    """In the child: what the kernel's cameras say of themselves, and who holds each."""
    from edgecam import cameras

    return [{**camera.as_dict(), "holder": cameras.holder(camera.path)} for camera in cameras.list_cameras()]


def judge_cameras(outcome: Outcome, source: str, csi: bool) -> Iterator[Finding]:
    """
    Args:
        outcome: of :func:`list_cameras`.
        source: that the settings name.
        csi: a camera module may serve in their place.
    """
    check = "camera"
    if outcome.error:
        yield failure(
            check,
            f"asking the cameras: {outcome.error}",
            "unplug them, restart; sudo dmesg tells which driver",
        )
        return
    found: list[dict[str, Any]] = outcome.value
    needed = source == "auto" or source.startswith(("camera:", "/dev/")) or source.isdigit()
    if not found:
        if needed and not csi:
            remedy = "plug a USB camera in; lsusb shows whether it arrives. demo: and synthetic: need none"
            yield (warning if source == "auto" else failure)(check, "none found", remedy)
        else:
            yield ok(check, "no USB camera, and none is needed")
    usable = any(not camera["problem"] and camera["usable"] for camera in found)
    for camera in found:
        yield _judge_camera(camera, fatal=needed and not usable)


def _judge_camera(camera: Mapping[str, Any], fatal: bool) -> Finding:
    check, name = "camera", f"{camera['path']} {camera['name']}"
    level = failure if fatal else warning
    if camera["problem"]:
        what, _, remedy = str(camera["problem"]).partition(": ")
        return level(check, what, remedy)
    if not camera["usable"]:
        formats = ", ".join(f["format"] for f in camera["formats"]) or "none"
        return level(check, f"{name} offers no format that can be decoded ({formats})", "use another camera")
    if camera["holder"]:
        ours = " (that may be edgecam's own service)" if "edgecam" in camera["holder"] else ""
        return warning(
            check, f"{name} is in use by {camera['holder']}{ours}", "only one program at a time gets pictures"
        )
    formats = ", ".join(f["format"] for f in camera["formats"] if f["decodable"])
    return ok(check, f"{name}: {formats}")


# -- Picamera2


def ask_picamera2() -> list[str]:
    """In the child: the models of the camera modules that Picamera2 sees."""
    from picamera2 import Picamera2

    return [str(c["Model"]) for c in Picamera2.global_camera_info() if "/usb" not in str(c.get("Id", ""))]


def judge_picamera2(
    outcome: Outcome, *, wanted: bool, possible: bool, in_system: bool, sees_system: bool
) -> Iterator[Finding]:
    """
    Args:
        outcome: of :func:`ask_picamera2`.
        wanted: the settings name a ``picamera:`` source.
        possible: this machine can have a camera module, and no other camera does its work.
        in_system: Picamera2 is among the system's packages.
        sees_system: this Python sees them.
    """
    check = "Picamera2"
    level = failure if wanted else warning
    if not wanted and not possible:
        yield ok(check, "not needed here (it is for camera modules of a Raspberry Pi)")
    elif outcome.kind == "ModuleNotFoundError" and not in_system:
        yield level(check, "not installed", "sudo apt install python3-picamera2")
    elif outcome.kind == "ModuleNotFoundError" and not sees_system:
        yield level(
            check,
            "installed in the system, but this virtual environment does not see it",
            "make the environment anew: python3 -m venv --system-site-packages .venv",
        )
    elif outcome.error:
        numpy = "numpy" in outcome.error.lower()
        yield level(
            check,
            f"does not load: {outcome.error}",
            "it was built for another NumPy: pip install 'numpy<2'"
            if numpy
            else "use the system's own Python version, and sudo apt install --reinstall python3-picamera2",
        )
    elif not outcome.value:
        yield level(
            check,
            "sees no camera module",
            "check its ribbon cable; rpicam-hello --list-cameras shows what is there",
        )
    else:
        yield ok(check, f"sees {', '.join(outcome.value)}")


def sees_system(config: Path) -> bool:
    """Whether this Python sees the system's packages: outside of an environment, or in one that says so.

    Args:
        config: ``pyvenv.cfg``.
    """
    if sys.prefix == sys.base_prefix:
        return True
    try:
        text = config.read_text("utf-8", "replace").lower()
    except OSError:
        return False
    return "include-system-site-packages = true" in text


def csi_port(context: Context) -> bool:
    """Whether the kernel has a driver for camera modules, or the board is one that has the port."""
    names = (context.sys / "class/video4linux").glob("*/name")
    for path in names:
        try:
            if path.read_text().startswith(CSI_DRIVERS):
                return True
        except OSError:
            continue
    return context.board.is_raspberry_pi


# -- a picture


def take_picture(settings: dict[str, Any]) -> dict[str, Any]:
    """In the child: a picture of the source that the settings name; its size and mean brightness."""
    from edgecam import build
    from edgecam.errors import SourceError

    source = build.create_source(settings_of(settings), lambda text: None)
    source.open()
    try:
        frames = []
        # The first pictures of a camera are often dark: its exposure is still finding its way.
        for _ in range(15 if source.live else 1):
            frame = source.read()
            if frame is None:
                break
            frames.append(frame)
        if not frames:
            raise SourceError(f"{source.name} gives no picture")
        image = frames[-1].image
        height, width = image.shape[:2]
        return {"source": source.name, "size": [width, height], "mean": float(image.mean())}
    finally:
        source.close()


def judge_picture(outcome: Outcome, ours: Sequence[int] = ()) -> Iterator[Finding]:
    """
    Args:
        outcome: of :func:`take_picture`.
        ours: processes of edgecam that run already.
    """
    check = "picture"
    if outcome.error and ours and "is in use by" in outcome.error:
        pids = ", ".join(map(str, ours))
        yield warning(check, f"not taken: edgecam runs already (pid {pids})", "look at its page instead")
        return
    if outcome.error:
        yield failure(check, outcome.error, outcome.remedy)
        return
    width, height = outcome.value["size"]
    seen = f"{width}x{height} from {outcome.value['source']}"
    if outcome.value["mean"] < DARK:
        yield warning(check, f"{seen} is black", "take the lens cap off, or give it light")
    else:
        yield ok(check, seen)


def checks(context: Context) -> Iterator[Finding]:
    """Everything of this module, read from the machine."""
    source = context.settings.source
    wanted = source.startswith("picamera:")
    listed = context.call(f"{_HERE}:list_cameras", {})
    possible = csi_port(context) and not any(camera["usable"] for camera in listed.value or ())
    modules = Outcome(value=[])
    if wanted or possible:
        modules = context.call(f"{_HERE}:ask_picamera2", {})
    yield from judge_cameras(listed, source, bool(modules.value))
    yield from judge_picamera2(
        modules,
        wanted=wanted,
        possible=possible,
        in_system=(SYSTEM_PACKAGES / "picamera2").is_dir(),
        sees_system=sees_system(Path(sys.prefix) / "pyvenv.cfg"),
    )
    taken = context.call(f"{_HERE}:take_picture", {"settings": context.plain_settings})
    yield from judge_picture(taken, processes.running("edgecam", context.proc))
