"""The folder of installed models.

::

    FOLDER/slots.json               which there are, which is in use; replaced as a whole
    FOLDER/models/SHA256.tflite     the models, never changed
    FOLDER/lock                     held while slots.json is changed
    FOLDER/run.lock                 held by the run that uses the folder
    FOLDER/order.json, progress.json  see edgecam/slots/orders.py
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edgecam import state as files
from edgecam import whole
from edgecam.errors import ModelError
from edgecam.slots.state import State

log = logging.getLogger(__name__)

KEPT = 4  # models that are not in use, the newest


def default_folder(environ: dict[str, str] | None = None) -> Path:
    """``slots`` in :func:`edgecam.state.folder`."""
    return files.folder(environ) / "slots"


class Store:
    """The installed models. Any number of processes may use one folder.

    Args:
        folder: made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models = folder / "models"
        self._file = folder / "slots.json"

    def path(self, sha256: str) -> Path:
        """Where a model lies."""
        return self._models / f"{sha256}.tflite"

    def make(self) -> None:
        """Make the folder; what root makes belongs to whom the place belongs.

        Raises:
            OSError: it cannot be made.
        """
        for folder in (self.folder, self._models):
            if not folder.is_dir():
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                if os.geteuid() == 0:
                    status = folder.parent.stat()
                    os.chown(folder, status.st_uid, status.st_gid)

    def read(self) -> State:
        """What is installed and in use. A file that is no longer readable counts as none, with a warning."""
        try:
            return State.from_json(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s cannot be read (%s): no model in it is used", self._file, error)
            return State()

    def change(self, change: Callable[[State], State]) -> State:
        """Replace the state by ``change(state)``, one process at a time; what it is then.

        Raises:
            ModelError: the folder cannot be written; nothing has changed.
        """
        try:
            self.make()
            with self._locked():
                before = self.read()
                after = change(before)
                if after != before:
                    self.write(self._file, json.dumps(after.as_json(), indent=2).encode())
                return after
        except OSError as error:
            raise ModelError(
                f"{self.folder} cannot be written ({error.strerror})", "check its rights and the disk's space"
            ) from error

    def write(self, path: Path, data: bytes) -> None:
        """Put a file there whole. What root writes belongs to whom the folder belongs.

        Raises:
            OSError: it cannot be written.
        """
        files.write(path, data, owner=self.owner())
        whole.sync_folder(path.parent)

    def owner(self) -> tuple[int, int] | None:
        """(user, group) that files must be given to, None if they have it already."""
        if os.geteuid() != 0:
            return None
        status = self.folder.stat()
        return status.st_uid, status.st_gid

    def put(self, data: bytes) -> str:
        """Keep a model's file; its SHA-256. It is nobody's slot yet.

        Raises:
            ModelError: the folder cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            self.make()
            if self.intact(digest) != "":
                self.write(path, data)
        except OSError as error:
            raise ModelError(
                f"{path} cannot be written ({error.strerror})", "check its rights and the disk's space"
            ) from error
        return digest

    def intact(self, sha256: str) -> str:
        """What is wrong with the file of a model, "" if it is there and what it was."""
        try:
            found = hashlib.sha256(self.path(sha256).read_bytes()).hexdigest()
        except OSError as error:
            return f"its file cannot be read ({error.strerror})"
        return "" if found == sha256 else "its file was changed or is damaged"

    def tidy(self) -> None:
        """Delete models that are nobody's slot, and forget the oldest that are not in use."""
        state = self.change(lambda state: state.forget(KEPT))
        known = {slot.sha256 for slot in state.slots}
        for file in self._models.glob("*"):
            if file.stem not in known:
                with contextlib.suppress(OSError):
                    file.unlink()

    def claim(self) -> BinaryIO | None:
        """Be the run that uses this folder, as long as the file stays open; None if another one is.

        Raises:
            OSError: the folder cannot be written.
        """
        file = (self.folder / "run.lock").open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        owner = self.owner()
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        return file

    def in_use(self) -> bool:
        """Whether a run uses this folder now."""
        try:
            file = self.claim()
        except OSError:
            return False
        if file is None:
            return True
        file.close()
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a+b") as file:
            owner = self.owner()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
