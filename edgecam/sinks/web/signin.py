"""Signing in and out, and what those get who have not."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from edgecam import audit
from edgecam.sinks.web.auth import Access, Grant
from edgecam.sinks.web.body import BodyError, read_body
from edgecam.sinks.web.limiter import Limiter
from edgecam.sinks.web.sessions import LASTS, Sessions

_FORM_LIMIT = 4096
#: Passwords that may wait to be hashed, one at a time: each takes 16 MB and a second of a slow board.
_QUEUE = 8

_NO_STORE = {"cache-control": "no-store"}

Trouble = Literal["", "wrong", "often"]


class SignIn:
    """The forms and the sessions of one page.

    Args:
        template: the page's ``login.html``.
    """

    def __init__(self, access: Access, sessions: Sessions, limiter: Limiter, template: Path) -> None:
        self.sessions = sessions
        self._access = access
        self._limiter = limiter
        self._template = _for_kind(template.read_text(encoding="utf-8"), access.has_passwords)
        self._hashing = asyncio.Lock()
        self._waiting = 0

    def try_token(self, shown: str, address: str) -> tuple[Grant | None, float]:
        """Whom a token lets in, and the seconds to wait after too many wrong ones."""
        wait = self._limiter.wait(address)
        if wait > 0:
            # Not even the right one: else guessing would go on at full speed.
            return None, wait
        grant = self._access.by_token(shown)
        if grant is None:
            self._limiter.take(address)
            audit.note("refused", "", address, "showed a wrong token")
        return grant, 0.0

    async def login(self, request: Request, grant: Grant | None) -> Response:
        """The form, and what it sends."""
        if request.method != "POST":
            return RedirectResponse("./", 303, _NO_STORE) if grant else self.form(request, 200)
        try:
            body = await read_body(request, _FORM_LIMIT)
        except BodyError as error:
            return PlainTextResponse(f"The form is no good: {error}.\n", error.status)
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if not self._access.asks:
            return self.enter(request, grant)
        address = client(request)
        wait = 1.0 if self._waiting >= _QUEUE else self._limiter.take(address)
        if wait > 0:
            return self.too_many(request, wait)
        found = await self._check(form)
        if found is None:
            audit.note("refused", form.get("name", ""), address, "gave a wrong password or token")
            return self.form(request, 401, "wrong")
        self._limiter.forgive(address)
        return self.enter(request, found)

    async def _check(self, form: dict[str, str]) -> Grant | None:
        token = form.get("token", "").strip()
        if token:
            return self._access.by_token(token)
        if not self._access.has_passwords:
            return None
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(
                    self._access.by_password, form.get("name", "").strip(), form.get("password", "")
                )
        finally:
            self._waiting -= 1

    def enter(self, request: Request, grant: Grant | None) -> Response:
        """Begin a session, and show the page under an address without the token."""
        response: Response
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A browser does not send a SameSite=Strict cookie along a redirect that another site's link
            # began; a refresh is begun by this page.
            response = Response(headers={"refresh": "0; url=./"})
        else:
            response = RedirectResponse("./", status_code=303)
        response.headers["cache-control"] = "no-store"
        if self._access.asks and grant is not None:
            name = cookie_name(self._access, request)
            # What the browser held before is worth nothing afterwards, whoever put it there.
            self.sessions.end(request.cookies.get(name, ""))
            cookie = self.sessions.begin(grant.name)
            secure = request.url.scheme == "https"
            response.set_cookie(
                name, cookie, max_age=LASTS, path="/", httponly=True, samesite="strict", secure=secure
            )
            audit.note("sign-in", grant.name, client(request), f"signed in, {self._access.role(grant.name)}")
        return response

    def logout(self, request: Request, grant: Grant | None) -> Response:
        """End the session, here and in the browser."""
        name = cookie_name(self._access, request)
        self.sessions.end(request.cookies.get(name, ""))
        response = RedirectResponse("./", 303, _NO_STORE | {"clear-site-data": '"cache"'})
        secure = request.url.scheme == "https"
        response.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=secure)
        if grant is not None and grant.way == "session":
            audit.note("sign-out", grant.name, client(request), "signed out")
        return response

    def too_many(self, request: Request, wait: float) -> Response:
        """The answer after too many attempts."""
        response = self.form(request, 429, "often")
        response.headers["retry-after"] = str(math.ceil(wait))
        return response

    def form(self, request: Request, status: int, trouble: Trouble = "") -> Response:
        """The form for a browser, a line for a program."""
        headers = dict(_NO_STORE)
        if status == 401:
            headers["www-authenticate"] = 'Bearer realm="edgecam"'
        if request.method not in ("GET", "HEAD", "POST") or "text/html" not in request.headers.get(
            "accept", ""
        ):
            text = (
                "Too many wrong attempts: wait a little.\n"
                if status == 429
                else "A token is needed: send the header Authorization: Bearer TOKEN, or add ?token=TOKEN.\n"
            )
            return PlainTextResponse(text, status_code=status, headers=headers)
        body = self._template
        if trouble:
            body = body.replace(f'id="{trouble}" hidden', f'id="{trouble}"')
        # Of an address further down, too; relative, since a proxy may put the page below a path.
        up = "../" * (request.url.path.count("/") - 1)
        body = re.sub(r'(href|src|action)="', rf'\1="{up}', body) if up else body
        return Response(body, status, headers, media_type="text/html")


async def session(request: Request) -> Response:
    """``/api/session``: who is looking."""
    grant: Grant = request.scope["edgecam.grant"]
    return JSONResponse({"name": grant.name, "role": grant.role, "way": grant.way}, headers=_NO_STORE)


def client(request: Request) -> str:
    """The address that a request came from, as far as the server knows."""
    return request.client.host if request.client is not None else ""


def cookie_name(access: Access, request: Request) -> str:
    """Under TLS a name that only this very host can set."""
    return f"__Host-{access.cookie}" if request.url.scheme == "https" else access.cookie


def _for_kind(template: str, passwords: bool) -> str:
    """The form with the fields that are asked for: each kind stands between comments of its name."""
    unwanted = "token" if passwords else "password"
    kept = re.sub(rf"\s*<!-- {unwanted} -->.*?<!-- end -->", "", template, flags=re.DOTALL)
    return re.sub(r"\s*<!-- \w+ -->", "", kept)
