"""Secrets are taken out of whatever is shown, and may stand elsewhere than in an address."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecam import config_load, redact, references
from edgecam.config import Settings, redacted
from edgecam.errors import UsageError
from edgecam.registry import parse_uri, sink_uri, source_uri
from edgecam.sources.network import address

# Marks that no other part of an address holds, around whatever a password may be made of.
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), max_size=12)
passwords = texts.map(lambda text: f"S3CR{text}T")
hosts = st.sampled_from(["cam", "cam:554", "192.0.2.7:8554", "[fd00::1]:554"])
schemes = st.sampled_from(["rtsp", "rtsps", "http", "mqtt", "mqtts"])
paths = st.sampled_from(["", "/", "/stream?channel=1", "/a/b?x=1&y=2", "/live?fps=5"])


@given(schemes, st.sampled_from(["ann", "", "a.b"]), passwords, hosts, paths, st.booleans())
@example("rtsp", "ann", "S3CR/a#b?c@d:T", "cam", "/1", False)
@example("rtsp", "", "S3CR/T", "cam", "", False)
def test_a_password_in_an_address_is_never_shown(
    scheme: str, user: str, password: str, host: str, path: str, escaped: bool
) -> None:
    shown = quote(password, safe="") if escaped else password
    text = f"{scheme}://{user}:{shown}@{host}{path}"
    for safe in (redact.uri(text), redact.line(f"cannot open {text}: timed out"), parse_uri(text).safe):
        assert "S3CR" not in safe
        assert "***@" in safe
    assert redact.line(f"cannot open {text}: timed out").endswith("timed out")


@given(st.sampled_from(["token", "password", "pwd", "key", "secret", "auth", "api_key"]), passwords)
def test_a_secret_in_a_query_is_never_shown(name: str, password: str) -> None:
    text = f"http://cam/x?a=1&{name}={quote(password, safe='')}&b=2"
    for safe in (redact.uri(text), redact.line(f"asked {text} in vain")):
        assert "S3CR" not in safe and "a=1" in safe and "b=2" in safe


@given(st.sampled_from(["Bearer", "Basic", "Digest"]), passwords)
def test_a_header_is_never_shown(kind: str, password: str) -> None:
    word = quote(password, safe="")
    assert word not in redact.line(f"sent Authorization: {kind} {word} to the camera")


@given(st.text(max_size=60))
def test_taking_out_twice_changes_nothing_more(text: str) -> None:
    assert redact.uri(redact.uri(text)) == redact.uri(text)
    assert redact.line(redact.line(text)) == redact.line(text)


@pytest.mark.parametrize(
    "text",
    [
        "camera:0?size=1280x720",
        "http://cam:8080/stream",
        "web://0.0.0.0:8080?fps=5",
        "video:/a@b.mp4",
        "door: 3 s",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redact.uri(text) == redact.line(text) == text


@given(st.text(max_size=300))
def test_strange_text_fits_one_line_of_a_terminal(text: str) -> None:
    shown = redact.printable(text)
    assert len(shown) <= 201 and "\n" not in shown and "\x1b" not in shown
    assert not any(
        ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 or sign in "\u2028\u2029\u202e" for sign in shown
    )


def test_the_log_takes_secrets_out_of_what_libraries_say() -> None:
    remedy = "wrong password: write rtsp://USER:PASSWORD@cam/..."
    assert redact.line(remedy) == remedy
    record = logging.LogRecord("x", 30, "", 1, "cannot reach %s", ("rtsp://ann:pw@cam/1?token=abc",), None)
    assert redact.Filter().filter(record)
    assert record.getMessage() == "cannot reach rtsp://***@cam/1?token=***"


# ---- references


@given(passwords)
def test_a_reference_is_filled_in_whatever_the_secret_is_made_of(password: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECAM_TEST_SECRET", password)
        uri = source_uri("rtsp://ann:{env:EDGECAM_TEST_SECRET}@cam/1")
        assert address(uri).password == password
        assert (address(uri).user, address(uri).host) == ("ann", "cam")
        assert sink_uri("web:?token={env:EDGECAM_TEST_SECRET}").query["token"] == password
        assert "S3CR" not in uri.safe


def test_files_and_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cam").write_text("p@ss/word\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for form in (f"{{file:{tmp_path}/cam}}", "{credential:cam}"):
        assert address(source_uri(f"rtsp://ann:{form}@host/1")).password == "p@ss/word"
    assert references.value("credential:cam") == references.value(f"file:{tmp_path}/cam") == "p@ss/word"
    assert references.value("plain") == "plain"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("env:EDGECAM_NO_SUCH", "EDGECAM_NO_SUCH is not set"),
        ("file:/no/such/file", "/no/such/file cannot be read"),
        ("credential:../shadow", "not the name of a credential"),
        ("credential:..", "not the name of a credential"),
        ("env:", "names nothing"),
    ],
)
def test_what_is_not_there_is_named(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        references.value(text)
    with pytest.raises(UsageError, match=words):
        source_uri(f"rtsp://ann:{{{text}}}@cam/1")


def test_a_camera_cannot_ask_for_a_file(tmp_path: Path) -> None:
    """Only what a user typed is filled in; an address in a camera's redirect is not."""
    (tmp_path / "secret").write_text("S3CRET")
    uri = parse_uri(f"http://evil/{{file:{tmp_path}/secret}}")
    assert "S3CRET" not in uri.text + uri.path


# ---- settings files


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('token = "abc"', True),
        ('token = "env:PAGE_TOKEN"', False),
        ('source = "rtsp://ann:pw@cam/1"', True),
        ('source = "rtsp://ann:{env:PW}@cam/1"', False),
        ('source = "rtsp://ann@cam/1"', False),
        ('source = "http://cam/1?token=x"', True),
        ('sinks = ["web:?token={file:/x}", "mqtt://a:{credential:m}@broker"]', False),
        ('sinks = ["mqtt://broker?password=file:/x"]', False),
        ('sinks = ["mqtt://ann:pw@broker"]', True),
        ('source = "camera:0"', False),
    ],
)
def test_a_settings_file_with_a_secret_that_others_read_is_warned_of(
    line: str, secret: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "edgecam.toml"
    file.write_text(line + "\n")
    file.chmod(0o644)
    config_load.load(file=str(file), environ={})
    told = [record.getMessage() for record in caplog.records]
    assert told == ([f"{file} holds a secret and others may read it: chmod 600 {file}"] if secret else [])
    caplog.clear()
    file.chmod(0o600)
    config_load.load(file=str(file), environ={})
    assert not caplog.records


def test_edgecam_config_shows_no_secret() -> None:
    settings = Settings(
        token="S3CRET", source="rtsp://a:S3CRET@c/1", sinks=("web:?token=S3CRET", "mqtt://a:S3CRET@b")
    )
    assert "S3CRET" not in repr([redacted(name, settings) for name in ("token", "source", "sinks")])
