"""Folders that travel: to where a task runs, and back.

Where machines share a disk, nothing is copied: what lies there under the same path with the same content is
used as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError

CHUNK = 64 << 20  # bytes of an object: Ray's store moves and spills these one by one
_MOST_TEMPORARY = 0o700
#: Python before 3.11.4 (Debian 12 has 3.11.2) does not know it, later ones warn without it
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@dataclass(frozen=True)
class Parcel:
    """A folder that a task needs.

    Attributes:
        root: where it is on the machine that sends it, absolute.
        digest: of the names and sizes of its files.
        chunks: references of its content, none where it does not travel.
    """

    root: str
    digest: str
    chunks: tuple[Any, ...] = ()


def digest(root: Path) -> str:
    """Of the names and sizes of a folder's files; "" where there is no such folder."""
    if not root.is_dir():
        return ""
    found = hashlib.sha256()
    for path in files(root):
        found.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
    return found.hexdigest()


def files(root: Path) -> list[Path]:
    """All files of a folder, but for hidden ones."""
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))


def pack(root: Path, chosen: Iterable[Path], put: Callable[[bytes], Any]) -> tuple[Any, ...]:
    """Files of a folder, in chunks of about :data:`CHUNK` bytes, each a tar archive of whole files.

    Args:
        root: what names are relative to.
        chosen: the files.
        put: stores a chunk; what it gives back is kept.
    """
    stored: list[Any] = []
    buffer, archive = _begun()
    for path in chosen:
        archive.add(path, str(path.relative_to(root)), recursive=False)
        if buffer.tell() > CHUNK:
            archive.close()
            stored.append(put(buffer.getvalue()))
            buffer, archive = _begun()
    archive.close()
    return (*stored, put(buffer.getvalue()))


def _begun() -> tuple[io.BytesIO, tarfile.TarFile]:
    buffer = io.BytesIO()
    # PAX keeps the fractions of times, by which steps know their inputs again.
    return buffer, tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT)


def unpack(chunks: Iterable[bytes], target: Path) -> None:
    """Files of :func:`pack` into a folder.

    Raises:
        EdgecamError: they cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        for chunk in chunks:
            with tarfile.open(fileobj=io.BytesIO(chunk)) as archive:
                archive.extractall(target, filter(_is_file_within, archive), **_FILTER)
    except (OSError, tarfile.TarError) as error:
        raise EdgecamError(f"cannot unpack into {target} ({error})", "free space there") from error


def _is_file_within(member: tarfile.TarInfo) -> bool:
    path = Path(member.name)
    return member.isfile() and not path.is_absolute() and ".." not in path.parts


def at_hand(parcel: Parcel, get: Callable[[Sequence[Any]], Iterable[bytes]]) -> Path:
    """Where this machine has the folder: under its own path where nothing travels, else in :func:`scratch`,
    on every machine under the same name: what is noted of the files on one then also holds on another.

    Raises:
        EdgecamError: it is not there, or cannot be unpacked.
    """
    own = Path(parcel.root)
    if not parcel.chunks:
        if digest(own) == parcel.digest:
            return own
        raise EdgecamError(f"{own} is not the same on this machine", "put it on a common disk, or --travel")
    target = scratch() / f"data-{parcel.digest[:16]}" / own.name
    with _alone(target.parent.with_suffix(".lock")):
        if digest(target) != parcel.digest:
            _place(parcel, own, target, get)
    return target


def _place(parcel: Parcel, own: Path, target: Path, get: Callable[[Sequence[Any]], Iterable[bytes]]) -> None:
    """A link to the sender's own folder where it is there, else what has travelled."""
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir()
    if digest(own) == parcel.digest:
        target.symlink_to(own, target_is_directory=True)
        return
    half = target.parent / f".{own.name}"
    for chunk in parcel.chunks:  # one at a time: all together may not fit into memory
        unpack(get([chunk]), half)
    half.replace(target)


def fetched(references: Sequence[Any]) -> Iterator[bytes]:
    """Chunks out of Ray's store."""
    import ray

    yield from ray.get(list(references))


def scratch() -> Path:
    """This user's folder for what has travelled, on any machine the same."""
    path = Path(tempfile.gettempdir()) / f"edgecam-sweep-{os.getuid()}"
    path.mkdir(mode=_MOST_TEMPORARY, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise EdgecamError(f"{path} belongs to somebody else", "remove it, or set TMPDIR")
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
