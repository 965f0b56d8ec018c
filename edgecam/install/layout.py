"""Where the parts of the service lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import UsageError

USER = "edgecam"
#: Groups that own cameras and accelerators; a machine has those that it needs.
GROUPS = ("video", "plugdev", "render", "apex")
#: Folders that the service cannot see.
HIDDEN = (Path("/home"), Path("/root"), Path("/tmp"), Path("/var/tmp"), Path("/run/user"))


@dataclass(frozen=True)
class Layout:
    """The files of all services on one machine. ``root`` is another than / only in tests."""

    root: Path = Path("/")

    @property
    def home(self) -> Path:
        """The program."""
        return self.root / "opt/edgecam"

    @property
    def etc(self) -> Path:
        """The settings."""
        return self.root / "etc/edgecam"

    @property
    def users(self) -> Path:
        """Who may open their pages."""
        return self.etc / "users"

    @property
    def state(self) -> Path:
        """What the services write."""
        return self.root / "var/lib/edgecam"

    @property
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    @property
    def udev_rule(self) -> Path:
        return self.root / "etc/udev/rules.d/60-edgecam-coral.rules"

    @property
    def versions(self) -> Path:
        """Environments, each in a folder of its own."""
        return self.home / "versions"

    @property
    def current(self) -> Path:
        """A link to the environment in use."""
        return self.home / "current"

    @property
    def previous(self) -> Path:
        """A link to the one before."""
        return self.home / "previous"

    @property
    def records(self) -> Path:
        """What was written where, to tell an edited file from one that is only old."""
        return self.home / "installed.json"

    def instances(self) -> list[Instance]:
        """The services that have been installed: those that are enabled."""
        wants = self.units / "multi-user.target.wants"
        found = []
        for link in sorted(wants.glob("edgecam*.service")):
            match = re.fullmatch(r"edgecam(?:@(.+))?\.service", link.name)
            if match:
                found.append(Instance(match[1] or "", self))
        return found


@dataclass(frozen=True)
class Instance:
    """One service. ``name`` is "" for the one that has none."""

    name: str
    layout: Layout = Layout()

    @classmethod
    def named(cls, name: str, layout: Layout | None = None) -> Instance:
        """
        Raises:
            UsageError: not a name that a unit and a file can have.
        """
        if name and (not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,30}", name) or name == "edgecam"):
            raise UsageError(
                f"{name!r} cannot be the name of a service", "take small letters, digits, - and _: front-door"
            )
        return cls(name, layout or Layout())

    @property
    def unit(self) -> str:
        return f"edgecam@{self.name}.service" if self.name else "edgecam.service"

    @property
    def unit_file(self) -> Path:
        """Shared by all that have a name."""
        return self.layout.units / ("edgecam@.service" if self.name else "edgecam.service")

    @property
    def config(self) -> Path:
        return self.layout.etc / f"{self.name or 'edgecam'}.toml"

    @property
    def state(self) -> Path:
        return self.layout.state / self.name if self.name else self.layout.state

    def command(self, verb: str) -> str:
        """The command line about this service, for messages."""
        return f"edgecam service {verb}" + (f" --name {self.name}" if self.name else "")
