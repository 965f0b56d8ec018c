"""The door of the site: lets requests in by the rules of :mod:`~edgecam.sinks.web.auth`, and sets on every
response the headers that keep a browser from doing more with it than the page needs."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgecam.sinks.web import foreign
from edgecam.sinks.web.auth import OPEN, Access, Grant
from edgecam.sinks.web.signin import SignIn, client, cookie_name

# What the sign-in form needs before anybody has signed in; nothing here says anything about the camera.
_FREE = frozenset({"/page.css", "/favicon.svg"})

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'{}; media-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    # Not no-referrer: with that a browser says "Origin: null" when our own form is sent.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """ASGI middleware. Sets ``scope["edgecam.grant"]``, None for those who may see what is free only, and
    ``scope["edgecam.trusted"]``: the request has shown that it may see everything.

    Args:
        app: the site behind the gate.
        access: the rules.
        sign_in: answers those who may not come in yet.
        elsewhere: origins that pictures may come from too.
    """

    def __init__(self, app: ASGIApp, access: Access, sign_in: SignIn, elsewhere: Sequence[str] = ()) -> None:
        self._app = app
        self._access = access
        self._sign_in = sign_in
        policy = _HEADERS["content-security-policy"].format("".join(f" {origin}" for origin in elsewhere))
        self._headers = _HEADERS | {"content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"unexpected ASGI scope {scope['type']!r}")
        request = Request(scope, receive)
        grant, wait = self._grant(request)
        shown = grant is not None and grant.way == "token"
        sharing = "cross-origin" if shown or self._access.shared else "same-origin"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["cross-origin-resource-policy"] = sharing
            await send(message)

        answer = self._refusal(request, grant) or await self._answer(request, grant, wait)
        if answer is None:
            scope["edgecam.grant"] = grant
            scope["edgecam.trusted"] = grant is not None
            await self._app(scope, receive, send_with_headers)
        else:
            await answer(scope, receive, send_with_headers)

    def _grant(self, request: Request) -> tuple[Grant | None, float]:
        """How the request is let in, and how long its sender must wait after too many wrong tokens."""
        if not self._access.asks:
            return OPEN, 0.0
        cookie = request.cookies.get(cookie_name(self._access, request))
        if cookie is not None:
            name = self._sign_in.sessions.name(cookie)
            if name:
                return Grant("session", name, self._access.role(name)), 0.0
        shown = _token(request)
        if shown is None:
            return None, 0.0
        return self._sign_in.try_token(shown, client(request))

    def _refusal(self, request: Request, grant: Grant | None) -> Response | None:
        """The answer to requests that do not come for this machine, or from another site's page."""
        shown = grant is not None and grant.way == "token"
        if not shown and not self._access.right_host(request.headers.get("host", "")):
            return PlainTextResponse(
                "This page answers only to its address or to this machine's own name. To let another name "
                "in, add --host-name NAME, or ?names=NAME to the web: sink.\n",
                status_code=403,
            )
        if request.method in foreign.SAFE and (shown or self._access.shared):
            return None
        problem = foreign.why(request)
        return PlainTextResponse(f"Refused: {problem}.\n", status_code=403) if problem else None

    async def _answer(self, request: Request, grant: Grant | None, wait: float) -> Response | None:
        """What the gate itself answers; None lets the request through."""
        path = request.url.path
        if path == "/login" and request.method in ("GET", "HEAD", "POST"):
            return await self._sign_in.login(request, grant)
        if path == "/logout" and request.method == "POST":
            return self._sign_in.logout(request, grant)
        if wait > 0:
            return self._sign_in.too_many(request, wait)
        if path == "/" and "token" in request.query_params:
            return self._sign_in.enter(request, grant) if grant else self._sign_in.form(request, 401, "wrong")
        if grant is not None or path == "/healthz" or path in _FREE:
            return None
        return self._sign_in.form(request, 401)


def _token(request: Request) -> str | None:
    """The token that a request shows, None for none."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    return request.query_params.get("token")
