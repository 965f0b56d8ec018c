"""``edgecam service install|uninstall|status|logs``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecam.cli import console
from edgecam.cli.base import CONTEXT, HeadedOption, common_options, new_command
from edgecam.errors import EdgecamError

if TYPE_CHECKING:
    from edgecam.install.layout import Instance
    from edgecam.install.steps import Step
    from edgecam.install.units import Unit

NOT_RUNNING = 3  # as systemctl status


def name_option() -> click.Option:
    return HeadedOption(
        ["--name"],
        default="",
        metavar="NAME",
        help="Which service, where there are several cameras: edgecam@NAME with /etc/edgecam/NAME.toml.",
    )


def dry_run_option() -> click.Option:
    return HeadedOption(["--dry-run"], is_flag=True, help="Show every file and command, and change nothing.")


@click.group(
    "service",
    context_settings=CONTEXT,
    help="Run edgecam at every start of this machine, look after it, and see how it is.",
    invoke_without_command=True,
    params=[*common_options()],
)
@click.pass_context
def service(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@new_command(
    "install",
    help="""Make edgecam a service of systemd that starts with the machine, or bring it up to date.

    The service gets a user of its own, its settings in /etc/edgecam, its data in /var/lib/edgecam, and a copy
    of this program in /opt/edgecam. The command ends when frames flow, or says why they do not. Doing it
    again changes what is not up to date; files that you have edited stay as they are.
    """,
    examples="""
    sudo edgecam service install
    sudo edgecam service install --listen 0.0.0.0:8080        the page is for the whole network
    sudo edgecam service install --name front --config front.toml
    sudo edgecam service install --rollback          the version before
    edgecam service install --dry-run
    """,
    params=[
        name_option(),
        HeadedOption(
            ["--config", "config_file"],
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Settings to install; without it all are at their defaults (edgecam config --toml).",
        ),
        HeadedOption(
            ["--listen"],
            metavar="HOST:PORT",
            help="Address of the page, put into the settings; 0.0.0.0:8080 is the whole network. Who may "
            "open it is made and shown once, unless you have said so (edgecam web).",
        ),
        dry_run_option(),
        HeadedOption(["--rollback"], is_flag=True, help="Go back to the version that was installed before."),
        HeadedOption(
            ["--timeout"],
            type=click.FloatRange(1),
            default=60.0,
            metavar="SECONDS",
            help="How long to wait for frames [60].",
        ),
    ],
)
def install(
    name: str, config_file: Path | None, listen: str | None, dry_run: bool, rollback: bool, timeout: float
) -> int:
    from edgecam.cli import doorkeeper
    from edgecam.install import checks, plan, units
    from edgecam.install import steps as steps_module
    from edgecam.install.environment import Environment, service_python
    from edgecam.install.layout import Instance

    instance = Instance.named(name)
    must_be_able(instance, dry_run)
    if rollback:
        return carry_out(instance, plan.back(instance.layout), dry_run, timeout)
    text = doorkeeper.with_listen(settings_text(instance, config_file), listen)
    settings = checks.of_text(config_file or instance.config, text)
    checks.settings(instance, settings)
    page = doorkeeper.Page(settings, instance.layout)
    environment = Environment(instance.layout, service_python())
    new_program = environment.needed()
    upgrade = new_program and instance.layout.current.exists()
    steps = [*plan.program(environment), *plan.install(instance, text), *page.steps()]
    if any(step.needed() for step in steps) or units.show(instance).active != "active":
        steps += plan.start(instance, new_program)
    try:
        code = carry_out(instance, steps, dry_run, timeout)
    finally:
        if not dry_run:
            page.tell(console.line)
    if dry_run:
        return code
    if upgrade and units.show(instance).active != "active":
        console.error("the new version does not run, back to the one before")
        carry_out(instance, plan.back(instance.layout), False, timeout)
        return 1
    steps_module.apply(plan.tidy(instance.layout), lambda _: None)
    return code


def settings_text(instance: Instance, config_file: Path | None) -> bytes:
    """The content for the service's settings file."""
    if config_file is not None:
        try:
            return config_file.read_bytes()
        except OSError as error:
            raise EdgecamError(
                f"cannot read {config_file} ({error.strerror})", "ls -l " + str(config_file)
            ) from None
    from edgecam.cli.commands.config import to_toml
    from edgecam.config import DEFAULTS, OPTIONS
    from edgecam.config_load import Loaded, Origin

    if instance.config.exists():
        return instance.config.read_bytes()  # not asked to change it
    return to_toml(Loaded(DEFAULTS, dict.fromkeys(OPTIONS, Origin("default")))).encode()


def carry_out(instance: Instance, steps: Sequence[Step], dry_run: bool, timeout: float) -> int:
    """Do the steps, or say them; then wait until frames flow."""
    from edgecam.install import steps as steps_module
    from edgecam.install import units

    if dry_run:
        say_steps(steps)
        return 0
    steps_module.apply(steps, console.line)
    unit = units.wait(instance, timeout, console.line)
    if unit.flows:
        console.line(f"{instance.unit}: {unit.text}")
        return 0
    if unit.waits:
        console.error(f"{instance.unit}: {unit.text}; it begins by itself when the camera comes")
    else:
        why = units.last_error(instance) or unit.text or f"{unit.active}, {unit.result}"
        console.error(f"{instance.unit}: no frames yet: {why}; see: {instance.command('logs')}")
    return 1


def say_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        print(f"{step}" if step.needed() else f"{step} (up to date)")


@new_command(
    "uninstall",
    help="Stop the service and remove it. Settings and data stay, unless --purge is given.",
    params=[
        name_option(),
        HeadedOption(["--purge"], is_flag=True, help="Remove its settings and data too."),
        dry_run_option(),
    ],
)
def uninstall(name: str, purge: bool, dry_run: bool) -> None:
    from edgecam.install import plan, steps
    from edgecam.install.layout import Instance

    instance = Instance.named(name)
    must_be_able(instance, dry_run)
    planned = plan.uninstall(instance, purge)
    if dry_run:
        say_steps(planned)
    else:
        steps.apply(planned, console.line)


@new_command(
    "status",
    help="Show how the service is: its state, rate, temperature, restarts and last error.\n\n"
    "The exit code is 0 while frames flow, 1 while it waits for its camera, and 3 if it does not run.",
    params=[name_option(), HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.")],
)
def status(name: str, as_json: bool) -> int:
    from edgecam.install import units
    from edgecam.install.layout import Instance

    instance = Instance.named(name)
    units.check_systemd()
    unit = units.show(instance)
    if not unit.loaded:
        raise EdgecamError(f"{instance.unit} is not installed", f"sudo {instance.command('install')}")
    degrees = units.temperature()
    facts = {
        "unit": instance.unit,
        "active": unit.active,
        "state": unit.text or f"{unit.active} ({unit.sub})",
        "since": unit.since,
        "restarts": unit.restarts,
        "temperature": degrees,
        "last_error": units.last_error(instance),
    }
    if as_json:
        console.write_json(facts)
    else:
        print_status(facts, unit)
    return 0 if unit.flows else 1 if unit.waits else NOT_RUNNING


def print_status(facts: dict[str, object], unit: Unit) -> None:
    degrees = facts["temperature"]
    rows = {
        "state": facts["state"],
        "since": unit.since,
        "restarts": unit.restarts,
        "temperature": f"{degrees:.0f} °C" if isinstance(degrees, float) else "",
        "last error": facts["last_error"],
    }
    print(facts["unit"])
    for key, value in rows.items():
        if value not in ("", None):
            print(f"  {key + ':':13} {value}")


@new_command(
    "logs",
    help="Show what the service has said.",
    params=[
        name_option(),
        HeadedOption(["-f", "--follow"], is_flag=True, help="Go on showing what comes."),
        HeadedOption(
            ["-n", "--lines"], type=click.IntRange(1), default=50, metavar="N", help="How many lines [50]."
        ),
    ],
)
def logs(name: str, follow: bool, lines: int) -> None:
    from edgecam.install import units
    from edgecam.install.layout import Instance

    instance = Instance.named(name)
    units.check_systemd()
    argv = ["journalctl", "--unit", instance.unit, "--lines", str(lines), *(["--follow"] if follow else [])]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise EdgecamError(f"cannot run journalctl ({error.strerror})", "apt install systemd") from error


def must_be_able(instance: Instance, dry_run: bool) -> None:
    """Raise where nothing could be changed, or for a dry run compared: not root, or no systemd."""
    from edgecam.install import units

    etc = instance.layout.etc
    if dry_run and (not etc.exists() or os.access(etc, os.R_OK | os.X_OK)):
        return
    if not dry_run:
        units.check_systemd()
    if os.geteuid() != 0:
        program = Path(sys.argv[0]).absolute()
        raise EdgecamError(
            "the settings of a service can be read and changed by root only"
            if dry_run
            else "this changes the system, and needs root",
            shlex.join(["sudo", str(program), *sys.argv[1:]]),
        )


for command in (install, uninstall, status, logs):
    service.add_command(command)
