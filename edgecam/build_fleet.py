"""From settings to this device's place in a fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from edgecam import build_slots, registry
from edgecam.config import Settings
from edgecam.errors import UsageError
from edgecam.registry import URI

if TYPE_CHECKING:
    from edgecam.fleet.agent import Agent
    from edgecam.sinks.mqtt.server import Server
    from edgecam.slots.keeper import Keeper

SCHEMES = ("mqtt", "mqtts")


def broker(settings: Settings, address: str = "") -> tuple[Server, str]:
    """The broker of a fleet, and the topic above its devices.

    Args:
        address: in place of what the settings say.

    Raises:
        UsageError: none is named, or it cannot be.
    """
    from edgecam.sinks.mqtt.server import read_server, server_options
    from edgecam.sinks.mqtt.topics import check_base

    address = address or (settings.fleet or "yes")
    if address == "yes":
        sinks = [registry.sink_uri(text) for text in settings.sinks]
        uri = next((uri for uri in sinks if uri.scheme in SCHEMES), None)
        if uri is None:
            raise UsageError("no broker is named", "name one: mqtt://HOST/edgecam, here or as a sink")
    else:
        uri = registry.sink_uri(address)
        if uri.scheme not in SCHEMES:
            raise UsageError(f"{uri.safe} is no broker", "write mqtt://HOST/edgecam")
    known = server_options()
    # The address of a sink has options that are not the broker's.
    plain = URI(uri.scheme, uri.path, {key: uri.query[key] for key in known if key in uri.query}, uri.text)
    base = check_base(unquote(urlsplit(uri.text).path)) or "edgecam"
    server = read_server(plain, plain.options(**known))
    return replace(server, client_id=""), base


def start(
    settings: Settings, device: str, keeper: Keeper | None, report: Callable[[str], None]
) -> Agent | None:
    """What takes commands for a run, started; None where the settings do not want it.

    Raises:
        UsageError: no broker, or a trusted key that cannot be read.
        SinkError: paho-mqtt is not installed.
    """
    if settings.fleet is None or settings.fleet == "no":
        return None
    from edgecam.fleet.agent import Agent
    from edgecam.fleet.wire import Tree
    from edgecam.slots.check import Rules

    server, base = broker(settings)
    if keeper is None:
        report("fleet: no commands are taken, since models cannot be changed in this run")
        return None
    rules = Rules.of(settings, build_slots.fits(settings))
    rules = replace(rules, signed=rules.signed or not settings.fleet_unsigned)
    agent = Agent(server, Tree(base), device, keeper.store, rules, settings.model, report)
    agent.start()
    return agent
