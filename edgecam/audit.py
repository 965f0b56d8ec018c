"""Who came in and who changed what: one line each, in the log or the journal.

``journalctl -u edgecam EDGECAM_AUDIT=sign-in`` finds them. Nothing that somebody else wrote can begin a new
line or steer a terminal, and no secret is ever handed in.
"""

from __future__ import annotations

import logging

from edgecam.redact import printable

log = logging.getLogger(__name__)


def note(kind: str, who: str, where: str, what: str) -> None:
    """
    Args:
        kind: ``sign-in``, ``refused``, ``sign-out`` or ``change``.
        who: a name, "" where there is none.
        where: address it came from.
        what: the rest of the sentence.
    """
    who, where = printable(who, 32) or "somebody", printable(where, 64)
    fields = {"EDGECAM_AUDIT": kind, "EDGECAM_WHO": who, "EDGECAM_FROM": where}
    log.info("page: %s from %s %s", who, where, printable(what), extra={"journal": fields})
