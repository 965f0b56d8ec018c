"""What every report is as a page: one file that needs nothing else, no script, font or picture of others."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

_STYLE = Path(__file__).with_name("page.css")


def document(title: str, parts: Iterable[str]) -> str:
    """A whole HTML page; empty parts are left out.

    Args:
        title: plain text.
        parts: HTML, one below the other.
    """
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n<footer>Made by edgecam-convert.</footer>\n</main>\n</body>\n</html>\n"
    )
