"""Empties an :class:`~edgecam.outbox.Outbox` by HTTP: one POST an entry, in order, until each is taken.

An entry's topic names it for good: whoever gets it twice can tell.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import logging
import math
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecam import __version__
from edgecam.backoff import Backoff
from edgecam.outbox import Entry, Outbox

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
#: Seconds between tries where somebody must change something first: a wrong address, a wrong token.
SLOW_PAUSE = 60.0
#: Answers that say "never": the next try would be the same. The entry is dropped and counted.
_NEVER = frozenset({400, 413, 415, 422})
#: Answers that say "later".
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Receiver:
    """Who takes entries.

    Attributes:
        url: without user and password.
        name: for people, without path: that may be a secret of its own.
        headers: sent with each.
        key: what signs, b"" for no signature.
        context: of TLS, None for none.
        timeout: seconds for an answer.
    """

    url: str = field(repr=False)
    name: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    key: bytes = field(default=b"", repr=False)
    context: ssl.SSLContext | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST.

    Attributes:
        verdict: ``taken``; ``never`` will be; ``later``; ``slow``: once somebody has changed something.
        words: what was wrong, for people.
        wait: seconds that the receiver asks for.
    """

    verdict: str
    words: str = ""
    wait: float = 0.0


def sign(key: bytes, name: str, at: int, body: bytes) -> str:
    """The value of ``webhook-signature``: version 1 of Standard Webhooks, HMAC-SHA256 of ``name.at.body``."""
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn a POST into a GET, or send it to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Courier:
    """A thread that posts.

    Args:
        receiver: to whom.
        outbox: what.
        report: tells the user one line.

    Attributes:
        trouble: why nothing arrives for now, or "".
        refused: entries that the receiver will never take; they are gone.
    """

    def __init__(self, receiver: Receiver, outbox: Outbox, report: Callable[[str], None]) -> None:
        self.trouble = ""
        self.refused = 0
        self._receiver = receiver
        self._outbox = outbox
        self._report = report
        self._said = ""
        self._bell = threading.Condition()
        self._closing = False
        self._deadline = math.inf
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if receiver.context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=receiver.context))
        self._opener = urllib.request.build_opener(*handlers)
        self._thread = threading.Thread(target=self._run, name=f"webhook {receiver.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ring(self) -> None:
        """There is something new."""
        with self._bell:
            self._bell.notify_all()

    def close(self, seconds: float) -> None:
        """Deliver what can be within ``seconds`` while all goes well, and end the thread."""
        with self._bell:
            self._closing = True
            self._deadline = time.monotonic() + seconds
            self._bell.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds + 1.0)  # a POST in flight may hang: its entry is sent again next time

    def post(self, entry: Entry) -> Answer:
        """Send one entry."""
        at = int(time.time())
        name = entry.topic
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"edgecam/{__version__}",
            "webhook-id": name,
            "webhook-timestamp": str(at),
            **self._receiver.headers,
        }
        if self._receiver.key:
            headers["webhook-signature"] = sign(self._receiver.key, name, at, entry.body)
        request = urllib.request.Request(self._receiver.url, entry.body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._receiver.timeout) as answer:
                answer.read(1024)
            return Answer("taken")
        except urllib.error.HTTPError as error:
            with error:
                return _judged(error.code, error.headers.get("Retry-After", ""))
        except (OSError, http.client.HTTPException) as error:
            return _unreachable(error)

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            with self._bell:
                if self._closing and (self.trouble or time.monotonic() > self._deadline):
                    return
            entries = self._outbox.first(1)
            if not entries:
                with self._bell:
                    if self._closing:
                        return
                    self._bell.wait(1.0)
                continue
            answer = self.post(entries[0])
            if answer.verdict in ("taken", "never"):
                self._gone(entries[0], answer)
                backoff.reset()
                continue
            self._note(answer.words)
            pause = backoff.pause(max(answer.wait, SLOW_PAUSE if answer.verdict == "slow" else 0.0))
            with self._bell:
                self._bell.wait_for(lambda: self._closing, min(pause, LONGEST_PAUSE))

    def _gone(self, entry: Entry, answer: Answer) -> None:
        self._outbox.done([entry.id])
        if answer.verdict == "never":
            self.refused += 1
            level = logging.WARNING if self.refused == 1 else logging.DEBUG
            log.log(level, "webhook: %s %s: the event is dropped", self._receiver.name, answer.words)
        if self._said:
            self._report(f"{self._receiver.name} takes events again")
        self.trouble = self._said = ""

    def _note(self, words: str) -> None:
        self.trouble = f"{self._receiver.name} {words}"
        if self.trouble != self._said:
            self._said = self.trouble
            self._report(f"{self.trouble}; trying again")


def _judged(code: int, retry_after: str) -> Answer:
    words = f"answers {code} {http.client.responses.get(code, '')}".rstrip()
    if code in _NEVER:
        return Answer("never", words)
    if code >= 500 or code in _LATER:
        return Answer("later", words, float(retry_after) if retry_after.isdecimal() else 0.0)
    if 300 <= code < 400:
        words += ": give the address that it points to"
    return Answer("slow", words)


def _unreachable(error: Exception) -> Answer:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = reason.verify_message
        return Answer("slow", f"shows a certificate that is not trusted ({why}): name its CA with ca=")
    if isinstance(reason, TimeoutError):
        return Answer("later", "does not answer")
    if isinstance(reason, OSError):
        return Answer("later", f"cannot be reached ({reason.strerror or reason})")
    return Answer("later", f"speaks no HTTP ({type(reason).__name__})")
