"""``edgecam-convert sign``: signatures that devices check before they install a model."""

from __future__ import annotations

from pathlib import Path

import click

from edgecam import minisign, state
from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command
from edgecam.errors import EdgecamError, UsageError

SECRET, PUBLIC = ".key", ".pub"


@new_command(
    "sign",
    help="Sign models, so that devices know whose they are.\n\n"
    "Writes FILE.minisig beside each FILE, in the format of minisign; its keys work here and ours there. "
    "--new-key NAME makes a pair first: NAME.key stays with you, NAME.pub goes onto the devices, into "
    "/etc/edgecam/trusted.d.",
    examples="""
    edgecam-convert sign --new-key us
    edgecam-convert sign door.tflite --key us.key
    """,
    params=[
        click.Argument(["files"], nargs=-1, metavar="FILE...", type=click.Path(path_type=Path)),
        HeadedOption(["--key"], metavar="FILE", type=click.Path(path_type=Path), help="The secret key."),
        HeadedOption(["--comment"], metavar="TEXT", default="", help="A comment that is signed too."),
        HeadedOption(["--new-key", "new"], metavar="NAME", help="Make NAME.key and NAME.pub."),
    ],
)
def sign(files: tuple[Path, ...], key: Path | None, comment: str, new: str | None) -> None:
    if new is not None:
        made = make_key(Path(new))
        console.line(f"{made.with_suffix(SECRET)} is secret; {made.with_suffix(PUBLIC)} is for the devices")
        key = key or made.with_suffix(SECRET)
    elif not files:
        raise UsageError("nothing to sign", "name model files, or --new-key NAME")
    if not files:
        return
    if key is None:
        raise UsageError("no key to sign with", "name it with --key, or make one with --new-key NAME")
    secret = _read(key)
    for file in files:
        sign_file(file, secret, comment)
        console.line(f"{file}{minisign.SUFFIX}: signed by {secret.public.name}")


def make_key(place: Path) -> Path:
    """Make a pair of keys; its files are not replaced.

    Raises:
        UsageError: one of them is there, or cannot be written.
    """
    for suffix in (SECRET, PUBLIC):
        if place.with_suffix(suffix).exists():
            raise UsageError(f"{place.with_suffix(suffix)} is there already", "take another name")
    secret = minisign.SecretKey.new()
    public = f"untrusted comment: public key {secret.public.name}\n{secret.public.text}\n"
    try:
        state.write(place.with_suffix(SECRET), secret.text().encode(), 0o600)
        state.write(place.with_suffix(PUBLIC), public.encode(), 0o644)
    except OSError as error:
        raise UsageError(f"{place} cannot be written ({error.strerror})", "take another folder") from error
    return place


def sign_file(file: Path, key: minisign.SecretKey, comment: str = "") -> Path:
    """Write the signature of a file beside it, whole or not at all.

    Raises:
        EdgecamError: the file cannot be read, or the signature not be written.
    """
    target = file.with_name(file.name + minisign.SUFFIX)
    try:
        text = key.sign(file.read_bytes(), comment)
        state.write(target, text.encode(), 0o644)
    except OSError as error:
        raise EdgecamError(
            f"{error.filename or target}: {error.strerror}", "check the name and its rights"
        ) from error
    return target


def _read(key: Path) -> minisign.SecretKey:
    try:
        text = key.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{key} cannot be read ({error.strerror})", "name the secret key's file") from error
    password = ""
    if minisign.has_password(text):
        password = click.prompt(f"password of {key}", hide_input=True, err=True)
    return minisign.read_secret_key(text, str(key), password)
