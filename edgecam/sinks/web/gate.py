"""The door of the site: lets requests in by the rules of :mod:`~edgecam.sinks.web.auth`, and sets on every
response the headers that keep a browser from doing more with it than the page needs."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgecam.sinks.web.auth import Access, Grant

_MONTH = 30 * 24 * 3600
_FORM_LIMIT = 4096

# What the sign-in form needs before anybody has signed in; nothing here says anything about the camera.
_FREE = frozenset({"/page.css", "/favicon.svg"})

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'{}; media-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """ASGI middleware. Sets ``scope["edgecam.trusted"]``: the request has shown that it may see everything.

    Args:
        app: the site behind the gate.
        access: the rules.
        sign_in: the sign-in page (HTML); its error line is ``hidden`` until a token was wrong.
        elsewhere: origins that pictures may come from too.
    """

    def __init__(self, app: ASGIApp, access: Access, sign_in: bytes, elsewhere: Sequence[str] = ()) -> None:
        self._app = app
        self._access = access
        self._sign_in = sign_in
        policy = _HEADERS["content-security-policy"].format("".join(f" {origin}" for origin in elsewhere))
        self._headers = _HEADERS | {"content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"unexpected ASGI scope {scope['type']!r}")
        request = Request(scope, receive)
        grant = self._grant(request)
        sharing = "cross-origin" if grant == "token" or self._access.shared else "same-origin"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["cross-origin-resource-policy"] = sharing
            await send(message)

        answer = await self._answer(request, grant)
        if answer is None:
            scope["edgecam.trusted"] = bool(grant)
            await self._app(scope, receive, send_with_headers)
        else:
            await answer(scope, receive, send_with_headers)

    def _grant(self, request: Request) -> Grant:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        bearer = shown.strip() if scheme.lower() == "bearer" else None
        cookie = request.cookies.get(self._access.cookie)
        return self._access.grant(request.query_params.get("token"), bearer, cookie)

    async def _answer(self, request: Request, grant: Grant) -> Response | None:
        """What the gate itself answers; None lets the request through."""
        path = request.url.path
        if not self._access.right_host(request.headers.get("host", "")):
            return PlainTextResponse(
                "This page answers only to its address or to this machine's own name. To let another name "
                "in, add ?names=NAME to the web: sink, or a token.\n",
                status_code=403,
            )
        if path == "/login" and request.method == "POST":
            return await self._login(request)
        if path == "/" and "token" in request.query_params:
            return self._enter(request) if grant else self._refuse(request, wrong=True)
        if grant or path == "/healthz" or path in _FREE:
            return None
        return self._refuse(request, wrong=False)

    async def _login(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM_LIMIT:
                return PlainTextResponse("The form is too large.\n", status_code=413)
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if self._access.grant(form.get("token", "").strip(), None, None):
            return self._enter(request)
        return self._refuse(request, wrong=True)

    def _enter(self, request: Request) -> Response:
        """Trade the token for a cookie and show the page under an address without the token."""
        response: Response
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A browser does not send a SameSite=Strict cookie along a redirect that another site's link
            # began; a refresh is begun by this page.
            response = Response(headers={"refresh": "0; url=./"})
        else:
            response = RedirectResponse("./", status_code=303)
        response.headers["cache-control"] = "no-store"
        if self._access.token:
            response.set_cookie(
                self._access.cookie,
                self._access.cookie_value,
                max_age=_MONTH,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return response

    def _refuse(self, request: Request, *, wrong: bool) -> Response:
        headers = {"www-authenticate": 'Bearer realm="edgecam"', "cache-control": "no-store"}
        if "text/html" not in request.headers.get("accept", ""):
            text = "A token is needed: add ?token=TOKEN, or send the header Authorization: Bearer TOKEN.\n"
            return PlainTextResponse(text, status_code=401, headers=headers)
        body = self._sign_in.replace(b" hidden", b"", 1) if wrong else self._sign_in
        return Response(body, 401, headers, media_type="text/html")
