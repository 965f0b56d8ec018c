"""Entries for the journal, read back by a parser of its protocol."""

from __future__ import annotations

import logging
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import journal


def parse(data: bytes) -> dict[str, str]:
    """As journald reads it: a line with "=", or a name, eight bytes of length and the value."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        fields[key.decode()] = value.decode()
        data = rest
    return fields


@given(st.dictionaries(st.sampled_from(["MESSAGE", "EDGECAM_STATE", "X_1"]), st.text()))
def test_what_is_encoded_is_read_back(fields: dict[str, str]) -> None:
    assert parse(journal.encode(fields)) == fields


def test_half_a_character_does_no_harm() -> None:
    assert parse(journal.encode({"MESSAGE": "a\udcffb"})) == {"MESSAGE": "a\\udcffb"}


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that hears as journald does; standard error is said to be its stream."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        found = os.fstat(2)
        monkeypatch.setattr(journal, "SOCKET", str(path))
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        journal.connected.cache_clear()
        yield sock
    journal.connected.cache_clear()


def test_an_entry_carries_its_fields(journald: socket.socket) -> None:
    assert journal.send("waiting", journal.WARNING, {"EDGECAM_STATE": "waiting"})
    assert parse(journald.recv(65536)) == {
        "MESSAGE": "waiting",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "edgecam",
        "EDGECAM_STATE": "waiting",
    }


def test_a_log_record_says_where_it_comes_from(journald: socket.socket) -> None:
    logger = logging.getLogger("edgecam.test.journal")
    handler = journal.JournalHandler()
    logger.addHandler(handler)
    try:
        logger.error("the %s\nfailed", "engine")
    finally:
        logger.removeHandler(handler)
    entry = parse(journald.recv(65536))
    assert entry["MESSAGE"] == "the engine\nfailed" and entry["PRIORITY"] == "3"
    assert entry["CODE_FILE"] == __file__ and entry["EDGECAM_LOGGER"] == "edgecam.test.journal"


def test_an_entry_too_long_for_a_datagram_goes_as_a_file(journald: socket.socket) -> None:
    text = "x" * 3_000_000
    assert journal.send(text)
    data, files, _, _ = socket.recv_fds(journald, 4096, 1)
    assert data == b"" and len(files) == 1
    with mmap.mmap(files[0], 0, prot=mmap.PROT_READ) as content:
        assert parse(content[:])["MESSAGE"] == text
    os.close(files[0])


@pytest.mark.parametrize("stream", ["", "1:2", "nonsense"])
def test_elsewhere_it_is_not_used(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    journal.connected.cache_clear()
    assert not journal.send("text")
    journal.connected.cache_clear()


def test_without_a_journal_daemon_the_line_is_not_lost(
    journald: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "gone"))
    assert not journal.send("text")
