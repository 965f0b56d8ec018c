"""``edgecam web passwd|token|users|remove``: who may open the page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecam.cli import console
from edgecam.cli.base import CONTEXT, HeadedOption, common_options, new_command
from edgecam.errors import UsageError

if TYPE_CHECKING:
    from edgecam.accounts import Account, Role


def file_option() -> click.Option:
    return HeadedOption(
        ["--file"],
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="File of users, in place of /etc/edgecam/users (for root, where a service is installed) or "
        "~/.config/edgecam/users.",
    )


def role_option(default: str) -> click.Option:
    return HeadedOption(
        ["--role"],
        type=click.Choice(["viewer", "admin"]),
        metavar="viewer|admin",
        default=None,
        help=f"viewer watches, admin also changes zones, lines and masks; a new one is {default}.",
    )


@click.group(
    "web",
    context_settings=CONTEXT,
    help="Say who may open the page: people by a password, programs by a token.",
    invoke_without_command=True,
    params=[*common_options()],
)
@click.pass_context
def web(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@new_command(
    "passwd",
    help="Give somebody a password for the page, or another one.\n\nIt is asked for twice, or read from "
    "standard input where that is no terminal. Only a hash of it is kept (scrypt).",
    examples="""
    edgecam web passwd anna
    sudo edgecam web passwd anna --role viewer       of the service
    """,
    params=[click.Argument(["name"]), role_option("admin"), file_option()],
)
def passwd(name: str, role: Role | None, file: Path | None) -> None:
    from edgecam import accounts

    accounts.check_name(name)
    path, found = open_file(file)
    before = next((account for account in found if account.name == name), None)
    password = accounts.check_password(ask_password())
    chosen = role or (before.role if before is not None else "admin")
    put(path, found, accounts.Account(name, chosen, accounts.hash_password(password)))
    console.line(f"{name} ({chosen}) has {'another' if before else 'a'} password in {path}")
    console.line(TAKEN)


@new_command(
    "token",
    help="Make a token for a program (Prometheus, a script, Home Assistant), and show it once.\n\n"
    "Programs send it as Authorization: Bearer TOKEN, or as ?token=TOKEN in the address.",
    examples="""
    edgecam web token prometheus
    """,
    params=[click.Argument(["name"]), role_option("viewer"), file_option()],
)
def token(name: str, role: Role | None, file: Path | None) -> None:
    from edgecam import accounts

    accounts.check_name(name)
    path, found = open_file(file)
    made = accounts.new_token()
    before = next((account for account in found if account.name == name), None)
    chosen = role or (before.role if before is not None else "viewer")
    put(path, found, accounts.Account(name, chosen, accounts.hash_token(made)))
    print(made)
    console.line(f"this is the token of {name} ({chosen}); it is not kept, only its hash in {path}")
    console.line(TAKEN)


@new_command("users", help="List who may open the page.", params=[file_option()])
def users(file: Path | None) -> None:
    path, found = open_file(file)
    if not found:
        console.line(f"nobody is in {path}")
        return
    rows = [(account.name, account.role, "token" if account.is_token else "password") for account in found]
    console.table(("name", "role", "shows"), rows)


@new_command("remove", help="Let somebody in no more.", params=[click.Argument(["name"]), file_option()])
def remove(name: str, file: Path | None) -> None:
    from edgecam import accounts

    path, found = open_file(file)
    left = [account for account in found if account.name != name]
    if len(left) == len(found):
        known = ", ".join(account.name for account in found) or "nobody"
        raise UsageError(f"{name[:40]!r} is not in {path}", f"there: {known}")
    accounts.save(path, left)
    console.line(f"{name} is no longer in {path}")
    console.line(TAKEN)


TAKEN = "a page that runs takes it at its next start or reload (systemctl reload edgecam)"


def open_file(file: Path | None) -> tuple[Path, tuple[Account, ...]]:
    """The file to work on, and who is in it."""
    from edgecam import accounts

    system, own = accounts.places()
    path = file or (system if os.geteuid() == 0 and system.parent.is_dir() else own)
    return path, accounts.read(path) if path.exists() else ()


def put(path: Path, found: tuple[Account, ...], new: Account) -> None:
    from edgecam import accounts

    known = {account.name: account for account in found} | {new.name: new}
    accounts.save(path, known.values())


def ask_password() -> str:
    """From the terminal, unseen, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    return asked


for command in (passwd, token, users, remove):
    web.add_command(command)
