"""People who sign in, programs with tokens, and those who have neither."""

from __future__ import annotations

import re

import httpx
import pytest

from edgecam.sinks.web import WebSink
from edgecam.sinks.web.limiter import EACH, Limiter
from tests.security.support import ANNA, BEN, HTML, PASSWORD, TOKEN, Book, bearer, place, put


def test_people_sign_in_see_who_they_are_and_sign_out(
    sink: WebSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgecam.audit")
    with httpx.Client(base_url=sink.url, headers=HTML) as client:
        form = client.get("/")
        assert form.status_code == 401
        assert 'name="password"' in form.text and 'name="token"' not in form.text and "<!--" not in form.text
        assert client.post("/login", data=BEN).headers["location"] == "./"
        assert client.get("/api/session").json() == {"name": "ben", "role": "viewer", "way": "session"}
        assert client.get("/snapshot.jpg").status_code == 200
        assert client.get("/login").status_code == 303
        cookie = next(iter(client.cookies.items()))
        assert client.post("/logout").status_code == 303
        assert client.get("/").status_code == 401
        # The cookie is worth nothing, not only forgotten.
        assert httpx.get(sink.url, cookies=dict([cookie])).status_code == 401
    assert [record.getMessage() for record in caplog.records] == [
        "page: ben from 127.0.0.1 signed in, viewer",
        "page: ben from 127.0.0.1 signed out",
    ]


def test_wrong_is_wrong_and_says_not_what(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limiter, "take", lambda limiter, address: 0.0)
    for form in (
        {"name": "anna", "password": "wrong"},
        {"name": "nobody", "password": PASSWORD},
        {"name": "prometheus", "password": TOKEN},  # a token is no password
        {"token": PASSWORD},
        {"name": "anna"},
        {},
        {"name": "anna", "password": PASSWORD + "\0"},
        {"name": "anna:admin", "password": PASSWORD},
    ):
        answer = httpx.post(f"{sink.url}login", data=form, headers=HTML)
        assert answer.status_code == 401
        assert 'id="wrong">Name or password is wrong.' in answer.text
        assert "set-cookie" not in answer.headers


def test_guessing_is_slow_for_forms_and_tokens_and_not_for_who_is_in(
    sink: WebSink, anna: httpx.Client
) -> None:
    statuses = [
        httpx.post(f"{sink.url}login", data={"name": "anna", "password": str(i)}).status_code
        for i in range(8)
    ]
    assert statuses == [401] * EACH[0] + [429] * 3
    # Not even the right one, in any form.
    blocked = httpx.post(f"{sink.url}login", data=ANNA, headers=HTML)
    assert blocked.status_code == 429 and int(blocked.headers["retry-after"]) in range(1, 13)
    assert 'id="often">Too many attempts' in blocked.text
    assert httpx.get(f"{sink.url}api/status", headers=bearer()).status_code == 429
    assert httpx.get(f"{sink.url}api/status?token={TOKEN}").status_code == 429
    assert anna.get("/api/status").status_code == 200


def test_a_program_with_a_wrong_token_is_slowed_down_too(sink: WebSink) -> None:
    answers = [httpx.get(f"{sink.url}metrics", headers=bearer(f"guess{i}")).status_code for i in range(7)]
    assert answers == [401] * EACH[0] + [429] * 2


def test_tokens_read_metrics_and_streams(sink: WebSink) -> None:
    for _ in range(3 * EACH[0]):
        assert httpx.get(f"{sink.url}metrics", headers=bearer()).status_code == 200
    assert httpx.get(f"{sink.url}snapshot.jpg?token={TOKEN}").status_code == 200


# ---- sessions


def test_a_session_cannot_be_fixed_from_outside(sink: WebSink) -> None:
    name = f"edgecam-{place(sink)[1]}"
    planted = "attackers-choice-of-a-session-id-0000000000"
    answer = httpx.post(f"{sink.url}login", data=ANNA, headers={"cookie": f"{name}={planted}"})
    cookie = re.match(
        rf"{name}=([\w-]{{43}}); HttpOnly; Max-Age=\d+; Path=/; SameSite=strict$",
        answer.headers["set-cookie"],
    )
    assert cookie and cookie[1] != planted
    assert httpx.get(sink.url, headers={"cookie": f"{name}={planted}"}).status_code == 401
    # Signing in again ends the session from before.
    again = httpx.post(f"{sink.url}login", data=BEN, headers={"cookie": f"{name}={cookie[1]}"})
    assert again.status_code == 303
    assert httpx.get(sink.url, headers={"cookie": f"{name}={cookie[1]}"}).status_code == 401


@pytest.mark.parametrize("value", ["", "x" * 8000, "../../etc/passwd", '"', "é", "a=b; c=d"])
def test_a_strange_cookie_is_nobody(value: str, sink: WebSink) -> None:
    name = f"edgecam-{place(sink)[1]}"
    answer = httpx.get(sink.url, headers={"cookie": f"{name}={value}".encode()})
    assert answer.status_code == 401


# ---- roles


def test_a_viewer_watches_and_changes_nothing(sink: WebSink, book: Book) -> None:
    with httpx.Client(base_url=sink.url) as client:
        assert client.post("/login", data=BEN).status_code == 303
        assert client.get("/api/scene").json()["editable"] is False
        assert client.get("/api/settings").status_code == 403
        assert put(client).status_code == 403
    with httpx.Client(base_url=sink.url, headers=bearer()) as client:
        assert put(client).status_code == 403
    assert book.saved == []


def test_an_admin_changes_and_it_is_written_down(
    anna: httpx.Client, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgecam.audit")
    assert put(anna).status_code == 200
    assert book.saved == [({"zone": []}, "v1")]
    (record,) = caplog.records
    assert record.getMessage() == f"page: anna from 127.0.0.1 saved zone (0) in {book.file}"
    assert record.journal == {"EDGECAM_AUDIT": "change", "EDGECAM_WHO": "anna", "EDGECAM_FROM": "127.0.0.1"}  # type: ignore[attr-defined]


def test_audit_lines_hold_no_control_signs_and_no_password(
    sink: WebSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgecam.audit")
    name = "\x1b[2Jroot\r\nedgecam: page: anna from 127.0.0.1 signed in\u202e" + "x" * 500
    httpx.post(f"{sink.url}login", data={"name": name, "password": "hunter2hunter2"})
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 120
    assert "hunter2" not in caplog.text
