"""Files over HTTP: resumable, bounded, and kept only if their SHA-256 is the pinned one."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from edgecam import __version__
from edgecam.errors import ModelError

Progress = Callable[[int, int | None], None]

CHUNK = 64 * 1024
TIMEOUT = 30.0
#: no file of the catalogue comes near it; a server that sends more is not the one we mean
LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True)
class Remote:
    """A file somewhere else, and what it must be.

    Attributes:
        url: where it is.
        sha256: of the file, in hexadecimal; of the member where there is one.
        size: bytes, likewise.
        member: name inside the zip archive that the URL gives, or "".
    """

    url: str
    sha256: str
    size: int
    member: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


def fetch(remote: Remote, target: Path, progress: Progress = lambda done, total: None) -> None:
    """Bring ``remote`` to ``target``, which appears only once it is whole and verified.

    What came so far stays in ``NAME.part`` when the connection breaks, and the next call goes on from there.

    Args:
        progress: called with (bytes there, bytes in all or None).

    Raises:
        ModelError: no connection, an error from the server, a wrong hash, a full disk: one line.
    """
    part = target.with_name(target.name + ".part")
    try:
        if is_intact(target, remote):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            resumed = _receive(remote, file, progress)
            if not _matches(file, remote) and resumed:
                # What was there from an earlier try may be what is wrong.
                file.truncate(0)
                _receive(remote, file, progress)
            if not _matches(file, remote):
                part.unlink()
                raise ModelError(
                    f"{remote.url}: not the file that is pinned (its SHA-256 differs)",
                    "nothing was kept; try again, and if it stays so the file there has changed",
                )
            _place(file, part, target, remote)
    except OSError as error:
        raise ModelError(
            f"{target}: {error.strerror or error}", "choose another folder with --dir"
        ) from error


def is_intact(path: Path, remote: Remote) -> bool:
    """True if ``path`` is there and is what ``remote`` must be."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == remote.sha256
    except FileNotFoundError:
        return False


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The part file, open at its end; one process at a time. An empty one does not stay."""
    with part.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError(f"{part}: another process is fetching it", "wait for it to end") from None
        try:
            yield file
        finally:
            if os.fstat(file.fileno()).st_size == 0:
                part.unlink(missing_ok=True)


def _receive(remote: Remote, file: IO[bytes], progress: Progress) -> bool:
    """Append what is missing; True if something was there before."""
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": f"edgecam/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(remote.url, headers=headers), timeout=TIMEOUT
        ) as response:
            resumed: bool = response.status == http.HTTPStatus.PARTIAL_CONTENT
            if not resumed:
                file.truncate(0)
                have = 0
            _copy(remote, response, file, have, progress)
            return resumed
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return True  # all of it is there already; the hash will tell
        raise ModelError(
            f"{remote.url}: the server says {error.code} {error.reason}", "try again later"
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _unreachable(remote, error) from error


def _copy(remote: Remote, response: Any, file: IO[bytes], have: int, progress: Progress) -> None:
    length = response.headers.get("Content-Length", "")
    known = None if remote.member else remote.size
    total = have + int(length) if length.isdigit() else known
    limit = known or LIMIT
    while chunk := _chunk(remote, response, have):
        have += len(chunk)
        if have > limit:
            file.truncate(0)
            raise ModelError(f"{remote.url}: larger than the {limit} bytes it should be", "nothing was kept")
        file.write(chunk)
        progress(have, total)
    file.flush()
    if total is not None and have < total:
        raise _broke(remote, have)


def _chunk(remote: Remote, response: Any, have: int) -> bytes:
    try:
        chunk: bytes = response.read(CHUNK)
        return chunk
    except (OSError, http.client.HTTPException) as error:
        raise _broke(remote, have) from error


def _broke(remote: Remote, have: int) -> ModelError:
    return ModelError(
        f"{remote.host}: the connection broke after {have} bytes",
        "run the same command again, it goes on from there",
    )


def _unreachable(remote: Remote, error: Exception) -> ModelError:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ModelError(
            f"{remote.host}: its certificate is not accepted ({reason.verify_message})",
            "check the clock of this machine (timedatectl)",
        )
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
    return ModelError(
        f"cannot reach {remote.host} ({text or type(reason).__name__})",
        "check the network; the bundled models work without one",
    )


def _matches(file: IO[bytes], remote: Remote) -> bool:
    file.seek(0)
    if not remote.member:
        digest: str = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return digest == remote.sha256
    try:
        return hashlib.sha256(_member(file, remote)).hexdigest() == remote.sha256
    except (zipfile.BadZipFile, KeyError, NotImplementedError, ValueError):
        return False


def _member(file: IO[bytes], remote: Remote) -> bytes:
    """The member's bytes; of one that is too large just enough to see it (an archive can claim anything)."""
    with zipfile.ZipFile(file) as archive, archive.open(remote.member) as member:
        return member.read(remote.size + 1)


def _place(file: IO[bytes], part: Path, target: Path, remote: Remote) -> None:
    """Make the verified file appear under its name, at once and for good."""
    if remote.member:
        data = _member(file, remote)
        file.truncate(0)
        file.write(data)
    file.flush()
    os.fsync(file.fileno())
    part.replace(target)
