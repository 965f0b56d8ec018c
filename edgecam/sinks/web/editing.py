"""Zones, lines, masks and rules: told to the page, and taken from it where the user allowed that."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgecam import audit
from edgecam.config_edit import KINDS, Conflict
from edgecam.errors import EdgecamError
from edgecam.scene import LINES, RULES, ZONES, Scene, SceneError, check_labels
from edgecam.sinks.base import Editing
from edgecam.sinks.web.auth import Grant
from edgecam.sinks.web.body import BodyError, read_body
from edgecam.sinks.web.signin import client
from edgecam.values import Region

_LIMIT = 256 * 1024
_NO_STORE = {"cache-control": "no-store"}


class SceneApi:
    """``/api/scene`` and ``/api/settings``.

    Args:
        scene: zones and lines of the run.
        region: the part of the picture that the model looks at, None for all of it.
        editing: changes the settings file; None where that is not allowed.
        live: the source is live, so that new settings are taken at once.
        labels: of the model, that rules may ask for.
    """

    def __init__(
        self,
        scene: Scene,
        editing: Editing | None,
        live: bool,
        labels: tuple[str, ...] = (),
        region: Region | None = None,
    ) -> None:
        self._region = region
        self._scene = scene
        self._editing = editing
        self._live = live
        self._labels = labels
        self._secret = secrets.token_urlsafe(24)
        self._lock = asyncio.Lock()

    async def scene(self, request: Request) -> Response:
        """Zones and lines as the page draws them, with the rules that count there."""
        rules = [
            {"name": rule.name, "zone": rule.zone, "line": rule.line}
            for rule in self._scene.rules
            if rule.zone or rule.line
        ]
        body = {
            "zones": ZONES.plain(self._scene.zones),
            "lines": LINES.plain(self._scene.lines),
            "rules": rules,
            "region": self._region,
            "editable": self._editing is not None and _is_admin(request),
        }
        return JSONResponse(body, headers=_NO_STORE)

    async def read(self, request: Request) -> Response:
        """What the settings file says, and what a change of it must show."""
        if self._editing is None:
            return _refused("editing is off: add edit=yes to the web: sink")
        if not _is_admin(request):
            return _refused("this needs the role admin: edgecam web passwd NAME --role admin")
        try:
            found = await asyncio.to_thread(self._editing.read)
        except EdgecamError as error:
            return _error(422, str(error))
        body = found | {"file": str(self._editing.file), "secret": self._secret, "live": self._live}
        body["labels"] = [label for label in self._labels if label]
        return JSONResponse(body, headers=_NO_STORE)

    async def write(self, request: Request) -> Response:
        """Change the settings file and have the run take it."""
        if self._editing is None:
            return _refused("editing is off: add edit=yes to the web: sink")
        if not _is_admin(request):
            return _refused("this needs the role admin")
        if not request.headers.get("content-type", "").startswith("application/json"):
            # A form of another site cannot send this type unasked.
            return _error(415, "the body must be application/json")
        if not self._proven(request):
            return _refused("X-Edgecam-Secret is wrong: GET /api/settings tells it")
        try:
            wanted, version = _parse(await read_body(request, _LIMIT))
        except BodyError as error:
            return _error(error.status, str(error))
        except ValueError as error:
            return _error(400, str(error))
        async with self._lock:
            try:
                self._check(wanted)
                await asyncio.to_thread(self._editing.save, wanted, version)
            except SceneError as error:
                return _error(422, str(error), dict(zip(("kind", "number", "key"), error.at, strict=True)))
            except EdgecamError as error:
                return _error(409 if isinstance(error, Conflict) else 422, str(error))
        changed = ", ".join(f"{kind} ({len(entries)})" for kind, entries in wanted.items()) or "nothing"
        audit.note(
            "change", _grant(request).name, client(request), f"saved {changed} in {self._editing.file}"
        )
        if self._live:
            self._editing.apply()
        return JSONResponse({"saved": str(self._editing.file), "applied": self._live}, headers=_NO_STORE)

    def _check(self, wanted: dict[str, Any]) -> None:
        """The labels of rules: the settings file is checked without a model, and the run would refuse it."""
        with contextlib.suppress(ValueError):  # said better by who saves it
            check_labels(Scene(rules=RULES.take(wanted.get("rule", []))), self._labels, "")

    def _proven(self, request: Request) -> bool:
        """It comes from a page that could read what GET tells: ours. The gate has looked at its origin."""
        shown = request.headers.get("x-edgecam-secret", "")
        return hmac.compare_digest(shown.encode(), self._secret.encode())


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["edgecam.grant"]
    return grant


def _is_admin(request: Request) -> bool:
    return _grant(request).role == "admin"


def _parse(body: bytes) -> tuple[dict[str, Any], str]:
    """
    Raises:
        ValueError: not the JSON that is expected.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not valid JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("version"), str):
        raise ValueError("expected an object with version")
    version = found.pop("version")
    for kind, value in found.items():
        if kind not in KINDS or not isinstance(value, list):
            raise ValueError(f"expected lists for {', '.join(KINDS)}")
    return found, version


def _refused(why: str) -> Response:
    return _error(403, why)


def _error(status: int, why: str, at: dict[str, Any] | None = None) -> Response:
    return JSONResponse({"error": why} | ({"at": at} if at else {}), status_code=status, headers=_NO_STORE)
