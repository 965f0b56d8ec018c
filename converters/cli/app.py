"""The commands of ``edgecam-convert``: one a step, and ``run`` and ``recipes``."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from typing import NoReturn

import click

from converters.steps import STEPS, SUMMARIES
from edgecam import __version__
from edgecam.cli import app
from edgecam.cli.base import CONTEXT, common_options

#: name -> its line in the overview; ``converters.cli.NAME:NAME``. The other commands are the steps.
COMMANDS = {
    "run": "Run the steps of a recipe.",
    "sweep": "Try many variants of a recipe, here or on a cluster.",
    "recipes": "List the recipes and the ways to quantise.",
    "sign": "Sign models, so that devices know whose they are.",
    "quantize": SUMMARIES["quantize"],
}
#: commands that are a short way in with ``--data`` and a single step without
SHORT = ("train", "distill", "prune", "qat")


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [
            "quantize",
            "run",
            "sweep",
            "recipes",
            "sign",
            *(name for name in STEPS if name != "quantize"),
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = getattr(
                importlib.import_module(f"converters.cli.commands.{cmd_name}"), cmd_name
            )
            return command
        if cmd_name in SHORT:
            from converters.cli.short import short_command

            return short_command(cmd_name)
        if cmd_name in STEPS:
            from converters.cli.onestep import step_command

            return step_command(cmd_name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise click.UsageError(f"no such command: {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        whole = [(name, COMMANDS[name]) for name in ("quantize", "run", "sweep", "recipes", "sign")]
        whole[1:1] = [(name, SUMMARIES[name]) for name in SHORT]
        with formatter.section("From pictures to a proven int8 model, and more"):
            formatter.write_dl(whole)
        with formatter.section("Single steps, in a work folder"):
            formatter.write_dl(
                [(name, SUMMARIES[name]) for name in STEPS if name not in ("quantize", *SHORT)]
            )


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=[*common_options()],
    context_settings=CONTEXT,
    epilog="edgecam-convert COMMAND --help tells more of a command.",
)
@click.version_option(__version__, message="edgecam-convert %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """From a Keras model and some pictures to a small, fast, proven int8 model.

    edgecam-convert quantize model.keras --data pictures/ is the short way in.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and end the process with its exit code."""
    app.main(argv, cli, "edgecam-convert")
