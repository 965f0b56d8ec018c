"""Texts that stand for several things."""

from __future__ import annotations

import pytest

from edgecam.config import Settings
from edgecam.values import (
    canonical_listen,
    parse_decoder_option,
    parse_delegate,
    parse_listen,
    parse_normalize,
    parse_role,
)


@pytest.mark.parametrize(
    ("text", "mean", "std"),
    [
        ("127.5,127.5", (127.5,), (127.5,)),
        ("0:255", (0.0,), (255.0,)),
        ("123.7,116.3,103.5:58.4,57.1,57.4", (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)),
        ("1,2,3:4", (1.0, 2.0, 3.0), (4.0,)),
    ],
)
def test_normalize(text: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    assert parse_normalize(text) == (mean, std)


@pytest.mark.parametrize(
    "text", ["", "1", "1,2,3", "a,b", "1,2:3,4", "1:2:3", "0,0", "0,-1", "nan,1", "0,inf"]
)
def test_normalize_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="expected "):
        parse_normalize(text)


@pytest.mark.parametrize(
    ("text", "host", "port", "canonical"),
    [
        ("0.0.0.0:9000", "0.0.0.0", 9000, "0.0.0.0:9000"),
        ("0.0.0.0", "0.0.0.0", 8080, "0.0.0.0:8080"),
        ("9000", "127.0.0.1", 9000, "127.0.0.1:9000"),
        (":9000", "127.0.0.1", 9000, "127.0.0.1:9000"),
        ("cam.local:0", "cam.local", 0, "cam.local:0"),
        ("[::1]:80", "::1", 80, "[::1]:80"),
        ("[::]", "::", 8080, "[::]:8080"),
    ],
)
def test_listen(text: str, host: str, port: int, canonical: str) -> None:
    assert parse_listen(text) == (host, port)
    assert canonical_listen(text) == canonical
    assert Settings(listen=canonical).address == (host, port)


@pytest.mark.parametrize("text", ["", " ", "a b", "host:", "host:99999", "::1", "http://x:80", "host:port"])
def test_listen_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="expected "):
        parse_listen(text)


def test_delegate() -> None:
    assert parse_delegate("/lib/x.so?a=1&b=c=d") == ("/lib/x.so", {"a": "1", "b": "c=d"})
    assert parse_delegate("x.so") == ("x.so", {})
    for wrong in ("", "?a=1", "x.so?a", "x.so?=1"):
        with pytest.raises(ValueError, match="expected "):
            parse_delegate(wrong)
    assert Settings().delegate_library == ("", {})


def test_roles() -> None:
    assert parse_role("boxes=StatefulPartitionedCall:1") == ("boxes", "StatefulPartitionedCall:1")
    assert Settings(outputs=("boxes=0", "scores=2")).output_roles == {"boxes": "0", "scores": "2"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("activation=softmax", ("activation", "softmax")),
        ("transposed=true", ("transposed", True)),
        ("iou=0.45", ("iou", 0.45)),
        ("anchors=[1, 2]", ("anchors", [1, 2])),
        ("name=a=b", ("name", "a=b")),
    ],
)
def test_a_decoder_option_is_json_where_it_can_be(text: str, value: tuple[str, object]) -> None:
    assert parse_decoder_option(text) == value


@pytest.mark.parametrize("text", ["activation", "=softmax", "activation=", ""])
def test_a_decoder_option_needs_both_sides(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME=VALUE"):
        parse_decoder_option(text)
