"""What is asked of the run that uses a folder of models, and how far it is: two small files.

A file, not a socket: who may write into the folder may ask, and nothing is lost when either side dies.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from edgecam.errors import EdgecamError, ModelError
from edgecam.slots.store import Store

Do = Literal["activate", "rollback"]
#: What a change is at; the last three are its ends.
Stage = Literal["asked", "loading", "shadow", "trial", "done", "refused", "rolled back"]
ENDS = ("done", "refused", "rolled back")

EVERY = 0.25  # seconds between two looks at the progress
DEAF = 15.0  # seconds within which a run must have taken an order


@dataclass(frozen=True)
class Plan:
    """How a change is made.

    Attributes:
        shadow: seconds for which both models look at the same frames, 0 for none.
        trial: seconds in which the old one stands by, and the new one must not do worse.
        slower: how many times the time of the old model an inference may take.
        agreement: least agreement in the shadow run, 0 to 1.
    """

    shadow: float = 30.0
    trial: float = 60.0
    slower: float = 2.0
    agreement: float = 0.0


@dataclass(frozen=True)
class Order:
    """
    Attributes:
        id: the answer has the same.
        sha256: of the model to activate, "" for the one in the settings.
    """

    id: str
    do: Do
    sha256: str = ""
    plan: Plan = field(default_factory=Plan)

    @classmethod
    def new(cls, do: Do, sha256: str = "", plan: Plan | None = None) -> Order:
        return cls(secrets.token_hex(8), do, sha256, plan or Plan())


@dataclass(frozen=True)
class Progress:
    """
    Attributes:
        id: of the order.
        message: one line for people.
        figures: what the shadow run has shown.
    """

    id: str
    stage: Stage
    message: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.stage in ENDS


class Desk:
    """Where orders lie."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._order = store.folder / "order.json"
        self._progress = store.folder / "progress.json"

    def place(self, order: Order) -> None:
        """Ask.

        Raises:
            ModelError: another order is being worked on, or the folder cannot be written.
        """
        if self._order.exists():
            raise ModelError("another change is waiting to be made", "wait, or try again in a minute")
        self._write(self._order, asdict(order))

    def take(self) -> Order | None:
        """The order that waits, once; None without one."""
        try:
            data = json.loads(self._order.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            data = {}
        with contextlib.suppress(OSError):
            self._order.unlink()
        try:
            plan = Plan(**{key: float(value) for key, value in data["plan"].items()})
            do: Do = "rollback" if data["do"] == "rollback" else "activate"
            return Order(str(data["id"]), do, str(data["sha256"]), plan)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def withdraw(self) -> None:
        """Take an order back that nobody has taken."""
        with contextlib.suppress(OSError):
            self._order.unlink()

    def tell(self, progress: Progress) -> None:
        with contextlib.suppress(EdgecamError):  # who asked will see that nobody answers
            self._write(self._progress, asdict(progress))

    def progress(self) -> Progress | None:
        """What was told last."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Progress(**json.loads(self._progress.read_bytes()))
        return None

    def follow(self, order: Order, told: Callable[[Progress], None], limit: float) -> Progress:
        """Place an order and wait for its end.

        Args:
            told: called with each step.
            limit: seconds.

        Raises:
            ModelError: nobody takes it, or it takes too long.
        """
        self.place(order)
        began, last = time.monotonic(), Progress(order.id, "asked")
        while True:
            now = self.progress()
            if now is not None and now.id == order.id and now != last:
                last = now
                told(now)
            if last.over:
                return last
            waited = time.monotonic() - began
            if last.stage == "asked" and waited > DEAF:
                self.withdraw()
                raise ModelError("the run that uses this folder does not answer", "is it stopped or hanging?")
            if waited > limit:
                raise ModelError(
                    f"the change has not ended within {limit:.0f} s", "edgecam model slots tells"
                )
            time.sleep(EVERY)

    def _write(self, path: Any, data: Mapping[str, Any]) -> None:
        try:
            self._store.write(path, json.dumps(data).encode())
        except OSError as error:
            raise ModelError(f"{path} cannot be written ({error.strerror})", "check its rights") from error
