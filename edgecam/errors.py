"""The one exception tree of edgecam.

::

    EdgecamError                 exit 1   anything edgecam can name and a user can mend
    ├── UsageError               exit 2   the command line, a URI or an option is wrong
    │   ├── UnknownNameError     exit 2   no such scheme, model, key, ...: names the nearest right one
    │   └── ConfigError          exit 2   a configuration file or variable is wrong
    ├── SourceError              exit 1   a camera, stream, video or picture
    │   ├── SourceLostError      exit 1   it was there and went away (retried by the pipeline)
    │   └── FrameError           exit 1   one frame could not be decoded (skipped and counted)
    ├── ModelError               exit 1   a model file is missing, broken or of the wrong kind
    │   └── ContractError        exit 1   the contract is missing or contradicts the tensors
    ├── EngineError              exit 1   the interpreter failed
    │   └── DelegateError        exit 1   the accelerator failed or is absent
    ├── SinkError                exit 1   an output failed
    └── QualityError             exit 3   a quality gate was not met

Every message is one line that names what is wrong; ``remedy`` says what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 1000


def _line(text: str) -> str:
    """One line of bearable length with nothing that steers a terminal, whatever a file put into it."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    half = _LONGEST // 2  # what is wrong stands at the beginning or at the end
    return clean if len(clean) <= _LONGEST else f"{clean[:half]}...{clean[-half:]}"


class EdgecamError(Exception):
    """Base of every error that edgecam raises on purpose.

    Args:
        message: what is wrong, one line, without a full stop at the end.
        remedy: what the user can do, one line (``"pip install 'edgecam[mqtt]'"``).
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = _line(message)
        self.remedy = _line(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class UsageError(EdgecamError):
    """The command line, a URI or an option is wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not among the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}? " if close else ""
        super().__init__(f"unknown {kind} {name!r}", f"{hint}known: {', '.join(names)}")


class ConfigError(UsageError):
    """A configuration file or an environment variable is wrong."""


class SourceError(EdgecamError):
    """A camera, stream, video or picture cannot be opened or read."""


class SourceLostError(SourceError):
    """A live source was there and went away; the pipeline shows a placard and retries."""


class FrameError(SourceError):
    """One frame could not be decoded; it is skipped and counted."""


class ModelError(EdgecamError):
    """A model file is missing, broken or of the wrong kind."""


class ContractError(ModelError):
    """The model's contract is missing something or contradicts its tensors."""


class EngineError(EdgecamError):
    """The interpreter cannot be made or failed while running."""


class DelegateError(EngineError):
    """An accelerator's delegate is absent or failed."""


class SinkError(EdgecamError):
    """An output cannot be opened or written."""


class QualityError(EdgecamError):
    """A quality gate was not met."""

    exit_code = 3
