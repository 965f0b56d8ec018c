"""What may be asked of a run from outside while it goes on: to pause, and to show what is private."""

from __future__ import annotations

from collections.abc import Callable

from edgecam.errors import UsageError


class Controls:
    """The switches of a run. Any thread may turn them; the main loop looks at them with each frame.

    They begin anew with each run: it recognises, and what is private is covered.

    Args:
        report: tells the user one line.
        private: rules of privacy apply.
        may_unveil: the settings let them be switched off (``privacy_switch``).

    Attributes:
        paused: no frame is looked at, none leaves.
        veiled: rules of privacy are in force; None where there are none.
        may_unveil: they can be switched off.
    """

    def __init__(
        self,
        report: Callable[[str], None] = lambda line: None,
        *,
        private: bool = False,
        may_unveil: bool = False,
    ) -> None:
        self.paused = False
        self.veiled: bool | None = True if private else None
        self.may_unveil = private and may_unveil
        self._report = report

    def pause(self, on: bool, who: str) -> None:
        """Stop looking, or go on. ``who`` asks, for the line that says so."""
        if on != self.paused:
            self.paused = on
            self._report(f"{'paused' if on else 'goes on'}, by {who}")

    def veil(self, on: bool, who: str) -> None:
        """Put the rules of privacy in force, or out of it.

        Raises:
            UsageError: there are none, or the settings do not let them be switched off.
        """
        if self.veiled is None:
            raise UsageError("there are no masks and nothing to cover", "set mask or blur")
        if not on and not self.may_unveil:
            raise UsageError(
                "privacy cannot be switched off from outside", "set privacy_switch = true to allow it"
            )
        if on != self.veiled:
            self.veiled = on
            self._report(f"privacy {'on' if on else 'OFF: nothing is covered'}, by {who}")
