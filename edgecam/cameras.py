"""Which cameras this machine has, what they offer, and in plain words why one cannot be used."""

from __future__ import annotations

import errno
import getpass
import grp
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam import v4l2
from edgecam.errors import SourceError, UsageError

log = logging.getLogger(__name__)

# Formats that we turn into pictures, the best first: JPEG needs the least of the bus and of us.
DECODABLE = ("MJPG", "JPEG", "YUYV", "UYVY", "YVYU", "NV12", "NV21", "YU12", "YV12", "RGB3", "BGR3", "GREY")

# Video nodes of a Raspberry Pi (and its like) that are parts of an image pipeline, not cameras to read from.
_PIPELINE_DRIVERS = frozenset(
    {"bcm2835-codec", "bcm2835-isp", "pispbe", "rp1-cfe", "rpi-hevc-dec", "rpivid", "unicam"}
)
_DEV, _SYS, _PROC = Path("/dev"), Path("/sys/class/video4linux"), Path("/proc")


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that the kernel knows.

    Attributes:
        path: its node, ``/dev/video0``.
        name: what its maker calls it.
        driver: the kernel's driver, "" if the node could not be opened.
        bus: where it is plugged in.
        links: names below ``/dev/v4l`` that stay the same over restarts and ports.
        formats: what it offers.
        problem: why it cannot be asked, with the remedy; None if it can.
    """

    path: str
    name: str
    driver: str = ""
    bus: str = ""
    links: tuple[str, ...] = ()
    formats: tuple[v4l2.Format, ...] = ()
    problem: SourceError | None = None

    @property
    def usable(self) -> bool:
        """True if it can be asked and offers a format that we can decode."""
        return not self.problem and any(f.fourcc in DECODABLE for f in self.formats)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "path": self.path,
            "name": self.name,
            "driver": self.driver,
            "bus": self.bus,
            "links": list(self.links),
            "usable": self.usable,
            "problem": str(self.problem or ""),
            "formats": [
                {
                    "format": f.fourcc,
                    "description": f.description,
                    "decodable": f.fourcc in DECODABLE,
                    "sizes": [_sizes_dict(s) for s in f.sizes],
                }
                for f in self.formats
            ],
        }


def _sizes_dict(sizes: v4l2.Sizes) -> dict[str, Any]:
    out: dict[str, Any] = {"size": list(sizes.max), "rates": list(sizes.rates)}
    if sizes.min != sizes.max:
        out |= {"min": list(sizes.min), "step": list(sizes.step)}
    return out


def list_cameras() -> list[CameraInfo]:
    """Every camera, by node number. Nodes for metadata, codecs and image pipelines are left out."""
    return list(_cameras())


def first_camera() -> CameraInfo:
    """The first camera that can be used.

    Raises:
        SourceError: there is none, or the only one cannot be opened; says why.
    """
    problem = None
    for camera in _cameras():
        if camera.usable:
            return camera
        problem = problem or camera.problem
    if problem:
        raise problem
    if _pipeline_present():
        raise SourceError("no USB camera found", "for a Raspberry Pi camera module use picamera:")
    raise SourceError("no camera found", "plug one in, or try demo:")


def camera(name: str) -> CameraInfo:
    """The camera that a ``camera:`` URI's path names: nothing, a number, or a path.

    Raises:
        UsageError: not such a name.
        SourceError: it is not there, may not be opened, or is not a camera.
    """
    if not name:
        return first_camera()
    if name.isdigit():
        name = f"/dev/video{int(name)}"
    if not name.startswith("/"):
        raise UsageError(
            f"{name!r} is not the name of a camera",
            "write camera:0, camera:/dev/video0, or camera: for the first",
        )
    try:
        info = _ask(name)
    except OSError as error:
        raise explain(name, error) from error
    if info is None:
        raise SourceError(f"{name} is not a camera", "`edgecam devices` lists the cameras")
    return info


def csi_cameras() -> list[str]:
    """Models of the cameras that Picamera2 sees on the CSI port; imports Picamera2 if it is installed."""
    try:
        from picamera2 import Picamera2

        # libcamera lists USB cameras as well; those are cameras of ours.
        return [str(c["Model"]) for c in Picamera2.global_camera_info() if "/usb" not in str(c.get("Id", ""))]
    except ImportError:
        return []
    except Exception as error:  # parts of it that were compiled for another NumPy fail in many ways
        log.warning("Picamera2 does not load (%s: %s)", type(error).__name__, error)
        return []


def explain(path: str, error: OSError) -> SourceError:
    """What an errno of a camera means, and the remedy."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return _forbidden(path)
        case errno.EBUSY:
            return SourceError(
                f"camera {path} is in use by {holder(path) or 'another program'}", "close that program first"
            )
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return SourceError(f"no camera at {path}", "plug it in; `edgecam devices` lists the cameras")
        case errno.ENOSPC:
            return SourceError(
                f"camera {path} gets no bandwidth on its USB bus",
                "ask for a smaller size or format=mjpeg, or plug it into a port of its own",
            )
        case errno.ENOTTY | errno.EISDIR | errno.ENOTDIR:
            return SourceError(f"{path} is not a camera", "`edgecam devices` lists the cameras")
        case _:
            reason = error.strerror or str(error)
            return SourceError(f"camera {path} does not start ({reason})", "unplug it and plug it in again")


def nodes() -> list[str]:
    """Paths of all video nodes, by number."""
    found = (re.fullmatch(r"video(\d+)", path.name) for path in _DEV.glob("video*"))
    return [str(_DEV / m[0]) for m in sorted((m for m in found if m), key=lambda m: int(m[1]))]


def _cameras() -> Iterator[CameraInfo]:
    for path in nodes():
        try:
            info = _ask(path)
        except OSError as error:
            # What cannot be opened can still be named; index 0 is a device's first node, its pictures.
            name, index = _sysfs(path, "name"), _sysfs(path, "index")
            if index not in ("0", "") or any(name.startswith(d) for d in _PIPELINE_DRIVERS):
                continue
            info = CameraInfo(path, name or path, links=_links(path), problem=explain(path, error))
        if info is not None:
            yield info


def _ask(path: str) -> CameraInfo | None:
    """A node's own answers, or None if it gives no pictures."""
    node = v4l2.Node(path)
    try:
        who = node.capability()
        if not who.captures or who.driver in _PIPELINE_DRIVERS:
            return None
        return CameraInfo(path, who.card, who.driver, who.bus, _links(path), node.formats())
    finally:
        node.close()


def _sysfs(path: str, name: str) -> str:
    try:
        return (_SYS / Path(path).name / name).read_text().strip()
    except OSError:
        return ""


def _pipeline_present() -> bool:
    return any(_sysfs(path, "name").startswith(("unicam", "rp1-cfe")) for path in nodes())


def _links(path: str) -> tuple[str, ...]:
    real = os.path.realpath(path)
    found = (p for folder in ("by-id", "by-path") for p in sorted((_DEV / "v4l" / folder).glob("*")))
    return tuple(str(p) for p in found if os.path.realpath(p) == real)


def _forbidden(path: str) -> SourceError:
    """Whose permission is missing: the group's, a new log-in's, or that of a sandbox around us."""
    what = f"no permission to use camera {path}"
    try:
        gid = Path(path).stat().st_gid
    except OSError:
        return SourceError(what, "sudo usermod -aG video $USER, then log out and in again")
    if os.geteuid() == 0 or gid in os.getgroups():
        return SourceError(
            f"the sandbox around this program forbids camera {path}",
            f"systemd: DeviceAllow={path} rw, container: --device {path}",
        )
    if gid == 0:
        return SourceError(f"{what} of root alone", f"sudo chgrp video {path} && sudo chmod g+rw {path}")
    try:
        group = grp.getgrgid(gid)
    except KeyError:  # a container that knows not the groups of its host
        return SourceError(f"{what} of group {gid}", f"container: --group-add {gid}")
    if _user() in group.gr_mem:
        remedy = "you became a member after you logged in: log out and in again"
    else:
        remedy = f"sudo usermod -aG {group.gr_name} $USER, then log out and in again"
    return SourceError(f"{what} of group {group.gr_name}", remedy)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return ""


def holder(path: str) -> str:
    """``cheese (pid 123)``: the program that has a device open, "" if it is not ours to see."""
    real = os.path.realpath(path)
    for link in _PROC.glob("[0-9]*/fd/*"):
        try:
            pid = link.parts[-3]
            if str(link.readlink()) == real and int(pid) != os.getpid():
                return f"{(link.parents[1] / 'comm').read_text().strip()} (pid {pid})"
        except OSError:
            continue
    return ""


def choose(
    formats: Sequence[v4l2.Format], names: Sequence[str], size: tuple[int, int] | None, fps: float
) -> tuple[str, int, int]:
    """The (fourcc, width, height) to ask for.

    A size that was asked for decides first, then the order of ``names``. Without one, sizes that keep at
    least half of ``fps`` come first (USB 2 cameras give raw 720p at 5 to 10 frames a second), then the order
    of ``names``, then the size nearest to 1280x720.

    Raises:
        UsageError: the camera has none of the formats; lists what it has.
    """
    width, height = size or (1280, 720)
    options: list[tuple[tuple[float, ...], tuple[str, int, int]]] = []
    for offer in formats:
        if offer.fourcc not in names:
            continue
        rank = names.index(offer.fourcc)
        for sizes in offer.sizes or (v4l2.Sizes((width, height), (width, height)),):
            got = sizes.nearest(width, height)
            distance = abs(got[0] - width) + abs(got[1] - height)
            slow = bool(sizes.rates) and sizes.rates[0] < fps / 2
            key = (distance, rank) if size else (slow, rank, distance)
            options.append((key, (offer.fourcc, *got)))
    if not options:
        has = ", ".join(f.fourcc for f in formats if f.fourcc in DECODABLE) or "none that can be decoded"
        raise UsageError(f"the camera has no format {' or '.join(names)}", f"it has: {has}")
    return min(options)[1]
