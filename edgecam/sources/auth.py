"""Basic and Digest authentication as HTTP and RTSP cameras ask for it (RFC 7617, RFC 7616, RFC 2617)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable

_HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def authorization(challenges: Iterable[str], method: str, target: str, user: str, password: str) -> str:
    """The ``Authorization`` header that answers a 401; the strongest that both sides know.

    Args:
        challenges: the values of all ``WWW-Authenticate`` headers.
        method: ``GET``, ``DESCRIBE``.
        target: the request's target, exactly as sent.
        user: the name.
        password: never sent as such under Digest.

    Returns:
        The header's value; "" if nothing that was offered is known.
    """
    found = [pair for text in challenges for pair in _challenges(text)]
    digests = [fields for scheme, fields in found if scheme == "digest"]
    known = [f for f in digests if f.get("algorithm", "MD5").upper().removesuffix("-SESS") in _HASHES]
    if known:
        best = max(known, key=lambda fields: "256" in fields.get("algorithm", ""))
        return _digest(best, method, target, user, password)
    if any(scheme == "basic" for scheme, _ in found):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return ""


def _challenges(text: str) -> list[tuple[str, dict[str, str]]]:
    """(scheme, fields) of each challenge in a header's value; several may stand in one."""
    starts = list(re.finditer(r"(?i)(?:^|,)\s*(basic|digest)\b", text))
    ends = [*(later.start() for later in starts[1:]), len(text)]
    out = []
    for start, end in zip(starts, ends, strict=False):
        body = text[start.end() : end]
        fields = {
            name.lower(): quoted or plain
            for name, quoted, plain in re.findall(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))', body)
        }
        out.append((start[1].lower(), fields))
    return out


def _digest(fields: dict[str, str], method: str, target: str, user: str, password: str) -> str:
    algorithm = fields.get("algorithm", "MD5")
    make = _HASHES[algorithm.upper().removesuffix("-SESS")]

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    realm, nonce, cnonce = fields.get("realm", ""), fields.get("nonce", ""), secrets.token_hex(8)
    secret = hashed(user, realm, password)
    if algorithm.upper().endswith("-SESS"):
        secret = hashed(secret, nonce, cnonce)
    request = hashed(method, target)
    out = {"username": user, "realm": realm, "nonce": nonce, "uri": target}
    plain = {}
    if "auth" in re.split(r"[,\s]+", fields.get("qop", "")):
        out["cnonce"] = cnonce
        plain = {"qop": "auth", "nc": "00000001"}
        out["response"] = hashed(secret, nonce, plain["nc"], cnonce, "auth", request)
    else:
        out["response"] = hashed(secret, nonce, request)
    if "opaque" in fields:
        out["opaque"] = fields["opaque"]
    if "algorithm" in fields:
        plain["algorithm"] = algorithm
    quoted = [f'{name}="{value}"' for name, value in out.items()]
    return "Digest " + ", ".join(quoted + [f"{name}={value}" for name, value in plain.items()])
