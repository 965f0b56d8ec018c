"""What all commands share: options under headings, ``-v``, ``-q`` and ``--debug``, logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import click

from edgecam import journal, redact

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class HeadedOption(click.Option):
    """An option that stands under a heading of its own in the help text."""

    def __init__(self, *args: Any, heading: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


class Command(click.Command):
    """A command with its options under headings, its examples as they are typed, and the common options."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params += common_options()

    def invoke(self, ctx: click.Context) -> Any:
        start_logging()
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        headings: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = help_record(param, ctx) if isinstance(param, click.Option) else None
            if record is not None:
                heading = getattr(param, "heading", "General" if "--help" in param.opts else "Options")
                headings.setdefault(heading, []).append(record)
        # What belongs to this command alone comes first, what is the same everywhere last.
        rows = [row for records in headings.values() for row in records]
        width = min(max((len(first) for first, _ in rows), default=0), 30)
        for heading in sorted(headings, key=lambda name: (name == "General", name != "Options")):
            with formatter.section(heading):
                records = headings[heading]
                # Columns line up across the headings: the longest first column decides.
                first, second = records[0]
                formatter.write_dl([(first.ljust(width), second), *records[1:]], col_max=30)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")
        super().format_epilog(ctx, formatter)


def help_record(option: click.Option, ctx: click.Context) -> tuple[str, str] | None:
    """A help row. Of a switch that is off by default only the form that changes something is shown."""
    record = option.get_help_record(ctx)
    if record is None or not option.secondary_opts:
        return record
    on_by_default = getattr(option, "on_by_default", False)
    return (f"--[no-]{option.opts[0][2:]}" if on_by_default else option.opts[0]), record[1]


def common_options() -> list[click.Option]:
    """``-v``, ``-q``, ``--debug``; the same before and after the command's name."""
    return [
        HeadedOption(
            ["-v", "--verbose"],
            count=True,
            heading="General",
            expose_value=False,
            callback=set_verbosity,
            help="Say more; -vv says all.",
        ),
        HeadedOption(
            ["-q", "--quiet"],
            is_flag=True,
            heading="General",
            expose_value=False,
            callback=set_quiet,
            help="Say nothing but errors.",
        ),
        HeadedOption(
            ["--debug"],
            is_flag=True,
            heading="General",
            expose_value=False,
            help="Show where in the program an error arose.",
        ),
    ]


def set_verbosity(ctx: click.Context, _param: click.Parameter, count: int) -> None:
    if count:
        ctx.find_root().meta["edgecam.log_level"] = "debug" if count > 1 else "info"


def set_quiet(ctx: click.Context, _param: click.Parameter, quiet: bool) -> None:
    if quiet:
        ctx.find_root().meta["edgecam.log_level"] = "error"
        ctx.find_root().meta["edgecam.quiet"] = True


class ErrorStream(logging.Handler):
    """Writes to standard error as it is at the moment: a progress bar puts itself in front of it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def start_logging(level: str = "warning") -> None:
    """Send the log to standard error; ``-v`` and ``-q`` beat ``level``."""
    ctx = click.get_current_context(silent=True)
    level = ctx.find_root().meta.get("edgecam.log_level", level) if ctx else level
    handler: logging.Handler
    if journal.connected():
        handler = journal.JournalHandler()
    else:
        handler = ErrorStream()
        handler.setFormatter(logging.Formatter("edgecam: %(levelname)s: %(message)s"))
    logger = logging.getLogger("edgecam")
    handler.addFilter(redact.Filter())
    logger.handlers[:] = [handler]
    logger.setLevel(LEVELS[level])
    # Who came in and who changed what is told whatever else is.
    logging.getLogger("edgecam.audit").setLevel(logging.WARNING if is_quiet() else logging.INFO)


def is_quiet() -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.find_root().meta.get("edgecam.quiet"))


def new_command(name: str, *, help: str, examples: str = "", **kwargs: Any) -> Callable[..., Command]:
    """``click.command`` with :class:`Command`."""
    return click.command(name, cls=Command, help=help, examples=examples, **kwargs)
