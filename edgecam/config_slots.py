"""The settings of installed models, a part of :class:`edgecam.config.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam.options import Many, Number, Switch, Text, setting

SLOTS = "Installed models"


@dataclass(frozen=True)
class SlotSettings:
    """See ``docs/models.md``."""

    slots: str | None = setting(
        None,
        Text("a folder", path=True),
        SLOTS,
        "Folder of models installed beside the one in the settings; without it the service's own, or "
        "~/.local/state/edgecam/slots",
        "DIR",
        example="/var/lib/edgecam/slots",
    )
    require_signature: bool = setting(
        False, Switch(), SLOTS, "Install only models that a trusted key has signed"
    )
    trusted_keys: tuple[str, ...] = setting(
        ("/etc/edgecam/trusted.d",),
        Many(" ", "keys"),
        SLOTS,
        "Public keys of minisign: files, folders of .pub files, or a key's line",
        "KEY",
        flag="--trusted-key",
    )
    slot_memory: float = setting(
        0.0,
        Number(float, 0),
        SLOTS,
        "Megabytes that a model installed beside the running one may take; 0 for what is free",
        "MB",
    )
    fleet: str | None = setting(
        None,
        Text("yes, or a broker's address"),
        SLOTS,
        "Take models over MQTT: yes for the broker of the mqtt: sink, or mqtt://BROKER, see docs/fleet.md",
        "yes|URI",
        uri=True,
        example="yes",
    )
    fleet_unsigned: bool = setting(
        False, Switch(), SLOTS, "Take models from the fleet that no trusted key has signed"
    )
