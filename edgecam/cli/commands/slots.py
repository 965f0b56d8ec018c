"""``edgecam model install|slots|activate|rollback|uninstall``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command
from edgecam.cli.settings import settings_params, with_settings
from edgecam.config import ENGINE, Settings
from edgecam.config_load import Loaded
from edgecam.config_slots import SLOTS
from edgecam.errors import ModelError

if TYPE_CHECKING:
    from edgecam.slots.orders import Plan
    from edgecam.slots.store import Store

HEADING = "Change"
SERVICE_HELP = "The models of the service (of the one called NAME) in place of this user's own."


def service_option() -> click.Option:
    return HeadedOption(
        ["--service"], metavar="NAME", is_flag=False, flag_value="", default=None, help=SERVICE_HELP
    )


def plan_options() -> list[click.Option]:
    def option(flag: str, default: float, metavar: str, help: str) -> click.Option:
        kind = click.FloatRange(0)
        text = f"{help} [{default:g}]."
        return HeadedOption([flag], type=kind, default=default, metavar=metavar, heading=HEADING, help=text)

    return [
        option("--shadow", 30.0, "SECONDS", "How long both models look at the same frames first; 0 for not"),
        option("--trial", 60.0, "SECONDS", "How long the old model stands by; 0 for not"),
        option("--slower", 2.0, "TIMES", "How many times as long an inference may take"),
        option("--agreement", 0.0, "PART", "Least agreement with the old model, 0 to 1"),
    ]


def opened(loaded: Loaded, service: str | None) -> tuple[Store, Settings]:
    """The folder that a command is about, and the settings of who uses it."""
    from edgecam import build_slots, config_load
    from edgecam.install.layout import Instance
    from edgecam.slots.store import Store

    settings = loaded.settings
    if service is not None:
        instance = Instance.named(service)
        settings = config_load.load(file=str(instance.config)).settings
        if not settings.slots:
            return Store(instance.state / "slots"), settings
    return Store(build_slots.folder(settings)), settings


@new_command(
    "install",
    help="Install a model beside the running one, under a name of its own: a slot.\n\n"
    "Its signature (FILE.minisig beside it), its contract, the memory it takes and its golden samples are "
    "checked first, in a process of their own. What runs is not touched: activate it with edgecam model "
    "activate, or here with --activate.",
    examples="""
    edgecam model install door.tflite
    sudo edgecam model install door.tflite --service --activate
    """,
    params=[
        click.Argument(["file"], metavar="FILE", type=click.Path(path_type=Path)),
        HeadedOption(["--slot", "name"], metavar="NAME", default="", help="Its name [MODEL-VERSION]."),
        HeadedOption(
            ["--signature"],
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Where the signature is [FILE.minisig].",
        ),
        HeadedOption(["--without-golden"], is_flag=True, help="Take a model without golden samples."),
        HeadedOption(["--activate"], is_flag=True, help="Take it into use as well."),
        service_option(),
        *plan_options(),
        *settings_params(sections=[SLOTS, ENGINE]),
    ],
)
@with_settings
def install(
    loaded: Loaded,
    file: Path,
    name: str,
    signature: Path | None,
    without_golden: bool,
    activate: bool,
    service: str | None,
    **plan: float,
) -> None:
    from dataclasses import replace

    from edgecam import build_slots
    from edgecam.slots import check

    store, settings = opened(loaded, service)
    data, signed = check.read_bundle(file, signature)
    rules = check.Rules.of(settings, build_slots.fits(settings))
    rules = replace(rules, golden=not without_golden)
    slot = check.install(store, data, signed, rules, name=name, title=file.name)
    by = f", signed by {slot.key}" if slot.key else ", not signed"
    console.line(
        f"slot {slot.name}: {slot.golden} golden samples hold, {slot.need / 1e6:.0f} MB, "
        f"{slot.ms:.1f} ms an inference{by}"
    )
    if activate:
        ask(store, settings, "activate", slot.sha256, plan)


@new_command(
    "slots",
    help="List the installed models, and say which is in use.",
    params=[
        HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON."),
        service_option(),
        *settings_params(sections=[SLOTS]),
    ],
)
@with_settings
def list_slots(loaded: Loaded, as_json: bool, service: str | None) -> None:
    store, settings = opened(loaded, service)
    state = store.read()
    active = state.active if state.base == settings.model else ""
    if as_json:
        console.write_json({**state.as_json(), "in_use": active, "folder": str(store.folder)})
        return

    def word(sha256: str) -> str:
        if sha256 == active:
            return "on trial" if state.trial is not None else "in use"
        if sha256 in state.refused:
            return f"taken back: {state.refused[sha256]}"
        return "before" if sha256 == state.previous and active else ""

    rows: list[tuple[Any, ...]] = [("settings", settings.model, "", None, "", "", word(""))]
    for slot in state.slots:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(slot.installed))
        rows.append((slot.name, slot.model, slot.version, slot.size / 1e6, slot.key, day, word(slot.sha256)))
    console.table(("slot", "model", "version", "MB", "signed by", "installed", ""), rows)


@new_command(
    "activate",
    help="Take an installed model into use, in the run that goes on or else at the next start.\n\n"
    "Both models look at the same live frames for a while; then the new one takes over between two frames, "
    "and the old one stands by. It comes back by itself when the new one fails, is slow, or makes the run "
    "degraded. SLOT may be 'settings': the model in the settings. Exit code 3 if the model is refused.",
    examples="""
    edgecam model activate door-1.2.0
    sudo edgecam model activate settings --service
    """,
    params=[
        click.Argument(["slot"], metavar="SLOT"),
        service_option(),
        *plan_options(),
        *settings_params(sections=[SLOTS]),
    ],
)
@with_settings
def activate(loaded: Loaded, slot: str, service: str | None, **plan: float) -> None:
    store, settings = opened(loaded, service)
    ask(store, settings, "activate", store.read().find(slot), plan)


@new_command(
    "rollback",
    help="Take the model from before into use again, at once.",
    params=[service_option(), *settings_params(sections=[SLOTS])],
)
@with_settings
def rollback(loaded: Loaded, service: str | None) -> None:
    store, settings = opened(loaded, service)
    ask(store, settings, "rollback", "", {})


def ask(store: Store, settings: Settings, do: Any, sha256: str, plan: dict[str, float]) -> None:
    """Have a change made, and say how it goes."""
    from edgecam.errors import QualityError
    from edgecam.slots import direct
    from edgecam.slots.orders import Desk, Order, Progress

    def said(step: Progress) -> None:
        console.line(f"{step.stage}: {step.message}")

    order = Order.new(do, sha256, _plan(plan))
    if store.in_use():
        limit = (order.plan.shadow * 3 + order.plan.trial) + 600
        progress = Desk(store).follow(
            order, lambda step: console.line(f"{step.stage}: {step.message}"), limit
        )
    else:
        progress = direct.carry_out(store, order, settings.model)
        console.line(progress.message)
    if progress.stage != "done":
        raise QualityError(progress.message)


def _plan(values: dict[str, float]) -> Plan:
    from edgecam.slots.orders import Plan

    return Plan(**values)


@new_command(
    "uninstall",
    help="Delete an installed model that is not in use.",
    params=[click.Argument(["slot"], metavar="SLOT"), service_option(), *settings_params(sections=[SLOTS])],
)
@with_settings
def uninstall(loaded: Loaded, slot: str, service: str | None) -> None:
    store, _ = opened(loaded, service)
    sha256 = store.read().find(slot)
    if not sha256:
        raise ModelError("the model in the settings is in no slot", "change the settings")
    store.change(lambda state: state.remove(sha256))
    store.tidy()
    console.line(f"slot {slot} is deleted")


COMMANDS = (install, list_slots, activate, rollback, uninstall)
