"""``edgecam doctor``: what is wrong with this machine or these settings, in plain words."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from edgecam import __version__, config_load
from edgecam.cli import console
from edgecam.cli.base import HeadedOption, is_quiet, new_command, start_logging
from edgecam.cli.settings import settings_params, source_argument
from edgecam.config import OPTIONS, Settings
from edgecam.errors import ConfigError

if TYPE_CHECKING:
    from edgecam.doctor.context import Context
    from edgecam.doctor.findings import Finding, Level

EXAMPLES = """
edgecam doctor
edgecam doctor 0 --model face                    what edgecam run 0 --model face would meet
edgecam doctor --config /etc/edgecam/edgecam.toml
edgecam doctor --json | jq '.findings[] | select(.level != "ok")'
"""

HELP = """Look at everything that recognition needs, from the machine to the picture, and say what to do.

It takes the options of edgecam run, and looks at what that run would use. It takes a picture with the camera,
so a light on it may go on for a moment; it changes nothing. What may crash is tried in processes of its own.

The exit code is 1 if something cannot work (a line with a cross), else 0.
"""

SYMBOLS = {"ok": "✓", "warning": "!", "failure": "✗"}
ASCII_SYMBOLS = {"ok": "+", "warning": "!", "failure": "x"}
COLORS = {"ok": "green", "warning": "yellow", "failure": "red"}
_ASCII = str.maketrans({"→": "->", "°": " ", "×": "x", "…": "...", "’": "'"})
_NAME_WIDTH = 13
_NARROW = 40  # columns under which the terminal may break lines itself

PARAMS: list[click.Parameter] = [
    HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.", heading="Options")
]


@new_command("doctor", help=HELP, examples=EXAMPLES, params=[source_argument(), *PARAMS, *settings_params()])
def doctor(as_json: bool, config_file: str | None, **values: Any) -> int:
    from edgecam.doctor import examine
    from edgecam.doctor.findings import Level, worst

    context = make_context(config_file, values)
    found = []
    for finding in examine(context):
        found.append(finding)
        if not as_json and not (is_quiet() and finding.level is Level.OK):
            show(finding)
    level = worst(found)
    if as_json:
        console.write_json(
            {
                "version": __version__,
                "level": level.word,
                "findings": [finding.as_dict() for finding in found],
            }
        )
    elif not is_quiet():
        print(f"\n{summary([finding.level for finding in found])}")
    return int(level is Level.FAILURE)


def make_context(config_file: str | None, values: dict[str, Any]) -> Context:
    """What to look at; settings that cannot be read are a finding, and flags alone count then."""
    from edgecam.doctor.context import Context

    given = {name: value for name, value in values.items() if name in OPTIONS and value not in (None, ())}
    try:
        loaded = config_load.load(given, file=config_file)
    except ConfigError as error:
        return Context(settings=Settings(**given), problem=error)
    start_logging(loaded.settings.log_level)
    return Context(settings=loaded.settings, files=loaded.files)


def show(finding: Finding) -> None:
    """One finding on standard output; the remedy stands below it."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = render(finding, unicode=unicode, width=width)
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if color:
        lines[0] = click.style(lines[0][0], fg=COLORS[finding.level.word], bold=True) + lines[0][1:]
    print("\n".join(lines), flush=True)


def render(finding: Finding, *, unicode: bool = True, width: int = 0) -> list[str]:
    """The lines of one finding.

    Args:
        unicode: the terminal knows more than ASCII.
        width: of the terminal in columns; 0 leaves lines as long as they are.
    """
    word = finding.level.word
    symbol, arrow = (SYMBOLS[word], "→ ") if unicode else (ASCII_SYMBOLS[word], "-> ")
    indent = " " * (_NAME_WIDTH + 2)
    lines = _wrap(f"{symbol} {finding.check:<{_NAME_WIDTH - 1}} ", indent, finding.seen, width)
    if finding.remedy:
        lines += _wrap(indent + arrow, indent + " " * len(arrow), finding.remedy, width)
    return lines if unicode else [line.translate(_ASCII) for line in lines]


def _wrap(first: str, rest: str, text: str, width: int) -> list[str]:
    if width < _NARROW:
        return [first + text]
    return textwrap.wrap(
        text,
        width - 1,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def summary(levels: list[Level]) -> str:
    """``1 failure, 2 warnings``."""
    words = [level.word for level in levels]
    counts = {word: words.count(word) for word in ("failure", "warning")}
    parts = [f"{n} {word}" + "s" * (n != 1) for word, n in counts.items() if n]
    return ", ".join(parts) or "all is well"
