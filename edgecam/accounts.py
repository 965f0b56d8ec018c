"""Who may open the page: a file with one line each, ``NAME:ROLE:HASH``, as ``edgecam web`` writes it.

Passwords are hashed with scrypt (RFC 7914) at the cost that OWASP's Password Storage Cheat Sheet names for
16 MiB: N = 2^14, r = 8, p = 5. A token is 32 random bytes, so a plain SHA-256 of it is as good and costs
nothing at each request. Roles: ``viewer`` watches, ``admin`` changes zones, lines and masks as well.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgecam import config_load, state
from edgecam.errors import EdgecamError, UsageError

Role = Literal["viewer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
LEAST = 8  # characters of a password
MOST = 1024

_LOG_N, _R, _P = 14, 8, 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,31}")
_HASH = re.compile(
    r"scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{16,88})\$([A-Za-z0-9+/=]{40,88})"
)
_TOKEN = re.compile(r"sha256\$[0-9a-f]{64}")
#: Stands for a secret that was not given a name.
RESERVED = ("token",)


@dataclass(frozen=True)
class Account:
    """One line of the file.

    Attributes:
        name: for people, and in the audit lines.
        secret: hash of a password, or of a token.
    """

    name: str
    role: Role
    secret: str

    @property
    def is_token(self) -> bool:
        return self.secret.startswith("sha256$")


def hash_password(password: str) -> str:
    """What stands for a password in the file. Takes as long as a sign-in."""
    salt = secrets.token_bytes(16)
    made = _scrypt(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${_text(salt)}${_text(made)}"


def hash_token(token: str) -> str:
    return "sha256$" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def right_password(password: str, stored: str) -> bool:
    """Whether a password is the one that was hashed. Slow on purpose; releases the interpreter's lock."""
    match = _HASH.fullmatch(stored)
    if match is None or len(password) > MOST or "\0" in password:
        return False  # HMAC, and so scrypt, takes a password with zeros behind it for the same
    log_n, r, p = (int(match[i]) for i in (1, 2, 3))
    return hmac.compare_digest(_scrypt(password, _bytes(match[4]), log_n, r, p), _bytes(match[5]))


def right_token(token: str, stored: str) -> bool:
    return hmac.compare_digest(hash_token(token), stored)


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    n = 1 << log_n
    room = 128 * r * (n + p + 2)
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=room + 1024, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def check_name(name: str) -> str:
    """
    Raises:
        UsageError: not a name that an account can have.
    """
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"{name[:40]!r} cannot be a name",
            "take up to 32 letters, digits, . _ @ and -, beginning with a letter",
        )
    return name


def check_password(password: str) -> str:
    """
    Raises:
        UsageError: too short or too long to be one.
    """
    if not LEAST <= len(password) <= MOST or "\0" in password:
        raise UsageError(
            f"a password has {LEAST} to {MOST} characters",
            "three or four words that nobody would guess are good",
        )
    return password


def places(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where the file is looked for if none is named, beside the settings; the later one wins."""
    found = config_load.default_files(os.environ if environ is None else environ)
    return tuple(path.with_name("users") for path in found)


def find(environ: Mapping[str, str] | None = None) -> Path | None:
    """The file in use if none is named; None if there is none. One that only the service may read is none."""
    return next((path for path in reversed(places(environ)) if os.access(path, os.R_OK)), None)


def read(path: Path) -> tuple[Account, ...]:
    """
    Raises:
        UsageError: the file cannot be read, or a line is none; the line itself is not shown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path}: cannot be read ({why})", "edgecam web passwd NAME makes one") from error
    found: dict[str, Account] = {}
    for number, row in enumerate(text.splitlines(), 1):
        row = row.strip()
        if not row or row.startswith("#"):
            continue
        account = _parse(row)
        if account is None or account.name in found:
            raise UsageError(
                f"{path}: line {number} is not NAME:ROLE:HASH of a new name",
                "edgecam web passwd NAME writes such lines",
            )
        found[account.name] = account
    return tuple(found.values())


def _parse(row: str) -> Account | None:
    name, _, rest = row.partition(":")
    role, _, secret = rest.partition(":")
    if not _NAME.fullmatch(name) or name in RESERVED:
        return None
    for known in ROLES:
        if role == known and (_valid_hash(secret) or _TOKEN.fullmatch(secret)):
            return Account(name, known, secret)
    return None


def _valid_hash(secret: str) -> bool:
    """Of our form, and of a cost that this machine can bear."""
    match = _HASH.fullmatch(secret)
    if match is None:
        return False
    try:
        _bytes(match[4]), _bytes(match[5])
    except ValueError:
        return False
    log_n, r, p = (int(match[i]) for i in (1, 2, 3))
    return 1 <= log_n <= 17 and 1 <= r <= 8 and 1 <= p <= 16


def save(path: Path, accounts: Iterable[Account]) -> None:
    """Write the file whole, for its owner alone. One that is there keeps its owner and rights.

    Raises:
        EdgecamError: it cannot be written.
    """
    rows = ["# Who may open the page: NAME:ROLE:HASH. edgecam web passwd|token|remove change it."]
    rows += [f"{account.name}:{account.role}:{account.secret}" for account in accounts]
    try:
        mode, owner = _rights(path)
        state.write(path, ("\n".join(rows) + "\n").encode(), mode, owner)
    except OSError as error:
        raise EdgecamError(
            f"cannot write {path} ({error.strerror})", f"ls -ld {path.parent}; or sudo"
        ) from error


def _rights(path: Path) -> tuple[int, tuple[int, int] | None]:
    if path.exists():
        facts = path.stat()
        return facts.st_mode & 0o640, (facts.st_uid, facts.st_gid)
    if os.geteuid() == 0 and path.parent.is_dir() and path.parent.stat().st_gid != os.getegid():
        # Of the service, whose group reads the settings too.
        return 0o640, (0, path.parent.stat().st_gid)
    return 0o600, None


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_password() -> str:
    """A password that can be typed from a screen: 4 groups of 4, 80 bits."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))
