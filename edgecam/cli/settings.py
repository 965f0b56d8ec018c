"""The flags of :class:`edgecam.config.Settings`, made from its definition."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from edgecam import config_load
from edgecam.cli.base import HeadedOption, start_logging
from edgecam.config import DEFAULTS, OPTIONS, flag, shown
from edgecam.options import Kind, Many, Switch, Text

T = TypeVar("T")

SECTIONS = tuple(dict.fromkeys(option.section for option in OPTIONS.values()))


if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # not generic before click 8.4
    ParamType = click.ParamType


class KindType(ParamType):
    """A flag's value, read by the setting's own kind."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            if isinstance(self.kind, Many):
                return self.kind.checked([value])[0]
            return self.kind.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if isinstance(self.kind, Text) and self.kind.choices:
            return [CompletionItem(choice) for choice in self.kind.choices if choice.startswith(incomplete)]
        if self.name == "model":
            from edgecam import catalogue

            names = [CompletionItem(n) for n in catalogue.names() if n.startswith(incomplete)]
            return [*names, CompletionItem(incomplete, type="file")]
        return [CompletionItem(incomplete, type="file")] if self.name in {"labels", "source"} else []


class SettingOption(HeadedOption):
    """One flag; not given is None, so that files and the environment can speak."""

    def __init__(self, name: str) -> None:
        option = OPTIONS[name]
        self.on_by_default = getattr(DEFAULTS, name) is True
        default = shown(name, DEFAULTS)
        help = option.help
        if option.choices and "|" not in option.metavar:
            help += f": {', '.join(option.choices)}"
        if isinstance(option.kind, Many):
            help += "; may be repeated"
        help += f" [{default}]." if default and option.metavar else "."
        names = [name, *([option.short] if option.short else []), flag(name)]
        kwargs: dict[str, Any] = {"default": None, "help": help, "heading": option.section}
        if isinstance(option.kind, Switch):
            names[-1] += f"/--no-{flag(name)[2:]}"
        else:
            kwargs |= {"metavar": option.metavar, "type": KindType(name, option.kind)}
        super().__init__(names, multiple=isinstance(option.kind, Many), **kwargs)


def settings_params(
    *, sections: Collection[str] = SECTIONS, leave_out: Collection[str] = ()
) -> list[click.Parameter]:
    """``--config`` and the flags of ``sections``, for a command under :func:`with_settings`.

    ``source`` is no flag: it is an argument of the commands that have one, see :func:`source_argument`.
    """
    names = [
        name
        for name, option in OPTIONS.items()
        if option.section in sections and name not in leave_out and not option.file_only
    ]
    config = HeadedOption(
        ["--config", "config_file"],
        metavar="FILE",
        heading="Program",
        help="Settings file in place of /etc/edgecam/edgecam.toml and ~/.config/edgecam/edgecam.toml.",
    )
    return [*(SettingOption(name) for name in names if name != "source"), config]


def source_argument() -> click.Argument:
    return click.Argument(
        ["source"], required=False, metavar="[SOURCE]", type=KindType("source", OPTIONS["source"].kind)
    )


def with_settings(function: Callable[..., T]) -> Callable[..., T]:
    """Call ``function`` with ``loaded``, the effective settings, in place of the flags that made them."""

    @functools.wraps(function)
    def wrapper(*, config_file: str | None, **values: Any) -> T:
        flags = {name: values.pop(name) for name in OPTIONS if name in values}
        given = {name: value for name, value in flags.items() if value not in (None, ())}
        loaded = config_load.load(given, file=config_file)
        start_logging(loaded.settings.log_level)
        return function(loaded=loaded, **values)

    return wrapper


def model_argument(name: str, metavar: str, *, required: bool = True) -> click.Argument:
    """A model's name or file, completed from the catalogue."""
    kind = KindType("model", OPTIONS["model"].kind)
    return click.Argument([name], metavar=metavar, type=kind, required=required)
