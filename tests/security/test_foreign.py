"""What other sites' pages do in the browser of somebody who may look: all of it in vain."""

from __future__ import annotations

import httpx
import pytest

from edgecam.sinks.web import WebSink
from tests.security.support import ANNA, BEN, put


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"x-edgecam-secret": ""},
        {"x-edgecam-secret": "guess"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_csrf(headers: dict[str, str], admin: httpx.Client, untouched: None) -> None:
    assert put(admin, **headers).status_code in (403, 415)


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_csrf_of_signing_in_and_out(path: str, headers: dict[str, str], admin: httpx.Client) -> None:
    assert admin.post(path, data=BEN, headers=headers).status_code == 403
    assert admin.get("/api/session").json()["name"] == "anna"


def test_our_own_form_is_let_in(page: WebSink) -> None:
    headers = {"origin": page.url.rstrip("/"), "sec-fetch-site": "same-origin"}
    assert httpx.post(f"{page.url}login", data=ANNA, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "path", ["/stream.mjpg", "/live", "/events", "/snapshot.jpg", "/api/status", "/kept/x", "/healthz"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"origin": "http://evil.example"},
    ],
)
def test_other_sites_read_nothing_even_with_the_cookie(
    path: str, headers: dict[str, str], admin: httpx.Client
) -> None:
    answer = admin.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_another_site_opens_the_page_only(admin: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert admin.get("/", headers=headers).status_code == 200


def test_a_preflight_is_not_granted(admin: httpx.Client) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "PUT"}
    answer = admin.options("/api/settings", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:8080",
        "",
        "a@127.0.0.1",
        "[::1",
        "localhost/x",
    ],
)
def test_dns_rebinding(host: str, page: WebSink, admin: httpx.Client) -> None:
    origin = {"host": host, "origin": f"http://{host}"}
    for client in (admin, httpx):
        assert client.get(page.url, headers=origin).status_code == 403
        assert client.post(f"{page.url}login", data=ANNA, headers=origin).status_code == 403
        assert client.get(f"{page.url}healthz", headers=origin).status_code == 403
