"""Addresses of network cameras: what goes to the camera, and what is never shown."""

from __future__ import annotations

import pytest

from edgecam.errors import UsageError
from edgecam.registry import parse_uri
from edgecam.sources.network import address, path_of


def test_only_our_options_are_taken_out() -> None:
    uri = parse_uri("RTSP://me:p%40ss@Cam.local/a/b%20c?x=1&transport=udp&y=a%26b&flag&transporter=2")
    to = address(uri, frozenset({"transport"}))
    assert to.url == "rtsp://me:p%40ss@Cam.local/a/b%20c?x=1&y=a%26b&flag&transporter=2"
    assert to.bare == "rtsp://Cam.local/a/b%20c?x=1&y=a%26b&flag&transporter=2"
    assert to.target == "/a/b%20c?x=1&y=a%26b&flag&transporter=2"
    assert (to.host, to.port, to.user, to.password) == ("cam.local", 554, "me", "p@ss")


def test_numbers_and_ports() -> None:
    to = address(parse_uri("http://[fe80::1]:8080"))
    assert (to.host, to.port, to.target, to.at) == ("fe80::1", 8080, "/", "[fe80::1]:8080")
    assert address(parse_uri("https://cam/")).port == 443


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://me:hunter2@cam/x",
        "rtsp://me:hun#hunter2@cam/x",
        "rtsp://me:hun/hunter2@cam/x",
        "rtsp://me:hun?hunter2@cam/x",
        "rtsp://me:a@hunter2@cam/x",
        "http://cam/x?user=me&pwd=hunter2&n=1",
        "http://cam/x?loginuse=me&loginpas=hunter2",
        "http://cam/x?access_token=ab/hunter2",
        "rtsp://cam/user=me_password=hunter2_channel=1_stream=0.sdp",
        "rtsp://cam/user=me&password=hunter2&channel=1",
    ],
)
def test_secrets_are_not_shown(text: str) -> None:
    uri = parse_uri(text)
    assert "hunter2" not in uri.safe and "cam" in uri.safe
    try:
        to = address(uri)
    except UsageError as error:
        assert "hunter2" not in str(error)
    else:
        assert "hunter2" not in path_of(to) + to.at


@pytest.mark.parametrize(
    "text",
    [
        "http://cam:8080/x?mail=a@b",
        "http://cam/@home/x?channel=1",
        "rtsp://cam:554/live?channel=1&subtype=0",
        "images:/data/a@b/*.jpg",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert parse_uri(text).safe == text


def test_a_password_that_breaks_the_url_is_told() -> None:
    with pytest.raises(UsageError, match="in a password # is %23") as error:
        address(parse_uri("rtsp://me:hun#hunter2@cam/x"))
    assert "hun" not in str(error.value)
