"""Every option of the sinks that tell others is in their documentation, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgecam.registry import SINKS, load, parse_uri

DOCS = Path(__file__).resolve().parents[2] / "docs"


def documented(text: str) -> set[str]:
    """Options of the tables headed by ``option``."""
    found: set[str] = set()
    for table in re.findall(r"^\| option.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines():
            found |= set(re.findall(r"`([a-z_]+)`", row.split("|")[1]))
    return found


@pytest.mark.parametrize(
    ("uri", "file", "begin", "end"),
    [
        ("mqtt://host/", "mqtt.md", "# MQTT", "## What is promised"),
        ("webhook:http://host/", "webhook.md", "# Webhooks", "## `exec:"),
        ("exec:true", "webhook.md", "# Webhooks", ""),
    ],
)
def test_options(uri: str, file: str, begin: str, end: str) -> None:
    parsed = parse_uri(uri)
    sink: Any = load(SINKS, "sink", parsed.scheme)(parsed)
    text = (DOCS / file).read_text()
    if uri.startswith("exec:"):
        text = text.split("## `webhook:")[0] + text.split("## `exec:")[1]
    else:
        text = text[text.index(begin) : text.index(end)]
    assert documented(text) == set(sink._options)
