"""Basic and Digest, against the examples of the RFCs."""

from __future__ import annotations

import re

import pytest

from edgecam.sources import auth
from edgecam.sources.auth import authorization

# RFC 7616, section 3.9.1
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
CHALLENGE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    f'nonce="{NONCE}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MD5, SHA256 = CHALLENGE.format("MD5"), CHALLENGE.format("SHA-256")


def answer(*challenges: str) -> str:
    return authorization(challenges, "GET", "/dir/index.html", "Mufasa", "Circle of Life")


def response(header: str) -> str:
    match = re.search('response="([^"]*)"', header)
    assert match
    return match[1]


@pytest.fixture(autouse=True)
def _known_cnonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth.secrets, "token_hex", lambda _: CNONCE)


def test_examples_of_rfc_7616() -> None:
    md5, sha = answer(MD5), answer(SHA256)
    assert response(md5) == "8ca523f5e9506fed4657c9700eebdbec"
    assert response(sha) == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert 'opaque="FQhe/' in md5 and "algorithm=MD5" in md5 and "nc=00000001" in md5 and "qop=auth," in md5


def test_example_of_rfc_2617_without_qop() -> None:
    """The form of RFC 2069, which old cameras and RTSP servers ask for; response as its errata give it."""
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    header = authorization([challenge], "GET", "/dir/index.html", "Mufasa", "CircleOfLife")
    assert response(header) == "1949323746fe6a43ef61f9606e7febea"
    assert "cnonce" not in header and "algorithm" not in header


def test_example_of_rfc_7617() -> None:
    assert authorization(["Basic realm=x"], "GET", "/", "Aladdin", "open sesame") == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )


@pytest.mark.parametrize(
    "challenges",
    [(MD5, SHA256), (SHA256, MD5), (f'Basic realm="a, b", {MD5}, {SHA256}',), ('Basic realm="x"', SHA256)],
)
def test_the_strongest_is_taken(challenges: tuple[str, ...]) -> None:
    assert "algorithm=SHA-256" in answer(*challenges)


def test_unknown_ones_are_passed_over() -> None:
    unknown = CHALLENGE.format("SHA-512-256")
    assert answer(unknown, 'Negotiate, Basic realm="x"').startswith("Basic ")
    assert answer(unknown) == answer("Bearer") == answer() == ""
