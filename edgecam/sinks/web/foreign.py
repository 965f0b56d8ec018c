"""Requests that another site's page made in the user's browser."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

SAFE = frozenset({"GET", "HEAD"})


def why(request: Request) -> str:
    """Why a request does not come from our own page, "" if it may.

    Programs send neither header, and are no browser that could be abused. Over plain HTTP browsers leave
    ``Sec-Fetch-Site`` out except for this machine itself; ``Origin`` remains, which every change carries.
    """
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", "").strip().lower():
        return "the request comes from another page"
    site = headers.get("sec-fetch-site", "same-origin").lower()
    if site == "same-origin":
        return ""
    if request.method not in SAFE:
        return "the request comes from another site"
    # Typed, from a bookmark, or a link in another page: that shows the page to its user and nobody else.
    opened = headers.get("sec-fetch-dest", "").lower() == "document"
    return "" if site == "none" or opened else "the request comes from another site"


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
