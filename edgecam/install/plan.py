"""Which steps an installation, a way back and a removal take on this machine."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from pathlib import Path

from edgecam import resources
from edgecam.errors import EdgecamError
from edgecam.install import units
from edgecam.install.environment import COMPLETE, Environment
from edgecam.install.layout import GROUPS, USER, Instance, Layout
from edgecam.install.steps import Command, File, Folder, Link, Owner, Prune, Records, Remove, Step

BACKOFF_SINCE = 254


def program(environment: Environment) -> list[Step]:
    """The program's own copy, and the links to it and to the one before."""
    layout, target = environment.layout, Path("versions") / environment.identity
    steps: list[Step] = [environment]
    if layout.current.is_symlink() and layout.current.readlink() != target:
        steps.append(Link(layout.previous, layout.current.readlink()))
    return [*steps, Link(layout.current, target)]


def install(instance: Instance, settings: bytes) -> list[Step]:
    """User, settings, unit and rule, without the program. ``settings`` is the content of its file."""
    layout = instance.layout
    records = Records(layout.records)
    ours = Owner("root", USER)
    systemd = resources.folder("systemd")
    unit = instance.unit_file
    steps: list[Step] = [
        Command(
            [
                *("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"),
                *("--home-dir", str(layout.state), "--comment", "edgecam service", USER),
            ],
            unless=lambda: _exists(pwd.getpwnam, USER),
        ),
        *[
            Command(["usermod", "--append", "--groups", group, USER], unless=_is_member(group))
            for group in GROUPS
            if _exists(grp.getgrnam, group)
        ],
        Folder(layout.etc, 0o750, ours),
        File(instance.config, settings, records, 0o640, ours, beside=True),
        File(unit, (systemd / unit.name).read_bytes(), records),
        File(layout.udev_rule, (systemd / layout.udev_rule.name).read_bytes(), records),
    ]
    if units.version() >= BACKOFF_SINCE:
        drop_in = unit.with_name(unit.name + ".d") / "backoff.conf"
        steps.append(File(drop_in, (systemd / "backoff.conf").read_bytes(), records))
    return steps


def users(layout: Layout, data: bytes) -> Step:
    """The file of who may open the pages; it is made once, and then belongs to ``edgecam web``."""
    return File(layout.users, data, Records(layout.records), 0o640, Owner("root", USER))


def start(instance: Instance, new_program: bool) -> list[Step]:
    """Make the changes known, and start anew with them; a new program is for the other services too."""
    others = [other for other in instance.layout.instances() if other != instance]
    return [
        Command(["udevadm", "control", "--reload"], may_fail=True),
        Command(["udevadm", "trigger", "--subsystem-match=usb"], may_fail=True),
        Command(["systemctl", "daemon-reload"]),
        Command(["systemctl", "reset-failed", instance.unit], may_fail=True),
        Command(["systemctl", "enable", "--quiet", instance.unit]),
        # Returns when it is ready or has failed: until then it is the old process that one would ask.
        Command(["systemctl", "restart", instance.unit], may_fail=True),
        *[Command(["systemctl", "try-restart", "--no-block", other.unit]) for other in others if new_program],
    ]


def back(layout: Layout) -> list[Step]:
    """The program that was in use before; doing it twice is to and fro.

    Raises:
        EdgecamError: there is none.
    """
    if not (layout.previous / COMPLETE).exists() or not layout.current.is_symlink():
        raise EdgecamError("there is no earlier version to go back to", "edgecam service install")
    here, before = layout.current.readlink(), layout.previous.readlink()
    return [
        Link(layout.current, before),
        Link(layout.previous, here),
        *[Command(["systemctl", "restart", i.unit], may_fail=True) for i in layout.instances()],
    ]


def tidy(layout: Layout) -> list[Step]:
    """Take away versions that are neither in use nor the one to go back to."""
    kept = {link.resolve() for link in (layout.current, layout.previous) if link.is_symlink()}
    return [Remove(path) for path in sorted(layout.versions.glob("*")) if path.resolve() not in kept]


def uninstall(instance: Instance, purge: bool) -> list[Step]:
    """Stop and remove a service; with the last one the program; with ``purge`` settings and data too."""
    layout = instance.layout
    records = Records(layout.records)
    others = [other for other in layout.instances() if other != instance]
    steps: list[Step] = [
        Command(
            ["systemctl", "disable", "--now", "--quiet", instance.unit],
            unless=lambda: not instance.unit_file.exists(),
        )
    ]
    if not any(other.unit_file == instance.unit_file for other in others):
        drop_in = instance.unit_file.with_name(instance.unit_file.name + ".d") / "backoff.conf"
        steps += [Remove(instance.unit_file, records), Remove(drop_in, records)]
        steps.append(Remove(drop_in.parent) if purge else Prune(drop_in.parent))
    if purge:
        steps += [Remove(instance.config, records)]
        steps += [Remove(instance.state)] if instance.name else []
    if not others:
        steps += [Remove(layout.udev_rule, records), Remove(layout.home)]
        if purge:
            steps += [
                Remove(layout.state),
                Remove(layout.etc),
                Command(["userdel", USER], unless=lambda: not _exists(pwd.getpwnam, USER)),
            ]
    steps.append(Command(["systemctl", "daemon-reload"]))
    steps.append(Command(["systemctl", "reset-failed", instance.unit], may_fail=True))
    return steps


def _exists(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _is_member(group: str) -> Callable[[], bool]:
    return lambda: USER in grp.getgrnam(group).gr_mem
