"""Label files: one label a line, the line number is the class id."""

from __future__ import annotations

import re
from pathlib import Path

from edgecam.errors import ModelError

MAX_BYTES = 4 * 2**20
_UNUSED = frozenset({"???", "n/a"})
_NUMBERED = re.compile(r"\s*(\d{1,6})(?:\s*:\s*|\s+)(\S.*)")


def parse(text: str, numbered: bool = True) -> tuple[str, ...]:
    """Labels by class id; "" marks an unused one.

    Understands one label a line (``???``, ``n/a`` or an empty line for an unused class) and, where
    ``numbered`` allows it, lines that begin with their class id, ``0  person`` or ``0: person``, in which ids
    may be left out; that form is taken only if every line has it, with ids that rise.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    found = [_NUMBERED.fullmatch(line) for line in lines if line] if numbered else []
    ids = [int(match[1]) for match in found if match]
    if ids and len(ids) == len(found) and ids == sorted(set(ids)):
        lines = [""] * (ids[-1] + 1)
        for match in filter(None, found):
            lines[int(match[1])] = match[2]
    return tuple("" if line.lower() in _UNUSED else _printable(line) for line in lines)


def read(path: Path) -> tuple[str, ...]:
    """The labels in a text file.

    Raises:
        ModelError: unreadable, too large, or not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read the labels {path}: {error.strerror}", "check --labels") from error
    return decode(data, str(path))


def decode(data: bytes, where: str, numbered: bool = True) -> tuple[str, ...]:
    """The labels in a file's bytes; ``where`` names it in errors.

    Raises:
        ModelError: too large, or not UTF-8 text.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where} is over {MAX_BYTES} bytes", "labels are text, one a line")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{where} is not UTF-8 text", "save it as UTF-8, one label a line") from error
    if "\0" in text:
        raise ModelError(f"{where} is not a text file", "name a text file, one label a line")
    return parse(text, numbered)


def _printable(label: str) -> str:
    """Without control characters, which would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in label).strip()
