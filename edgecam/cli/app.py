"""``edgecam``: finds the command, runs it, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from edgecam import __version__, journal, redact
from edgecam.cli.base import CONTEXT, common_options
from edgecam.errors import EdgecamError

INTERRUPTED = 130

#: name -> its line in the overview; the command is ``edgecam.cli.commands.NAME:NAME``
COMMANDS = {
    "run": "Watch a camera, a stream or files and show what is seen.",
    "image": "Recognise what is on pictures.",
    "devices": "List cameras, accelerators and interpreters.",
    "doctor": "Say what is wrong with this machine or the settings.",
    "model": "List, inspect, fetch, verify and install models.",
    "fleet": "See and change many devices over one MQTT broker.",
    "bench": "Measure how fast a model runs here.",
    "service": "Run at every start of this machine, as a service.",
    "web": "Say who may open the page: passwords and tokens.",
    "config": "Show the effective settings and where each comes from.",
    "completion": "Print the script that completes commands in your shell.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgecam.cli.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command: {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    params=[*common_options()],
    context_settings=CONTEXT,
    epilog="edgecam COMMAND --help tells more of a command.",
)
@click.version_option(__version__, message="edgecam %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Live image recognition on small devices: camera in, boxes and labels in the browser.

    edgecam run starts it with the first camera found, or a demo scene where there is none.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None, command: click.Group = cli, prog: str = "edgecam") -> NoReturn:
    """Run a command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name need not be text, and a terminal need not know every letter: no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    code = execute(sys.argv[1:] if argv is None else argv, command, prog)
    try:
        sys.stdout.flush()
    except OSError as error:
        # Who read our output may have gone (edgecam ... | head): then nothing is left to say.
        if code == 0 and not isinstance(error, BrokenPipeError):
            code = fail(f"cannot write the output ({error.strerror})", 1, False, prog)
        # What is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def execute(argv: Sequence[str], command: click.Group = cli, prog: str = "edgecam") -> int:
    """Run a command line; its exit code. Every error becomes one line on standard error."""
    debug = "--debug" in argv
    try:
        result: Any = command.main(list(argv), prog_name=prog, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except EdgecamError as error:
        return fail(str(error), error.exit_code, debug, prog)
    except click.UsageError as error:
        where = f" ({error.ctx.command_path} --help tells more)" if error.ctx else ""
        return fail(error.format_message().rstrip(".") + where, 2, debug, prog)
    except click.ClickException as error:
        return fail(error.format_message(), error.exit_code, debug, prog)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return fail(f"cannot write the output ({error.strerror})", 1, debug, prog)
        hint = "" if debug else "; run it again with --debug and report what it prints"
        what = redact.line(f"{type(error).__name__}: {error}")
        return fail(f"unexpected error: {what}{hint}", 1, debug, prog)


def fail(message: str, code: int, debug: bool, prog: str) -> int:
    if debug:
        traceback.print_exc()
    text = " ".join(line.strip() for line in message.splitlines())
    if not journal.send(text, journal.ERROR):
        with contextlib.suppress(BrokenPipeError):
            print(f"{prog}: {text}", file=sys.stderr)
    return code
