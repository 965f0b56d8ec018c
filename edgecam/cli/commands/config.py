"""``edgecam config``: which settings are in effect, and why."""

from __future__ import annotations

import textwrap

import click

from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command
from edgecam.cli.settings import settings_params, source_argument, with_settings
from edgecam.config import DEFAULTS, OPTIONS, flag, redacted, shown, variable
from edgecam.config_load import Loaded

EXAMPLES = """
edgecam config
edgecam config --threshold 0.6                   what a flag would change
edgecam config --toml > my.toml                  to be read by --config my.toml
EDGECAM_LISTEN=0.0.0.0:8080 edgecam config --json
"""

HELP = """Show the effective settings and where each comes from.

Later beats earlier: the defaults, /etc/edgecam/edgecam.toml, ~/.config/edgecam/edgecam.toml, the environment
(EDGECAM_TOP_K), the flags. Secrets are not shown.
"""

PARAMS: list[click.Parameter] = [
    HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON.", heading="Options"),
    HeadedOption(
        ["--toml", "as_toml"], is_flag=True, help="As a settings file with every key.", heading="Options"
    ),
]


@new_command("config", help=HELP, examples=EXAMPLES, params=[source_argument(), *PARAMS, *settings_params()])
@with_settings
def config(loaded: Loaded, as_json: bool, as_toml: bool) -> None:
    if as_json and as_toml:
        raise click.UsageError("--json and --toml exclude each other", click.get_current_context())
    if as_json:
        console.write_json(as_dict(loaded))
    elif as_toml:
        print(to_toml(loaded), end="")
    else:
        rows = [(name, shown(name, loaded.settings) or "-", str(loaded.origins[name])) for name in OPTIONS]
        console.table(("setting", "value", "from"), rows)


def as_dict(loaded: Loaded) -> dict[str, object]:
    """Plain values, fit for JSON. A secret is ``"***"``, and so are passwords in addresses."""
    settings = {
        name: {
            "value": redacted(name, loaded.settings),
            "from": loaded.origins[name].kind,
            "where": loaded.origins[name].where,
        }
        for name in OPTIONS
    }
    return {"files": [str(path) for path in loaded.files], "settings": settings}


def to_toml(loaded: Loaded) -> str:
    """A settings file: every key with its explanation; those at their defaults are commented out."""
    lines = [
        "# edgecam settings, read from /etc/edgecam/edgecam.toml and ~/.config/edgecam/edgecam.toml.",
        "# Take away the # in front of what you change. EDGECAM_... variables and flags beat this file.",
    ]
    section = ""
    for name, option in OPTIONS.items():
        if option.section != section:
            section = option.section
            lines += ["", f"# {section}"]
        lines.append("")
        lines += textwrap.wrap(
            option.help
            + (f": {', '.join(option.choices)}. " if option.choices else ". ")
            + (f"[{variable(name)}]" if option.file_only else f"[{flag(name)}, {variable(name)}]"),
            100,
            break_on_hyphens=False,
            initial_indent="# ",
            subsequent_indent="# ",
        )
        lines.append(_toml_line(name, loaded))
    return "\n".join(lines) + "\n"


def _toml_line(name: str, loaded: Loaded) -> str:
    value = getattr(loaded.settings, name)
    if value in (None, ()):
        kind = OPTIONS[name].kind
        return f"# {name} = {kind.toml(kind.parse(OPTIONS[name].example))}"
    if OPTIONS[name].file_only:
        return f"{name} = {OPTIONS[name].kind.toml(value)}"
    hidden = redacted(name, loaded.settings) != value
    text = f"{name} = {OPTIONS[name].kind.toml(redacted(name, loaded.settings))}"
    if hidden:
        return f"# {text}  (set, but a secret is not shown here)"
    return f"# {text}" if value == getattr(DEFAULTS, name) else text
