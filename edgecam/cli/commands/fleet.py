"""``edgecam fleet ls|status|push|rollback``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecam.cli import console
from edgecam.cli.base import CONTEXT, HeadedOption, common_options, new_command
from edgecam.cli.commands.slots import plan_options
from edgecam.cli.settings import settings_params, with_settings
from edgecam.config_load import Loaded
from edgecam.errors import QualityError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from edgecam.fleet.radio import Radio
    from edgecam.fleet.roster import Device, Roster
    from edgecam.fleet.wire import Tree

HEADING = "Rollout"


@click.group(
    "fleet",
    context_settings=CONTEXT,
    help="See and change many devices over one MQTT broker.",
    invoke_without_command=True,
    params=[*common_options()],
)
@click.pass_context
def fleet(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def broker_option() -> click.Option:
    return HeadedOption(
        ["--broker"],
        metavar="URI",
        default="",
        help="mqtt://USER@HOST/edgecam?password=file:PATH, as for the sink [that of the settings].",
    )


def json_option() -> click.Option:
    return HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.")


@contextmanager
def connected(loaded: Loaded, broker: str) -> Iterator[tuple[Radio, Roster, Tree]]:
    """A connection to the broker, and the fleet as its retained messages tell it."""
    from edgecam import build_fleet
    from edgecam.fleet.radio import Radio
    from edgecam.fleet.roster import Roster
    from edgecam.fleet.wire import Tree

    server, base = build_fleet.broker(loaded.settings, broker)
    tree = Tree(base)
    roster = Roster(tree)
    with Radio(server, roster.hear) as radio:
        radio.subscribe(roster.topics)
        roster.settle()
        yield radio, roster, tree


@new_command(
    "ls",
    help="List the devices of the fleet.",
    params=[broker_option(), json_option(), *settings_params(sections=[])],
)
@with_settings
def list_devices(loaded: Loaded, broker: str, as_json: bool) -> None:
    with connected(loaded, broker) as (_, roster, _tree):
        devices = roster.devices()
    if as_json:
        console.write_json([_plain(device) for device in devices])
        return
    rows = []
    for device in devices:
        job = f"{device.job.stage} {_short(device.job.message)}".strip() if device.job is not None else ""
        fps = device.fact("health", "inference_fps")
        fps = round(fps, 1) if isinstance(fps, int | float) else None
        takes = "" if device.active is None else device.slot
        rows.append((device.id, device.state, device.model, takes, fps, job))
    console.table(("device", "state", "model", "slot", "FPS", "last command"), rows)
    well = sum(device.state == "running" for device in devices)
    console.line(f"{len(devices)} devices, {well} running")


@new_command(
    "status",
    help="Say all that is known of a device.",
    params=[
        click.Argument(["name"], metavar="DEVICE"),
        broker_option(),
        json_option(),
        *settings_params(sections=[]),
    ],
)
@with_settings
def status(loaded: Loaded, name: str, broker: str, as_json: bool) -> None:
    with connected(loaded, broker) as (_, roster, _tree):
        known = {each.id: each for each in roster.devices()}
    if name not in known:
        raise UnknownNameError("device", name, known or ["none yet"])
    facts = _plain(known[name])
    if as_json:
        console.write_json(facts)
        return
    for topic, value in facts.items():
        # Every message says these again; the first tells them.
        said = _ENVELOPE if isinstance(value, dict) and topic != "birth" else frozenset()
        for words, item in _rows(topic, value, said):
            print(f"{words + ':':28} {item}")


_ENVELOPE = frozenset({"schema", "device", "boot", "time", "model"})


def _rows(words: str, value: Any, left_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """A value out of a message as lines for people: (what it is, the value)."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in left_out:
                yield from _rows(f"{words} {key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _rows(f"{words} {number}", item)
    elif value is not None and value != "":
        yield words, ("yes" if value else "no") if isinstance(value, bool) else str(value)


def staging_options() -> list[click.Option]:
    def part(flag: str, default: float, help: str) -> click.Option:
        return HeadedOption(
            [flag], type=click.FloatRange(0, 100), default=default, metavar="PERCENT", heading=HEADING,
            help=f"{help} [{default:g}].",
        )  # fmt: skip

    return [
        part("--canary", 10, "How many devices are first"),
        part("--wave", 50, "How many are in each wave after that"),
        part("--failures", 0, "How many of a wave may fail before it goes back"),
        HeadedOption(
            ["--soak"], type=click.FloatRange(0), default=30.0, metavar="SECONDS", heading=HEADING,
            help="How long a wave is watched before the next [30].",
        ),
        HeadedOption(["--signature"], metavar="FILE", type=click.Path(path_type=Path), heading=HEADING,
                     help="Where the signature is [MODEL.minisig]."),
        HeadedOption(["--all", "everybody"], is_flag=True, heading=HEADING, help="All that are online."),
        HeadedOption(["--afresh"], is_flag=True, heading=HEADING, help="Forget an earlier rollout of it."),
    ]  # fmt: skip


@new_command(
    "push",
    help="Bring a model to devices, and into use there, wave by wave.\n\n"
    "The first wave are the canaries. Each device checks the model as edgecam model install does, compares "
    "it with its own on live frames and takes it on trial. A wave of which devices fail, or are not as well "
    "as before, goes back, and the rollout ends with exit code 3. One that was cut off goes on where it was "
    'when it is started again. Devices need fleet = "yes", and one of your keys in trusted_keys.',
    examples="""
    edgecam fleet push door.tflite --broker mqtt://broker/edgecam --all
    edgecam fleet push door.tflite hall-1 hall-2 --soak 600 --agreement 0.8
    """,
    params=[
        click.Argument(["file"], metavar="MODEL", type=click.Path(path_type=Path)),
        click.Argument(["devices"], nargs=-1, metavar="[DEVICE...]"),
        broker_option(),
        *staging_options(),
        *plan_options(),
        *settings_params(sections=[]),
    ],
)
@with_settings
def push(
    loaded: Loaded,
    file: Path,
    devices: tuple[str, ...],
    broker: str,
    signature: Path | None,
    everybody: bool,
    afresh: bool,
    soak: float,
    **numbers: float,
) -> None:
    from edgecam import state
    from edgecam.fleet.rollout import Ledger, Rollout, Staging, published
    from edgecam.fleet.wire import Manifest
    from edgecam.slots import check
    from edgecam.slots.orders import Plan

    canary, wave, failures = (numbers.pop(name) / 100 for name in ("canary", "wave", "failures"))
    staging = Staging(canary, wave, failures, soak, Plan(**numbers))
    data, text = check.read_bundle(file, signature)
    look_over(file, data)
    manifest = Manifest.of(data, file.name, text)
    ledger = Ledger.open(state.folder() / "rollouts", manifest.sha256)
    if afresh:
        ledger.ends.clear()
    with connected(loaded, broker) as (radio, roster, tree):
        chosen = choose(roster, devices, everybody)
        with published(radio, tree, manifest, data):
            rollout = Rollout(radio, roster, tree, manifest.sha256, staging, ledger, console.line)
            if not rollout.run(chosen):
                raise QualityError(f"{file.name} was taken back", "see why above; the rest was not touched")
    good = sum(ledger.done(device) for device in chosen)
    console.line(f"{file.name}: {good} of {len(chosen)} devices have it")
    if good < len(chosen):
        raise QualityError(f"{len(chosen) - good} devices have not taken {file.name}", "see above")


@new_command(
    "rollback",
    help="Have devices go back to the model from before, at once.",
    params=[
        click.Argument(["devices"], nargs=-1, metavar="[DEVICE...]"),
        broker_option(),
        HeadedOption(["--all", "everybody"], is_flag=True, help="All that are online."),
        *settings_params(sections=[]),
    ],
)
@with_settings
def rollback(loaded: Loaded, devices: tuple[str, ...], broker: str, everybody: bool) -> None:
    from edgecam.fleet.rollout import Ledger, Rollout, Staging
    from edgecam.fleet.wire import Command
    from edgecam.slots.orders import Plan

    with connected(loaded, broker) as (radio, roster, tree):
        chosen = choose(roster, devices, everybody)
        rollout = Rollout(radio, roster, tree, "", Staging(), Ledger(Path(), ""), console.line)
        ends = rollout.ask(chosen, Command.new("rollback", "", Plan(shadow=0.0, trial=0.0)))
    bad = sum(job.stage != "done" for job in ends.values())
    if bad:
        raise QualityError(f"{bad} of {len(ends)} devices did not go back", "see above")


def look_over(model: Path, data: bytes) -> None:
    """Refuse what no device would take, before anything is sent.

    Raises:
        ModelError: not a model, or one without a contract or golden samples.
    """
    from edgecam import contract
    from edgecam.errors import ModelError
    from edgecam.fleet.wire import MOST

    spec = contract.read(model)
    if spec is None or not spec.golden:
        what = "a contract" if spec is None else "golden samples"
        raise ModelError(f"{model.name} carries no {what}", "make it with edgecam-convert")
    if len(data) > MOST:
        raise ModelError(f"{model.name} is too large for a broker", f"{MOST >> 20} MB at most")


def choose(roster: Roster, devices: Sequence[str], everybody: bool) -> list[str]:
    """The devices that are meant.

    Raises:
        UsageError: none, or one that is not there or takes no commands.
    """
    known = {device.id: device for device in roster.devices()}
    if not devices and not everybody:
        raise UsageError("no device is named", "name some, or --all")
    for name in devices:
        if name not in known:
            raise UnknownNameError("device", name, known or ["none yet"])
        if known[name].active is None:
            raise UsageError(f"{name} takes no commands", 'set fleet = "yes" in its settings')
        if not known[name].online:
            raise UsageError(f"{name} is offline", "leave it out, or try again when it is there")
    if devices:
        return list(dict.fromkeys(devices))
    chosen = [device.id for device in known.values() if device.online and device.active is not None]
    left = len(known) - len(chosen)
    if left:
        console.line(f"{left} devices are left out: offline, or they take no commands")
    if not chosen:
        raise UsageError("no device is online that takes commands", "edgecam fleet ls shows them")
    return chosen


def _plain(device: Device) -> dict[str, Any]:
    job = device.job
    return {
        "device": device.id,
        "state": device.state,
        "model": device.model,
        "slot": device.slot,
        "job": None if job is None else {"stage": job.stage, "message": job.message, "sha256": job.sha256},
        **{
            topic.rpartition("/")[2] if topic != "state" else "reason": facts
            for topic, facts in device.facts.items()
        },
    }


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


for command in (list_devices, status, push, rollback):
    fleet.add_command(command)
