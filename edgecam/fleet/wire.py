"""What goes over the broker: models in pieces, orders and answers. What is heard is checked here."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from edgecam.errors import ModelError
from edgecam.minisign import LIMIT
from edgecam.slots.orders import Plan

PIECE = 65_536  # bytes; brokers of clouds take 128 kB
MOST = 1 << 30  # bytes of a model
LONGEST = 86_400.0  # seconds of a shadow run or a trial

Do = Literal["install", "activate", "rollback"]
Stage = Literal[
    "asked", "fetching", "checking", "loading", "shadow", "trial", "done", "refused", "rolled back"
]
#: Stages after which nothing more comes.
ENDS = ("done", "refused", "rolled back")


@dataclass(frozen=True)
class Tree:
    """Topics.

    Attributes:
        base: above all devices.
    """

    base: str

    def manifest(self, sha256: str) -> str:
        return f"{self.base}/_models/{sha256}/manifest"

    def piece(self, sha256: str, number: int) -> str:
        return f"{self.base}/_models/{sha256}/{number}"

    def device(self, device: str, *levels: str) -> str:
        return "/".join((self.base, device, *levels))

    def do(self, device: str) -> str:
        return self.device(device, "fleet", "do")

    def job(self, device: str) -> str:
        return self.device(device, "fleet", "job")

    def slots(self, device: str) -> str:
        return self.device(device, "fleet", "slots")

    def split(self, topic: str) -> tuple[str, str]:
        """(device, what) of a topic of a device; ("", "") for another."""
        device, _, what = topic.removeprefix(self.base + "/").partition("/")
        known = topic.startswith(self.base + "/") and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", device)
        return (device, what) if known else ("", "")


@dataclass(frozen=True)
class Manifest:
    """A model on the broker.

    Attributes:
        name: of the file, for people.
        sha256: of it.
        size: in bytes.
        signature: the text of its signature, "" without one.
    """

    name: str
    sha256: str
    size: int
    signature: str = ""

    @classmethod
    def of(cls, data: bytes, name: str, signature: str) -> Manifest:
        return cls(name, hashlib.sha256(data).hexdigest(), len(data), signature)

    @property
    def pieces(self) -> int:
        return max(1, math.ceil(self.size / PIECE))

    def encode(self) -> bytes:
        return _encode(asdict(self))

    @classmethod
    def decode(cls, body: bytes) -> Manifest:
        """
        Raises:
            ModelError: not a manifest.
        """
        data = _decode(body, "the manifest")
        name, sha256, size, signature = (data.get(k) for k in ("name", "sha256", "size", "signature"))
        good = isinstance(name, str) and is_hash(sha256) and isinstance(signature, str)
        if not good or not isinstance(size, int) or not 0 < size <= MOST or len(str(signature)) > LIMIT:
            raise ModelError("the manifest is not valid", "push the model again")
        plain = "".join(c if c.isprintable() else "?" for c in str(name))[:100]
        return cls(plain, str(sha256), size, str(signature))


@dataclass(frozen=True)
class Command:
    """What a device is asked to do.

    Attributes:
        id: the answers have the same.
        sha256: of the model; "" for the one in its settings.
    """

    id: str
    do: Do
    sha256: str = ""
    plan: Plan = field(default_factory=Plan)

    @classmethod
    def new(cls, do: Do, sha256: str = "", plan: Plan | None = None) -> Command:
        return cls(secrets.token_hex(8), do, sha256, plan or Plan())

    def encode(self) -> bytes:
        return _encode(asdict(self))

    @classmethod
    def decode(cls, body: bytes) -> Command:
        """
        Raises:
            ModelError: not a command.
        """
        data = _decode(body, "the command")
        do, sha256, plan, name = (data.get(key) for key in ("do", "sha256", "plan", "id"))
        wrong = not isinstance(name, str) or not re.fullmatch(r"[0-9a-f]{1,32}", name)
        if wrong or do not in ("install", "activate", "rollback") or not isinstance(plan, dict):
            raise ModelError("the command is not valid", "is the controller another version?")
        if sha256 != "" and not is_hash(sha256):
            raise ModelError("the command names no model", "is the controller another version?")
        return cls(str(name), do, str(sha256), _plan(plan))


def _plan(data: Mapping[str, Any]) -> Plan:
    """
    Raises:
        ModelError: other keys, or numbers out of bounds.
    """
    try:
        plan = Plan(**{key: float(value) for key, value in data.items()})
    except (TypeError, ValueError):
        raise ModelError("the command's plan is not valid", "is the controller another version?") from None
    bounds = ((plan.shadow, LONGEST), (plan.trial, LONGEST), (plan.slower, 1e6), (plan.agreement, 1.0))
    if not all(0 <= value <= most for value, most in bounds):
        raise ModelError("the command's plan is out of bounds", "shadow and trial are a day at most")
    return plan


@dataclass(frozen=True)
class Job:
    """How far a device is with a command.

    Attributes:
        id: of the command.
        message: one line for people.
    """

    id: str
    stage: Stage
    sha256: str = ""
    message: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.stage in ENDS

    def encode(self) -> bytes:
        return _encode(asdict(self))

    @classmethod
    def decode(cls, body: bytes) -> Job | None:
        """None if it is none."""
        try:
            data = _decode(body, "the answer")
            message = " ".join(str(data["message"]).split())[:500]
            figures = data.get("figures")
            figures = figures if isinstance(figures, dict) else {}
            return cls(str(data["id"]), data["stage"], str(data["sha256"]), message, figures)
        except (ModelError, KeyError):
            return None


def is_hash(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _encode(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _decode(body: bytes, what: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ModelError(f"{what} is not valid JSON", "is the controller another version?")
    return data
