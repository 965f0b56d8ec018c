"""Names become levels of topics; addresses become brokers. No broker is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import UnknownNameError, UsageError
from edgecam.registry import parse_uri
from edgecam.sinks.mqtt import MqttSink
from edgecam.sinks.mqtt.reasons import of_exception
from edgecam.sinks.mqtt.server import read_server, server_options
from edgecam.sinks.mqtt.topics import Topics, check_base, level

texts = st.text(max_size=80) | st.text(alphabet="ab _-./+#$\x00é狗", max_size=12)


@given(texts)
def test_a_level_is_one_level(text: str) -> None:
    out = level(text)
    assert out and not set(out) & set("+#/$ \x00\n\r\t") and out not in (".", "..")
    assert all(c.isalnum() or c in "-_." for c in out) and len(out) <= 67
    out.encode()


@given(texts, texts)
def test_different_names_stay_different(a: str, b: str) -> None:
    assert (level(a) == level(b)) == (a == b)


def test_plain_names_stay_readable() -> None:
    assert [level(name) for name in ("person", "traffic light", "собака", "v2.1-x")] == [
        *("person", "traffic_light", "собака", "v2.1-x")
    ]


def test_the_tree() -> None:
    topics = Topics("site/hall", "cam-1")
    assert topics.event("comes in") == "site/hall/cam-1/event/comes_in"
    assert (
        topics.set("pause") == "site/hall/cam-1/set/pause"
        and topics.switch("pause") == "site/hall/cam-1/pause"
    )


@pytest.mark.parametrize("text", ["/a/+/b", "#", "a//b", "$SYS", "a\x00b", "a\nb"])
def test_no_base(text: str) -> None:
    with pytest.raises(UsageError, match="is no topic to begin with"):
        check_base(text)


def server(text: str) -> object:
    uri = parse_uri(text)
    return read_server(uri, uri.options(**server_options()))


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = server("mqtt://broker")
    assert (plain.name, plain.user, plain.tls) == ("broker:1883", "", None)  # type: ignore[attr-defined]
    secure = server("mqtts://me:s%2Fec%40ret@[::1]:99/x")
    assert (secure.name, secure.user, secure.password) == ("[::1]:99", "me", "s/ec@ret")  # type: ignore[attr-defined]
    assert secure.tls is not None and "s/ec" not in repr(secure)  # type: ignore[attr-defined]
    monkeypatch.setenv("SECRET", "from env")
    (tmp_path / "s").write_text("from file\r\n")
    for text, secret in (("env:SECRET", "from env"), (f"file:{tmp_path}/s", "from file"), ("plain", "plain")):
        assert server(f"mqtt://me@broker/?password={text}").password == secret  # type: ignore[attr-defined]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert server("mqtt://me@broker/?password=credential:s").password == "from file"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mqtt:", "names no broker"),
        ("mqtt://", "names no broker"),
        ("mqtt://host:999999/", "is not a URL"),
        ("mqtt://me@host/?password=env:NOT_THERE", "the variable NOT_THERE is not set"),
        ("mqtt://me@host/?password=file:/not/there", "/not/there cannot be read"),
        ("mqtt://host/?password=env:HOME", "a password without a user"),
        ("mqtt://host/?ca=x.pem", "write mqtts://"),
        ("mqtts://host/?ca=/not/there.pem", "/not/there.pem is not there"),
        ("mqtts://host/?key=/not/there.pem", "without cert="),
        ("mqtt://host/?qos=3", "expected one of 0, 1, 2"),
        ("mqtt://host/?queue_count=0", "a number over 0"),
        ("mqtt://host/?version=4", "expected one of 5, 3.1.1"),
        ("mqtt://host/a+b", "is no topic to begin with"),
        ("mqtt://host/a#b", "is no topic to begin with"),
        ("mqtt://host/?homeassistant=a+b/%23", "is no topic to begin with"),
    ],
)
def test_wrong_addresses(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        MqttSink(parse_uri(text))


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="snapshot"):
        MqttSink(parse_uri("mqtt://host/?snapshots=1s"))


def test_a_password_is_in_no_error() -> None:
    for text in ("mqtt://me:hunter2@/x", "mqtt://me:hunter2@host:bad/", "mqtt://me:hunter2@host/?nonsense=1"):
        with pytest.raises(UsageError) as caught:
            MqttSink(parse_uri(text))
        assert (
            "hunter2" not in str(caught.value)
            and "hunter2" not in MqttSink(parse_uri("mqtt://me:hunter2@host/")).name
        )


def test_what_the_network_says_has_words() -> None:
    assert of_exception(TimeoutError(), False)[0] == "does not answer"
    assert of_exception(ConnectionResetError(104, "Connection reset by peer"), True)[0].endswith("mqtts?")
    assert "ValueError: x" in of_exception(ValueError("x"), False)[0]
